"""The list of people, and the filter above it."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .. import _operations
from .._state import EngageState, current_state
from ..errors import InvalidFilter
from ..segments.filter import Everyone, Filter
from ..segments.vocabulary import Vocabulary, attribute_kinds, vocabulary
from ..segments.words import everyone
from . import filter_form
from .filter_chips import bar_of, read_filter_text
from .filter_tree import added, read_path, replaced
from .pages import filter_text, page, to

_PAGE = 50
_COLUMNS_AT_FIRST = 3
_MOST_COLUMNS = 12
_LONGEST_SEARCH = 200
_KEPT = ("q", "sort", "dir", "c")
"""What of the list's address survives a change of the filter."""

COLUMNS = (
    # field, heading, class of the column, whether its first order is descending
    ("name", "Name", "who", False),
    ("relationship", "Hearts", "", True),
    ("email", "Email", "mail mid", False),
    ("last_seen", "Last seen", "n", True),
    ("sessions", "Sessions", "n mid", True),
    ("signed_up", "Signed up", "n mid", True),
)


def show() -> Response:
    """Show one page of the people who match the filter in the address."""
    state = current_state()
    text = request.args.get("filter")
    try:
        wanted = read_filter_text(text, _operations.segments_of(state))
        return _listed(state, wanted)
    except InvalidFilter as error:
        return _refused(state, text or "", str(error))


def change_filter() -> AnyResponse:
    """Put a condition into the filter, or in the place of another, and show the list."""
    state = current_state()
    text = request.args.get("filter")
    try:
        wanted = read_filter_text(text, _operations.segments_of(state))
        with state.ready.require().read() as session:
            kinds = attribute_kinds(session)
        new = filter_form.read_condition(request.args, kinds, ZoneInfo(state.settings.TIMEZONE))
        place = request.args.get("at")
        changed = added(wanted, new) if place is None else replaced(wanted, read_path(place), new)
        _operations.check_filter(state, everyone if changed is None else changed)
        target = _link(changed)
    except InvalidFilter as error:
        return _refused(state, text or "", str(error))
    return redirect(target or to("people"), 303)


def _listed(state: EngageState, wanted: Filter) -> Response:
    args = request.args
    search = args.get("q", "").strip()[:_LONGEST_SEARCH]
    sort = args.get("sort", "last_seen")
    descending = args.get("dir", "desc") != "asc"
    found = _operations.people(state, wanted)
    shown = found.page(
        sort=sort,
        descending=descending,
        after=args.get("after"),
        limit=_PAGE,
        search=search,
    )
    count = found.count(search=search)
    words = _vocabulary(state)
    text = "" if isinstance(wanted, Everyone) else filter_text(wanted)
    return page(
        "people.html",
        bar=bar_of(wanted, _link, text),
        message_filter=text or filter_text(everyone),
        people=shown.people,
        count=count,
        matching=count if not search else found.count(),
        next=_moved(after=shown.next) if shown.next else None,
        previous=_moved(after=shown.previous) if shown.previous else None,
        search=search,
        sort=sort,
        descending=descending,
        columns=COLUMNS if _has_hearts(shown.people) else COLUMNS[:1] + COLUMNS[2:],
        attributes=_columns(words),
        numeric={term.name for term in words.attributes if term.kinds == ("number",)},
        order=_order,
        problem=None,
        **_builder(words),
    )


def _refused(state: EngageState, text: str, problem: str) -> Response:
    """Show what is wrong with the address; the filter from before stays, if it could be read."""
    try:
        wanted = read_filter_text(text, _operations.segments_of(state))
        kept = "" if isinstance(wanted, Everyone) else filter_text(wanted)
        bar = bar_of(wanted, _link, kept)
    except InvalidFilter:
        bar = bar_of(everyone, _link, "")
    words = _vocabulary(state)
    return page(
        "people.html",
        400,
        bar=bar,
        message_filter=bar.text or filter_text(everyone),
        people=(),
        count=None,
        matching=None,
        next=None,
        previous=None,
        search="",
        sort="last_seen",
        descending=True,
        columns=COLUMNS,
        attributes=[],
        numeric=set(),
        order=_order,
        problem=problem,
        **_builder(words),
    )


def _builder(words: Vocabulary) -> dict[str, Any]:
    """Return what the forms for conditions offer."""
    return {
        "fields": [(term.name, filter_form.field_words(term.name)) for term in words.fields],
        "kind_of_field": {term.name: term.kinds[0] for term in words.fields},
        "known_attributes": [(term.name, " ".join(term.kinds)) for term in words.attributes],
        "known_events": words.events,
        "known_segments": words.segments,
        "operators": filter_form.OPERATORS,
        "kinds": filter_form.KINDS,
        "always": filter_form.ALWAYS,
        "only_attributes": filter_form.ONLY_ATTRIBUTES,
        "outcomes": filter_form.OUTCOMES,
        "kept": [(name, value) for name in _KEPT for value in request.args.getlist(name)],
    }


def _vocabulary(state: EngageState) -> Vocabulary:
    with state.ready.require().read() as session:
        return vocabulary(session, dict(_operations.segments_of(state)))


def _columns(words: Vocabulary) -> list[str]:
    """Return the attributes that are shown as columns: those chosen, else the first few."""
    names = [term.name for term in words.attributes]
    if "c" not in request.args:
        return names[:_COLUMNS_AT_FIRST]
    chosen = [name for name in request.args.getlist("c") if name in names]
    return list(dict.fromkeys(chosen))[:_MOST_COLUMNS]


def _has_hearts(people: tuple[Any, ...]) -> bool:
    return any(person.relationship is not None for person in people)


def _link(wanted: Filter | None) -> str | None:
    """Return the address of this list with another filter, from its first page on."""
    text = None if wanted is None or isinstance(wanted, Everyone) else filter_text(wanted)
    return to("people", filter=text, **_kept())


def _moved(**changes: Any) -> str:
    return to("people", **{"filter": request.args.get("filter") or None, **_kept(), **changes})


def _order(field: str, descending: bool) -> str:
    """Return the address of this list in another order."""
    return _moved(sort=field, dir="desc" if descending else "asc")


def _kept() -> dict[str, Any]:
    return {name: request.args.getlist(name) for name in _KEPT if name in request.args}
