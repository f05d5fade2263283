"""Jobs and their book: what ran, how it went, when it is due again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from flask_engage._guard import Guard
from flask_engage.automation.jobs import (
    RETRY,
    Job,
    Looks,
    Unfinished,
    run_due_jobs,
    run_jobs_once,
)
from flask_engage.automation.lease import Fence, Lease, LeaseLost
from flask_engage.store.engine import Database, open_database
from flask_engage.store.lease import JobRow, LeaseRow
from flask_engage.store.migrate import upgrade
from flask_engage.store.moment import database_now
from tests._clock import FakeClock

HOUR = timedelta(hours=1)


def _job(name: str, done: list[str], period: timedelta = HOUR) -> Job:
    def run(fence: Fence | None, now: datetime) -> str:
        done.append(name)
        return f"{name} done"

    return Job(name, run, period)


def _broken(name: str, error: Exception) -> Job:
    def run(fence: Fence | None, now: datetime) -> str:
        raise error

    return Job(name, run, HOUR)


def _row(database: Database, name: str) -> JobRow:
    with database.read() as session:
        return session.scalars(select(JobRow).where(JobRow.name == name)).one()


def _due_within(database: Database, name: str, period: timedelta) -> bool:
    with database.read() as session:
        return bool(
            session.scalar(
                select(JobRow.next_run_at <= database_now(period)).where(JobRow.name == name)
            )
        )


def test_jobs_run_in_their_order_and_are_written_down(database: Database, clock: FakeClock) -> None:
    done: list[str] = []
    jobs = [_job("first", done), _job("second", done)]
    runs = run_jobs_once(jobs, database, Guard(), clock)
    assert done == ["first", "second"]
    assert [(run.name, run.result, run.error) for run in runs] == [
        ("first", "first done", None),
        ("second", "second done", None),
    ]
    row = _row(database, "first")
    assert row.started_at == row.finished_at == clock.now
    assert row.runs == 1
    assert row.failures == 0
    assert row.result == "first done"
    assert row.duration_ms is not None
    assert _due_within(database, "first", HOUR)
    assert not _due_within(database, "first", HOUR / 2)


def test_jobs_at_rest_are_left_out_where_only_due_ones_are_wanted(
    database: Database, clock: FakeClock
) -> None:
    done: list[str] = []
    jobs = [_job("hourly", done)]
    run_jobs_once(jobs, database, Guard(), clock, only_due=True)
    assert run_jobs_once(jobs, database, Guard(), clock, only_due=True) == []
    with database.write() as session:
        session.execute(update(JobRow).values(next_run_at=database_now(-timedelta(seconds=1))))
    run_jobs_once(jobs, database, Guard(), clock, only_due=True)
    run_jobs_once(jobs, database, Guard(), clock)  # and everything, whatever the book says
    assert done == ["hourly"] * 3


def test_job_that_fails_does_not_keep_others_from_running(
    database: Database, clock: FakeClock
) -> None:
    done: list[str] = []
    guard = Guard()
    broken = _broken("broken", ValueError("x" * 5000))
    for _ in range(2):
        run_jobs_once([broken, _job("sound", done)], database, guard, clock)
    assert done == ["sound"] * 2
    row = _row(database, "broken")
    assert row.failures == 2
    assert row.last_error is not None
    assert row.last_error.startswith("ValueError: xxx")
    assert len(row.last_error) <= 2000
    assert guard.counts == {"the job 'broken'": 2}
    assert _due_within(database, "broken", RETRY), "a failed job is tried again soon"


def test_job_that_fails_is_raised_where_the_developer_sees_it_after_all_have_run(
    database: Database, clock: FakeClock
) -> None:
    done: list[str] = []
    jobs = [_broken("broken", ZeroDivisionError()), _job("sound", done)]
    with pytest.raises(ZeroDivisionError):
        run_jobs_once(jobs, database, Guard(lambda: True), clock)
    assert done == ["sound"]


def test_job_that_recovers_has_no_failures_any_more(database: Database, clock: FakeClock) -> None:
    run_jobs_once([_broken("moody", ValueError("no"))], database, Guard(), clock)
    run_jobs_once([_job("moody", [])], database, Guard(), clock)
    row = _row(database, "moody")
    assert (row.failures, row.last_error, row.runs) == (0, None, 2)


def test_job_that_meets_a_lost_connection_is_not_to_blame(
    database: Database, clock: FakeClock
) -> None:
    away = OperationalError("SELECT 1", {}, Exception("connection refused"))
    away.connection_invalidated = True
    with pytest.raises(OperationalError):
        run_jobs_once([_broken("job", away)], database, Guard(), clock)
    assert _row(database, "job").failures == 0


def test_jobs_under_a_lease_get_its_fence(database: Database, clock: FakeClock) -> None:
    fences: list[Fence | None] = []

    def run(fence: Fence | None, now: datetime) -> None:
        fences.append(fence)

    fence = Lease(lambda: database).acquire()
    assert fence is not None
    run_due_jobs([Job("job", run, HOUR)], database, Guard(), clock, fence)
    run_due_jobs([Job("job", run, HOUR)], database, Guard(), clock, fence)  # not due again
    assert fences == [fence]


def test_jobs_do_not_begin_once_the_lease_is_lost(database: Database, clock: FakeClock) -> None:
    done: list[str] = []
    Lease(lambda: database).acquire()
    with database.write() as session:
        session.execute(update(LeaseRow).values(epoch=LeaseRow.epoch + 1))
    with pytest.raises(LeaseLost):
        run_due_jobs([_job("job", done)], database, Guard(), clock, Fence(1))
    stopped = Fence(2, still=lambda: False)
    with pytest.raises(LeaseLost):
        run_due_jobs([_job("job", done)], database, Guard(), clock, stopped)
    assert done == []


def test_job_whose_lease_is_lost_meanwhile_writes_no_end(
    database: Database, clock: FakeClock
) -> None:
    def run(fence: Fence | None, now: datetime) -> str:
        with database.write() as session:
            session.execute(update(LeaseRow).values(epoch=LeaseRow.epoch + 1))
        return "too late"

    fence = Lease(lambda: database).acquire()
    assert fence is not None
    run_due_jobs([Job("job", run, HOUR)], database, Guard(), clock, fence)
    row = _row(database, "job")
    assert row.result is None
    assert row.finished_at is None
    assert _due_within(database, "job", RETRY), "the next holder does it again soon"


def test_jobs_run_in_the_callers_thread_on_a_database_in_memory(clock: FakeClock) -> None:
    database = open_database("sqlite://")
    upgrade(database)
    done: list[str] = []
    run_jobs_once([_job("job", done)], database, Guard(), clock)
    assert done == ["job"]
    assert _row(database, "job").runs == 1
    database.dispose()


def test_a_job_that_only_made_room_gets_its_next_turn_at_once(database: Database) -> None:
    said = [Unfinished("half of it"), Unfinished("more of it"), "all of it"]
    job = Job("long work", lambda _fence, _now: said.pop(0), timedelta(days=1))
    runs = [run_jobs_once([job], database, Guard(), only_due=True) for _ in range(4)]
    assert [run.result for some in runs for run in some] == [
        "half of it",
        "more of it",
        "all of it",
    ]


def test_a_job_without_work_is_looked_at_by_its_period_and_written_down_every_ten_seconds(
    database: Database, clock: FakeClock
) -> None:
    now, waits, looked, ran = [0.0], [False], [], []

    def look(fence: Fence | None, at: datetime) -> bool:
        looked.append(now[0])
        return waits[0]

    def run(fence: Fence | None, at: datetime) -> None:
        ran.append(now[0])

    fence = Lease(lambda: database).acquire()
    assert fence is not None
    looks = Looks(lambda: now[0])
    job = Job("mail", run, timedelta(seconds=4), look)

    def second() -> None:
        with database.write() as session:
            session.execute(update(JobRow).values(next_run_at=database_now()))
        run_due_jobs([job], database, Guard(), clock, fence, looks)
        now[0] += 1

    for _ in range(12):
        second()
    assert ran == [0, 10], "at first, and then to say that it is alive"
    assert looked == list(range(1, 12, 4))
    assert _row(database, "mail").runs == 2
    waits[0] = True
    for _ in range(8):
        second()
    assert ran == [0, 10, 13, 17], "while there is work, by its period"


def test_a_look_that_fails_is_the_jobs_failure(database: Database, clock: FakeClock) -> None:
    def look(fence: Fence | None, at: datetime) -> bool:
        raise ValueError("never mind")

    done: list[str] = []
    looks = Looks(lambda: 0.0)
    job = replace(_job("job", done, timedelta(0)), has_work=look)
    fence = Lease(lambda: database).acquire()
    assert fence is not None
    for _ in range(2):
        run_due_jobs([job], database, Guard(), clock, fence, looks)
    assert done == ["job", "job"], "it is run, and meets what the look met"
