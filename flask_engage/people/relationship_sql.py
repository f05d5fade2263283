"""The relationship score in SQL: what is counted of each person, and the points for it.

    35 · 2^(-d / h)                      seen d days ago; h is the median gap between active days
  + 30 · min(1, L28 / P90)               active days in 28
  + 15 · min(1, ln(1+e28) / ln(1+P95))   core events in 28 days
  + 20 · reply                           (replies + 0.5 · clicks + 1) / (delivered + 4), at most 1

Hearts are one for each 20 points or part of them. The 1 and the 4 keep one answer from being all of
them; they also give everybody some points, so that no heart at all is left to formulas of a host's.

One statement for the people of a range of ids, the same on the three databases. Each derived
table names the range, and a LIMIT that can't be reached keeps each layer apart: databases would
otherwise work out a formula as often as it is referred to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Integer,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
    type_coerce,
)

from ..store.activity import ActiveDayRow
from ..store.base import UTCDateTime
from ..store.delivery import DeliveryEventRow, DeliveryRow
from ..store.event import EventRow, EventSummaryRow
from ..store.person import PersonRow, is_live
from ..store.relationship import Norms, RelationshipRow
from .relationship_words import Words

PEOPLE = 5_000
"""People in one statement and transaction: on SQLite they are what others wait for."""
_ALL = 2**31 - 1
HABIT_DAYS = 180
"""Active days that make the habit: what was longer ago says little of how somebody comes now,
and takes long to read."""
NEW_DAYS = 7
"""Who is younger has no hearts yet."""
FALLING_ASLEEP = (2.0, 30.0)
"""Half-lives, in days, stay within these."""
HALF_LIFE = 7.0
"""Of those with less than two active days."""

WHOLE = {"recency": 35.0, "frequency": 30.0, "depth": 15.0, "reply": 20.0}
"""The points that each part can give."""

_LOW, _HIGH = bindparam("low", type_=BigInteger), bindparam("high", type_=BigInteger)
_BITS = {"clicked": 1, "replied": 2, "bounced": 4, "dismissed": 8}


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment for which everybody is measured."""

    now: datetime
    today: date
    """The day that `now` is on, where days are cut."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is known of each person, as columns: what a formula of the host's is made of."""

    user_id: ColumnElement[str | None]
    """The host's id, as text."""
    recency: ColumnElement[float]
    """0 to 35 points; with the next three, the usual score is their sum."""
    frequency: ColumnElement[float]
    """0 to 30 points."""
    depth: ColumnElement[float]
    """0 to 15 points."""
    reply: ColumnElement[float]
    """0 to 20 points."""
    days_since_seen: ColumnElement[float | None]
    days_since_signed_up: ColumnElement[float | None]
    half_life: ColumnElement[float]
    """Median gap between active days, 2 to 30."""
    l28: ColumnElement[int]
    """Active days in the last 28."""
    l14: ColumnElement[int]
    """Active days in the last 14."""
    e28: ColumnElement[int]
    """Core events in the last 28 days."""
    sessions: ColumnElement[int]
    delivered: ColumnElement[int]
    clicks: ColumnElement[int]
    replies: ColumnElement[int]
    dismissals: ColumnElement[int]
    """Messages dismissed in the last 30 days."""
    words: Words

    def exp(self, value: ColumnElement[Any] | float) -> ColumnElement[float]:
        """Return e to the power of `value`, on each of the databases.

        What is beyond -700 or 700 counts as that; nothing gives nothing.
        """
        return self.words.exp_of_any(self.words.double(value))

    def ln(self, value: ColumnElement[Any] | float) -> ColumnElement[float]:
        """Return the natural logarithm of `value`; nothing where that is not above 0."""
        return self.words.ln(self.words.double(value))


Formula = Callable[[Parts], Any]
"""Gives an SQL expression for the score, 0 to 100."""


# --- what is counted -------------------------------------------------------------------------


