"""Facts in the host's own transaction share its fate, and never spoil it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from flask_engage import signals
from flask_engage._guard import Guard
from flask_engage.capture.facts import Event
from flask_engage.capture.recorder import Recorder
from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow, EventSummaryRow, EventTotalRow
from flask_engage.store.person import PersonRow
from tests._clock import START
from tests.capture._recorders import FakeApp, Recorders, table

metadata = sa.MetaData()
orders = sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True))


@pytest.fixture
def host_engine(migrated_url: str) -> Iterator[sa.Engine]:
    """The host's own engine, with the drivers' usual ways."""
    engine = sa.create_engine(migrated_url)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def _orders(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(orders)) or 0


FACT = Event(START, "7", "paid invoice", {"amount": 40}, "inv-991")


def test_a_fact_commits_with_the_hosts_work(
    database: Database, recorder: Recorder, host_engine: sa.Engine
) -> None:
    with Session(host_engine) as session:
        session.execute(orders.insert(), {"id": 1})
        assert recorder.write_in_session(session, FACT)
        session.execute(orders.insert(), {"id": 2})
        session.commit()
    assert _orders(host_engine) == 2
    assert table(database, EventRow, "name", "properties") == [("paid invoice", {"amount": 40})]


@pytest.mark.parametrize("host_wrote_before", [True, False])
def test_a_fact_goes_when_the_host_rolls_back(
    database: Database, recorder: Recorder, host_engine: sa.Engine, host_wrote_before: bool
) -> None:
    with Session(host_engine) as session:
        if host_wrote_before:
            session.execute(orders.insert(), {"id": 1})
        assert recorder.write_in_session(session, FACT)
        session.rollback()
    assert _orders(host_engine) == 0
    assert table(database, EventRow, "name") == []
    assert table(database, PersonRow, "user_id") == []
    with Session(host_engine) as session:
        assert recorder.write_in_session(session, FACT), "its id is free again"
        session.commit()
    assert table(database, EventRow, "name") == [("paid invoice",)]


def test_a_failure_of_ours_leaves_the_hosts_rows(
    database: Database, recorders: Recorders, host_engine: sa.Engine
) -> None:
    """On PostgreSQL a statement that fails would otherwise end the host's transaction."""
    with host_engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE engage_event_summary"))
    try:
        recorder = recorders(guard=Guard(lambda: False))
        with Session(host_engine) as session:
            session.execute(orders.insert(), {"id": 1})
            assert not recorder.write_in_session(session, FACT)
            session.execute(orders.insert(), {"id": 2})
            session.commit()
        assert _orders(host_engine) == 2
        assert table(database, EventRow, "name") == []
        assert table(database, PersonRow, "user_id") == []
    finally:
        EventSummaryRow.__table__.create(host_engine)  # type: ignore[attr-defined]


def test_a_host_whose_transaction_is_gone_is_told(
    database: Database, recorders: Recorders, host_engine: sa.Engine
) -> None:
    """A deadlock costs the whole transaction on MariaDB, and a statement on PostgreSQL."""
    if database.dialect == "sqlite":
        return  # one writer at a time: nothing to be locked in
    recorder = recorders(guard=Guard(lambda: False))
    for user_id in ("1", "2"):
        assert recorder.append(Event(START, user_id, "paid"))
    recorder.flush()
    find = sa.text("SELECT id FROM engage_person WHERE user_id = :user_id FOR UPDATE")
    with host_engine.connect() as rival, Session(host_engine) as session:
        # InnoDB sacrifices whoever has changed fewer rows: that is to be the host.
        rival.execute(orders.insert(), [{"id": n} for n in range(100, 200)])
        rival.execute(find, {"user_id": "2"})
        session.execute(orders.insert(), {"id": 1})
        assert recorder.write_in_session(session, Event(START, "1", "paid"))
        errors: list[Exception] = []

        def lock_the_other() -> None:
            try:
                rival.execute(find, {"user_id": "1"})
            except sa.exc.OperationalError as error:
                errors.append(error)
            rival.rollback()

        thread = threading.Thread(target=lock_the_other)
        thread.start()
        if database.dialect == "mysql":
            with pytest.raises(sa.exc.OperationalError, match="1213"):
                recorder.write_in_session(session, Event(START, "2", "paid"))
            session.rollback()
        else:
            recorder.write_in_session(session, Event(START, "2", "paid"))
            session.commit()
        thread.join(30)
    assert _orders(host_engine) == (0 if database.dialect == "mysql" else 1)


