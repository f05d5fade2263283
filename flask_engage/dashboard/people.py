"""The list of people, and the filter above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, g, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .. import _operations
from .._state import EngageState, current_state
from ..errors import InvalidFilter
from ..reports.segments import SegmentTrend, segment_trend
from ..segments.counting import Count
from ..segments.filter import Everyone, Filter, InSegment
from ..segments.host import uses_host
from ..segments.vocabulary import Vocabulary, vocabulary
from ..segments.words import everyone
from ..types import Person
from . import builder, filter_asked, filter_form, formats, neighbours, people_work
from .access import operator
from .chart import spark_of
from .filter_chips import Bar, bar_of, fixed_bar, read_filter_text
from .filter_form import field_words
from .pages import filter_text, page, to
from .people_choice import LONGEST_SEARCH, MOST_NAMED
from .people_columns import MOST, Column, all_columns, chosen_keys, laid_out, moved
from .zones import today, viewer_zone

_PAGE = 50
_KEPT = ("q", "sort", "dir", "c", "segment", "rule")
"""What of the list's address survives a change of the filter."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The segment whose people are shown."""

    name: str
    is_saved: bool
    is_of_code: bool
    sentence: str
    parts: str | None
    """The address with its conditions taken apart, to look at or to change."""
    is_changed: bool | None
    """Whether the conditions differ by now from those saved; None if they aren't taken apart."""
    fixed: Bar | None = None
    """Its conditions to be read only, where they ask about the host's tables."""


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
    try:
        target = _link(builder.changed(state, request.args))
    except InvalidFilter as error:
        return _refused(state, request.args.get("filter", ""), str(error))
    return redirect(target or to("people"), 303)


def _listed(state: EngageState, wanted: Filter) -> Response:
    args = request.args
    search = args.get("q", "").strip()[:LONGEST_SEARCH]
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
    # All of them on one page are counted by it; else the number follows the page.
    is_all = shown.next is None and shown.previous is None
    count = Count(len(shown.people), is_all)
    words = _vocabulary(state)
    known = all_columns(words)
    keys = _columns(known, shown.people)
    text = "" if isinstance(wanted, Everyone) else filter_text(wanted)
    back = _back(text)
    table: dict[str, Any] = {
        "bar": bar_of(wanted, _link, text, viewer_zone(state)),
        "people": shown.people,
        "links": neighbours.links(shown, back),
        "count": count,
        "count_address": None if is_all and not search else _counted(wanted, search),
        "next": _moved(after=shown.next) if shown.next else None,
        "previous": _moved(after=shown.previous) if shown.previous else None,
        "search": search,
        "sort": sort,
        "descending": descending,
        "columns": laid_out(known, keys, sort),
        "are_usual": "c" not in args,
        "order": _order,
        "dropped": _moved(q=None),
        "back": back,
    }
    if args.get("part") == "list":
        return page("people_list.html", **table)
    segment_now = _segment_of(state, wanted)
    return page(
        "people.html",
        message_filter=text or filter_text(everyone),
        matching=count,
        segment_now=segment_now,
        rule_now=_rule_of(state, wanted),
        trend=_trend_of(state, segment_now),
        spark=spark_of,
        done=args.get("done"),
        was=args.get("was", "")[:64],
        came=_outcome(state),
        problem=None,
        owner=people_work.owner(),
        **table,
        **_choices(known, keys),
        **builder.shown(state, wanted),
        **_builder(words),
    )


def _outcome(state: EngageState) -> dict[str, str] | None:
    """Return what was done to people of the list just now, in words, and how to undo it."""
    signed = request.args.get("outcome", "")
    work = people_work.read_outcome(state, signed) if signed else None
    if work is None:
        return None
    may_undo = work.can_undo and operator().may("edit")
    return {"told": people_work.told(work), "undo": signed if may_undo else ""}


def count() -> Response:
    """Return how many people match, as JSON: the words for the page, and the number."""
    state = current_state()
    wanted = read_filter_text(request.args.get("filter"), _operations.segments_of(state))
    search = request.args.get("q", "").strip()[:LONGEST_SEARCH]
    people = _operations.people(state, wanted)
    matching = people.count_within()
    found = people.count_within(search=search) if search else matching
    return jsonify(
        {
            "matching": formats.counted(matching),
            "found": formats.counted(found),
            "all": formats.counted(matching) if matching.is_exact else None,
            "exact": found.number if found.is_exact else None,
            "short": formats.number(matching.number) if matching.is_exact else None,
        }
    )


def _counted(wanted: Filter, search: str) -> str:
    text = None if isinstance(wanted, Everyone) else filter_text(wanted)
    return to("people_count", filter=text, q=search or None)


