"""Segments that operators save: making, changing, deleting them, and how many are in each."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from flask import Response, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .. import _operations
from .._state import EngageState, current_state
from ..errors import InvalidFilter
from ..reports.segments import segment_trends
from ..segments.filter import Everyone, Filter
from ..segments.saved import saved_segments, uses_of
from ..segments.values import checked_name
from ..segments.words import in_segment
from ..store.segment import (
    NameTaken,
    add_segment,
    delete_segment,
    rename_segment,
    replace_segment,
)
from .access import operator
from .audit import note_in
from .chart import line_of
from .filter_chips import read_filter_text
from .formats import day, number
from .language import gettext as _
from .pages import filter_text, page, to
from .zones import days_zone, today

_ALL_COUNTS_SECONDS = 4.0
"""All counts beside the page together; those that are left out stay without a number."""
_ONE_COUNT_SECONDS = 1.0


def change() -> AnyResponse:
    """Save, change, rename or delete a segment, and show the people in it."""
    if request.method != "POST":
        return redirect(to("people"), 303)
    state = current_state()
    form = request.form
    actions = {"save": _save, "change": _replace, "rename": _rename, "delete": _delete}
    action = form.get("action", "")
    try:
        if action not in actions:
            raise InvalidFilter(f"action: {action!r:.40} is none of {', '.join(actions)}.")
        return actions[action](state, form.get("name", ""))
    except InvalidFilter as error:
        return page("problem.html", 400, title=_("This can't be saved"), text=str(error))


def counts() -> Response:
    """Return how many people are in each segment, as JSON, as far as the time goes.

    Of those that were measured on several days also what happened since: the points of a small
    line and the words for it.
    """
    state = current_state()
    end = time.monotonic() + _ALL_COUNTS_SECONDS
    named = _operations.segments_of(state)
    trends = _trends(state, named)
    found: dict[str, Any] = {}
    for name in named:
        left = end - time.monotonic()
        if left < 0.05:
            break
        try:
            people = _operations.people(state, in_segment(name))
            count = people.count_within(min(left, _ONE_COUNT_SECONDS))
        except InvalidFilter:
            continue  # it asks for a segment that is gone: told where it is opened
        if count.is_exact or count.number:
            found[name] = [count.number, count.is_exact, *trends.get(name, ())]
    return jsonify(found)


def _trends(state: EngageState, named: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return the points and the words of each segment's last thirty days."""
    own = _operations.segments_of_code(state)
    zone, now = days_zone(state), today(state)
    with state.ready.require().read() as session:
        trends = segment_trends(session, {name: name in own for name in named}, now)
    words = _("%(first)s on %(day)s, %(last)s at the last count")
    return {
        name: (
            line_of(trend.days[(trend.since - now).days - 1 :]),
            words
            % {
                "first": number(trend.first),
                "day": day(trend.since, zone),
                "last": number(trend.days[-1]),
            },
        )
        for name, trend in trends.items()
    }


def _save(state: EngageState, raw: str) -> AnyResponse:
    name = _free_name(state, raw)
    wanted = _filter(state)
    document = wanted.to_json()
    _check(state, name, wanted)
    try:
        with state.ready.require().write() as session:
            if not add_segment(session, name, document, str(operator().id)[:255], state.clock()):
                raise InvalidFilter("There are 500 saved segments; delete one first.")
            note_in(session, state, "save segment", name, {"filter": document})
    except NameTaken:
        raise InvalidFilter(_taken(name)) from None
    return _shown(name, "saved")


def _replace(state: EngageState, name: str) -> AnyResponse:
    before = _saved(state, name)
    wanted = _filter(state)
    _check(state, name, wanted)
    with state.ready.require().write() as session:
        replace_segment(session, name, wanted.to_json(), state.clock())
        note_in(
            session,
            state,
            "change segment",
            name,
            {"was": before.to_json(), "filter": wanted.to_json()},
        )
    return _shown(name, "changed")


def _rename(state: EngageState, name: str) -> AnyResponse:
    _saved(state, name)
    new = checked_name(request.form.get("new", ""), "a segment")
    if new == name:
        return _shown(name, None)
    _free_name(state, new)
    _refuse_if_used(state, name)
    try:
        with state.ready.require().write() as session:
            rename_segment(session, name, new, state.clock())
            note_in(session, state, "rename segment", new, {"was": name})
    except NameTaken:
        raise InvalidFilter(_taken(new)) from None
    return _shown(new, "renamed")


def _delete(state: EngageState, name: str) -> AnyResponse:
    before = _saved(state, name)
    _refuse_if_used(state, name)
    with state.ready.require().write() as session:
        delete_segment(session, name)
        note_in(session, state, "delete segment", name, {"filter": before.to_json()})
    # The filter stays in the address: with it the segment can be saved again.
    address = to("people", filter=filter_text(before), done="segment-deleted", was=name)
    return redirect(address, 303)


def _shown(name: str, done: str | None) -> AnyResponse:
    told = None if done is None else f"segment-{done}"
    return redirect(to("people", filter=filter_text(in_segment(name)), done=told), 303)


def _filter(state: EngageState) -> Filter:
    wanted = read_filter_text(request.form.get("filter"), _operations.segments_of(state))
    if isinstance(wanted, Everyone):
        raise InvalidFilter(_("A segment needs a condition: add one to the filter first."))
    return wanted


def _check(state: EngageState, name: str, wanted: Filter) -> None:
    """Refuse a filter that can't be asked for, or that would go round in a circle."""
    from ..segments.compile import validate

    context = _operations.context_of(state, state.ready.require())
    named = {**context.segments, name: wanted}
    validate(in_segment(name), replace(context, segments=named))


def _saved(state: EngageState, name: str) -> Filter:
    with state.ready.require().read() as session:
        found = saved_segments(session).get(name)
    if found is None:
        raise InvalidFilter(f"There is no saved segment {name!r:.80}; it may have been deleted.")
    return found


def _free_name(state: EngageState, raw: str) -> str:
    name = checked_name(raw, "a segment")
    if name.casefold() in {known.casefold() for known in _operations.segments_of(state)}:
        raise InvalidFilter(_taken(name))
    return name


def _taken(name: str) -> str:
    return _("There is a segment “%(name)s” already; choose another name.") % {"name": name}


def _refuse_if_used(state: EngageState, name: str) -> None:
    """Refuse to take away a name by which other segments and rules ask for people."""
    rules = {f"rule {rule.name}": rule.to for rule in state.registry.rules.values()}
    used = uses_of(name, {**_operations.segments_of(state), **rules})
    if used:
        raise InvalidFilter(
            _("“%(name)s” is used by: %(names)s. Change those first.")
            % {"name": name, "names": ", ".join(used[:10])}
        )
