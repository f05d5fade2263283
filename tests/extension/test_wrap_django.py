"""A Django site with accounts, sessions and CSRF checks, wrapped: in process, and in gunicorn."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flask_engage import Engage, Identity, InApp, did, everyone
from tests._databases import migrated
from tests.extension._django_site import PAGE, add_user, load_user, make_site
from tests.extension._wsgi import Browser
from tests.runtimes._server import serving


@dataclass
class Site:
    """The site, wrapped, and the same alone."""

    engage: Engage
    bare: Any
    wrapped: Any


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    engage = Engage()

    @engage.identify
    def identify(user: Any) -> Identity:
        return Identity(
            user.pk, email=user.email, name=user.username, signed_up_at=user.date_joined
        )

    @engage.tracked("did it")
    def act() -> bool:
        return engage.track("acted")

    bare = make_site(folder, act)
    add_user("ada")
    add_user("olga", is_staff=True)
    with migrated("sqlite", folder) as url:
        wrapped = engage.wrap(
            bare,
            load_user,
            db=url,
            operator=lambda environ: load_user(environ).is_staff,
            config={"SECRET_KEY": "a secret of sixteen bytes and more", "TESTING": True},
            root_path=folder,
        )
    yield Site(engage, bare, wrapped)
    wrapped.flask_app.extensions["engage"].ready.database().dispose()
    from django.db import connections

    connections.close_all()


def logged_in(app: Any, name: str) -> Browser:
    """Log in as a browser does, over the site's form with its CSRF token."""
    client = Browser(app)
    form = client.get("/enter")
    token = re.search(r'value="(\w+)"', form.text)
    assert token, form.text
    sent = {"name": name, "csrfmiddlewaretoken": token[1]}
    assert client.post("/enter", data=sent).status_code == 302
    return client


def test_a_django_site_is_what_it_was_and_knows_its_people(site: Site) -> None:
    engage = site.engage
    nobody = Browser(site.wrapped)
    assert nobody.get("/").text == PAGE.format("nobody")
    ada = logged_in(site.wrapped, "ada")
    page = ada.get("/")
    assert page.text.count("engage.js") == 1
    assert len(page.data) == page.content_length
    assert "Cookie" in page.headers["Vary"]
    assert ada.get("/do").json == {"accepted": True}
    alone = logged_in(site.bare, "ada")
    for path in ("/stream", "/file", "/missing"):
        bare, ours = alone.get(path), ada.get(path)
        kept = [h for h in ours.headers if h[0] != "Date"]
        assert (ours.status, kept) == (bare.status, [h for h in bare.headers if h[0] != "Date"])
        assert ours.data == bare.data
    # Without the token the site refuses, wrapped or not.
    assert ada.post("/enter", data={"name": "ada"}).status_code == 403
    engage.flush()
    (person,) = engage.people()
    assert (person.name, person.email, person.sessions) == ("ada", "ada@example.com", 1)
    assert engage.people(did("acted").exactly(1) & did("did it").exactly(1)).count() == 1


def test_messages_reach_a_django_user_and_the_sites_csrf_check_is_not_asked(site: Site) -> None:
    engage = site.engage
    ada = logged_in(site.wrapped, "ada")
    ada.get("/")
    engage.flush()
    assert engage.send(InApp(title="New: export"), to=everyone) == 1
    same = {"Sec-Fetch-Site": "same-origin"}
    message = ada.get("/engage/widget/inbox", headers=same).json["message"]
    assert message["title"] == "New: export"
    report = {"delivery": message["delivery"], "kind": "shown"}
    assert ada.post("/engage/widget/seen", json=report, headers=same).status_code == 204
    assert Browser(site.wrapped).get("/engage/widget/inbox", headers=same).json == {}


def test_staff_of_the_site_open_the_dashboard_and_others_get_the_sites_own_404(site: Site) -> None:
    olga, ada = logged_in(site.wrapped, "olga"), logged_in(site.wrapped, "ada")
    people = olga.get("/engage/people")
    assert people.status_code == 200
    assert "ada@example.com" in people.text
    hidden, unknown = (ada.get(path) for path in ("/engage/people", "/missing"))
    assert (hidden.status, hidden.headers["Content-Type"]) == (
        unknown.status,
        unknown.headers["Content-Type"],
    )
    assert hidden.data == unknown.data


def test_the_site_runs_wrapped_in_gunicorn(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "--no-control-socket")
    command += ("tests.extension._django_served:application",)
    with (
        migrated("sqlite", tmp_path) as database,
        serving(command, tmp_path, database, ready="/") as server,
    ):
        headers, _ = server.ask("/session")
        cookie = headers["Set-Cookie"].partition(";")[0]
        headers, page = server.ask("/", {"Cookie": cookie})
        assert page.count(b"engage.js") == 1
        assert headers["Content-Length"] == str(len(page))
        _, stream = server.ask("/stream", {"Cookie": cookie})
        assert stream == PAGE.encode()
        _, inbox = server.ask("/engage/widget/inbox", {"Cookie": cookie})
        assert json.loads(inbox)["message"] is None
        server.stop()
        assert "Traceback" not in server.log()


def test_an_account_that_django_loads_lazily_is_the_account(site: Site) -> None:
    from django.contrib.auth import get_user_model
    from django.utils.functional import SimpleLazyObject

    from flask_engage._wrap import plain

    ada = get_user_model().objects.get(username="ada")
    assert plain(SimpleLazyObject(lambda: ada)) is ada
    assert plain(ada) is ada