def active_days(moment: Moment) -> Subquery:
    """Return the active days in 28 and in 14, of those of the range who have any."""
    day = ActiveDayRow.day
    since = moment.today - timedelta(days=28)
    lately = case((day > moment.today - timedelta(days=14), 1), else_=0)
    return (
        select(
            ActiveDayRow.person_id,
            func.count().label("l28"),
            cast(func.sum(lately), Integer).label("l14"),
        )
        .where(ActiveDayRow.person_id.between(_LOW, _HIGH), day > since, day <= moment.today)
        .group_by(ActiveDayRow.person_id)
        .subquery("active")
    )


def core_events(moment: Moment, core: Collection[str] | None) -> Subquery:
    """Return how many events those of the range had in 28 days, if any.

    The sums of each person tell what to look for, and the index on the events where.
    """
    since = moment.now - timedelta(days=28)
    done = (
        select(func.count())
        .where(
            EventRow.person_id == EventSummaryRow.person_id,
            EventRow.name == EventSummaryRow.name,
            EventRow.occurred_at > since,
            EventRow.occurred_at <= moment.now,
        )
        .correlate(EventSummaryRow)
        .scalar_subquery()
    )
    counted = select(EventSummaryRow.person_id, done.label("n")).where(
        EventSummaryRow.person_id.between(_LOW, _HIGH), EventSummaryRow.last_at > since
    )
    if core is not None:
        counted = counted.where(EventSummaryRow.name.in_(sorted(core)))
    by_name = counted.subquery("done")
    return (
        select(by_name.c.person_id, cast(func.sum(by_name.c.n), Integer).label("e28"))
        .group_by(by_name.c.person_id)
        .subquery("events")
    )


def _habits(moment: Moment, words: Words) -> Subquery:
    """Return the median of the gaps between active days, of those who have two."""
    day, person = ActiveDayRow.day, ActiveDayRow.person_id
    former = func.lag(day).over(partition_by=person, order_by=day).label("former")
    since = moment.today - timedelta(days=HABIT_DAYS)
    days = (
        select(person, day, former)
        .where(person.between(_LOW, _HIGH), day > since, day <= moment.today)
        .subquery("days")
    )
    apart = words.days_apart(days.c.day, days.c.former)
    gaps = select(days.c.person_id, apart.label("gap")).where(days.c.former.is_not(None))
    gap = gaps.subquery("gap")
    among = func.row_number().over(partition_by=gap.c.person_id, order_by=gap.c.gap)
    whole = func.count().over(partition_by=gap.c.person_id)
    ranked = select(gap.c.person_id, gap.c.gap, among.label("place"), whole.label("n")).subquery(
        "ranked"
    )
    # The one in the middle, or the two.
    middle = (ranked.c.place * 2).between(ranked.c.n, ranked.c.n + 2)
    median = words.double(func.sum(ranked.c.gap)) / words.double(func.count())
    return (
        select(ranked.c.person_id, median.label("gap"))
        .where(middle)
        .group_by(ranked.c.person_id)
        .subquery("habit")
    )


