"""Reading a filter's document: nothing in it is believed, and an error says where it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..errors import InvalidFilter
from .behaviour import Bound, Did, Received, checked_count
from .conditions import compare, is_set, one_of
from .fields import field_kind
from .filter import (
    MAX_DEPTH,
    Attribute,
    EventTime,
    Everyone,
    Filter,
    HostColumn,
    InSegment,
    PersonField,
    Property,
    PropertyTest,
    Subject,
    Unchanged,
    all_of,
    any_of,
)
from .values import ago, checked_label, checked_name, did_you_mean, duration, from_now, shown
from .visits import Visited, bucket, check_visit_test

_HEADS = (
    "everyone",
    "all",
    "any",
    "not",
    "person",
    "attr",
    "did",
    "visited",
    "received",
    "bucket",
    "host",
    "segment",
)
_MAX_LIST = 10_000


def read_filter(node: object, segments: Mapping[str, Filter] | None) -> Filter:
    """Return the filter that the document's `node` says.

    :raises InvalidFilter: naming the place, such as ``filter.all[1].value``.
    """
    try:
        return _Reader(segments).filter(node, "filter", 1)
    except _Located as error:
        raise InvalidFilter(str(error)) from None


class _Reader:
    def __init__(self, segments: Mapping[str, Filter] | None) -> None:
        self._segments = segments

    def filter(self, node: object, path: str, depth: int) -> Filter:
        entry = _mapping(node, path)
        if depth > MAX_DEPTH:
            raise _Located(f"{path}: nested more than {MAX_DEPTH} levels deep.")
        heads = [head for head in _HEADS if head in entry]
        if len(heads) != 1:
            raise _Located(f"{path}: expected exactly one of {', '.join(_HEADS)}.")
        try:
            return self._read(heads[0], entry, path, depth)
        except _Located:
            raise
        except InvalidFilter as error:
            raise _Located(f"{path}: {error}") from None

    def _read(self, head: str, entry: Mapping[str, Any], path: str, depth: int) -> Filter:
        match head:
            case "everyone":
                _keys(entry, path, {"everyone"})
                if entry["everyone"] is not True:
                    raise InvalidFilter("everyone is only ever true.")
                return Everyone()
            case "all" | "any":
                _keys(entry, path, {head})
                inner = f"{path}.{head}"
                nodes = _list(entry[head], inner)
                if not nodes:
                    raise _Located(f"{inner}: expected at least one condition.")
                parts = tuple(
                    self.filter(part, f"{inner}[{index}]", depth + 1)
                    for index, part in enumerate(nodes)
                )
                return all_of(parts) if head == "all" else any_of(parts)
            case "not":
                _keys(entry, path, {"not"})
                return ~self.filter(entry["not"], f"{path}.not", depth + 1)
            case "segment":
                return self._segment(entry, path)
            case "received":
                return _received(entry, path)
            case "visited":
                return _visited(entry, path)
            case "bucket":
                _keys(entry, path, {"bucket", "from", "to"})
                return bucket(entry["bucket"], entry["from"], entry["to"])
            case "did" if "time" not in entry:
                return _did(entry, path)
            case _:
                return _condition(head, entry, path)

    def _segment(self, entry: Mapping[str, Any], path: str) -> Filter:
        _keys(entry, path, {"segment"})
        name = checked_label(entry["segment"], "a segment", 128)
        if self._segments is not None and name not in self._segments:
            raise InvalidFilter(
                f"There is no segment {name!r}: {did_you_mean(name, self._segments)}"
            )
        return InSegment(name)


class _Located(InvalidFilter):
    """An error that names its place already."""


def _condition(head: str, entry: Mapping[str, Any], path: str) -> Filter:
    operator = entry.get("op")
    extra = {"did": {"time", "within", "where"}, "host": {"model"}}.get(head, set())
    valued = set() if operator == "is_set" else {"value"}
    _keys(entry, path, {head, "op"} | valued, extra)
    if head == "attr" and operator == "unchanged_for":
        name = checked_name(entry["attr"], "an attribute")
        return Unchanged(name, _seconds(entry["value"], f"{path}.value"))
    subject = _subject(head, entry, path)
    if operator == "is_set":
        return is_set(subject)
    where = f"{path}.value"
    if operator == "in":
        raws = [
            _value(raw, f"{where}[{index}]")
            for index, raw in enumerate(_list(entry["value"], where))
        ]
        return one_of(subject, raws)
    if not isinstance(operator, str):
        raise _Located(f"{path}.op: {shown(operator)} is no operator.")
    return compare(subject, operator, _value(entry["value"], where))


def _subject(head: str, entry: Mapping[str, Any], path: str) -> Subject:
    match head:
        case "person":
            name = checked_label(entry["person"], "a field", 64)
            field_kind(name)
            return PersonField(name)
        case "attr":
            return Attribute(checked_name(entry["attr"], "an attribute"))
        case "prop":
            return Property(checked_label(entry["prop"], "a property", 1024))
        case "did":
            which = entry["time"]
            if which not in ("first", "last"):
                raise _Located(f"{path}.time: expected 'first' or 'last', not {shown(which)}.")
            event = checked_name(entry["did"], "an event")
            return EventTime(which, event, *_narrowed(entry, path))
        case _:
            model = entry.get("model")
            return HostColumn(
                checked_label(entry["host"], "a column", 255),
                None if model is None else checked_label(model, "a model", 255),
            )


def _did(entry: Mapping[str, Any], path: str) -> Filter:
    _keys(entry, path, {"did", "op", "count"}, {"within", "where"})
    bound, count = _bound(entry, path)
    window, tests = _narrowed(entry, path)
    event = checked_name(entry["did"], "an event")
    return Did(event, bound, count, window, tests, bounded=True)


def _visited(entry: Mapping[str, Any], path: str) -> Filter:
    _keys(entry, path, {"visited", "op", "count"}, {"within", "where"})
    if entry["visited"] is not True:
        raise InvalidFilter("visited is only ever true.")
    bound, count = _bound(entry, path)
    window, tests = _narrowed(entry, path)
    for index, test in enumerate(tests):
        try:
            check_visit_test(test)
        except InvalidFilter as error:
            raise _Located(f"{path}.where[{index}]: {error}") from None
    return Visited(bound, count, window, tests, bounded=True)


def _bound(entry: Mapping[str, Any], path: str) -> tuple[Bound, int]:
    bound = entry["op"]
    if bound not in ("at_least", "at_most", "exactly"):
        raise _Located(
            f"{path}.op: expected 'at_least', 'at_most' or 'exactly', not {shown(bound)}."
        )
    return bound, checked_count(entry["count"], bound)


def _received(entry: Mapping[str, Any], path: str) -> Filter:
    _keys(entry, path, {"received", "outcome"})
    outcome = entry["outcome"]
    if outcome not in ("sent", "opened", "clicked", "replied"):
        raise _Located(
            f"{path}.outcome: expected 'sent', 'opened', 'clicked' or 'replied', "
            f"not {shown(outcome)}."
        )
    return Received(checked_label(entry["received"], "a message", 200), outcome)


def _narrowed(entry: Mapping[str, Any], path: str) -> tuple[Any, tuple[PropertyTest, ...]]:
    within = entry.get("within")
    window = None if within is None else _seconds(within, f"{path}.within")
    where = f"{path}.where"
    tests = tuple(
        _test(node, f"{where}[{index}]")
        for index, node in enumerate(_list(entry.get("where", []), where))
    )
    return window, tests


def _test(node: object, path: str) -> PropertyTest:
    entry = _mapping(node, path)
    if set(entry) == {"not"}:
        inner = _mapping(entry["not"], f"{path}.not")
        if "not" in inner:
            raise _Located(f"{path}.not: expected a condition that isn't negated again.")
        return ~_test(inner, f"{path}.not")
    if "prop" not in entry:
        raise _Located(f"{path}: expected a condition on a prop.")
    try:
        return PropertyTest(_condition("prop", entry, path))
    except _Located:
        raise
    except InvalidFilter as error:
        raise _Located(f"{path}: {error}") from None


def _value(raw: object, path: str) -> object:
    """Return what stands for a value, for the conditions to check."""
    if isinstance(raw, (str, int, float)):
        return raw
    if isinstance(raw, Mapping) and len(raw) == 1:
        ((key, inner),) = raw.items()
        if key in ("ago", "from_now") and _is_number(inner):
            return ago(seconds=inner) if key == "ago" else from_now(seconds=inner)
        if key == "time" and isinstance(inner, str):
            try:
                return datetime.fromisoformat(inner)
            except ValueError:
                raise _Located(f"{path}.time: {shown(inner)} is no ISO 8601 time.") from None
    raise _Located(
        f"{path}: expected a text, a number, a boolean, "
        f'{{"time": …}}, {{"ago": seconds}} or {{"from_now": seconds}}, not {shown(raw)}.'
    )


def _seconds(raw: Any, path: str) -> Any:
    if not _is_number(raw):
        raise _Located(f"{path}: expected a number of seconds, not {shown(raw)}.")
    try:
        return duration("a duration()", weeks=0, days=0, hours=0, minutes=0, seconds=raw)
    except InvalidFilter:
        raise _Located(f"{path}: expected a number of seconds above 0, not {shown(raw)}.") from None


def _is_number(raw: object) -> bool:
    return isinstance(raw, (int, float)) and not isinstance(raw, bool)


def _mapping(raw: object, path: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping) or not all(isinstance(key, str) for key in raw):
        raise _Located(f"{path}: expected an object, not {shown(raw)}.")
    return raw


def _list(raw: object, path: str) -> list[Any]:
    if not isinstance(raw, (list, tuple)):
        raise _Located(f"{path}: expected a list, not {shown(raw)}.")
    if len(raw) > _MAX_LIST:
        raise _Located(f"{path}: expected at most {_MAX_LIST} entries, not {len(raw)}.")
    return list(raw)


def _keys(
    entry: Mapping[str, Any], path: str, needed: set[str], optional: set[str] | None = None
) -> None:
    missing = needed - set(entry)
    if missing:
        raise _Located(f"{path}: {sorted(missing)[0]!r} is missing.")
    unknown = set(entry) - needed - (optional or set())
    if unknown:
        name = sorted(unknown)[0]
        raise _Located(
            f"{path}: {shown(name)} is unknown here: "
            f"{did_you_mean(name, needed | (optional or set()))}"
        )