def _segment_of(state: EngageState, wanted: Filter) -> Opened | None:
    """Return the segment whose people are shown: the one in the address, or the one at work."""
    named = _operations.segments_of(state)
    own = _operations.segments_of_code(state)
    zone, fixed = viewer_zone(state), None
    if isinstance(wanted, InSegment) and wanted.name in named:
        name, changed = wanted.name, None
        if uses_host(named[name]):
            parts, fixed = None, fixed_bar(named[name], zone)
        else:
            parts = to("people", filter=filter_text(named[name]), segment=name, **_kept("segment"))
    else:
        name = request.args.get("segment", "")
        if name not in named or name in own or isinstance(wanted, Everyone):
            return None
        parts, changed = None, wanted != named[name]
    sentence, is_of_code = named[name].describe(zone), name in state.registry.segments
    return Opened(name, name not in own, is_of_code, sentence, parts, changed, fixed)


def _rule_of(state: EngageState, wanted: Filter) -> dict[str, Any] | None:
    """Return the rule that was come from, if its conditions are shown and can only be read here."""
    rule = state.registry.rules.get(request.args.get("rule", ""))
    if rule is None or rule.to != wanted or not uses_host(wanted):
        return None
    return {"name": rule.name, "fixed": fixed_bar(wanted, viewer_zone(state))}


def _trend_of(state: EngageState, opened: Opened | None) -> SegmentTrend | None:
    """Return how the opened segment grew; one whose conditions were changed here has no past."""
    if opened is None or opened.is_changed is not None:
        return None
    with state.ready.require().read() as session:
        return segment_trend(session, opened.name, today(state), is_of_code=not opened.is_saved)


def _refused(state: EngageState, text: str, problem: str) -> Response:
    """Show what is wrong with the address; the filter from before stays, if it could be read."""
    try:
        wanted = read_filter_text(text, _operations.segments_of(state))
        kept = "" if isinstance(wanted, Everyone) else filter_text(wanted)
    except InvalidFilter:
        wanted, kept = everyone, ""
    bar = bar_of(wanted, _link, kept, viewer_zone(state))
    words = _vocabulary(state)
    return page(
        "people.html",
        400,
        bar=bar,
        message_filter=bar.text or filter_text(everyone),
        people=(),
        columns=[],
        are_usual=True,
        count=None,
        count_address=None,
        matching=None,
        segment_now=None,
        rule_now=None,
        trend=None,
        done=None,
        was="",
        search="",
        came=None,
        problem=problem,
        **builder.shown(state, wanted, problem),
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
        "operators": filter_asked.OPERATORS,
        "kinds": filter_asked.KINDS,
        "always": filter_asked.ALWAYS,
        "only_attributes": filter_form.ONLY_ATTRIBUTES,
        "outcomes": filter_form.OUTCOMES,
        "kept": [(name, value) for name, values in _kept().items() for value in values],
    }


def _vocabulary(state: EngageState) -> Vocabulary:
    with state.ready.require().read() as session:
        return vocabulary(session, dict(_operations.segments_of(state)))


def _columns(known: Mapping[str, Column], people: Sequence[Person]) -> list[str]:
    """Return the columns that are shown; the way they were moved just now stays in each link."""
    args = request.args
    asked = args.getlist("c") if "c" in args else None
    keys = chosen_keys(known, asked, has_hearts=any(one.relationship is not None for one in people))
    if "up" in args or "down" in args:
        keys = g._engage_columns = moved(keys, args.get("up"), args.get("down"))
    return keys


def _choices(known: Mapping[str, Column], keys: Sequence[str]) -> dict[str, Any]:
    """Return what can be chosen as a column, those that are first; and as an order."""
    return {
        "shown_columns": [known[key] for key in keys],
        "other_columns": [column for key, column in known.items() if key not in keys],
        "sorts": [("name", field_words("name"))]
        + [(key, column.heading) for key, column in known.items() if column.can_sort],
        "most_columns": MOST,
        "usual": to("people", **{"filter": request.args.get("filter") or None, **_kept("c")}),
        "most_named": MOST_NAMED,
        "columns_open": "up" in request.args or "down" in request.args,
    }


def _back(text: str) -> list[tuple[str, str]]:
    """Return the fields of a form that lead back to this page of the list."""
    values: dict[str, list[str]] = {"filter": [text] if text else [], **_kept()}
    values["after"] = request.args.getlist("after")
    return [(name, value) for name, some in values.items() for value in some]


def _link(wanted: Filter | None) -> str | None:
    """Return the address of this list with another filter, from its first page on."""
    text = None if wanted is None or isinstance(wanted, Everyone) else filter_text(wanted)
    return to("people", filter=text, **_kept())


def _moved(**changes: Any) -> str:
    return to("people", **{"filter": request.args.get("filter") or None, **_kept(), **changes})


def _order(field: str, descending: bool) -> str:
    """Return the address of this list in another order."""
    return _moved(sort=field, dir="desc" if descending else "asc")


def _kept(without: str = "") -> dict[str, list[str]]:
    kept = {
        name: request.args.getlist(name)
        for name in _KEPT
        if name in request.args and name != without
    }
    order: list[str] | None = g.get("_engage_columns")
    if order is not None:
        kept["c"] = ["", *order]
    return kept
