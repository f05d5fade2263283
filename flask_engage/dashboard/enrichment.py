"""What other services say of a person, and their picture, from our own store."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from flask import Response, request
from markupsafe import escape
from werkzeug.exceptions import NotFound

from .._state import EngageState, current_state
from ..reports.enrichment import Enriched, avatar, enriched
from ..segments.people import person_by_public_id
from .formats import display_name, initials

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

_INITIALS = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><rect width="48" height="48" '
    'fill="#8a817c"/><text x="24" y="25" fill="#fff" font-family="sans-serif" font-size="18" '
    'text-anchor="middle" dominant-baseline="middle">{}</text></svg>'
)
"""Where there is no picture. Of our own making: a picture of theirs is never an SVG."""


def of(state: EngageState, session: Session, person_id: int) -> Enriched:
    """Return what is shown of enrichment on a person's page."""
    from .. import _enrichment

    return enriched(session, person_id, [one.name for one in _enrichment.enrichers(state)])


def show_avatar(public_id: str) -> Response:
    """Return a person's picture as a job has fetched it, or initials; nobody is asked for it."""
    with current_state().ready.require().read() as session:
        found = avatar(session, public_id)
        someone = person_by_public_id(session, public_id)
    if someone is None:
        raise NotFound()
    if found is None or found[0] not in _TYPES:
        name = display_name(someone.name, someone.email, someone.user_id)
        found = "image/svg+xml", _INITIALS.format(escape(initials(name))).encode()
    response = Response(found[1], content_type=found[0])
    response.headers["Content-Disposition"] = "inline"
    response.set_etag(hashlib.sha256(found[1]).hexdigest()[:16])
    return response.make_conditional(request)  # type: ignore[return-value]
