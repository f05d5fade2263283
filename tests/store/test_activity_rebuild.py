"""Counting anew gives what the writer counts, heals what is wrong, and moves to another zone."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from flask_engage._guard import Guard
from flask_engage.capture.facts import Event, Seen
from flask_engage.capture.recorder import Recorder
from flask_engage.errors import NotReady
from flask_engage.store import activity_rebuild, retry
from flask_engage.store.activity import ActiveDayRow, ActiveGapRow, ActiveWeekRow
from flask_engage.store.activity_rebuild import rebuild_activity
from flask_engage.store.activity_write import add_gaps
from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow, EventTotalRow
from flask_engage.store.meta import begin_recut, keep_timezone, require_cut_in
from flask_engage.store.ready import Readiness
from tests._clock import START
from tests.capture._recorders import Recorders, table
from tests.capture.conftest import recorder, recorders

__all__ = ["recorder", "recorders"]

HOUR = timedelta(hours=1)
TOKYO = "Asia/Tokyo"


def activity(database: Database) -> list[Any]:
    gaps = table(database, ActiveGapRow, "day", "gap", "count")
    return [
        table(database, ActiveDayRow, "person_id", "day"),
        table(database, ActiveWeekRow, "person_id", "week"),
        [row for row in gaps if row[2]],
        table(database, EventTotalRow, "day", "name", "count"),
    ]


def live(recorder: Recorder, first: int = 0, number: int = 60) -> None:
    for n in range(first, first + number):
        at = START - (n * 37 % 1500) * HOUR
        assert recorder.append(Seen(at, str(n % 7)))
        assert recorder.append(Event(at, str(n % 7), "clicked"))
    recorder.flush()


def test_what_is_right_stays_and_what_is_wrong_is_healed(
    database: Database, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_rebuild, "PEOPLE", 2)
    live(recorder)
    right = activity(database)
    assert rebuild_activity(database, "UTC").corrected == 0
    assert activity(database) == right
    with database.write() as session:
        session.execute(sa.update(ActiveGapRow).values(count=ActiveGapRow.count + 5))
        session.execute(sa.delete(ActiveWeekRow).where(ActiveWeekRow.week < START.date()))
        somebody = session.scalar(sa.select(ActiveDayRow.person_id).limit(1))
        week = START.date() + timedelta(days=70)
        session.execute(sa.insert(ActiveWeekRow).values(person_id=somebody, week=week))
    done = rebuild_activity(database, "UTC")
    assert (done.people, done.recut) == (7, False)
    assert done.corrected == len(right[2])
    assert activity(database) == right


def test_it_heals_while_writers_go_on(
    database: Database, recorders: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look is followed by days of people who were looked at already."""
    monkeypatch.setattr(activity_rebuild, "PEOPLE", 1)
    recorder, writer = recorders(CAPTURE_MODE="memory"), recorders(CAPTURE_MODE="memory")
    live(recorder)
    with database.write() as session:
        session.execute(sa.update(ActiveGapRow).values(count=0))
    turn = [0]
    counted = activity_rebuild._gaps

    def write_meanwhile(*args: Any) -> Any:
        turn[0] += 1
        thread = threading.Thread(target=live, args=(writer, 100 * turn[0], 10))
        thread.start()
        if database.dialect != "sqlite":  # there it waits for our look to end
            thread.join(60)
            assert not thread.is_alive()
        waiting.append(thread)
        return counted(*args)

    waiting: list[threading.Thread] = []
    monkeypatch.setattr(activity_rebuild, "_gaps", write_meanwhile)
    rebuild_activity(database, "UTC")
    for thread in waiting:
        thread.join(60)
    writer.flush()
    monkeypatch.undo()
    healed = activity(database)
    assert rebuild_activity(database, "UTC").corrected == 0
    assert activity(database) == healed
    assert turn[0] >= 7


