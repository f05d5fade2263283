"""One person: what we know of them, what they did, what they were sent."""

from __future__ import annotations

from datetime import datetime

from flask import Response, request

from .._state import current_state
from ..errors import InvalidFilter
from ..reports.person import attributes_of_person, person_id_by_public_id, timeline
from ..segments.people import person_by_public_id
from .language import gettext as _
from .pages import page

_KINDS = ("all", "event", "session", "message")


def show(public_id: str) -> Response:
    """Show the person with this public id."""
    state = current_state()
    kind = request.args.get("kind", "all")
    if kind not in _KINDS:
        raise InvalidFilter(f"kind: {kind!r:.40} is none of {', '.join(_KINDS)}.")
    before = _moment(request.args.get("before"))
    with state.ready.require().read() as session:
        someone = person_by_public_id(session, public_id)
        person_id = None if someone is None else person_id_by_public_id(session, public_id)
        if someone is None or person_id is None:
            return page(
                "problem.html",
                404,
                title=_("There is no such person"),
                text=_("They may have been deleted, or merged with somebody else."),
            )
        attributes = attributes_of_person(session, person_id)
        story = timeline(session, person_id, kind=kind, before=before)
    return page(
        "person.html",
        person=someone,
        attributes=attributes,
        story=story,
        kind=kind,
        is_first=before is None,
    )


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidFilter(f"before: {text!r:.60} is no time with a zone.")
    return moment
