"""Conditions on what people did, and on what became of the messages sent to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from ..errors import InvalidFilter
from .filter import EventTime, Extent, Filter, PropertyTest
from .operands import Operand, prop
from .values import checked_label, checked_name, duration

Bound = Literal["at_least", "at_most", "exactly"]

MAX_COUNT = 2**31 - 1
"""What the stored counts can hold."""


@dataclass(frozen=True)
class Did(Filter):
    """How often somebody did something. By itself: at least once, ever."""

    event: str
    bound: Bound = "at_least"
    count: int = 1
    window: timedelta | None = None
    """Only what happened so long ago or less; the window ends now."""
    tests: tuple[PropertyTest, ...] = ()
    """What one and the same event must meet to count."""
    bounded: bool = field(default=False, compare=False, repr=False)
    """Whether a number was asked for, or at least one is the default."""

    def __post_init__(self) -> None:
        checked_count(self.count, self.bound)

    @property
    def extent(self) -> Extent:
        return Extent(
            2 if self.tests else 1,
            1 + len(self.tests),
            1 + sum(test.test.extent.values for test in self.tests),
        )

    def at_least(self, count: int) -> Did:
        """Match those who did it `count` times or more."""
        return self._bounded("at_least", count)

    def at_most(self, count: int) -> Did:
        """Match those who did it `count` times or less, or never."""
        return self._bounded("at_most", count)

    def exactly(self, count: int) -> Did:
        """Match those who did it `count` times; ``exactly(0)``: who never did."""
        return self._bounded("exactly", count)

    def within(
        self,
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> Did:
        """Count only what happened in so long a time that ends now."""
        if self.window is not None:
            raise InvalidFilter("within() was given twice; combine two did(…) with &.")
        window = duration(
            "within()", weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds
        )
        return replace(self, window=window)

    def where(self, *tests: PropertyTest | Mapping[str, Any], **properties: Any) -> Did:
        """Count only events whose properties meet every one of the conditions.

        :param tests: such as ``prop("amount") >= 100``, or a mapping of equal values.
        :param properties: equal values, by name.
        """
        found: list[PropertyTest] = []
        for test in (*tests, properties):
            if isinstance(test, PropertyTest):
                found.append(test)
            elif isinstance(test, Mapping):
                found += [prop(name) == value for name, value in test.items()]
            else:
                raise InvalidFilter(
                    f"where() takes prop(…) conditions, a mapping or keywords, not {test!r}."
                )
        return replace(self, tests=self.tests + tuple(found))

    @property
    def first(self) -> Operand[Filter]:
        """When they did it first; compares like a date."""
        return self._time("first")

    @property
    def last(self) -> Operand[Filter]:
        """When they did it last; compares like a date."""
        return self._time("last")

    def _bounded(self, bound: Bound, count: int) -> Did:
        if self.bounded:
            raise InvalidFilter("did(…) takes one number; combine two did(…) with &.")
        return replace(self, bound=bound, count=count, bounded=True)

    def _time(self, which: Literal["first", "last"]) -> Operand[Filter]:
        if self.bounded:
            raise InvalidFilter(f".{which} takes no number: drop .{self.bound}({self.count}).")
        return Operand(EventTime(which, self.event, self.window, self.tests))


def checked_count(count: object, bound: str) -> int:
    """Return `count` if it can be how often something was done."""
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_COUNT:
        raise InvalidFilter(f"{bound}() takes a whole number from 0 up, not {count!r}.")
    return count


def did(event: str) -> Did:
    """Match those who did `event` at least once; see the methods for more."""
    return Did(checked_name(event, "an event"))


Outcome = Literal["sent", "opened", "clicked", "replied"]


@dataclass(frozen=True)
class Received(Filter):
    """What became of a message for somebody. By itself: it was sent."""

    message: str
    """Name of a rule, or the key of a message sent by hand."""
    outcome: Outcome = "sent"

    def sent(self) -> Received:
        """Match those it was sent to."""
        return replace(self, outcome="sent")

    def opened(self) -> Received:
        """Match those who opened it."""
        return replace(self, outcome="opened")

    def clicked(self) -> Received:
        """Match those who clicked something in it."""
        return replace(self, outcome="clicked")

    def replied(self) -> Received:
        """Match those who replied to it."""
        return replace(self, outcome="replied")


def received(message: str) -> Received:
    """Match those whom `message` was sent to: the name of a rule, or the key of a send."""
    return Received(checked_label(message, "a message", 200))
