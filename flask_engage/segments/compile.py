"""The filter's SQL form: one condition over the rows of ``engage_person``.

Every condition is built so that it is true or false and never NULL; then ``NOT`` is an exact
complement, whatever stands around it. Tables beside the person's are asked by EXISTS, so that
the same condition serves a list of everybody and the question about one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    any_,
    false,
    func,
    not_,
    or_,
    select,
    true,
)

from .._clock import as_utc
from ..errors import InvalidFilter
from ..store.attribute import AttributeRow
from ..store.delivery import DeliveryEventRow, DeliveryRow
from ..store.event import EventRow, EventSummaryRow
from ..store.person import PersonRow, PersonTagRow
from ..store.relationship import RelationshipRow
from ..store.session import SessionRow
from ..store.share import below, share
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
from .text_sql import apart, mostly
from .values import Value
from .visits import Bucket, Visited

DIALECTS = ("sqlite", "postgresql", "mysql")
_FEW = 25
"""Per cent of people: on SQLite, looking up one in an index takes as long as putting three or
four on a list."""

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
    whole: bool = False
    """Whether everybody is asked about at once, by a WHERE that this is all or a part of: then
    the tables beside the person's are read as sets, by the index that leads to few rows, and
    not once for each person; and who is left out may be so by a NULL."""
    few: bool = False
    """Whether those who match are most likely few, where everybody is asked about at once."""

    def __post_init__(self) -> None:
        if self.dialect == "mariadb":
            object.__setattr__(self, "dialect", "mysql")
        if self.dialect not in DIALECTS:
            raise InvalidFilter(
                f"Filters don't know the database {self.dialect!r}; they know {DIALECTS}."
            )


def where(wanted: Filter, *, now: datetime, context: CompileContext) -> ColumnElement[bool]:
    """Return `wanted` as a condition for a SELECT over :class:`PersonRow`.

    It is never NULL, but where `context` says that everybody is asked about.

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
        self._must = True
        """Whether everybody wanted meets the condition that is being made: no ~ or | around."""
        self._loose = context.whole
        """Whether a NULL is as good as false here: no ~ around, as far as the WHERE goes."""
        self._few = False
        """Whether chance leaves so few people that each had better be looked up."""

    def condition(self, node: Filter) -> ColumnElement[bool]:
        before = self._must, self._loose, self._few
        self._must = self._must and not isinstance(node, (AnyOf, Not))
        self._loose = self._loose and not isinstance(node, Not)
        self._few = self._few or (isinstance(node, AllOf) and any(map(_leaves_few, node.parts)))
        try:
            return self._condition(node)
        finally:
            self._must, self._loose, self._few = before

    @contextmanager
    def _where(self, *, loose: bool) -> Iterator[None]:
        """Say of what is made in the block whether a NULL is as good as false."""
        before, self._loose = self._loose, loose
        try:
            yield
        finally:
            self._loose = before

    def _not(self, made: Callable[[], ColumnElement[bool]]) -> ColumnElement[bool]:
        with self._where(loose=False):
            return not_(made())

    def _there(self, column: Any, met: ColumnElement[bool]) -> ColumnElement[bool]:
        """Return `met`, which is NULL where `column` is: as false, where that matters."""
        return met if self._loose else and_(column.is_not(None), met)

    def _condition(self, node: Filter) -> ColumnElement[bool]:
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
                return self._not(lambda: self._compare(subject, "==", value))
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
            case Visited():
                return self._visited(node)
            case Bucket(salt, low, high):
                return _dealt(salt, low / 100, high / 100)
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
                return compare_member(member, operator, value, self._now, loose=self._loose)
            case Property(name):
                member = self._property(name)
                return compare_member(
                    member, operator, value, self._now, checked=True, loose=self._loose
                )
            case HostColumn():
                return host_column(subject, operator, value, self._now, self._context)
            case PersonField("last_seen" | "signed_up" | "first_seen") if operator in ("<", "<="):
                return self._at(
                    subject,
                    lambda column: mostly(compare_column(column, operator, value, self._now)),
                )
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
                return self._exists(RelationshipRow.person_id, test(RelationshipRow.hearts))
            case PersonField("unsubscribed"):
                return test(PersonRow.unsubscribed_at)
            case PersonField(name):
                column = COLUMNS[name] if name in COLUMNS else getattr(PersonRow, name)
                return self._there(apart(column), test(column))
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
        def met(operator: Any, count: int) -> ColumnElement[bool]:
            if node.window is None and not node.tests:
                ever = EventSummaryRow.name == node.event
                # There is no row of somebody who never did it.
                often = [] if _once(operator, count) else [operator(EventSummaryRow.count, count)]
                return self._exists(EventSummaryRow.person_id, ever, *often)
            return self._counted(EventRow.person_id, self._events(node), node, operator, count)

        return _bounded(node, met)

    def _visited(self, node: Visited) -> ColumnElement[bool]:
        conditions = self._within(SessionRow.started_at, node.window)
        with self._where(loose=True):
            conditions += [self._of_session(test) for test in node.tests]

        def met(operator: Any, count: int) -> ColumnElement[bool]:
            if not conditions:
                return operator(PersonRow.session_count, count)  # type: ignore[no-any-return]
            return self._counted(SessionRow.person_id, conditions, node, operator, count)

        return _bounded(node, met)

    def _counted(
        self,
        person_id: Any,
        conditions: list[ColumnElement[bool]],
        node: Did | Visited,
        operator: Any,
        count: int,
    ) -> ColumnElement[bool]:
        """Return the condition on how many rows of the person there are: some number above 0."""
        if _once(operator, count):
            return self._exists(person_id, *conditions)
        if self._context.whole and (self._dialect == "sqlite" or self._must):
            grouped = select(person_id).where(*conditions, *self._lately(node)).group_by(person_id)
            grouped = grouped.having(operator(func.count(), count))
            if self._dialect == "postgresql" and self._context.few:
                # It guesses that every third reaches a number, and would read everybody.
                from sqlalchemy.dialects.postgresql import ARRAY

                ids = func.array(grouped.scalar_subquery(), type_=ARRAY(BigInteger))
                return PersonRow.id == any_(ids)
            return self._found(grouped, person_id)
        counted = select(func.count()).where(person_id == PersonRow.id, *conditions)
        return operator(counted.correlate(PersonRow).scalar_subquery(), count)  # type: ignore[no-any-return]

    def _lately(self, node: Did | Visited) -> list[ColumnElement[bool]]:
        """Return whose events to look at, where an index has all that is asked of them.

        SQLite would go by the time, and to the table for each event, to learn whose it is. The
        sums tell who did it lately, and the index on people what they did, one after another.
        """
        if self._dialect != "sqlite" or not isinstance(node, Did) or node.tests:
            return []
        if node.window is None:
            return []
        done = EventSummaryRow.last_at >= self._now - node.window
        names = select(EventSummaryRow.person_id).where(EventSummaryRow.name == node.event, done)
        return [EventRow.person_id.in_(names)]

    def _of_session(self, test: PropertyTest) -> ColumnElement[bool]:
        node = test.test
        if isinstance(node, Not):
            part = PropertyTest(node.part)
            return self._not(lambda: self._of_session(part))
        match node:
            case Compare(Property(name), "!=", value):
                equal = PropertyTest(Compare(Property(name), "==", value))
                return self._not(lambda: self._of_session(equal))
            case Compare(Property(name), operator, value):
                column = getattr(SessionRow, name)
                met = compare_column(column, operator, value, self._now)
            case OneOf(Property(name), values):
                column = getattr(SessionRow, name)
                met = one_of_column(column, values, self._now)
            case IsSet(Property(name)):
                return getattr(SessionRow, name).is_not(None)  # type: ignore[no-any-return]
            case _:
                raise TypeError(f"{node!r} is no condition on a session.")
        return self._there(column, met)

    def _within(self, column: Any, window: timedelta | None) -> list[ColumnElement[bool]]:
        return [] if window is None else [column >= self._now - window, column <= self._now]

    def _events(self, node: Did | EventTime) -> list[ColumnElement[bool]]:
        """Return what an event must meet to count for `node`."""
        met: list[ColumnElement[bool]] = [EventRow.name == node.event]
        met += self._within(EventRow.occurred_at, node.window)
        with self._where(loose=True):
            return met + [self._test(test) for test in node.tests]

    def _test(self, test: PropertyTest) -> ColumnElement[bool]:
        node = test.test
        if isinstance(node, Not):
            return self._not(lambda: self._leaf(node.part))
        return self._leaf(node)

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
            .where(*self._events(subject))
            .group_by(EventRow.person_id)
            .having(test(edge(EventRow.occurred_at)))
        )
        return self._found(grouped, EventRow.person_id)

    def _received(self, message: str, outcome: str) -> ColumnElement[bool]:
        sources = [f"{origin}:{message}" for origin in ("rule", "send", "step")]
        of_message = DeliveryRow.source.in_(sources)
        if outcome == "sent":
            return self._exists(DeliveryRow.person_id, of_message, DeliveryRow.sent_at.is_not(None))
        # A join, which may begin with the few messages that something became of.
        return self._exists(
            DeliveryRow.person_id,
            of_message,
            DeliveryEventRow.delivery_id == DeliveryRow.id,
            DeliveryEventRow.kind == outcome,
        )

    def _exists(self, person_id: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        """Return the condition that the table of `person_id` has such a row of the person."""
        return self._found(select(person_id).where(*conditions), person_id)

    def _found(self, query: Select[Any], person_id: Any) -> ColumnElement[bool]:
        """Return the condition that `query` gives the person's id, which it selects."""
        grouped = bool(query._group_by_clauses)
        is_set = grouped and self._must
        if self._dialect == "sqlite":
            is_set = self._must or not self._few
        if self._context.whole and is_set:
            # Neither turns such an EXISTS round: a list of ids is found by one walk through an
            # index. Inside of a | or ~ PostgreSQL may go through the list once per person.
            return PersonRow.id.in_(query)
        query = query.where(person_id == PersonRow.id)
        if self._dialect == "postgresql" and not self._context.whole:
            # Keeps the planner from making a join of it. Before statistics are gathered (after
            # a first sync or import) it takes each table for one row and joins by comparing
            # everybody with everything: 30,000 people took longer than the time limit. One
            # look into an index per person costs 8 µs, and serves ranges of people as well.
            query = query.offset(0)
        return query.correlate(PersonRow).exists()


def _leaves_few(node: Filter) -> bool:
    return isinstance(node, Bucket) and node.high - node.low <= _FEW


def _once(operator: Any, count: int) -> bool:
    return (operator, count) in ((OPERATORS[">="], 1), (OPERATORS[">"], 0))


def _dealt(salt: str, low: float, high: float) -> ColumnElement[bool]:
    """Return the condition that the lots of `salt` put a person between the two shares."""
    lot = share(PersonRow.id.expression, f"bucket/{salt}")
    bounds = [lot >= below(low)] if low > 0 else []
    bounds += [lot < below(high)] if high < 1 else []
    return and_(true(), *bounds)


def _bounded(
    node: Did | Visited, met: Callable[[Any, int], ColumnElement[bool]]
) -> ColumnElement[bool]:
    if node.bound == "at_least" and node.count == 0:
        return true()
    if node.bound == "exactly" and node.count > 0:
        return met(OPERATORS["=="], node.count)
    # What includes those who never did is the complement of what doesn't.
    if node.bound == "at_least":
        return met(OPERATORS[">="], node.count)
    return not_(met(OPERATORS[">"], node.count))


def _by_kind(values: tuple[Value, ...]) -> list[tuple[Value, ...]]:
    kinds = dict.fromkeys(value.kind for value in values)
    return [tuple(value for value in values if value.kind == kind) for kind in kinds]
