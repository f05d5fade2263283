"""The filter itself: a tree of conditions that is frozen, hashable and knows no database.

Nodes are made by the words (:mod:`.words`) or from a document (:mod:`.document`), both by way
of :mod:`.conditions`, which checks that they make sense.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from typing import Any, Literal, NoReturn, TypeAlias

from ..errors import InvalidFilter
from .values import Value

MAX_DEPTH = 20
"""Levels of nesting; beyond that nobody can read it, and recursion has an end somewhere."""
MAX_CONDITIONS = 200
"""Conditions in one filter. SQLite takes expressions up to 1000 levels deep."""
MAX_VALUES = 10_000
"""Literals in one filter. SQLite takes 32,766 in one statement."""

Operator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">=", "contains", "startswith"]

NO_TRUTH = (
    "{what} is neither true nor false by itself. Combine filters with & | ~ in place of "
    "and / or / not, with parentheses around each comparison, and write a < x < b as "
    "(x > a) & (x < b)."
)


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a filter is."""

    depth: int
    conditions: int
    values: int


@dataclass(frozen=True)
class Filter:
    """Which people: combine with ``& | ~``. Each person matches or not, there is no third."""

    def __and__(self, other: object) -> Filter:
        return all_of((self, other)) if isinstance(other, Filter) else _refuse("&", other)

    def __or__(self, other: object) -> Filter:
        return any_of((self, other)) if isinstance(other, Filter) else _refuse("|", other)

    def __rand__(self, other: object) -> NoReturn:
        _refuse("&", other)

    def __ror__(self, other: object) -> NoReturn:
        _refuse("|", other)

    def __invert__(self) -> Filter:
        return Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(NO_TRUTH.format(what="A filter"))

    @property
    def extent(self) -> Extent:
        """How large it is."""
        return Extent(1, 1, 1)

    def describe(self, zone: tzinfo = UTC) -> str:
        """Return the filter as an English sentence, such as ``People who did “exported”``.

        :param zone: in which fixed dates are said: that of who reads it.
        """
        from .sentence import describe

        return describe(self, zone)

    def to_json(self) -> dict[str, Any]:
        """Return the filter as a document that :meth:`from_json` reads.

        :raises InvalidFilter: if a part has no such form; give it a name with
            ``engage.segment()`` and use ``in_segment()``.
        """
        from .document import to_document

        return to_document(self)

    @staticmethod
    def from_json(document: object, segments: Mapping[str, Filter] | None = None) -> Filter:
        """Return the filter that `document` says.

        :param segments: if given, names of segments are looked up in it.
        :raises InvalidFilter: naming the place in the document.
        """
        from .document import from_document

        return from_document(document, segments)


def _refuse(operator: str, other: object) -> NoReturn:
    raise TypeError(
        f"{operator} combines two filters, and {other!r} is none. Put each comparison in "
        f"parentheses, as in (person.sessions >= 3) {operator} did('exported')."
    )


def conditions_in(wanted: Filter) -> Iterator[Filter]:
    """Yield what `wanted` combines: everything in it that is neither a group nor an opposite."""
    match wanted:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from conditions_in(part)
        case Not(part):
            yield from conditions_in(part)
        case _:
            yield wanted


# --- combinations ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Everyone(Filter):
    """Everybody."""


@dataclass(frozen=True)
class _Group(Filter):
    parts: tuple[Filter, ...]
    _extent: Extent = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_extent", _sum(self.parts))

    @property
    def extent(self) -> Extent:
        return self._extent


@dataclass(frozen=True)
class AllOf(_Group):
    """Every one of two or more filters."""


@dataclass(frozen=True)
class AnyOf(_Group):
    """At least one of two or more filters."""


@dataclass(frozen=True)
class Not(Filter):
    """Exactly those whom another filter leaves out."""

    part: Filter
    _extent: Extent = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_extent", _sum((self.part,)))

    @property
    def extent(self) -> Extent:
        return self._extent

    def __invert__(self) -> Filter:
        return self.part