def _messages(moment: Moment) -> Subquery:
    """Return what those of the range were sent, and what they made of it."""
    happened = DeliveryEventRow
    lately = happened.occurred_at > moment.now - timedelta(days=30)

    def bit(kind: str, bit: int) -> ColumnElement[int]:
        has = happened.kind == kind
        return func.max(case((and_(has, lately) if kind == "dismissed" else has, bit), else_=0))

    # One look for each message. Several clicks in one are one. A sum of the DISTINCT would say it
    # in less, and sort for each message.
    bits = [bit(kind, one) for kind, one in _BITS.items()]
    outcome = (
        select(func.coalesce(sum(bits[1:], bits[0]), 0))
        .where(happened.delivery_id == DeliveryRow.id, happened.occurred_at <= moment.now)
        .correlate(DeliveryRow)
        .scalar_subquery()
    )
    sent = (
        select(DeliveryRow.person_id, cast(outcome, Integer).label("bits"))
        .where(DeliveryRow.person_id.between(_LOW, _HIGH), DeliveryRow.state == "sent")
        .limit(_ALL)  # else PostgreSQL looks once for each of the four that are counted
        .subquery("sent")
    )

    def how_many(kind: str, *, without: bool = False) -> ColumnElement[int]:
        has = sent.c.bits.bitwise_and(literal(_BITS[kind], Integer)) > 0
        return cast(func.sum(case((has, 0 if without else 1), else_=1 if without else 0)), Integer)

    return (
        select(
            sent.c.person_id,
            how_many("bounced", without=True).label("delivered"),
            how_many("clicked").label("clicks"),
            how_many("replied").label("replies"),
            how_many("dismissed").label("dismissals"),
        )
        .group_by(sent.c.person_id)
        .subquery("messages")
    )


def measured_among_active(moment: Moment, core: Collection[str] | None) -> Select[int, int, int]:
    """Return (l28, e28, how many people) of those of the range who were active in 28 days."""
    active, events = active_days(moment), core_events(moment, core)
    e28 = func.coalesce(events.c.e28, 0).label("e28")
    rows = (
        select(active.c.l28, e28)
        .join(PersonRow, PersonRow.id == active.c.person_id)
        .outerjoin(events, events.c.person_id == active.c.person_id)
        .where(PersonRow.id.between(_LOW, _HIGH), is_live())
        .subquery("both")
    )
    return select(rows.c.l28, rows.c.e28, func.count()).group_by(rows.c.l28, rows.c.e28)


def measured(moment: Moment, core: Collection[str] | None, words: Words) -> Subquery:
    """Return what is counted of everybody of the range."""
    active, events = active_days(moment), core_events(moment, core)
    habit, messages = _habits(moment, words), _messages(moment)
    row = PersonRow
    low, high = FALLING_ASLEEP
    gap = func.coalesce(habit.c.gap, words.double(HALF_LIFE))
    half_life = case(
        (gap < words.double(low), words.double(low)),
        (gap > words.double(high), words.double(high)),
        else_=gap,
    )
    born = func.coalesce(row.signed_up_at, row.first_seen_at)
    last_seen: Any = row.last_seen_at
    signed_up: Any = row.signed_up_at
    is_new = and_(born.is_not(None), born > moment.now - timedelta(days=NEW_DAYS))

    def counted(column: ColumnElement[Any]) -> ColumnElement[int]:
        return func.coalesce(column, 0).label(column.key)

    return (
        select(
            row.id,
            row.user_id,
            row.last_seen_at.label("seen_at"),
            words.age_in_days(last_seen, moment.now).label("days_since_seen"),
            words.age_in_days(signed_up, moment.now).label("days_since_signed_up"),
            row.session_count.label("sessions"),
            case((row.unsubscribed_at.is_not(None), 1), else_=0).label("unsubscribed"),
            case((is_new, 1), else_=0).label("is_new"),
            type_coerce(half_life, Double).label("half_life"),
            *map(counted, (active.c.l28, active.c.l14, events.c.e28)),
            *map(counted, (messages.c.delivered, messages.c.clicks)),
            *map(counted, (messages.c.replies, messages.c.dismissals)),
        )
        .outerjoin(active, active.c.person_id == row.id)
        .outerjoin(events, events.c.person_id == row.id)
        .outerjoin(habit, habit.c.person_id == row.id)
        .outerjoin(messages, messages.c.person_id == row.id)
        .where(row.id.between(_LOW, _HIGH), is_live())
        .limit(PEOPLE)
        .subquery("measured")
    )


# --- the points ------------------------------------------------------------------------------


