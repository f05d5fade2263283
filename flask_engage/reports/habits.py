"""When one person is here: the days of a year, and the hours of their week."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from ..store.person_activity import (
    MOST_SESSIONS,
    Stretch,
    active_days,
    countable_names,
    event_spans,
    session_times,
)

WEEKS = 53
"""Columns of the year: today's week and the 52 before it."""
HABIT_WEEKS = 13
"""A habit is what somebody does these days: today's week and the twelve before it."""
LEVELS = 4
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (on the zone's own clock)
_DAY, _HOUR = 24 * 3600, 3600
_ENOUGH = 5
"""Hours with activity from which something like a habit is told."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the year."""

    date: date
    events: int
    is_active: bool
    level: int
    """0: not here; 1 to 4: more and more, measured by the person's own days."""


@dataclass(frozen=True, slots=True)
class Year:
    """The days of a year, from the begin of a week to today, cut in ``ENGAGE_TIMEZONE``."""

    days: tuple[Day, ...]
    left_out: tuple[str, ...]
    """Events of these names are too many to be counted here."""

    @property
    def active(self) -> int:
        """On how many of the days the person was here."""
        return sum(day.is_active for day in self.days)

    @property
    def last(self) -> date | None:
        """The last of them."""
        return max((day.date for day in self.days if day.is_active), default=None)

    @property
    def months(self) -> list[tuple[date, int, int]]:
        """Month by month, the newest first: its first day, active days, events."""
        active: Counter[date] = Counter()
        events: Counter[date] = Counter()
        for day in self.days:
            month = day.date.replace(day=1)
            active[month] += day.is_active
            events[month] += day.events
        return [(month, active[month], events[month]) for month in sorted(active, reverse=True)]


@dataclass(frozen=True, slots=True)
class Habit:
    """In how many of the weeks the person was here at each hour, cut in ``ENGAGE_TIMEZONE``."""

    hours: tuple[tuple[int, ...], ...]
    """By weekday from Monday, then by hour."""
    weeks: int
    """Of how many."""
    is_cut: bool
    """Whether only the newest sessions were looked at."""
    weekdays: tuple[int, ...] = ()
    """The weekdays on which they mostly come; none if it is too early to tell."""
    span: tuple[int, int] = (0, 0)
    """From which hour to which, the second one excluded; it may lie before the first."""

    @property
    def most(self) -> int:
        """The highest of the figures."""
        return max(max(day) for day in self.hours)

    def level(self, weekday: int, hour: int) -> int:
        """Return 0 for never, or 1 to 4."""
        return _part(self.hours[weekday][hour], self.most)


def habits(
    session: Session, person_id: int, zone: ZoneInfo, now: datetime, week_start: int = 0
) -> tuple[Year, Habit]:
    """Return the year that ends with the day of `now`, and the week of somebody's habits.

    :param week_start: the weekday with which weeks begin, from Monday.
    """
    today = now.astimezone(zone).date()
    begin = today - timedelta(days=(today.weekday() - week_start) % 7)
    first, lately = (begin - timedelta(weeks=n - 1) for n in (WEEKS, HABIT_WEEKS))
    since, recent = _midnight(first, zone), _midnight(lately, zone)
    end = _midnight(today + timedelta(days=1), zone)
    names, left_out = countable_names(session, person_id, since)
    by_day = event_spans(session, person_id, names, _stretches(zone, since, end), _DAY)
    by_hour = event_spans(session, person_id, names, _stretches(zone, recent, end), _HOUR)
    counts = Counter({(_EPOCH + timedelta(days=n)).date(): count for n, count in by_day.items()})
    active = {*active_days(session, person_id, first), *counts}
    hours = {_EPOCH + timedelta(hours=span) for span in by_hour}
    year = Year(_days(first, today, counts, active), tuple(left_out))
    return year, _habit(session_times(session, person_id, recent), hours, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _stretches(zone: ZoneInfo, begin: datetime, end: datetime) -> list[Stretch]:
    """Cut the time from `begin` to `end` wherever the zone's clocks are put forward or back."""
    found: list[Stretch] = []
    since = begin
    while since < end:
        until, offset = since, _offset(zone, since)
        while until < end and _offset(zone, until) == offset:
            until += timedelta(days=1)
        if _offset(zone, until) != offset:
            until = _change(zone, until - timedelta(days=1), until)
        found.append(Stretch(since, min(until, end), offset))
        since = until
    return found


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the moment, to the second, at which the clocks are put forward or back."""
    offset = _offset(zone, before)
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        is_same = _offset(zone, before + timedelta(seconds=middle)) == offset
        low, high = (middle, high) if is_same else (low, middle)
    return before + timedelta(seconds=high)


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    ahead = moment.astimezone(zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())


def _days(first: date, today: date, counts: Counter[date], active: set[date]) -> tuple[Day, ...]:
    limits = _limits([count for count in counts.values() if count])
    return tuple(
        Day(day, counts[day], day in active, _level(counts[day], day in active, limits))
        for day in (first + timedelta(days=n) for n in range((today - first).days + 1))
    )


def _limits(counts: list[int]) -> list[int]:
    """Return above how many events a day is of the second, third and fourth level."""
    ordered = sorted(counts)
    return [ordered[len(ordered) * part // LEVELS] for part in range(1, LEVELS)] if ordered else []


def _level(count: int, is_active: bool, limits: list[int]) -> int:
    return (1 + sum(count > limit for limit in limits)) if is_active else 0


def _habit(seen: list[tuple[datetime, datetime]], hours: set[datetime], zone: ZoneInfo) -> Habit:
    for begin, end in seen:
        moment = begin.replace(minute=0, second=0, microsecond=0)
        while moment <= end:
            for at in (max(moment, begin), min(moment + timedelta(minutes=59), end)):
                local = at.astimezone(zone)
                hours.add(local.replace(minute=0, second=0, microsecond=0, tzinfo=None, fold=0))
            moment += timedelta(hours=1)
    # The hour that comes twice when clocks go back is one hour of the week.
    counts = Counter((hour.weekday(), hour.hour) for hour in hours)
    grid = tuple(tuple(counts[weekday, hour] for hour in range(24)) for weekday in range(7))
    is_cut = len(seen) == MOST_SESSIONS
    if len(hours) < _ENOUGH:
        return Habit(grid, HABIT_WEEKS, is_cut)
    days = [sum(day) for day in grid]
    mostly = tuple(number for number, count in enumerate(days) if 2 * count >= max(days))
    return Habit(
        grid, HABIT_WEEKS, is_cut, mostly, _span_of_half([sum(h) for h in zip(*grid, strict=True)])
    )


def _span_of_half(by_hour: list[int]) -> tuple[int, int]:
    """Return the shortest stretch of the clock that holds half of what there is."""
    sums = [0, *accumulate(by_hour * 2)]
    half = sums[24] / 2
    length, begin = min(
        (length, begin)
        for length in range(1, 25)
        for begin in range(24)
        if sums[begin + length] - sums[begin] >= half
    )
    return begin, (begin + length) % 24


def _part(count: int, most: int) -> int:
    return 0 if not count else max(1, -(-LEVELS * count // most))
