"""What a filter means, in plain Python: for each person true or false, never anything else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask_engage.segments.behaviour import Did, Received
from flask_engage.segments.filter import (
    AllOf,
    AnyOf,
    Attribute,
    Compare,
    EventTime,
    Everyone,
    Filter,
    InSegment,
    IsSet,
    Not,
    OneOf,
    PersonField,
    Property,
    Unchanged,
)
from flask_engage.segments.values import Moment, Value
from flask_engage.segments.visits import Bucket, Visited
from flask_engage.store.share import PRIME, share_of
from tests.segments._world import NOW, Happening, Somebody, kind_of

_COLUMNS = {
    "signed_up": "signed_up_at",
    "first_seen": "first_seen_at",
    "last_seen": "last_seen_at",
    "sessions": "session_count",
}


def matches(node: Filter, one: Somebody, segments: Mapping[str, Filter] | None = None) -> bool:
    """Tell whether `one` matches at `NOW`."""
    match node:
        case Everyone():
            return True
        case AllOf(parts):
            return all(matches(part, one, segments) for part in parts)
        case AnyOf(parts):
            return any(matches(part, one, segments) for part in parts)
        case Not(part):
            return not matches(part, one, segments)
        case InSegment(name):
            return matches((segments or {})[name], one, segments)
        case Unchanged(name, duration):
            return name in one.attrs and one.changed.get(name, NOW) <= NOW - duration
        case Did(_, bound, count):
            return _within_bound(len(_counting(node.event, node, one)), bound, count)
        case Visited(bound, count):
            return _within_bound(_visits(node, one), bound, count)
        case Bucket(salt, low, high):
            lot = share_of(one.person_id, f"bucket/{salt}")
            return round(low / 100 * PRIME) <= lot < round(high / 100 * PRIME)
        case Received(message, outcome):
            wanted = {f"{origin}:{message}" for origin in ("rule", "send", "step")}
            got = [sent for sent in one.sent if sent.source in wanted]
            if outcome == "sent":
                return any(sent.sent_at is not None for sent in got)
            return any(outcome in sent.kinds for sent in got)
        case _:
            return _condition(node, lambda subject: _value(subject, one))


def _within_bound(times: int, bound: str, count: int) -> bool:
    return {
        "at_least": times >= count,
        "at_most": times <= count,
        "exactly": times == count,
    }[bound]


def _visits(node: Visited, one: Somebody) -> int:
    if node.window is None and not node.tests:
        return int(one.fields.get("session_count", 0))  # which outlives the sessions
    return len(
        [
            visit
            for visit in one.visits
            if (node.window is None or NOW - node.window <= visit.at <= NOW)
            and all(_test(test.test, {"hits": 1, **visit.fields}) for test in node.tests)
        ]
    )


def _condition(node: Filter, value_of: Any) -> bool:
    match node:
        case Compare(PersonField("tags"), _, value):
            return value.content in (value_of(PersonField("tags")) or ())
        case Compare(subject, operator, value):
            return _holds(value_of(subject), operator, value)
        case OneOf(subject, values):
            return any(_holds(value_of(subject), "==", value) for value in values)
        case IsSet(subject):
            return value_of(subject) is not None
        case Not(part):
            return not _condition(part, value_of)
    raise AssertionError(node)


def _value(subject: Any, one: Somebody) -> Any:
    match subject:
        case PersonField("tags"):
            return one.tags or None
        case PersonField("relationship"):
            return one.hearts
        case PersonField("unsubscribed"):
            return one.fields.get("unsubscribed_at") is not None
        case PersonField("sessions"):
            return one.fields.get("session_count", 0)
        case PersonField(name):
            return one.fields.get(_COLUMNS.get(name, name))
        case Attribute(name):
            return one.attrs.get(name)
        case EventTime(which, event):
            times = [happening.at for happening in _counting(event, subject, one)]
            return (min(times) if which == "first" else max(times)) if times else None
    raise AssertionError(subject)


def _counting(event: str, node: Did | EventTime, one: Somebody) -> list[Happening]:
    return [
        happening
        for happening in one.did
        if happening.name == event
        and (node.window is None or NOW - node.window <= happening.at <= NOW)
        and all(_test(test.test, happening.properties) for test in node.tests)
    ]


def _test(node: Filter, properties: Mapping[str, Any]) -> bool:
    def value_of(subject: Property) -> Any:
        return properties.get(subject.name)

    return _condition(node, value_of)


def _holds(found: Any, operator: str, value: Value) -> bool:
    if operator == "!=":
        return not _holds(found, "==", value)
    if found is None or kind_of(found) != value.kind:
        return False
    wanted = value.content
    if isinstance(wanted, Moment):
        wanted = NOW + wanted.offset
    if isinstance(found, datetime):
        assert isinstance(wanted, datetime)
    return {
        "==": lambda: found == wanted,
        "<": lambda: found < wanted,
        "<=": lambda: found <= wanted,
        ">": lambda: found > wanted,
        ">=": lambda: found >= wanted,
        "contains": lambda: wanted in found,
        "startswith": lambda: found.startswith(wanted),
    }[operator]()
