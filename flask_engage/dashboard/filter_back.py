"""Conditions back into the forms that say them; the other way is :mod:`.filter_form`.

What comes out of here always reads as the same condition again: a form that would say
something else, if only a little, is none.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..errors import InvalidFilter
from ..segments.behaviour import Did, Received
from ..segments.fields import FIELDS
from ..segments.filter import (
    Attribute,
    Compare,
    EventTime,
    Filter,
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
from ..segments.values import Moment
from ..segments.visits import Bucket, Visited
from .filter_asked import list_text, moment_text
from .filter_form import TESTS, read_condition

Form = dict[str, str]

_OPPOSITES = {"has": "lacks", "contains": "lacks", "s:contains": "s:lacks", "set": "unset"}
_UTC = ZoneInfo("UTC")
_NAMES = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_UNITS = {
    "days": timedelta(days=1),
    "hours": timedelta(hours=1),
    "minutes": timedelta(minutes=1),
}


def form_of(node: Filter, zone: ZoneInfo = _UTC) -> Form | None:
    """Return the form that says `node`, or None if none of the forms can."""
    form = _form_of(node, zone)
    if form is None:
        return None
    try:
        return form if read_condition(form, {}, zone) == node else None
    except InvalidFilter:
        return None


def _form_of(node: Filter, zone: ZoneInfo) -> Form | None:
    if not isinstance(node, Not):
        return _positive(node, zone)
    found = _positive(node.part, zone)
    if found is None:
        return None
    match node.part:
        case Did() | Compare(EventTime()) | IsSet(EventTime()):
            return {**found, "did": "not"}
        case Received():
            return {**found, "outcome": "not_" + found["outcome"]}
        case IsSet():
            return {**found, "op": "unset"}
        case Compare(_, "contains"):
            return {**found, "op": _OPPOSITES[found["op"]]}
        case _:
            return {**found, "not": "1"}


def _positive(node: Filter, zone: ZoneInfo) -> Form | None:
    match node:
        case Did(event, bound, count, window, tests):
            form = {"about": "did", "event": event, "did": "yes", "which": "count"}
            return _narrowed({**form, "bound": bound, "count": str(count)}, window, tests, zone)
        case Visited(bound, count, window, tests):
            form = {"about": "visited", "bound": bound, "count": str(count)}
            return _narrowed(form, window, tests, zone)
        case Bucket(salt, low, high):
            return {"about": "bucket", "salt": salt, "low": str(low), "high": str(high)}
        case Received(message, outcome):
            return {"about": "received", "message": message, "outcome": outcome}
        case InSegment(name):
            return {"about": "segment", "in_segment": name}
        case Unchanged(name, spell):
            length = _length(spell)
            if length is None:
                return None
            return {"about": "attr", "name": name, "op": "unchanged", **_said(*length)}
        case Compare(subject) | OneOf(subject) | IsSet(subject):
            asked = _asked(node, zone)
            return None if asked is None else _about(subject, asked, zone)
        case _:
            return None


def _about(subject: Subject, asked: Form, zone: ZoneInfo) -> Form | None:
    match subject:
        case PersonField(name):
            return {"about": "person", "field": name, **asked, "op": asked["op"].split(":")[-1]}
        case Attribute(name):
            return {"about": "attr", "name": name, **asked}
        case EventTime(which, event, window, tests):
            op = asked["op"].split(":")[-1]
            form = {"about": "did", "event": event, "did": "yes", "which": which, **asked, "op": op}
            return _narrowed(form, window, tests, zone)
        case _:
            return None  # a host's column: only code can write that


def _narrowed(
    form: Form, window: timedelta | None, tests: tuple[PropertyTest, ...], zone: ZoneInfo
) -> Form | None:
    if window is not None:
        length = _length(window)
        if length is None:
            return None
        form = {**form, "days": length[0], "days_unit": length[1]}
    if len(tests) > TESTS:
        return None
    for place, test in enumerate(tests, 1):
        asked = _asked_of_test(test.test, zone)
        if asked is None:
            return None
        form = {**form, **{f"{name}-{place}": text for name, text in asked.items()}}
    return form


def _asked_of_test(node: Filter, zone: ZoneInfo) -> Form | None:
    inner = node.part if isinstance(node, Not) else node
    subject = getattr(inner, "subject", None)
    asked = _asked(inner, zone)
    if asked is None or not isinstance(subject, Property):
        return None
    if isinstance(node, Not):
        opposite = _OPPOSITES.get(asked["op"])
        if opposite is None:
            return None
        asked = {**asked, "op": opposite}
    return {"prop": subject.name, **asked}


def _asked(node: Filter, zone: ZoneInfo) -> Form | None:
    """Return the comparison in `node` as fields, whatever it is about."""
    match node:
        case IsSet():
            return {"op": "set"}
        case OneOf(_, values) if values:
            kinds = {value.kind for value in values}
            if kinds not in ({"s"}, {"n"}):
                return None
            texts = [str(value.content) for value in values]
            return {"op": f"{kinds.pop()}:in", "value": list_text(texts)}
        case Compare(PersonField(name), "contains", value) if FIELDS[name] == "tags":
            return {"op": "has", "value": str(value.content)}
        case Compare(_, operator, value):
            return _compared(operator, value.kind, value.content, zone)
        case _:
            return None


def _compared(operator: str, kind: str, content: Any, zone: ZoneInfo) -> Form | None:
    if kind == "t":
        return _timed(operator, content, zone)
    if kind == "b":
        return {"op": "b:yes" if content else "b:no"} if operator == "==" else None
    code = {"startswith": "starts", "contains": "contains", **_NAMES}[operator]
    return {"op": f"{kind}:{code}", "value": str(content)}


def _timed(operator: str, content: Any, zone: ZoneInfo) -> Form | None:
    if isinstance(content, Moment):
        length = _length(abs(content.offset))
        past = content.offset <= timedelta(0)
        code = {"<": "older" if past else "soon", ">": "newer" if past else "later"}.get(operator)
        if code is None or length is None:
            return None
        return {"op": f"t:{code}", **_said(*length)}
    code = {"<": "before", ">=": "after"}.get(operator)
    if code is None or not isinstance(content, datetime) or content.tzinfo is None:
        return None
    try:
        return {"op": f"t:{code}", "value": moment_text(content, zone)}
    except OverflowError:
        return None  # at the ends of the calendar


def _said(number: str, unit: str) -> Form:
    return {"value": number, "unit": unit}


def _length(spell: timedelta) -> tuple[str, str] | None:
    """Return `spell` as a number and its unit, the largest that leaves no rest."""
    for unit, one in _UNITS.items():
        if not spell % one:
            return str(spell // one), unit
    return None
