"""The builder of filters: what a form changes, what it would find, and the values there are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Response, jsonify, request
from werkzeug.datastructures import MultiDict

from .. import _check, _operations
from .._state import EngageState, current_state
from ..errors import InvalidFilter
from ..reports.messages import message_page
from ..segments import suggestions
from ..segments.fields import FIELDS
from ..segments.filter import Everyone, Filter
from ..segments.suggestions import Suggestions
from ..segments.unknown import unknown_names
from ..segments.values import checked_name
from ..segments.visits import VISIT_FIELDS
from ..segments.vocabulary import attribute_kinds
from ..segments.words import everyone
from . import filter_asked, filter_form, formats
from .filter_chips import LONGEST_FILTER, read_filter_text
from .filter_python import python_of
from .filter_tree import (
    added,
    added_at,
    grouped,
    part_at,
    path_text,
    read_path,
    replaced,
)
from .language import gettext as _
from .pages import filter_text
from .zones import viewer_zone

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_FIELD = re.compile(r"([a-z_]+(?:-[0-9])?): (.*)", re.DOTALL)
_NAME = re.compile(r"[^\0\ud800-\udfff]{0,1024}", re.DOTALL)
_LONGEST = 200
"""Characters of what values begin with."""
_MOST = 12
"""Values that are offered at once."""
_NOT_TYPED = frozenset({"filter", "q", "sort", "dir", "c", "segment"})


def changed(state: EngageState, args: MultiDict[str, str]) -> Filter:
    """Return the filter in `args`, changed as the rest of them says.

    :raises InvalidFilter: naming the field that is wrong.
    """
    wanted = read_filter_text(args.get("filter"), _operations.segments_of(state))
    join = args.get("join", "all")
    if join not in ("all", "any"):
        raise InvalidFilter(f"join: {join!r:.40} is neither “all” nor “any”.")
    if "group" in args:
        paths = [read_path(text) for text in args.getlist("pick")]
        made: Filter | None = grouped(wanted, paths, args["group"] == "all")
    else:
        with state.ready.require().read() as session:
            kinds = attribute_kinds(session)
        new = filter_form.read_condition(args, kinds, viewer_zone(state))
        if "at" in args:
            made = replaced(wanted, read_path(args["at"]), new)
        elif "into" in args:
            made = added_at(wanted, read_path(args["into"]), new, join == "all")
        else:
            made = added(wanted, new)
    found = everyone if made is None else made
    _operations.check_filter(state, found)
    if len(filter_text(found)) > LONGEST_FILTER:
        raise InvalidFilter(
            "The filter would be too long for an address; save a part of it as a segment and ask "
            "for that."
        )
    return found


def shown(state: EngageState, wanted: Filter, problem: str | None = None) -> dict[str, Any]:
    """Return what the page tells of the filter besides its parts.

    :param problem: what is wrong with the form in the address, which is shown as it was typed.
    """
    typed = {name: text for name, text in request.args.items() if name not in _NOT_TYPED}
    is_typed = problem is not None and "about" in typed
    found: dict[str, Any] = {
        "typed": {**typed, "problem": problem} if is_typed else None,
        "target": _target(wanted),
        "units": filter_asked.UNITS,
        "bounds": filter_form.BOUNDS,
        "which": filter_form.WHICH,
        "test_places": range(1, filter_form.TESTS + 1),
        "visit_fields": [(name, filter_form.field_words(name)) for name in VISIT_FIELDS],
        "as_python": None,
        "as_json": None,
        "unknown": _unknown_in(state, wanted),
    }
    if not isinstance(wanted, Everyone):
        model = state.user_model.__name__ if state.user_model is not None else "User"
        found["as_python"] = python_of(wanted, model)
        found["as_json"] = json.dumps(wanted.to_json(), ensure_ascii=False, indent=2)
    return found


def preview() -> Response:
    """Return what the filter would be with the form in the address, as JSON.

    ``{"sentence": …, "matching": …, "hint": …}``, or ``{"problem": {"field": …, "text": …}}``.
    """
    state = current_state()
    try:
        wanted = changed(state, request.args)
        count = _operations.people(state, wanted).count_within()
    except InvalidFilter as error:
        field, text = field_of(str(error))
        return jsonify({"problem": {"field": field, "text": text}})
    sentence = wanted.describe(viewer_zone(state))
    hint = _unknown(state, request.args)
    return jsonify({"sentence": sentence, "matching": formats.counted(count), "hint": hint})


def values() -> Response:
    """Return what can be chosen for a field of a form, as JSON, the most frequent first.

    ``{"values": [{"value": …, "count": …}, …], "complete": …}``; none, where the database takes
    too long or nothing is known.
    """
    state = current_state()
    ask = _asking(state, request.args)
    found = None
    if ask is not None:
        found = suggestions.in_time(state.ready.require(), ask)
    if found is None:
        return jsonify({"values": [], "complete": False})
    offered = [{"value": _text(one.value), "count": one.count} for one in found.values]
    return jsonify({"values": offered, "complete": found.complete})


def field_of(problem: str) -> tuple[str | None, str]:
    """Return the field that `problem` names, and what is wrong with it."""
    found = _FIELD.fullmatch(problem)
    return (found[1], found[2]) if found else (None, problem)


def _unknown_in(state: EngageState, wanted: Filter) -> list[str]:
    """Return a sentence on each name in `wanted` that nobody has: it may be misspelt."""
    with state.ready.require().read() as session:
        found = unknown_names(session, wanted, state.registry.rules)
    return [_capital(_check.told(unknown, state)) for unknown in found]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _unknown(state: EngageState, args: Mapping[str, str]) -> str | None:
    """Return a word on a name that nobody has yet, in a form that can be read."""
    with state.ready.require().read() as session:
        if args.get("about") == "did":
            name = checked_name(args.get("event"), "an event")
            if not suggestions.event_is_known(session, name):
                return _("Nobody has done “%(name)s” yet.") % {"name": name}
        if args.get("about") == "attr":
            name = checked_name(args.get("name"), "an attribute")
            if not suggestions.attribute_is_known(session, name):
                return _("Nobody has “%(name)s” yet.") % {"name": name}
    return None


def _target(wanted: Filter) -> dict[str, str] | None:
    """Return the part beside which the next condition is put, if the address names one."""
    text = request.args.get("into")
    if text is None or isinstance(wanted, Everyone):
        return None
    try:
        path = read_path(text)
        part_at(wanted, path)
    except InvalidFilter:
        return None  # of another filter, before a part was taken out
    join = "any" if request.args.get("join") == "any" else "all"
    return {"path": path_text(path), "join": join}


def _asking(state: EngageState, args: Mapping[str, str]) -> Callable[[Session], Suggestions] | None:
    """Return the question to the database that `args` means; None if there is none to ask."""
    search = args.get("search", "")[:_LONGEST]
    name, event = args.get("name", ""), args.get("event", "")
    if any(not _NAME.fullmatch(text) for text in (name, event)):
        return None  # nothing is called so, and not every database takes the question
    match args.get("of"):
        case "person" if FIELDS.get(name) in ("s", "tags"):
            return lambda session: suggestions.field_values(
                session, name, search=search, limit=_MOST
            )
        case "visit" if VISIT_FIELDS.get(name) == "s" and name in FIELDS:
            # What people have is what their visits had.
            return lambda session: suggestions.field_values(
                session, name, search=search, limit=_MOST
            )
        case "attr" if name:
            return lambda session: suggestions.attribute_values(
                session, name, search=search, limit=_MOST
            )
        case "event":
            return lambda session: suggestions.event_suggestions(
                session, search=search, limit=_MOST
            )
        case "prop" if name and event:
            return lambda session: suggestions.property_values(
                session, event, name, search=search, limit=_MOST
            )
        case "props" if event:
            return lambda session: suggestions.property_suggestions(session, event)
        case "message":
            rules = tuple(state.registry.rules)
            return lambda session: _messages(session, rules)
        case _:
            return None


def _messages(session: Session, rules: tuple[str, ...]) -> Suggestions:
    """Return the rules and keys that ``received()`` knows, and for how many each was meant."""
    found = dict.fromkeys(rules, 0)
    for one in message_page(session).messages:
        found[one.source.partition(":")[2]] = one.counts.total
    offered = (suggestions.Suggested(name, count) for name, count in found.items() if name)
    return Suggestions(tuple(offered), len(found), complete=False)


def _text(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str(value)
