"""Filters drawn at random from a seed: all kinds of conditions, of names that want to mislead.

Few names and values, so that many filters differ in one thing only. Some read like parts of a
sentence about a filter, or like what stands between such parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import true

from flask_engage.segments import conditions
from flask_engage.segments.fields import FIELDS
from flask_engage.segments.filter import Filter, HostColumn, PropertyTest
from flask_engage.segments.host import HostExpression
from flask_engage.segments.words import (
    ago,
    attr,
    bucket,
    did,
    everyone,
    from_now,
    in_segment,
    person,
    prop,
    received,
    visited,
)

NAMES = [
    *("a", "A", "b", "name", "yes", "1", "now", "nothing", "a b", "ä", "a\u0308"),
    *("a” and who did “b", "a” or whose “b", "“", "”", "\\", "\\”", "a\\", "(a)", "[a]", "a, b"),
    *("a” in the last 1 day", "a” exactly 2 times", "first “a", "account's “a", "(“User"),
]
VALUES: list[Any] = [
    *("", "1", "1.0", "yes", "no", "now", "a", "a”, “b", "“a”", "nothing", "1 day ago", "\u202e"),
    *(1, 0, -1, 1.5, 2**53, 2**53 + 1, 1e300, True, False),
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),  # the same on a clock in Berlin
    datetime(2026, 10, 25, 1, 30, 0, 1, tzinfo=UTC),
    *(ago(days=1), ago(hours=23), ago(days=1, seconds=1), ago(), from_now(days=1)),
]
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "contains", "startswith", "in", "is_set")
WINDOWS = [None, {"days": 1}, {"hours": 23}, {"days": 1, "seconds": 1}, {"weeks": 1}, {"days": 7}]
BOUNDS = [None, ("at_least", 1), ("at_least", 2), ("at_most", 0), ("at_most", 1), ("exactly", 0)]


def filters(seed: int, count: int, depth: int = 4) -> Iterator[Filter]:
    """Yield `count` filters, up to `depth` levels of groups deep."""
    draw = Random(seed)
    for number in range(count):
        # Every other one is made of the same few conditions: what differs is how they are joined.
        yield _filter(draw, draw.randint(0, depth), (_few,) if number % 2 else KINDS)


def _filter(draw: Random, depth: int, kinds: tuple[Kind, ...]) -> Filter:
    if depth == 0 or draw.random() < 0.2:
        found = draw.choice(kinds)(draw)
        return ~found if draw.random() < 0.3 else found
    parts = [_filter(draw, depth - 1, kinds) for _ in range(draw.randint(1, 3))]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole & part if draw.random() < 0.5 else whole | part
    return ~whole if draw.random() < 0.3 else whole


def _compared(draw: Random, operand: Any) -> Any:
    """Compare with something that the operand can be compared with."""
    while True:
        how = draw.choice(COMPARISONS)
        try:
            if how == "is_set":
                return operand.is_set()
            if how == "in":
                return operand.in_(draw.sample(VALUES, draw.randint(0, 3)))
            return operand._compared(how, draw.choice(VALUES))
        except ValueError:  # this kind of thing has no such order
            continue


def _field(draw: Random) -> Filter:
    found: Filter = _compared(draw, getattr(person, draw.choice(sorted(FIELDS))))
    return found


def _attribute(draw: Random) -> Filter:
    found: Filter = _compared(draw, attr(draw.choice(NAMES)))
    return found


def _test(draw: Random) -> PropertyTest:
    found: PropertyTest = _compared(draw, prop(draw.choice(NAMES)))
    return ~found if draw.random() < 0.3 else found


def _narrowed(draw: Random, found: Any) -> Any:
    if window := draw.choice(WINDOWS):
        found = found.within(**window)
    return found.where(*[_test(draw) for _ in range(draw.choice((0, 0, 1, 2)))])


def _bounded(draw: Random, found: Any) -> Any:
    bound = draw.choice(BOUNDS)
    return found if bound is None else getattr(found, bound[0])(bound[1])


def _did(draw: Random) -> Filter:
    found: Filter = _bounded(draw, _narrowed(draw, did(draw.choice(NAMES))))
    return found


def _when(draw: Random) -> Filter:
    times = _narrowed(draw, did(draw.choice(NAMES)))
    found: Filter = _compared(draw, draw.choice((times.first, times.last)))
    return found


def _visited(draw: Random) -> Filter:
    found = visited()
    if window := draw.choice(WINDOWS):
        found = found.within(**window)
    of = [
        prop("hits") >= draw.randint(1, 3),
        prop("device") == draw.choice(["phone", "a” and “b"]),
        ~prop("referrer").contains(draw.choice(["a", "b"])),
    ]
    bounded: Filter = _bounded(draw, found.where(*draw.sample(of, draw.randint(0, 2))))
    return bounded


def _received(draw: Random) -> Filter:
    outcome = draw.choice(("sent", "opened", "clicked", "replied"))
    found: Filter = getattr(received(draw.choice(NAMES)), outcome)()
    return found


def _column(draw: Random) -> Filter:
    column = HostColumn(draw.choice(NAMES), draw.choice((None, "User", "a” of “b")))
    naive = datetime(2026, 3, 4)  # noqa: DTZ001  (as a host's column holds it)
    value = draw.choice(["a", "1", 1, True, naive, naive + timedelta(microseconds=1)])
    operator = draw.choice(("==", "!=") if isinstance(value, bool) else ("==", "<", ">="))
    return conditions.compare(column, operator, value)


def _few(draw: Random) -> Filter:
    return did(draw.choice(("a", "a", "b", "b", "c", "a” and who did “b", "a\\” or who did “b")))


Kind = Callable[[Random], Filter]
KINDS: tuple[Kind, ...] = (
    *(_field, _attribute, _did, _when, _visited, _received, _column),
    lambda draw: attr(draw.choice(NAMES)).unchanged_for(days=draw.choice((1, 7))),
    lambda draw: bucket(draw.choice(NAMES), draw.choice((0, 10)), draw.choice((50, 33.3))),
    lambda draw: in_segment(draw.choice(NAMES)),
    lambda draw: HostExpression(true(), draw.choice(NAMES)),
    lambda draw: person.tags.contains(draw.choice(NAMES)),
    lambda _draw: everyone,
)