def test_days_move_to_another_zone(database: Database, recorders: Recorders) -> None:
    """As if they had been cut in it from the beginning."""
    in_tokyo = recorders(CAPTURE_MODE="memory", TIMEZONE=TOKYO, ready=None)
    live(in_tokyo)
    expected = activity(database)
    with database.write() as session:
        for row in (EventRow, EventTotalRow, ActiveDayRow, ActiveWeekRow, ActiveGapRow):
            session.execute(sa.delete(row))
        session.execute(sa.text("DELETE FROM engage_person"))
    live(recorders(CAPTURE_MODE="memory"))
    with database.write() as session:
        keep_timezone(session, "UTC")
    assert [len(rows) for rows in activity(database)] != [0, 0, 0, 0]
    assert rebuild_activity(database, TOKYO).recut
    found = activity(database)
    assert found[2:] == expected[2:]
    assert [day for _, day in found[0]] == [day for _, day in expected[0]]
    assert [week for _, week in found[1]] == [week for _, week in expected[1]]
    assert not rebuild_activity(database, TOKYO).recut


def test_nothing_is_stored_in_the_old_zone_meanwhile(
    migrated_url: str, database: Database, recorders: Recorders
) -> None:
    ready = Readiness(lambda: migrated_url, lambda _database: False, "UTC")
    old = recorders(ready=ready, guard=Guard(lambda: False))
    live(old, number=3)
    with database.write() as session:
        assert begin_recut(session, TOKYO) == "UTC"  # and cut off there
    assert old.append(Seen(START, "7"))
    assert old.flush() == 0
    assert "rebuild-activity" in (old.status().problem or "") or "zone" in str(old.status().problem)
    assert rebuild_activity(database, TOKYO).recut
    assert old.flush() == 0
    old.close()
    new = Readiness(lambda: migrated_url, lambda _database: False, TOKYO)
    assert recorders(ready=new, TIMEZONE=TOKYO).flush() == 1


def test_what_lies_in_no_journal_waits_for_the_new_zone_too(
    migrated_url: str, database: Database, recorders: Recorders
) -> None:
    ready = Readiness(lambda: migrated_url, lambda _database: False, "UTC")
    at_once = recorders(ready=ready, CAPTURE_MODE="sync")
    assert at_once.append(Seen(START, "7"))
    with database.write() as session:
        assert begin_recut(session, TOKYO) == "UTC"
    assert not at_once.append(Seen(START, "8"))
    assert not at_once.append(Seen(START, "8"))
    assert "rebuild-activity" in str(at_once.status().problem)
    with database.write() as session, pytest.raises(NotReady):
        require_cut_in(session, "UTC")
    assert len(table(database, ActiveDayRow, "person_id")) == 1


def test_it_takes_its_locks_in_the_order_of_writers(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer has begun its batch, and counts it when we are about to correct the counters."""
    with database.write() as session:
        keep_timezone(session, "UTC")
        add_gaps(session, {(START.date(), 1): 5})
    begun, correcting = threading.Event(), threading.Event()

    def write() -> None:
        with database.write() as session:
            require_cut_in(session, "UTC")
            begun.set()
            if database.dialect != "sqlite":  # where there is one writer at a time
                assert correcting.wait(30)
            add_gaps(session, {(START.date(), 1): 1})

    def announced(name: str) -> Any:
        work = getattr(activity_rebuild, name)

        def run(*args: Any) -> None:
            if name == "end_recut":
                correcting.set()
            work(*args)
            correcting.set()

        return run

    for name in ("add_gaps", "end_recut"):
        monkeypatch.setattr(activity_rebuild, name, announced(name))
    monkeypatch.setattr(retry, "_TRIES", 1)
    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(30)
    rebuild_activity(database, "UTC")
    writer.join(30)
    expected = 0 if database.dialect == "sqlite" else 1
    assert table(database, ActiveGapRow, "count") == [(expected,)]


def test_what_retention_removed_stays_as_it_was(database: Database, recorder: Recorder) -> None:
    live(recorder)
    with database.write() as session:
        keep_timezone(session, "UTC")
        session.execute(sa.delete(EventRow).where(EventRow.occurred_at < START - 200 * HOUR))
    before = {row[:2]: row[2] for row in table(database, EventTotalRow, "day", "name", "count")}
    rebuild_activity(database, TOKYO)
    after = {row[:2]: row[2] for row in table(database, EventTotalRow, "day", "name", "count")}
    early = (START - 210 * HOUR).date()
    assert {key: n for key, n in after.items() if key[0] < early} == {
        key: n for key, n in before.items() if key[0] < early
    }
