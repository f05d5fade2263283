"""Each fact once: replays, rivals, poison, a database that is away, a schema that is newer."""

from __future__ import annotations

import logging
import shutil
import threading
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from flask_engage._guard import Guard
from flask_engage.capture import facts as facts_module
from flask_engage.capture.facts import Attributes, Event, Increment, Seen, to_wire
from flask_engage.capture.journal_file import JournalFile
from flask_engage.capture.recorder import Recorder
from flask_engage.store.attribute import AttributeRow
from flask_engage.store.engine import Database, open_database
from flask_engage.store.event import EventKeyRow, EventRow, EventSummaryRow
from flask_engage.store.event_write import NewEvents
from flask_engage.store.journal import DeadLetterRow, JournalRow
from flask_engage.store.migrate import HEAD
from flask_engage.store.person import PersonRow, TombstoneRow
from flask_engage.store.person_write import tombstone_of
from flask_engage.store.ready import Readiness
from flask_engage.store.session import SessionRow
from tests._clock import START
from tests.capture._recorders import Recorders, table

MINUTE = timedelta(minutes=1)


def event(n: int = 0, user_id: str = "7", name: str = "clicked", **more: Any) -> Event:
    return Event(START + n * MINUTE, user_id, name, {"n": n}, **more)


def test_a_file_that_comes_back_is_not_stored_again(
    database: Database, recorders: Recorders
) -> None:
    recorder = recorders()
    for n in range(20):
        assert recorder.append(event(n))
    kept = recorders.folder.with_name("copy")
    shutil.copytree(recorders.folder, kept)
    assert recorder.flush() == 20
    recorder.close()
    for path in kept.iterdir():  # as after a power cut that undid the removal
        shutil.copy(path, recorders.folder)
    other = recorders()
    assert other.flush() == 0
    assert len(table(database, EventRow, "name")) == 20
    assert not list(recorders.folder.glob("*.journal"))


def test_an_adopted_file_that_comes_back_is_not_stored_again(
    database: Database, recorders: Recorders
) -> None:
    recorder = recorders()
    assert recorder.append(event())
    recorder.close()
    [path] = recorders.folder.glob("*.journal")
    data = path.read_bytes()
    assert recorders().flush() == 1
    assert not path.exists()
    assert table(database, JournalRow, "file", "position") == [(path.name, -1)]
    path.write_bytes(data)
    assert recorders().flush() == 0
    assert len(table(database, EventRow, "name")) == 1


def test_facts_of_a_dead_process_are_adopted(database: Database, recorders: Recorders) -> None:
    dead = recorders()
    assert dead.append(event(0))
    assert dead.flush() == 1
    assert dead.append(event(1))
    dead.close()
    assert recorders().flush() == 1
    assert (
        table(database, EventRow, "properties") == [({"n": 0},), ({"n": 1},)]
        or len(table(database, EventRow, "name")) == 2
    )


def test_a_file_that_can_not_be_opened_stops_nobody(
    database: Database, recorders: Recorders, caplog: pytest.LogCaptureFixture
) -> None:
    dead = recorders()
    assert dead.append(event(0))
    dead.close()
    [name] = [path.name for path in recorders.folder.iterdir()]
    prefix = name.rsplit("-", 1)[0]
    (recorders.folder / f"{prefix}-0.journal").mkdir()  # no permission holds back who is root
    recorder = recorders()
    assert recorder.append(event(1))
    assert recorder.flush() == 2
    assert recorder.flush() == 0
    assert recorder.status().problem is None
    assert len([r for r in caplog.records if "can't be opened" in r.getMessage()]) == 1


