"""The lease and its fence: one holder at a time, by the database's clock."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import select, update

from flask_engage.automation.lease import Fence, Lease, LeaseLost
from flask_engage.store.engine import Database
from flask_engage.store.lease import LeaseRow
from flask_engage.store.moment import database_now

A_MOMENT = timedelta(milliseconds=1)


def _lease(database: Database, holder: str, **options: object) -> Lease:
    return Lease(lambda: database, "scheduler", holder, **options)


def _expire(database: Database) -> None:
    """Put the end of the lease into the past, as if its time had gone by."""
    with database.write() as session:
        session.execute(update(LeaseRow).values(expires_at=database_now(timedelta(seconds=-1))))


def _row(database: Database) -> LeaseRow:
    with database.read() as session:
        return session.scalars(select(LeaseRow)).one()


class Monotonic:
    """A clock of the process that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_lease_goes_to_the_first_who_asks(database: Database) -> None:
    first, second = _lease(database, "first"), _lease(database, "second")
    fence = first.acquire()
    assert fence == Fence(1)
    assert second.acquire() is None
    assert second.fence is None
    assert first.fence == fence


def test_lease_is_asked_for_by_many_and_given_to_one(database: Database) -> None:
    leases = [_lease(database, f"holder {number}") for number in range(8)]
    together = threading.Barrier(len(leases))
    fences: list[Fence | None] = []

    def ask(lease: Lease) -> None:
        together.wait()
        fences.append(lease.acquire())

    threads = [threading.Thread(target=ask, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fences) == len(leases)
    assert [fence for fence in fences if fence is not None] == [Fence(1)]


def test_lease_epoch_grows_with_each_change_of_holder(database: Database) -> None:
    first, second = _lease(database, "first"), _lease(database, "second")
    old = first.acquire()
    _expire(database)
    new = second.acquire()
    assert (old, new) == (Fence(1), Fence(2))
    assert _row(database).holder == "second"
    with database.read() as session:
        assert old is not None
        assert new is not None
        assert not old.holds(session)
        assert new.holds(session)


def test_lease_that_was_taken_over_cannot_be_renewed(database: Database) -> None:
    first, second = _lease(database, "first"), _lease(database, "second")
    old = first.acquire()
    _expire(database)
    assert second.acquire() is not None
    assert first.renew() is False
    assert first.fence is None
    assert old is not None
    with pytest.raises(LeaseLost):
        old.require()


def test_lease_that_ran_out_unnoticed_is_renewed_under_its_epoch(database: Database) -> None:
    lease = _lease(database, "first")
    lease.acquire()
    _expire(database)
    assert lease.renew() is True
    assert lease.fence == Fence(1)
    assert _lease(database, "second").acquire() is None


def test_lease_released_is_free_at_once(database: Database) -> None:
    first, second = _lease(database, "first"), _lease(database, "second")
    old = first.acquire()
    first.release()
    assert first.fence is None
    assert old is not None
    assert not old.still()
    assert second.acquire() == Fence(2)
    first.release()  # a second time: somebody else's lease is left alone
    assert second.renew() is True


def test_lease_holder_that_cannot_renew_stops_acting(database: Database) -> None:
    clock = Monotonic()
    lease = _lease(database, "first", ttl=timedelta(seconds=6), monotonic=clock)
    fence = lease.acquire()
    assert fence is not None
    clock.seconds += 5.9
    assert fence.still()
    clock.seconds += 0.2
    assert not fence.still()
    assert lease.fence is None
    assert lease.renew() is True  # nobody took it meanwhile
    assert fence.still()


def test_lease_does_not_depend_on_the_clock_of_the_machine(database: Database) -> None:
    lease = _lease(database, "first", ttl=timedelta(seconds=6))
    lease.acquire()
    with database.read() as session:
        left = session.execute(
            select(
                LeaseRow.expires_at > database_now(timedelta(seconds=4)),
                LeaseRow.expires_at <= database_now(timedelta(seconds=6)),
            )
        ).one()
    assert tuple(map(bool, left)) == (True, True)


def test_database_now_compares_with_stored_times_to_the_millisecond(database: Database) -> None:
    with database.write() as session:
        stored = session.scalar(select(database_now()))
        assert stored is not None
        assert stored.tzinfo is not None
        session.add(LeaseRow(name="x", holder="x", epoch=1, expires_at=stored))
        session.flush()
        later, earlier, moved = session.execute(
            select(
                LeaseRow.expires_at <= database_now(A_MOMENT),
                LeaseRow.expires_at > database_now(timedelta(minutes=-1)),
                database_now(timedelta(days=1, milliseconds=250)),
            )
        ).one()
        assert later
        assert earlier
        assert timedelta(hours=23) < moved - stored < timedelta(hours=25)


def test_database_now_orders_with_full_seconds_in_sqlite(tmp_path) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        text = connection.scalar(select(sa.cast(database_now(), sa.String)))
    assert text is not None
    assert len(text) == len("2026-03-02 10:00:00.000000")
    assert text[19] == "."


def test_lease_that_was_given_up_runs_out_before_it_is_taken(database: Database) -> None:
    first = _lease(database, "first")
    first.acquire()
    first.give_up()
    assert first.fence is None
    assert _lease(database, "second").acquire() is None  # not before it ran out
    _expire(database)
    assert _lease(database, "second").acquire() == Fence(2)
