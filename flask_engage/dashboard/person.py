"""One person: what we know of them, when they are here, what they did, what they were sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .._clock import as_utc
from .._state import current_state
from ..errors import InvalidFilter
from ..reports.habits import habits
from ..reports.person import (
    attributes_of_person,
    became,
    person_id_by_public_id,
    standing,
    touches,
)
from ..reports.relationship import heart_of
from ..reports.timeline import KINDS, Timeline, timeline
from ..segments.people import person_by_public_id
from ..store.story_order import RANKS, Place
from . import enrichment, neighbours
from .access import operator
from .calendar import WEEK_STARTS, habit_words, week_from, weekdays, year_drawing
from .events import event_link
from .language import gettext as _
from .pages import page, to
from .person_heart import fading_words, seen_words
from .zones import days_zone, viewer_zone

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from .attributes import Wanted


def show(public_id: str) -> AnyResponse:
    """Show the person with this public id."""
    return shown(public_id)


def shown(public_id: str, form: Wanted | None = None, status: int = 200) -> AnyResponse:
    """Return the page about a person, with the form for a value of theirs if one is asked for."""
    state = current_state()
    wanted = _asked()
    with state.ready.require().read() as session:
        someone = person_by_public_id(session, public_id)
        person_id = None if someone is None else person_id_by_public_id(session, public_id)
        if someone is None or person_id is None:
            return _nobody(session, public_id)
        attributes = attributes_of_person(session, person_id)
        heart = heart_of(session, person_id)
        first, latest = touches(session, person_id)
        found = enrichment.of(state, session, person_id)
        week_start = WEEK_STARTS[state.settings.WEEK_START]
        year, habit = habits(session, person_id, days_zone(state), state.clock(), week_start)
        stands = standing(session, person_id)
        story = timeline(session, person_id, kind=wanted.kind, before=wanted.before)
    if form is None and "edit" in request.args and operator().may("edit"):
        from .attributes import asked

        form = asked(request.args["edit"], attributes, viewer_zone(state))
    if form is not None:
        held = [one for one in attributes if one.name == form.name]
        form.is_known, form.is_manual = bool(held), any(one.source == "manual" for one in held)
    return page(
        "person.html",
        status,
        person=someone,
        standing=stands,
        attributes=attributes,
        form=form,
        heart=heart,
        seen_words=seen_words(heart) if heart else "",
        fading_words=fading_words(heart) if heart else "",
        enriched=found,
        first=first,
        latest=latest,
        year=year,
        drawing=year_drawing(year),
        habit=habit,
        habit_words=habit_words(habit, week_start),
        week=week_from(week_start),
        weekdays=weekdays(),
        zone=state.settings.TIMEZONE,
        typed_zone=str(viewer_zone(state)),
        their_clock=_clock_of(someone.timezone, state.clock()),
        done=request.args.get("done"),
        list_address=neighbours.list_address(),
        tag=request.args.get("tag", "")[:64],
        **_told(public_id, wanted, story),
    )


def story(public_id: str) -> AnyResponse:
    """Return the next part of a person's timeline, to be put behind what is shown."""
    wanted = _asked()
    with current_state().ready.require().read() as session:
        person_id = person_id_by_public_id(session, public_id)
        if person_id is None:
            return _nobody(session, public_id)
        found = timeline(session, person_id, kind=wanted.kind, before=wanted.before)
    return page("person_more.html", public_id=public_id, **_told(public_id, wanted, found))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which part of a timeline the address asks for."""

    kind: str
    before: Place | None


def _asked() -> _Wanted:
    kind = request.args.get("kind", "all")
    if kind not in ("all", *KINDS):
        raise InvalidFilter(f"kind: {kind!r:.40} is none of all, {', '.join(KINDS)}.")
    return _Wanted(kind, _place(request.args.get("before")))


def _told(public_id: str, wanted: _Wanted, story: Timeline) -> dict[str, Any]:
    """Return what the templates of a timeline are told."""
    more = None if story.before is None else _place_text(story.before)
    kind = None if wanted.kind == "all" else wanted.kind
    listed = neighbours.listed()
    return {
        "story": story,
        "kind": wanted.kind,
        "is_first": wanted.before is None,
        "next_page": more and to("person", public_id=public_id, kind=kind, before=more, **listed),
        "next_part": more and to("story", public_id=public_id, kind=kind, before=more, **listed),
        "listed": listed,
        "link": event_link,
        "me": str(operator().id)[:255],
        "is_admin": operator().may("admin"),
    }


def _nobody(session: Session, public_id: str) -> AnyResponse:
    now = became(session, public_id)
    if now is not None:
        return redirect(to("person", public_id=now), 302)
    if request.args.get("done") == "erased" and operator().may("admin"):
        return page(
            "problem.html",
            410,
            title=_("This person is erased"),
            text=_(
                "Name, address and id are gone, and so is what they did. Totals by day stay: "
                "they name nobody. Who comes back starts anew."
            ),
        )
    return page(
        "problem.html",
        404,
        title=_("There is no such person"),
        text=_("They may have been deleted, or merged with somebody else."),
    )


def _clock_of(timezone: str | None, now: datetime) -> str | None:
    """Return what time it is for somebody; None if their zone is not known."""
    if not timezone:
        return None
    try:
        return f"{now.astimezone(ZoneInfo(timezone)):%H:%M}"
    except (ValueError, OSError, LookupError):
        return None  # what a browser or an import said need not be a zone


def _place_text(place: Place) -> str:
    return f"{place.at.isoformat()} {place.rank} {place.id} {place.name}".rstrip()


def _place(text: str | None) -> Place | None:
    if not text:
        return None
    moment, _space, rest = text.partition(" ")
    rank, _space, rest = rest.partition(" ")
    number, _space, name = rest.partition(" ")
    try:
        at = as_utc(datetime.fromisoformat(moment))
        place = Place(at, _number(rank), _number(number), name[:64])
    except (ValueError, OverflowError):
        place = None
    if place is None or place.rank not in RANKS.values():
        raise InvalidFilter(f"before: {text!r:.60} is no place in this timeline.")
    return place


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(text)
    return int(text)
