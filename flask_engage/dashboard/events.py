"""Events: what people are doing now, everything they ever did, and how one thing goes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response, request

from .. import _operations
from .._clock import as_utc
from .._state import EngageState, current_state
from ..errors import InvalidFilter
from ..reports.events import PAGE, Tail, catalogue, event_report, offered_names, tail
from ..segments.words import did, everyone
from ..store.event_read import Place, Sort
from .chart import chart_of, spark_of
from .language import gettext as _
from .pages import filter_text, page, to
from .zones import today

_LONGEST = 200
"""Characters of each field of the filter."""
_MOST_PEOPLE = 50
"""People whose events are listed when a search finds more: each stands in an address."""
_SPANS = (7, 30, 90)
"""Days that an event's trend can show."""
_ORDERS: dict[str, Sort] = {
    "name": "name",
    "count": "count",
    "first": "first_at",
    "last": "last_at",
}


@dataclass(frozen=True)
class Wanted:
    """Which events the address asks for."""

    name: str = ""
    person: str = ""
    """As it was typed: part of a name, an address, an id."""
    holds: str = ""
    """As it was typed: ``key = value``."""
    public_ids: tuple[str, ...] | None = None
    """The people it means; None: everybody."""
    people: int = 0
    """How many it means, of whom the first are shown."""

    @property
    def has(self) -> tuple[str, str] | None:
        """The property's name and its value."""
        key, sign, typed = self.holds.partition("=")
        value = typed.strip()
        words = {_("yes"): "yes", _("no"): "no"}  # as this page shows them
        return (key.strip(), words.get(value, value)) if sign and key.strip() else None

    @property
    def fields(self) -> dict[str, str]:
        """What was typed, by its name in an address."""
        return {"name": self.name, "person": self.person, "property": self.holds}

    @property
    def is_filtered(self) -> bool:
        """Whether anything was typed."""
        return any(self.fields.values())

    def address(self, endpoint: str, **more: Any) -> str:
        """Return the address of a view of ours with the same filter."""
        given = {**self.fields, **more}
        return to(endpoint, **{key: held for key, held in given.items() if held})

    def without(self, field: str) -> str:
        """Return the address of the list with one condition left out."""
        return self.address("events", **{field: ""})


def show() -> Response:
    """Show what people are doing now."""
    state = current_state()
    wanted = _wanted(state)
    before = _place(request.args.get("before"))
    with state.ready.require().read() as session:
        found = _tail(session, wanted, before)
        names = offered_names(session)
    return page(
        "events.html",
        wanted=wanted,
        found=found,
        mark=_mark(found),
        more=wanted.address("events", before=_place_text(found.before)) if found.before else None,
        source=_source(wanted),
        is_first=before is None,
        names=names,
        link=event_link,
        may_filter_property=wanted.has is not None or not wanted.holds,
    )


def rows() -> Response:
    """Return the newest events as rows of a table, or nothing if the caller has them already."""
    state = current_state()
    wanted = Wanted(
        _text("name"),
        holds=_text("property"),
        public_ids=tuple(map(_askable, request.args.getlist("who")[:_MOST_PEOPLE])) or None,
    )
    with state.ready.require().read() as session:
        found = _tail(session, wanted, None)
    mark = _mark(found)
    if mark == request.args.get("mark"):
        return Response(status=204)
    return page("event_rows.html", found=found, mark=mark, link=event_link, one=bool(_text("one")))


def show_catalogue() -> Response:
    """Show everything that people ever did."""
    state = current_state()
    search = _text("q")
    sort = request.args.get("sort", "last")
    if sort not in _ORDERS:
        raise InvalidFilter(f"sort: {sort!r:.40} is none of {', '.join(_ORDERS)}.")
    descending = request.args.get("dir", "asc" if sort == "name" else "desc") != "asc"
    offset = _offset(request.args.get("from"))
    with state.ready.require().read() as session:
        found = catalogue(
            session,
            today(state),
            search=search,
            sort=_ORDERS[sort],
            descending=descending,
            offset=offset,
        )

    def moved(**changes: Any) -> str:
        kept = {"sort": sort, "dir": "desc" if descending else "asc", "q": search}
        return to("catalogue", **{key: held for key, held in {**kept, **changes}.items() if held})

    return page(
        "events_known.html",
        found=found,
        search=search,
        sort=sort,
        descending=descending,
        previous=moved(**{"from": max(0, offset - PAGE)}) if offset else None,
        next=moved(**{"from": offset + PAGE}) if offset + PAGE < found.count else None,
        spark=lambda known: spark_of(known.days),
        link=event_link,
        order=lambda field, down: moved(sort=field, dir="desc" if down else "asc"),
    )