def pointed(moment: Moment, norms: Norms, core: Collection[str] | None, words: Words) -> Subquery:
    """Return what is counted of everybody, and the points for it, not rounded."""
    found = measured(moment, core, words)
    column, double = found.c, words.double
    lives = column.days_since_seen / column.half_life
    # Beyond that nothing is left, and PostgreSQL refuses to say so.
    halved = words.exp(lives * double(-0.6931471805599453))
    recency = case(
        (column.days_since_seen.is_(None), double(0.0)),
        (lives > double(60.0), double(0.0)),
        else_=halved,
    )
    often = double(column.l28) / double(norms.days)
    much = words.ln(double(column.e28) + double(1.0)) / words.ln(double(norms.events + 1.0))
    answers = double(column.replies) + double(column.clicks) * double(0.5) + double(1.0)
    answered = answers / (double(column.delivered) + double(4.0))
    shares = {
        "recency": recency,
        "frequency": words.at_most_one(often),
        "depth": words.at_most_one(much),
        "reply": words.at_most_one(answered),
    }
    points = [(share * double(WHOLE[name])).label(name) for name, share in shares.items()]
    return select(found, *points).limit(PEOPLE).subquery("pointed")


def scored(found: Subquery, words: Words, formula: Formula | None) -> Subquery:
    """Return the parts and the score in whole hundredths of a point, that add up."""
    hundredths = {name: words.hundredths(found.c[name]) for name in WHOLE}
    total: ColumnElement[int]
    if formula is None:
        total = sum(hundredths.values(), literal(0, Integer))
    else:
        total = words.hundredths(words.within_100(formula(parts_of(found, words))))
    own = [column for column in found.c if column.key not in WHOLE]
    return (
        select(
            *own,
            *(value.label(name) for name, value in hundredths.items()),
            total.label("total"),
        )
        .limit(PEOPLE)
        .subquery("scored")
    )


def parts_of(found: Subquery, words: Words) -> Parts:
    """Return what a formula of the host's is given."""
    names = [name for name in Parts.__dataclass_fields__ if name != "words"]
    return Parts(**{name: found.c[name] for name in names}, words=words)


def changed(found: Subquery, words: Words, now: datetime) -> tuple[list[str], Select[Any]]:
    """Return the columns, and the rows of those of the range who are not as they were."""
    column, was = found.c, RelationshipRow
    total = column.total
    steps = case(
        *((total <= 2000 * hearts, hearts) for hearts in range(5)), else_=literal(5, Integer)
    )
    is_capped = (column.unsubscribed == 1) | (column.dismissals >= 2)
    hearts = case(
        (column.is_new == 1, None), (and_(is_capped, total > 4000), 2), else_=steps
    ).label("hearts")
    before = column.l28 - column.l14
    moved, limit = 10 * (column.l14 - before), 3 * (column.l14 + before + 1)
    trend = case((moved > limit, 1), (moved < -limit, -1), else_=0)
    values: dict[str, ColumnElement[Any]] = {
        "score": words.double(total) / words.double(100.0),
        "hearts": type_coerce(hearts, Integer),
        "trend": trend,
        **{name: words.double(column[name]) / words.double(100.0) for name in WHOLE},
        "seen_at": column.seen_at,
        **{name: column[name] for name in ("half_life", "l28", "l14", "e28")},
        **{name: column[name] for name in ("delivered", "clicks", "replies", "dismissals")},
    }
    moment = literal(now, UTCDateTime())
    turned = was.hearts.is_distinct_from(values["hearts"])
    known = was.person_id.is_not(None)
    more = {
        "computed_at": moment,
        "previous_hearts": case((and_(known, turned), was.hearts), else_=was.previous_hearts),
        "hearts_at": case((turned, moment), else_=was.hearts_at),
    }
    differs = was.person_id.is_(None)
    for name, value in values.items():
        differs |= getattr(was, name).is_distinct_from(value)
    rows = (
        select(column.id, *(v.label(k) for k, v in {**values, **more}.items()))
        .outerjoin(was, was.person_id == column.id)
        .where(differs)
    )
    return ["person_id", *values, *more], rows