def all_of(parts: tuple[Filter, ...]) -> Filter:
    """Return the filter that every one of `parts` (at least one) must match."""
    flat = _flat(parts, AllOf)
    return flat[0] if len(flat) == 1 else AllOf(flat)


def any_of(parts: tuple[Filter, ...]) -> Filter:
    """Return the filter that at least one of `parts` (at least one) must match."""
    flat = _flat(parts, AnyOf)
    return flat[0] if len(flat) == 1 else AnyOf(flat)


def _flat(parts: tuple[Filter, ...], group: type[_Group]) -> tuple[Filter, ...]:
    return tuple(
        inner for part in parts for inner in (part.parts if isinstance(part, group) else (part,))
    )


def _sum(parts: tuple[Filter, ...]) -> Extent:
    extents = [part.extent for part in parts]
    total = Extent(
        1 + max(extent.depth for extent in extents),
        sum(extent.conditions for extent in extents),
        sum(extent.values for extent in extents),
    )
    check_extent(total)
    return total


def check_extent(extent: Extent) -> None:
    """Refuse a filter that is larger than a database or a reader can take."""
    if extent.depth > MAX_DEPTH:
        raise InvalidFilter(f"The filter is nested more than {MAX_DEPTH} levels deep.")
    if extent.conditions > MAX_CONDITIONS:
        raise InvalidFilter(
            f"The filter has more than {MAX_CONDITIONS} conditions; use .in_([…]) for one of many."
        )
    if extent.values > MAX_VALUES:
        raise InvalidFilter(f"The filter holds more than {MAX_VALUES} values.")


# --- what a condition is about ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PersonField:
    """A field of the person."""

    name: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """A custom attribute."""

    name: str


@dataclass(frozen=True, slots=True)
class Property:
    """A property of an event; only within ``did(…).where(…)``."""

    name: str


@dataclass(frozen=True, slots=True)
class EventTime:
    """When somebody first or last did something."""

    which: Literal["first", "last"]
    event: str
    window: timedelta | None = None
    tests: tuple[PropertyTest, ...] = ()


@dataclass(frozen=True, slots=True)
class HostColumn:
    """A column of the host's user model."""

    name: str
    """Of the mapped attribute."""
    model: str | None = None
    """Name of the mapped class; none: the user model, whatever its name."""
    mapped: type[Any] | None = field(default=None, compare=False, repr=False)
    """The class itself, where the filter was written in Python."""


Subject: TypeAlias = PersonField | Attribute | Property | EventTime | HostColumn


# --- conditions ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compare(Filter):
    """A comparison with a literal. A missing value satisfies only ``!=``."""

    subject: Subject
    operator: Operator
    value: Value

    def __invert__(self) -> Filter:
        opposite: dict[str, Operator] = {"==": "!=", "!=": "=="}
        if self.operator in opposite:
            return Compare(self.subject, opposite[self.operator], self.value)
        return Not(self)


@dataclass(frozen=True)
class OneOf(Filter):
    """The value is one of several literals."""

    subject: Subject
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        check_extent(self.extent)

    @property
    def extent(self) -> Extent:
        return Extent(1, 1, max(1, len(self.values)))


@dataclass(frozen=True)
class IsSet(Filter):
    """There is a value."""

    subject: Subject


@dataclass(frozen=True)
class Unchanged(Filter):
    """A custom attribute is set and has had its value for so long, or longer."""

    name: str
    duration: timedelta


@dataclass(frozen=True)
class InSegment(Filter):
    """The filter that has a name."""

    name: str


@dataclass(frozen=True)
class PropertyTest:
    """A condition on one event's properties, for ``did(…).where(…)``; negate it with ``~``."""

    test: Filter
    """A condition on a :class:`Property`, or its :class:`Not`."""

    def __invert__(self) -> PropertyTest:
        return PropertyTest(~self.test)

    def __and__(self, other: object) -> NoReturn:
        raise TypeError("Conditions on properties aren't combined: pass each to .where(a, b).")

    __or__ = __rand__ = __ror__ = __and__

    def __bool__(self) -> NoReturn:
        raise TypeError(NO_TRUTH.format(what="A condition on a property"))
