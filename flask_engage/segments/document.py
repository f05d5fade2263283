"""The filter's JSON form, version 1.

``{"version": 1, "filter": NODE}``, where NODE is one of::

    {"everyone": true}        {"all": [NODE, …]}     {"any": [NODE, …]}     {"not": NODE}
    {"person": FIELD, "op": OP, "value": VALUE}      op "in": a list; op "is_set": no value
    {"attr": NAME, "op": OP, "value": VALUE}         also op "unchanged_for", value in seconds
    {"did": NAME, "op": "at_least" | "at_most" | "exactly", "count": N, "within": SECONDS,
     "where": [TEST, …]}
    {"did": NAME, "time": "first" | "last", "op": OP, "value": VALUE, "within": …, "where": …}
    {"received": NAME, "outcome": "sent" | "opened" | "clicked" | "replied"}
    {"visited": true, "op": "at_least" | "at_most" | "exactly", "count": N, "within": SECONDS,
     "where": [TEST, …]}
    {"bucket": SALT, "from": PERCENT, "to": PERCENT}
    {"host": ATTRIBUTE, "model": CLASS, "op": OP, "value": VALUE}
    {"segment": NAME}

TEST is ``{"prop": NAME, "op": OP, "value": VALUE}`` or ``{"not": TEST}``. VALUE is a text, a
number, a boolean, ``{"time": ISO 8601}``, ``{"ago": SECONDS}`` or ``{"from_now": SECONDS}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ..errors import InvalidFilter
from .behaviour import Did, Received
from .filter import (
    AllOf,
    AnyOf,
    Attribute,
    Compare,
    EventTime,
    Everyone,
    Filter,
    HostColumn,
    InSegment,
    IsSet,
    Not,
    OneOf,
    PersonField,
    Property,
    PropertyTest,
    Subject,
    Unchanged,
)
from .host import HostExpression
from .reader import read_filter
from .values import Moment, Value, shown
from .visits import Bucket, Visited

VERSION = 1


def to_document(wanted: Filter) -> dict[str, Any]:
    """Return `wanted` as a document.

    :raises InvalidFilter: if a part of it has no JSON form.
    """
    return {"version": VERSION, "filter": _node(wanted)}


def from_document(document: object, segments: Mapping[str, Filter] | None = None) -> Filter:
    """Return the filter that `document` says; with `segments`, their names are looked up.

    :raises InvalidFilter: naming the place in the document.
    """
    if not isinstance(document, Mapping) or set(document) != {"version", "filter"}:
        raise InvalidFilter('A filter\'s document is {"version": 1, "filter": {…}}.')
    if document["version"] != VERSION or isinstance(document["version"], bool):
        raise InvalidFilter(
            f"version: {shown(document['version'])} is unknown; this release reads {VERSION}."
        )
    return read_filter(document["filter"], segments)


def _node(node: Filter) -> dict[str, Any]:
    match node:
        case Everyone():
            return {"everyone": True}
        case AllOf(parts):
            return {"all": [_node(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [_node(part) for part in parts]}
        case Not(part):
            return {"not": _node(part)}
        case InSegment(name):
            return {"segment": name}
        case _:
            return _condition(node)


def _condition(node: Filter) -> dict[str, Any]:
    match node:
        case Compare(subject, operator, value):
            return {**_subject(subject), "op": operator, "value": _value(value)}
        case OneOf(subject, values):
            return {**_subject(subject), "op": "in", "value": [_value(value) for value in values]}
        case IsSet(subject):
            return {**_subject(subject), "op": "is_set"}
        case Unchanged(name, duration):
            return {"attr": name, "op": "unchanged_for", "value": _seconds(duration)}
        case Did(event, bound, count, window, tests):
            return {"did": event, "op": bound, "count": count, **_narrowed(window, tests)}
        case Visited(bound, count, window, tests):
            return {"visited": True, "op": bound, "count": count, **_narrowed(window, tests)}
        case Bucket(salt, low, high):
            return {"bucket": salt, "from": low, "to": high}
        case Received(message, outcome):
            return {"received": message, "outcome": outcome}
        case HostExpression(_, text):
            raise InvalidFilter(
                f"host({text}) has no JSON form: only the comparison of a column with a literal "
                "has. Give it a name with engage.segment(name, …) and use in_segment(name)."
            )
        case _:
            raise TypeError(f"{node!r} is no filter of this package.")


def _subject(subject: Subject) -> dict[str, Any]:
    match subject:
        case PersonField(name):
            return {"person": name}
        case Attribute(name):
            return {"attr": name}
        case Property(name):
            return {"prop": name}
        case EventTime(which, event, window, tests):
            return {"did": event, "time": which, **_narrowed(window, tests)}
        case HostColumn(name, model):
            return {"host": name} if model is None else {"host": name, "model": model}


def _narrowed(window: timedelta | None, tests: tuple[PropertyTest, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {} if window is None else {"within": _seconds(window)}
    return {**found, "where": [_node(test.test) for test in tests]} if tests else found


def _value(value: Value) -> Any:
    match value.content:
        case Moment(offset):
            return {"ago" if offset <= timedelta(0) else "from_now": _seconds(abs(offset))}
        case datetime() as moment:
            return {"time": moment.isoformat()}
        case content:
            return content


def _seconds(duration: timedelta) -> int | float:
    seconds = duration.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds
