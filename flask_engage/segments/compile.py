"""The filter's SQL form: one condition over the rows of ``engage_person``.

Every condition is built so that it is true or false and never NULL; then ``NOT`` is an exact
complement, whatever stands around it. Tables beside the person's are asked by EXISTS, so that
the same condition serves a list of everybody and the question about one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, not_, or_, select, true

from .._clock import as_utc
from ..errors import InvalidFilter
from ..store.attribute import AttributeRow, RelationshipRow
from ..store.delivery import DeliveryEventRow, DeliveryRow
from ..store.event import EventRow, EventSummaryRow
from ..store.person import PersonRow, PersonTagRow
from .behaviour import Did, Received
from .comparison import OPERATORS, compare_column, compare_member, one_of_column, one_of_member
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
from .host_sql import host_column, host_condition
from .json_sql import Member, any_exists
from .resolve import Budget, Segments
from .values import Value

DIALECTS = ("sqlite", "postgresql", "mysql")

COLUMNS: dict[str, Any] = {
    "signed_up": PersonRow.signed_up_at,
    "first_seen": PersonRow.first_seen_at,
    "last_seen": PersonRow.last_seen_at,
    "sessions": PersonRow.session_count,
}

Test = Callable[[Any], ColumnElement[bool]]
"""Makes a condition of a column; it may be NULL where the column is."""


@dataclass(frozen=True)
class CompileContext:
    """What a filter needs to know beyond itself to become SQL."""

    dialect: str
    """``sqlite``, ``postgresql`` or ``mysql`` (MariaDB too); see ``Database.dialect``."""
    segments: Mapping[str, Filter] = field(default_factory=dict)
    """What ``in_segment()`` may name."""
    user_model: type[Any] | None = None
    """The host's mapped user class, which ``host()`` is about."""
    host_in_same_database: bool = True
    """Whether the host's tables can be joined with ours."""

    def __post_init__(self) -> None:
        if self.dialect == "mariadb":
            object.__setattr__(self, "dialect", "mysql")
        if self.dialect not in DIALECTS:
            raise InvalidFilter(
                f"Filters don't know the database {self.dialect!r}; they know {DIALECTS}."
            )


def where(wanted: Filter, *, now: datetime, context: CompileContext) -> ColumnElement[bool]:
    """Return `wanted` as a condition for a SELECT over :class:`PersonRow`, never NULL.

    It says nothing of who is deleted or merged: add ``store.person.is_live()``.

    :param now: the moment (aware) that relative times and windows are counted from.
    :raises InvalidFilter: for an unknown segment, a cycle of segments, a ``host()`` that can't
        be answered, or a filter that its segments make too large.
    """
    return _Compiler(context, as_utc(now, what="now")).condition(wanted)


def validate(wanted: Filter, context: CompileContext) -> None:
    """Check that `wanted` can become SQL in `context`; call it where the filter is defined.

    :raises InvalidFilter: as :func:`where`.
    """
    where(wanted, now=datetime.fromisoformat("2000-01-01T00:00:00+00:00"), context=context)


