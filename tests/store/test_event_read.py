"""What the pages on events read: the catalogue, the newest events, a name's trend, DAU to MAU."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from flask_engage.capture.facts import Event, Seen
from flask_engage.capture.recorder import Recorder
from flask_engage.store import event_read
from flask_engage.store.activity import ActiveDayRow, ActiveOn, active_people
from flask_engage.store.engine import Database
from flask_engage.store.event_read import (
    count_event_names,
    event_days,
    event_name,
    event_names,
    newest_events,
)
from flask_engage.store.person import PersonRow
from tests._clock import START
from tests.capture._recorders import Recorders
from tests.capture.conftest import recorder, recorders

__all__ = ["recorder", "recorders"]  # the fixtures of the room that writes what is read here

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def fill(recorder: Recorder) -> None:
    for n in range(6):
        name = ("Saved Link", "paid_50%", "exported")[n % 3]
        at = START + n * MINUTE
        assert recorder.append(Event(at, f"u{n % 2}", name, {"n": n, "plan": "pro", "f": 1.0}))
    assert recorder.append(Event(START - 3 * DAY, "u0", "exported", {"late": True}))
    assert recorder.flush() == 7


def test_the_catalogue_in_pages(database: Database, recorder: Recorder) -> None:
    fill(recorder)
    with database.read() as session:
        assert [(n.name, n.count) for n in event_names(session, sort="count")] == [
            ("exported", 3),
            ("Saved Link", 2),
            ("paid_50%", 2),
        ]
        found = event_names(session, sort="name", descending=False, limit=1, offset=1)
        assert [n.name for n in found] == ["exported"]
        exported = event_name(session, "exported")
        assert exported is not None
        assert (exported.first_at, exported.last_at) == (START - 3 * DAY, START + 5 * MINUTE)
        assert event_name(session, "unheard of") is None
        assert [n.name for n in event_names(session, search="saved l")] == ["Saved Link"]
        assert [n.name for n in event_names(session, search="_50%")] == ["paid_50%"]
        assert count_event_names(session) == 3
        assert count_event_names(session, search="%") == 1


def test_a_name_by_day(database: Database, recorder: Recorder) -> None:
    fill(recorder)
    today = START.date()
    with database.read() as session:
        assert event_days(session, "exported", today - 9 * DAY, today) == {
            today - 3 * DAY: 1,
            today: 2,
        }
        assert event_days(session, "exported", today - DAY, today - DAY) == {}


def test_the_newest_events(database: Database, recorder: Recorder) -> None:
    fill(recorder)
    with database.read() as session:
        everything = newest_events(session).events
        assert [e.properties.get("n") for e in everything] == [5, 4, 3, 2, 1, 0, None]
        assert (everything[0].user_id, everything[0].name) == ("u1", "exported")
        [newest] = newest_events(session, name="exported", limit=1).events
        assert newest.properties == {"n": 5, "plan": "pro", "f": 1}
        whose = session.scalar(sa.select(PersonRow.id).where(PersonRow.user_id == "u0"))
        assert whose is not None
        mine = newest_events(session, person_id=whose, name="exported").events
        assert [e.occurred_at for e in mine] == [START + 2 * MINUTE, START - 3 * DAY]


def test_what_has_come_since(database: Database, recorder: Recorder) -> None:
    fill(recorder)
    with database.read() as session:
        first = newest_events(session)
    assert recorder.append(Event(START - 9 * DAY, "u1", "imported"))
    recorder.flush()
    with database.read() as session:
        second = newest_events(session, after=first.cursor)
    known = {event.id for event in first.events}
    assert [e.name for e in second.events if e.id not in known] == ["imported"]
    assert second.cursor > first.cursor


def test_the_newest_events_with_a_property(
    database: Database, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(recorder)
    with database.read() as session:

        def numbers(key: str, value: str, **more: int) -> list[object]:
            found = newest_events(session, where=(key, value), **more)  # type: ignore[arg-type]
            assert found.complete
            return [event.properties.get("n") for event in found.events]

        assert numbers("n", "3") == [3]
        assert numbers("plan", "pro", limit=2) == [5, 4]
        assert numbers("f", "1", limit=1) == [5]
        assert numbers("late", "true") == [None]
        assert numbers("late", "yes") == [None]
        assert numbers("late", "no") == []
        assert numbers("n", "None") == []
        monkeypatch.setattr(event_read, "WINDOW", 4)
        monkeypatch.setattr(event_read, "_AT_ONCE", 2)
        bounded = newest_events(session, where=("n", "0"))
    assert not bounded.complete
    assert bounded.events == []


def test_active_people_are_the_different_people_of_each_stretch(
    database: Database, recorders: Recorders
) -> None:
    """Against counting different people in the days themselves."""
    recorder = recorders(CAPTURE_MODE="memory")
    for person in range(12):
        for n in range(1 + person % 4):
            at = START - DAY * ((person * 7 + n * (5 + person)) % 75)
            assert recorder.append(Seen(at, str(person)))
    recorder.flush()
    last = START.date()
    first = last - timedelta(days=44)
    with database.read() as session:
        found = active_people(session, first, last)

        def different(day: date, length: int) -> int:
            reach = ActiveDayRow.day.between(day - timedelta(days=length - 1), day)
            counted = sa.func.count(sa.distinct(ActiveDayRow.person_id))
            return session.scalar(sa.select(counted).where(reach)) or 0

        assert found == [
            ActiveOn(day, different(day, 1), different(day, 7), different(day, 30))
            for day in (first + timedelta(days=n) for n in range(45))
        ]
        assert max(day.monthly for day in found) > max(day.daily for day in found) > 0
        assert active_people(session, last, first) == []