def test_a_dead_process_file_that_fails_keeps_nobody_from_the_others(
    database: Database, recorders: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        dead = recorders()
        assert dead.append(event(n))
        dead.close()
    recorder = recorders()
    first = min(path.name for path in recorders.folder.iterdir())
    read = JournalFile.read

    def fail(file: JournalFile, position: int, limit: int) -> Any:
        if file.name == first:
            raise OSError("the disk fails here")
        return read(file, position, limit)

    monkeypatch.setattr(JournalFile, "read", fail)
    assert recorder.flush() == 2
    monkeypatch.undo()
    assert recorder.flush() == 1


def test_two_readers_of_one_file_store_it_once(
    database: Database, recorders: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both believe that the cursor is at the beginning; only one moves it."""
    recorder = recorders()
    for n in range(700):
        assert recorder.append(event(n))
    [source] = recorder._storer.sources(recorder._open())
    rivals = [recorders(), recorders()]
    barrier = threading.Barrier(2)
    errors: list[Exception] = []

    def drain(rival: Recorder) -> None:
        from copy import copy

        mine = copy(source)
        mine.stored = 0
        try:
            database = rival._ready.require()
            barrier.wait(10)
            rival._storer.writer.drain(database, mine)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=drain, args=(rival,)) for rival in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert sum(rival._storer.writer.stored for rival in rivals) == 700
    assert len(table(database, EventRow, "name")) == 700
    assert table(database, EventSummaryRow, "count") == [(700,)]


def test_two_writers_with_the_same_people_count_exactly(
    database: Database, recorders: Recorders
) -> None:
    """Two processes' journals, the same people in other orders, at the same time."""
    people = [str(n) for n in range(20)]
    made = [recorders(), recorders()]
    for index, recorder in enumerate(made):
        for n in range(300):
            user_id = people[(n * (3 + 4 * index)) % 20]
            assert recorder.append(Seen(START + n * timedelta(seconds=1), user_id))
            assert recorder.append(event(0, user_id, id=f"{n}"))
            assert recorder.append(Increment(START, user_id, "hits", 1))
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda r=recorder: counts.append(_drain_own(r)))
        for recorder in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sum(counts) == 1800
    assert table(database, PersonRow, "session_count") == [(1,)] * 20
    assert sum(hits for (hits,) in table(database, SessionRow, "hits")) == 600
    assert len(table(database, EventKeyRow, "id")) == 300
    assert len(table(database, EventRow, "name")) == 300
    assert sum(count for (count,) in table(database, EventSummaryRow, "count")) == 300
    assert sum(int(value) for (value,) in table(database, AttributeRow, "value")) == 600


def test_many_threads_with_the_same_person_count_exactly(
    database: Database, recorders: Recorders
) -> None:
    """Thirty-two at once: one session with all the hits, and last seen at the last moment."""
    made = [recorders(CAPTURE_MODE="memory") for _ in range(32)]
    for index, recorder in enumerate(made):
        for n in range(4):
            assert recorder.append(Seen(START + (index * 7 + n) * timedelta(seconds=1), "7"))
    threads = [threading.Thread(target=_drain_own, args=(recorder,)) for recorder in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    last = START + (31 * 7 + 3) * timedelta(seconds=1)
    assert table(database, PersonRow, "session_count", "last_seen_at") == [(1, last)]
    columns = ("started_at", "last_at", "hits")
    assert table(database, SessionRow, *columns) == [(START, last, 128)]


def _drain_own(recorder: Recorder) -> int:
    database = recorder._ready.require()
    for _ in range(50):  # deadlocks and lock waits pass
        try:
            for source in recorder._storer.sources(recorder._open()):
                recorder._storer.writer.drain(database, source)
        except sa.exc.DBAPIError:
            continue
        break
    return recorder._storer.writer.stored


def test_the_same_event_id_is_one_event_for_ever(database: Database, recorder: Recorder) -> None:
    assert recorder.append(event(1, id="inv-991", name="paid"))
    assert recorder.append(event(2, id="inv-991", name="paid"))
    recorder.flush()
    with database.write() as session:
        session.execute(sa.delete(EventRow))  # pruned
    assert recorder.append(event(3, id="inv-991", name="paid"))
    assert recorder.append(event(4, id="inv-991", name="refunded"))
    recorder.flush()
    assert table(database, EventSummaryRow, "name", "count", "first_at") == [
        ("paid", 1, START + MINUTE),
        ("refunded", 1, START + 4 * MINUTE),
    ]


def test_a_fact_that_the_database_refuses_is_kept_aside(
    database: Database, recorders: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits are checked when a fact is accepted; here they are not."""
    recorder = recorders()
    poison = {13: "x" * 65, 500: "nul \0" if database.dialect == "postgresql" else "y" * 66}
    for n in range(1000):
        assert recorder.append(event(n, name=poison.get(n, "clicked")))
    stored = recorder.flush()
    if database.dialect == "sqlite":  # takes texts of any length
        assert stored == 1000
        return
    assert stored == 998
    assert len(table(database, EventRow, "name")) == 998
    assert table(database, EventSummaryRow, "count") == [(998,)]
    letters = table(database, DeadLetterRow, "payload", "reason")
    assert len(letters) == 2
    assert all(reason for _, reason in letters)
    assert recorder.status().buried == 2
    assert recorder.flush() == 0


def test_a_fact_that_our_code_fails_on_is_kept_aside(
    database: Database, recorders: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recorders()
    real = facts_module.from_wire
    monkeypatch.setattr(
        "flask_engage.capture.apply.from_wire",
        lambda values: real(values) if "bad" not in values else 1 / 0,
    )
    for n in range(9):
        assert recorder.append(
            Attributes(START, "7", to_wire({"bad" if n == 4 else f"good {n}": n}))
        )
    assert recorder.flush() == 8
    assert len(table(database, AttributeRow, "name")) == 8
    [(payload, reason)] = table(database, DeadLetterRow, "payload", "reason")
    assert '"bad"' in payload
    assert "ZeroDivisionError" in reason


@pytest.mark.parametrize("capture", ["journal", "sync"])
def test_no_log_quotes_a_row_that_the_database_refuses(
    database: Database,
    recorders: Recorders,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capture: str,
) -> None:
    recorder = recorders(CAPTURE_MODE=capture, guard=Guard(lambda: False))
    monkeypatch.setattr(
        "flask_engage.capture.apply.NewEvents",
        lambda person, *rest: NewEvents([None] * len(person), *rest),
    )
    recorder.append(Event(START, "7", "clicked", {"address": "ada@secret.example"}))
    recorder.flush()
    logged = "".join(logging.Formatter().format(record) for record in caplog.records)
    assert "IntegrityError" in logged
    assert "secret" not in logged


def test_no_log_quotes_a_fact_that_our_code_fails_on(
    database: Database,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("flask_engage.capture.apply.from_wire", lambda values: int(str(values)))
    assert recorder.append(Attributes(START, "7", to_wire({"address": "ada@secret.example"})))
    recorder.flush()
    assert recorder.status().buried == 1
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


def test_a_pool_that_has_nothing_left_is_asked_again(
    database: Database, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy's time-out is neither Python's nor an error of the driver's."""
    real, asked = Database.write, []

    def write(self: Database) -> AbstractContextManager[Any]:
        asked.append(1)
        if len(asked) < 3:
            raise sa.exc.TimeoutError("QueuePool limit reached")
        return real(self)

    assert recorder.append(event(1))
    recorder._ready.database()
    monkeypatch.setattr(Database, "write", write)
    assert recorder.flush() == 1
    assert len(asked) >= 3
    assert len(table(database, EventRow, "name")) == 1


def test_a_payload_that_nobody_understands_is_kept_aside(
    database: Database, recorder: Recorder
) -> None:
    assert recorder.append(event(1))
    assert recorder._open().append(b'["unheard of",1]')
    assert recorder.append(event(2))
    assert recorder.flush() == 2
    assert [row[0] for row in table(database, DeadLetterRow, "payload")] == ['["unheard of",1]']


def test_what_was_said_before_an_erasure_is_dropped(database: Database, recorder: Recorder) -> None:
    with database.write() as session:
        session.add(TombstoneRow(hash=tombstone_of("7"), erased_at=START + 5 * MINUTE))
    for n in range(10):
        assert recorder.append(event(n))
    recorder.flush()
    assert table(database, EventSummaryRow, "count", "first_at") == [(4, START + 6 * MINUTE)]


def test_an_erased_person_does_not_come_back_by_old_facts(
    database: Database, recorder: Recorder
) -> None:
    with database.write() as session:
        session.add(TombstoneRow(hash=tombstone_of("7"), erased_at=START + 5 * MINUTE))
    assert recorder.append(event(1))
    assert recorder.append(event(1, user_id="8"))
    recorder.flush()
    assert table(database, PersonRow, "user_id") == [("8",)]


def test_facts_of_a_merged_person_go_to_whom_they_became(
    database: Database, recorder: Recorder
) -> None:
    assert recorder.append(Seen(START, "7"))
    assert recorder.append(Seen(START, "8"))
    recorder.flush()
    with database.write() as session:
        seven, eight = session.scalars(sa.select(PersonRow).order_by(PersonRow.user_id))
        seven.merged_into = eight.id
    assert recorder.append(Seen(START + 60 * MINUTE, "7"))
    assert recorder.append(Seen(START + 120 * MINUTE, "8"))
    recorder.flush()
    assert table(database, PersonRow, "user_id", "session_count") == [("7", 1), ("8", 3)]


# --- a database that is away --------------------------------------------------------------------


def test_nothing_is_lost_while_the_database_is_away(
    migrated_url: str, database: Database, recorders: Recorders
) -> None:
    where = ["postgresql+psycopg://127.0.0.1:1/nowhere"]
    ready = Readiness(lambda: where[0], lambda _database: False)
    recorder = recorders(ready=ready, guard=Guard(lambda: False))
    for n in range(5):
        assert recorder.append(event(n))
    assert recorder.flush() == 0
    assert recorder.status().problem
    ready.database().dispose()
    ready._database = open_database(migrated_url)
    ready.forget()
    assert recorder.flush() == 5
    assert recorder.status().problem is None
    assert len(table(database, EventRow, "name")) == 5


def test_old_code_keeps_facts_for_a_newer_schema(database: Database, recorders: Recorders) -> None:
    recorder = recorders()
    assert recorder.append(event(0))
    assert recorder.flush() == 1
    _set_version(database, "9999")  # migrated while the process lives and has looked already
    assert recorder.append(event(1))
    assert recorder.flush() == 0
    fresh = recorders()  # and one that starts afterwards
    assert fresh.append(event(2))
    assert fresh.flush() == 0
    assert len(table(database, EventRow, "name")) == 1
    recorder.close()
    fresh.close()
    _set_version(database, HEAD)  # stands for code that knows the schema
    assert recorders().flush() == 2
    assert len(table(database, EventRow, "name")) == 3


def _set_version(database: Database, version: str) -> None:
    with database.write() as session:
        session.execute(
            sa.text("UPDATE engage_alembic_version SET version_num = :v"), {"v": version}
        )


# --- modes ---------------------------------------------------------------------------------------


def test_sync_mode_stores_at_once(database: Database, recorders: Recorders) -> None:
    recorder = recorders(CAPTURE_MODE="sync")
    assert recorder.append(event())
    assert len(table(database, EventRow, "name")) == 1
    assert not recorders.folder.exists()


def test_sync_mode_refuses_when_the_database_is_away(recorders: Recorders) -> None:
    ready = Readiness(lambda: "postgresql+psycopg://127.0.0.1:1/nowhere", lambda _database: False)
    recorder = recorders(CAPTURE_MODE="sync", ready=ready)
    assert not recorder.append(event())
    assert recorder.status().refused == 1


def test_memory_mode_needs_no_disk(database: Database, recorders: Recorders) -> None:
    recorder = recorders(CAPTURE_MODE="memory")
    for n in range(1200):
        assert recorder.append(event(n))
    assert recorder.flush() == 1200
    assert recorder.flush() == 0
    assert not recorders.folder.exists()
    assert len(table(database, EventRow, "name")) == 1200


def test_a_process_that_was_silent_for_long_refuses_nothing(
    database: Database, recorders: Recorders
) -> None:
    """The proofs of what its threads stored at once are gone from the database by then."""
    recorder = recorders(CAPTURE_MODE="sync")
    receipts = recorder._storer.writer._receipts
    for receipt in (receipts.take(), receipts.take()):
        with database.write() as session:
            assert receipt.claim(session, START)
        receipts.give_back(receipt)
    with database.write() as session:
        session.execute(sa.delete(JournalRow))
    assert recorder.append(event())
    assert len(table(database, EventRow, "name")) == 1