def show_one(name: str | None = None) -> Response:
    """Show how one event goes."""
    state = current_state()
    name = _text("name") if name is None else name
    days = request.args.get("days", "30")
    if days not in map(str, _SPANS):
        raise InvalidFilter(f"days: {days!r:.20} is none of {', '.join(map(str, _SPANS))}.")
    wanted = Wanted(name)
    with state.ready.require().read() as session:
        report = event_report(session, name, today(state), int(days)) if _is_name(name) else None
        if report is None:
            return page(
                "problem.html",
                404,
                title=_("There is no such event"),
                text=_("Nobody has done anything of this name yet."),
            )
        found = _tail(session, wanted, None)
    return page(
        "event.html",
        report=report,
        chart=chart_of(report.known.days),
        days=int(days),
        spans=_SPANS,
        found=found,
        mark=_mark(found),
        source=_source(wanted, one="1"),
        link=event_link,
        everything=wanted.address("events"),
        did_it=filter_text(did(name)),
        did_lately=filter_text(did(name).within(days=int(days))),
        not_yet=filter_text(~did(name)),
    )


def event_link(name: str, **more: Any) -> str:
    """Return the address of an event's page; some names can't stand in a path as they are."""
    parts = name.split("/")
    if "" in parts or "." in parts or ".." in parts:
        return to("event_named", name=name, **more)
    return to("event", name=name, **more)


def _tail(session: Any, wanted: Wanted, before: Place | None) -> Tail:
    if wanted.public_ids == ():
        return Tail((), None)
    return tail(
        session,
        name=wanted.name or None,
        public_ids=wanted.public_ids,
        has=wanted.has,
        before=before,
    )


def _wanted(state: EngageState) -> Wanted:
    person = _text("person")
    public_ids: tuple[str, ...] | None = None
    count = 0
    if person:
        found = _operations.people(state, everyone)
        shown = found.page(search=person, limit=_MOST_PEOPLE)
        public_ids = tuple(one.public_id for one in shown.people)
        count = found.count(search=person) if shown.next else len(public_ids)
    return Wanted(_text("name"), person, _text("property"), public_ids, count)


def _source(wanted: Wanted, **more: Any) -> str:
    """Return where the newest rows of this list are to be had."""
    given: dict[str, Any] = {"name": wanted.name, "property": wanted.holds, **more}
    if wanted.public_ids is not None:
        given["who"] = wanted.public_ids
    return to("event_rows", **{key: held for key, held in given.items() if held})


def _mark(found: Tail) -> str:
    """Return what differs as soon as another event is among those that are shown."""
    ids = ",".join(str(one.id) for one in found.events)
    return hashlib.sha256(ids.encode()).hexdigest()[:16]


def _text(name: str) -> str:
    """Return what stands in the address, without what databases refuse to be asked for."""
    return _askable(request.args.get(name, "").strip()[:_LONGEST])


def _askable(text: str) -> str:
    return text if _is_name(text) else "\ufffd"


def _offset(text: str | None) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidFilter(f"from: {text!r:.40} is no place in this list.")
    return int(text)


def _is_name(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def _place_text(place: Place) -> str:
    return f"{place[0].isoformat()} {place[1]}"


def _place(text: str | None) -> Place | None:
    if not text:
        return None
    moment, _space, number = text.rpartition(" ")
    try:
        at = as_utc(datetime.fromisoformat(moment))
        id_ = int(number) if number.isascii() and len(number) <= 18 else -1
    except (ValueError, OverflowError):
        at, id_ = None, -1
    if at is None or id_ < 0:
        raise InvalidFilter(f"before: {text!r:.60} is no place in this list.")
    return at, id_
