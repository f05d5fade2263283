"""When somebody is here: days and hours of a zone's own clock, on each database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from flask_engage.dashboard.calendar import habit_words, year_drawing
from flask_engage.reports.habits import HABIT_WEEKS, Habit, Year, habits
from flask_engage.store import person_activity
from flask_engage.store.activity import ActiveDayRow
from flask_engage.store.engine import Database
from flask_engage.store.event_write import NewEvents, insert_events
from flask_engage.store.person import PersonRow
from flask_engage.store.session import SessionRow

NOW = datetime(2026, 4, 8, 10, tzinfo=UTC)  # a Wednesday
HOUR = timedelta(hours=1)


@pytest.fixture
def ada(database: Database) -> int:
    with database.write() as session:
        row = PersonRow(user_id="ada", created_at=NOW, updated_at=NOW)
        session.add(row)
        session.flush()
        return row.id


def did(database: Database, person_id: int, *moments: datetime, name: str = "saved") -> None:
    with database.write() as session:
        rows = [(person_id, None, name, {}, at, at) for at in moments]
        insert_events(session, NewEvents(*zip(*rows, strict=True)))


def told(database: Database, person_id: int, zone: str, week_start: int = 0) -> tuple[Year, Habit]:
    with database.read() as session:
        return habits(session, person_id, ZoneInfo(zone), NOW, week_start)


def events_of(year: Year) -> dict[date, int]:
    return {day.date: day.events for day in year.days if day.events}


def here_at(habit: Habit) -> dict[tuple[int, int], int]:
    return {
        (weekday, hour): count
        for weekday, counts in enumerate(habit.hours)
        for hour, count in enumerate(counts)
        if count
    }


@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "Europe/Berlin",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Kiritimati",
    ],
)
def test_days_and_hours_are_those_of_the_zone(zone: str, database: Database, ada: int) -> None:
    """Every 50 minutes of four weeks with changes of clocks in them, against counting by hand."""
    local = ZoneInfo(zone)
    begins = [datetime(2026, 3, 1, tzinfo=UTC), datetime(2025, 10, 20, tzinfo=UTC)]
    moments = [
        begin + timedelta(minutes=50 * number, seconds=number % 60, microseconds=999_999)
        for begin in begins
        for number in range(28 * 24)
    ]
    did(database, ada, *moments)
    year, habit = told(database, ada, zone)
    days: dict[date, int] = {}
    hours: set[tuple[date, int]] = set()
    lately = NOW.astimezone(local).date() - timedelta(days=2, weeks=HABIT_WEEKS - 1)
    for moment in moments:
        at = moment.astimezone(local)
        days[at.date()] = days.get(at.date(), 0) + 1
        if at.date() >= lately:
            hours.add((at.date(), at.hour))
    assert events_of(year) == days
    expected: dict[tuple[int, int], int] = {}
    for day, hour in hours:
        expected[day.weekday(), hour] = expected.get((day.weekday(), hour), 0) + 1
    assert here_at(habit) == expected


def test_a_year_ends_today_and_begins_on_a_monday(database: Database, ada: int) -> None:
    year, habit = told(database, ada, "Pacific/Kiritimati")  # where it is Thursday by now
    assert year.days[-1].date == date(2026, 4, 9)
    assert year.days[0].date.weekday() == 0
    assert len(year.days) == 52 * 7 + 4
    assert (year.active, year.last, habit.weekdays) == (0, None, ())
    assert {day.level for day in year.days} == {0}


@pytest.mark.parametrize(("week_start", "in_week"), [(0, 3), (5, 5), (6, 4)])
def test_weeks_begin_with_the_day_that_is_asked_for_and_days_stay_what_they_are(
    week_start: int, in_week: int, database: Database, ada: int
) -> None:
    """Today is a Wednesday: the third day of a week from Monday, the fifth of one from Saturday."""
    monday, sunday = datetime(2026, 4, 6, 9, tzinfo=UTC), datetime(2026, 4, 5, 9, tzinfo=UTC)
    did(database, ada, monday, sunday, sunday)
    year, habit = told(database, ada, "UTC", week_start)
    assert year.days[0].date.weekday() == week_start
    assert len(year.days) == 52 * 7 + in_week
    assert events_of(year) == {monday.date(): 1, sunday.date(): 2}
    assert here_at(habit) == {(0, 9): 1, (6, 9): 1}
    rows = [name for _y, name in year_drawing(year).rows]
    assert (
        rows
        == {0: ["Mon", "Wed", "Fri"], 5: ["Sat", "Mon", "Wed"], 6: ["Sun", "Tue", "Thu"]}[
            week_start
        ]
    )
    # Each day of a week lies below the one before it, the first at the top.
    tops = {mark.day.date.weekday(): mark.y for mark in year_drawing(year).marks}
    assert (tops[0] < tops[6]) is (week_start == 0)


def test_a_day_is_active_by_a_sighting_alone_and_its_level_is_its_owns(
    database: Database, ada: int
) -> None:
    with database.write() as session:
        session.add(ActiveDayRow(person_id=ada, day=date(2026, 4, 1)))
    for number in range(1, 9):
        at = datetime(2026, 3, number, 9, tzinfo=UTC)
        did(database, ada, *(at + n * timedelta(minutes=1) for n in range(number * 10)))
    year, _habit = told(database, ada, "UTC")
    levels = {day.date.day: day.level for day in year.days if day.is_active}
    assert levels == {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 3, 8: 4}
    assert year.active == 9
    assert [figures for month, *figures in year.months if month.month in (3, 4)][:2] == [
        [1, 0],
        [8, 360],
    ]


def test_a_session_is_there_for_all_of_its_hours(database: Database, ada: int) -> None:
    begin = datetime(2026, 4, 6, 8, 50, tzinfo=UTC)
    with database.write() as session:
        session.add(SessionRow(person_id=ada, started_at=begin, last_at=begin + 2 * HOUR))
    _year, habit = told(database, ada, "Asia/Kathmandu")  # 14:35 to 16:35
    assert here_at(habit) == {(0, 14): 1, (0, 15): 1, (0, 16): 1}


def test_a_habit_is_told_once_there_is_one(database: Database, ada: int) -> None:
    mondays = [datetime(2026, 3, day, 23, tzinfo=UTC) for day in (2, 9, 16, 23)]
    did(database, ada, *mondays)
    assert told(database, ada, "UTC")[1].weekdays == ()
    did(database, ada, *(monday + HOUR for monday in mondays))
    did(database, ada, *(monday - HOUR for monday in mondays))
    habit = told(database, ada, "UTC")[1]
    assert habit.weekdays == (0, 1)
    assert habit.span == (22, 0)
    assert habit.level(0, 23) == 4


def test_what_was_done_too_often_is_left_out_and_named(
    database: Database, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person_activity, "MOST_EVENTS", 10)
    did(database, ada, *(NOW - n * HOUR for n in range(11)), name="heartbeat")
    did(database, ada, *(NOW - n * HOUR for n in range(3)))
    year, _habit = told(database, ada, "UTC")
    assert year.left_out == ("heartbeat",)
    assert sum(events_of(year).values()) == 3


@pytest.mark.parametrize(
    ("weekdays", "from_monday", "from_sunday", "from_saturday"),
    [
        ((0, 1, 2), "Monday to Wednesday", "Monday to Wednesday", "Monday to Wednesday"),
        ((0, 1, 6), "Monday, Tuesday, Sunday", "Sunday to Tuesday", "Sunday to Tuesday"),
        ((0, 5, 6), "Monday, Saturday, Sunday", "Sunday, Monday, Saturday", "Saturday to Monday"),
        ((5, 6), "at weekends", "at weekends", "at weekends"),
        (tuple(range(7)), "every day", "every day", "every day"),
    ],
)
def test_the_days_of_a_habit_are_told_in_the_order_of_the_week(
    weekdays: tuple[int, ...], from_monday: str, from_sunday: str, from_saturday: str
) -> None:
    habit = Habit(((0,) * 24,) * 7, HABIT_WEEKS, False, weekdays, (9, 17))
    for start, words in ((0, from_monday), (6, from_sunday), (5, from_saturday)):
        assert habit_words(habit, start) == f"Mostly {words}, from 09:00 to 17:00."