def test_the_hosts_pending_objects_are_not_flushed(
    recorder: Recorder, host_engine: sa.Engine
) -> None:
    flushed: list[Any] = []
    with Session(host_engine) as session:
        sa.event.listen(session, "before_flush", lambda *_: flushed.append(1))
        session.add(PersonRow(user_id="pending"))
        assert recorder.write_in_session(session, FACT)
        assert flushed == []
        session.rollback()


def test_the_same_id_is_stored_once_also_in_the_hosts_transaction(
    database: Database, recorder: Recorder, host_engine: sa.Engine
) -> None:
    for _ in range(2):
        with Session(host_engine) as session:
            assert recorder.write_in_session(session, FACT)
            session.commit()
    assert recorder.append(FACT)
    recorder.flush()
    assert table(database, EventRow, "name") == [("paid invoice",)]


def test_a_scoped_session_will_do_and_signals_follow_the_commit(
    recorders: Recorders, host_engine: sa.Engine
) -> None:
    app = FakeApp()
    recorder = recorders(app=app)
    heard: list[str] = []

    def receiver(_sender: Any, name: str, **_: Any) -> None:
        heard.append(name)

    signals.event_tracked.connect(receiver, sender=app)
    scope = scoped_session(sessionmaker(host_engine))
    assert recorder.write_in_session(scope, FACT)
    scope.rollback()
    assert heard == []
    assert recorder.write_in_session(scope, FACT)
    assert heard == []
    scope.commit()
    assert heard == ["paid invoice"]
    scope.commit()
    assert heard == ["paid invoice"]
    scope.remove()


def test_nobody_waits_for_a_host_that_has_not_committed_yet(
    database: Database, recorders: Recorders, host_engine: sa.Engine
) -> None:
    """The day's total is a row that all who do the same thing would have to change."""
    if database.dialect == "sqlite":
        return  # one writer at a time, whatever it writes
    recorder = recorders(guard=Guard(lambda: False))
    people = ("1", "2", "3")
    for user_id in people:
        assert recorder.append(Event(START, user_id, "paid"))
    recorder.flush()
    done: list[Any] = []

    def work() -> None:
        with Session(host_engine) as other:
            done.append(recorder.write_in_session(other, Event(START, "2", "paid")))
            other.commit()
        recorder.append(Event(START, "3", "paid"))
        done.append(recorder.flush())

    with Session(host_engine) as session:
        assert recorder.write_in_session(session, Event(START, "1", "paid"))
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(30)
        assert done == [True, 2], "a fact, and the total of the other's"
        session.commit()
    recorder.flush()
    assert table(database, EventTotalRow, "name", "count") == [("paid", 6)]
    assert table(database, EventSummaryRow, "count") == [(2,)] * 3


@pytest.mark.parametrize("mode", ["journal", "memory", "sync"])
def test_the_totals_count_what_the_host_commits_and_nothing_else(
    database: Database, recorders: Recorders, host_engine: sa.Engine, mode: str
) -> None:
    recorder = recorders(CAPTURE_MODE=mode)
    with Session(host_engine) as session:
        assert recorder.write_in_session(session, FACT)
        session.rollback()
        assert recorder.write_in_session(session, FACT)
        assert recorder.write_in_session(session, FACT), "the same id: not counted again"
        assert recorder.write_in_session(session, Event(START, "8", "paid invoice"))
        session.commit()
    recorder.flush()
    assert table(database, EventTotalRow, "day", "name", "count") == [
        (START.date(), "paid invoice", 2)
    ]
