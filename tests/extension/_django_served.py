"""The Django site as gunicorn imports it: ``tests.extension._django_served:application``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flask_engage import Engage
from tests.extension._django_site import add_user, load_user, make_site

FOLDER = Path(os.environ["SERVED_FOLDER"])
engage = Engage()
site = make_site(FOLDER, lambda: engage.track("acted"))
ada = add_user("ada")


def with_a_door(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer as the site does, and at ``/session`` give whoever asks Ada's session."""
    if environ["PATH_INFO"] != "/session":
        return site(environ, start_response)  # type: ignore[no-any-return]
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(ada.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = ada.get_session_auth_hash()
    session.save()
    start_response("204 No Content", [("Set-Cookie", f"sessionid={session.session_key}; Path=/")])
    return []


application = engage.wrap(
    with_a_door,
    load_user,
    db=os.environ["SERVED_DATABASE"],
    root_path=FOLDER,
    config={"SECRET_KEY": "a secret of sixteen bytes and more"},
)
