"""Conditions on people's sessions, and on the chance that deals people into buckets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from ..errors import InvalidFilter
from .behaviour import Bound, Did, checked_count
from .fields import OPERATORS
from .filter import Compare, Extent, Filter, Not, OneOf, Property, PropertyTest
from .values import KIND_WORDS, Kind, Value, checked_label, did_you_mean, duration

VISIT_FIELDS: dict[str, Kind] = {
    "landing_page": "s",
    "referrer": "s",
    "utm_source": "s",
    "utm_medium": "s",
    "utm_campaign": "s",
    "country": "s",
    "language": "s",
    "browser": "s",
    "os": "s",
    "device": "s",
    "hits": "n",
}
"""What is known of a session, by the names that ``visited().where(…)`` takes."""


@dataclass(frozen=True)
class Visited(Filter):
    """How many sessions somebody had. By itself: at least one, ever."""

    bound: Bound = "at_least"
    count: int = 1
    window: timedelta | None = None
    """Only sessions that began so long ago or less; the window ends now."""
    tests: tuple[PropertyTest, ...] = ()
    """What one and the same session must meet to count."""
    bounded: bool = field(default=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        checked_count(self.count, self.bound)
        for test in self.tests:
            check_visit_test(test)

    @property
    def extent(self) -> Extent:
        return Extent(
            2 if self.tests else 1,
            1 + len(self.tests),
            1 + sum(test.test.extent.values for test in self.tests),
        )

    def at_least(self, count: int) -> Visited:
        """Match those who came `count` times or more."""
        return self._bounded("at_least", count)

    def at_most(self, count: int) -> Visited:
        """Match those who came `count` times or less, or never."""
        return self._bounded("at_most", count)

    def exactly(self, count: int) -> Visited:
        """Match those who came `count` times; ``exactly(0)``: who never did."""
        return self._bounded("exactly", count)

    def within(
        self,
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> Visited:
        """Count only sessions that began in so long a time that ends now."""
        if self.window is not None:
            raise InvalidFilter("within() was given twice; combine two visited() with &.")
        window = duration(
            "within()", weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds
        )
        return replace(self, window=window)

    def where(self, *tests: PropertyTest | Mapping[str, Any], **fields: Any) -> Visited:
        """Count only sessions that meet every one of the conditions.

        :param tests: such as ``prop("landing_page").startswith("/pricing")``, or a mapping of
            equal values.
        :param fields: equal values, by name, such as ``device="mobile"``.
        """
        found = Did("visited").where(*tests, **fields).tests
        return replace(self, tests=self.tests + found)

    def _bounded(self, bound: Bound, count: int) -> Visited:
        if self.bounded:
            raise InvalidFilter("visited() takes one number; combine two visited() with &.")
        return replace(self, bound=bound, count=count, bounded=True)


def visited() -> Visited:
    """Match those who had at least one session; see the methods for more.

    Without ``.within()`` and ``.where()`` it asks what ``person.sessions`` does, which goes on
    counting sessions that are no longer kept.
    """
    return Visited()


def check_visit_test(test: PropertyTest) -> None:
    """Check that `test` asks what can be asked of a session.

    :raises InvalidFilter: if there is no such field, or it is of another kind.
    """
    inner = test.test.part if isinstance(test.test, Not) else test.test
    subject = getattr(inner, "subject", None)
    assert isinstance(subject, Property)
    kind = VISIT_FIELDS.get(subject.name)
    if kind is None:
        raise InvalidFilter(
            f"A session has no {subject.name!r}: {did_you_mean(subject.name, VISIT_FIELDS)}"
        )
    values: tuple[Value, ...] = ()
    if isinstance(inner, (Compare, OneOf)):
        values = (inner.value,) if isinstance(inner, Compare) else inner.values
    for value in values:
        if value.kind != kind:
            raise InvalidFilter(
                f"A session's {subject.name} is a {KIND_WORDS[kind]}, and {value.content!r} is a "
                f"{KIND_WORDS[value.kind]}."
            )
    if isinstance(inner, Compare) and inner.operator not in OPERATORS[kind]:
        raise InvalidFilter(f"A session's {subject.name} can't be asked {inner.operator!r}.")


@dataclass(frozen=True)
class Bucket(Filter):
    """Those whom a lot puts between two percentages; the same people each time."""

    salt: str
    low: int | float
    high: int | float


def bucket(salt: str, low: float, high: float) -> Filter:
    """Match the share of people from `low` to `high` per cent that the lots `salt` give.

    The same people each time; ``bucket("a", 0, 50)`` and ``bucket("a", 50, 100)`` have nobody
    in common and together everybody. Another salt deals independently.
    """
    return Bucket(checked_label(salt, "a bucket", 128), *_checked_range(low, high))


def _checked_range(low: object, high: object) -> tuple[int | float, int | float]:
    for bound in (low, high):
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            raise InvalidFilter(f"bucket() takes two percentages, not {bound!r:.100}.")
    assert isinstance(low, (int, float))
    assert isinstance(high, (int, float))
    if not 0 <= low < high <= 100:  # what is no number is refused here too
        raise InvalidFilter(
            f"bucket() takes two percentages from 0 to 100, the smaller first, not {low!r:.40} "
            f"and {high!r:.40}."
        )
    return _plain(low), _plain(high)


def _plain(number: int | float) -> int | float:
    # 10.0 and 10 are one: equal filters must read and serialise the same.
    return int(number) if number == int(number) else float(number)