class _Compiler:
    def __init__(self, context: CompileContext, now: datetime) -> None:
        self._context = context
        self._dialect = context.dialect
        self._now = now
        self._segments = Segments(context.segments)
        self._budget = Budget()

    def condition(self, node: Filter) -> ColumnElement[bool]:
        match node:
            case AllOf(parts):
                return and_(*map(self.condition, parts))
            case AnyOf(parts):
                return or_(*map(self.condition, parts))
            case Not(part):
                return not_(self.condition(part))
            case InSegment(name):
                with self._segments.opened(name) as inner:
                    return self.condition(inner).self_group()
            case _:
                self._budget.spend(node.extent)
                return self._leaf(node)

    def _leaf(self, node: Filter) -> ColumnElement[bool]:
        match node:
            case Everyone():
                return true()
            case Compare(subject, "!=", value):
                return not_(self._compare(subject, "==", value))
            case Compare(subject, operator, value):
                return self._compare(subject, operator, value)
            case OneOf(subject, values):
                return self._one_of(subject, values)
            case IsSet(subject):
                return self._is_set(subject)
            case Unchanged(name, duration):
                return self._exists(
                    AttributeRow.person_id,
                    AttributeRow.name == name,
                    AttributeRow.changed_at <= self._now - duration,
                )
            case Did():
                return self._did(node)
            case Received(message, outcome):
                return self._received(message, outcome)
            case HostExpression(expression):
                return host_condition(expression, self._context)
            case _:
                raise TypeError(f"{node!r} is no filter of this package.")

    # --- comparisons -------------------------------------------------------------------------

    def _compare(self, subject: Subject, operator: str, value: Value) -> ColumnElement[bool]:
        match subject:
            case PersonField("tags"):
                named = compare_column(PersonTagRow.name, "==", value, self._now)
                return self._exists(PersonTagRow.person_id, named)
            case Attribute(name):
                member = self._attribute(name, value)
                return compare_member(member, operator, value, self._now)
            case Property(name):
                member = self._property(name)
                return compare_member(member, operator, value, self._now, checked=True)
            case HostColumn():
                return host_column(subject, operator, value, self._now, self._context)
            case _:
                return self._at(
                    subject, lambda column: compare_column(column, operator, value, self._now)
                )

    def _one_of(self, subject: Subject, values: tuple[Value, ...]) -> ColumnElement[bool]:
        match subject:
            case Attribute() | Property():
                found = [
                    one_of_member(self._dialect, member, group, self._now, checked=checked)
                    for group in _by_kind(values)
                    for member, checked in [self._member(subject, group[0])]
                ]
                return or_(*found) if found else false()
            case HostColumn():
                found = [self._compare(subject, "==", value) for value in values]
                return or_(*found) if found else false()
            case _:
                return self._at(subject, lambda column: one_of_column(column, values, self._now))

    def _is_set(self, subject: Subject) -> ColumnElement[bool]:
        match subject:
            case PersonField("tags"):
                return self._exists(PersonTagRow.person_id)
            case PersonField("unsubscribed"):
                return true()
            case Attribute(name):
                return any_exists(
                    [Member(self._dialect, PersonRow.attributes, f"{k}:{name}") for k in "nsbt"]
                )
            case Property(name):
                member = self._property(name)
                return or_(*[member.is_a(kind) for kind in ("n", "s", "b")])
            case HostColumn():
                return host_column(subject, "is_set", None, self._now, self._context)
            case _:
                return self._at(subject, lambda column: column.is_not(None))

    def _at(self, subject: Subject, test: Test) -> ColumnElement[bool]:
        """Return `test` of the column of `subject`, where a NULL is false."""
        match subject:
            case PersonField("relationship"):
                hearts = RelationshipRow.hearts
                return self._exists(RelationshipRow.person_id, hearts.is_not(None), test(hearts))
            case PersonField("unsubscribed"):
                return test(PersonRow.unsubscribed_at)
            case PersonField(name):
                column = COLUMNS[name] if name in COLUMNS else getattr(PersonRow, name)
                return and_(column.is_not(None), test(column))
            case EventTime():
                return self._event_time(subject, test)
            case _:
                raise TypeError(f"{subject!r} has no column.")

    def _attribute(self, name: str, value: Value) -> Member:
        return Member(self._dialect, PersonRow.attributes, f"{value.kind}:{name}")

    def _property(self, name: str) -> Member:
        return Member(self._dialect, EventRow.properties, name)

    def _member(self, subject: Attribute | Property, value: Value) -> tuple[Member, bool]:
        if isinstance(subject, Attribute):
            return self._attribute(subject.name, value), False
        return self._property(subject.name), True

    # --- what they did and received ----------------------------------------------------------

    def _did(self, node: Did) -> ColumnElement[bool]:
        if node.bound == "at_least" and node.count == 0:
            return true()
        if node.bound == "exactly" and node.count > 0:
            return self._count(node, OPERATORS["=="], node.count)
        # What includes those who never did is the complement of what doesn't.
        if node.bound == "at_least":
            return self._count(node, OPERATORS[">="], node.count)
        return not_(self._count(node, OPERATORS[">"], node.count))

    def _count(self, node: Did, operator: Any, count: int) -> ColumnElement[bool]:
        """Return the condition on a count above 0."""
        if node.window is None and not node.tests:
            return self._exists(
                EventSummaryRow.person_id,
                EventSummaryRow.name == node.event,
                operator(EventSummaryRow.count, count),
            )
        met = self._events(node)
        if (operator, count) in ((OPERATORS[">="], 1), (OPERATORS[">"], 0)):
            return self._exists(EventRow.person_id, *met)
        counted = select(func.count()).where(EventRow.person_id == PersonRow.id, *met)
        return operator(counted.correlate(PersonRow).scalar_subquery(), count)  # type: ignore[no-any-return]

    def _events(self, node: Did | EventTime) -> list[ColumnElement[bool]]:
        """Return what an event must meet to count for `node`."""
        met: list[ColumnElement[bool]] = [EventRow.name == node.event]
        if node.window is not None:
            met.append(EventRow.occurred_at >= self._now - node.window)
            met.append(EventRow.occurred_at <= self._now)
        return met + [self._test(test) for test in node.tests]

    def _test(self, test: PropertyTest) -> ColumnElement[bool]:
        return (
            not_(self._leaf(test.test.part))
            if isinstance(test.test, Not)
            else self._leaf(test.test)
        )

    def _event_time(self, subject: EventTime, test: Test) -> ColumnElement[bool]:
        if subject.window is None and not subject.tests:
            first = subject.which == "first"
            column = EventSummaryRow.first_at if first else EventSummaryRow.last_at
            return self._exists(
                EventSummaryRow.person_id, EventSummaryRow.name == subject.event, test(column)
            )
        edge = func.min if subject.which == "first" else func.max
        grouped = (
            select(EventRow.person_id)
            .where(EventRow.person_id == PersonRow.id, *self._events(subject))
            .group_by(EventRow.person_id)
            .having(test(edge(EventRow.occurred_at)))
        )
        return self._found(grouped)

    def _received(self, message: str, outcome: str) -> ColumnElement[bool]:
        sources = [f"{origin}:{message}" for origin in ("rule", "send", "step")]
        of_message = DeliveryRow.source.in_(sources)
        if outcome == "sent":
            return self._exists(DeliveryRow.person_id, of_message, DeliveryRow.sent_at.is_not(None))
        event = exists().where(
            DeliveryEventRow.delivery_id == DeliveryRow.id, DeliveryEventRow.kind == outcome
        )
        return self._exists(DeliveryRow.person_id, of_message, event.correlate(DeliveryRow))

    def _exists(self, person_id: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        """Return the condition that the table of `person_id` has such a row of the person."""
        return self._found(select(person_id).where(person_id == PersonRow.id, *conditions))

    def _found(self, query: Select[Any]) -> ColumnElement[bool]:
        if self._dialect == "postgresql":
            # Keeps the planner from making a join of it. Before statistics are gathered (after
            # a first sync or import) it takes each table for one row and joins by comparing
            # everybody with everything: 30,000 people took longer than the time limit. One
            # look into an index per person costs 8 µs, and serves ranges of people as well.
            query = query.offset(0)
        return query.correlate(PersonRow).exists()


def _by_kind(values: tuple[Value, ...]) -> list[tuple[Value, ...]]:
    kinds = dict.fromkeys(value.kind for value in values)
    return [tuple(value for value in values if value.kind == kind) for kind in kinds]
