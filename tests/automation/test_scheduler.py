"""The scheduler's thread: where it starts, what it does under the lease, how it ends."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from flask_engage._guard import Guard
from flask_engage.automation.lease import LEASE_TTL, Fence, Lease
from flask_engage.automation.scheduler import Job, Scheduler
from flask_engage.errors import NotReady
from flask_engage.store.engine import Database, open_database
from flask_engage.store.lease import LeaseRow
from flask_engage.store.ready import Readiness
from tests.automation._poll import wait_until

SECOND = timedelta(seconds=1)
TAKEOVER_SECONDS = 10.0


class Ready:
    """Gives the database; away for as many calls as a test says."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away = 0

    def database(self) -> Database:
        return self._database

    def require(self) -> Database:
        if self.away:
            self.away -= 1
            raise NotReady("The database is away.")
        return self._database


@pytest.fixture
def make_scheduler(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Scheduler]]:
    """Makes schedulers, and stops them at the end of the test."""
    made: list[Scheduler] = []

    def make(database: Database, *jobs: Job, ready: Ready | None = None) -> Scheduler:
        scheduler = Scheduler(jobs, ready or Ready(database), Guard(), allowed=lambda: True)
        made.append(scheduler)
        return scheduler

    yield make
    for scheduler in made:
        scheduler.stop()


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if "engage" in thread.name.lower()}


def test_scheduler_does_what_is_due_again_and_again_under_the_lease(
    database: Database, make_scheduler
) -> None:
    fences: list[Fence | None] = []

    def run(fence: Fence | None, now: datetime) -> None:
        assert now.tzinfo is not None
        fences.append(fence)

    scheduler = make_scheduler(database, Job("job", run, SECOND))
    scheduler.ensure_started()
    assert scheduler.running
    wait_until(lambda: len(fences) >= 2, 10, "two runs of the job")
    assert set(fences) == {Fence(1)}
    began = time.monotonic()
    scheduler.stop()
    assert time.monotonic() - began < 2
    assert not scheduler.running
    assert not scheduler.leads
    assert Lease(lambda: database).acquire() == Fence(2), "the lease is free at once"


def test_scheduler_leaves_the_work_to_the_process_that_leads(
    database: Database, make_scheduler
) -> None:
    done: list[str] = []

    def job(who: str) -> Job:
        return Job("job", lambda fence, now: done.append(who), SECOND)

    first, second = make_scheduler(database, job("first")), make_scheduler(database, job("second"))
    first.start()
    wait_until(lambda: len(done) >= 1, 10, "a run of the first")
    second.start()
    wait_until(lambda: len(done) >= 3, 10, "more runs")
    assert set(done) == {"first"}
    assert not second.leads
    first.stop()
    count = len(done)
    wait_until(lambda: len(done) > count, TAKEOVER_SECONDS, "a run of the second")
    assert done[count:] == ["second"] * (len(done) - count)


def test_scheduler_never_runs_a_job_twice_at_a_time(tmp_path, make_scheduler, migrated) -> None:
    running: list[int] = []
    inside, ends = threading.Semaphore(0), threading.Event()

    def run(fence: Fence | None, now: datetime) -> None:
        running.append(1)
        inside.release()
        ends.wait(10)

    scheduler = make_scheduler(migrated, Job("long", run, timedelta(milliseconds=1)))
    scheduler.start()
    assert inside.acquire(timeout=10)
    assert not inside.acquire(timeout=2.5), "ticks went by, and no second run began"
    assert running == [1]
    assert scheduler.leads, "the lease is renewed while the job takes its time"
    ends.set()


@pytest.fixture
def migrated(tmp_path) -> Iterator[Database]:
    """A database with our tables, on SQLite only."""
    from tests import _databases

    with _databases.migrated("sqlite", tmp_path) as url:
        database = open_database(url)
        yield database
        database.dispose()


def test_scheduler_stops_within_two_seconds_whatever_a_job_does(
    migrated: Database, make_scheduler
) -> None:
    began_job, ends = threading.Event(), threading.Event()
    seen: list[Fence] = []

    def run(fence: Fence | None, now: datetime) -> None:
        assert fence is not None
        seen.append(fence)
        began_job.set()
        ends.wait(10)

    scheduler = make_scheduler(migrated, Job("endless", run, SECOND))
    scheduler.start()
    assert began_job.wait(10)
    assert seen[0].still()
    began = time.monotonic()
    scheduler.stop()
    assert time.monotonic() - began < 2.2
    assert not seen[0].still(), "the job is told to come to an end"
    ends.set()


def test_scheduler_never_starts_on_a_database_in_memory() -> None:
    database = open_database("sqlite://")
    scheduler = Scheduler([], Ready(database), Guard(), allowed=lambda: True)
    before = _threads()
    scheduler.ensure_started()
    assert not scheduler.start()
    assert not scheduler.running
    assert _threads() == before
    scheduler.stop()


def test_scheduler_never_starts_where_it_is_not_allowed(migrated: Database) -> None:
    asked: list[bool] = []
    scheduler = Scheduler([], Ready(migrated), Guard(), allowed=lambda: asked.append(True) or False)
    before = _threads()
    for _ in range(3):
        scheduler.ensure_started()
    assert not scheduler.running
    assert len(asked) == 1, "decided once for a process"
    assert _threads() == before


def test_scheduler_waits_for_a_database_that_is_away_and_carries_on(
    migrated: Database, make_scheduler, caplog
) -> None:
    done = threading.Event()
    ready = Ready(migrated)
    ready.away = 1
    scheduler = make_scheduler(
        migrated, Job("job", lambda fence, now: done.set(), SECOND), ready=ready
    )
    scheduler.start()
    assert done.wait(12)


def test_scheduler_warns_once_of_a_database_that_fails(
    tmp_path, make_scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="flask_engage")
    empty = open_database(f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    scheduler = make_scheduler(empty, Job("job", lambda fence, now: None, SECOND))
    scheduler.start()
    wait_until(lambda: scheduler._failures >= 2, 15, "two failed rounds")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    from flask_engage.store.migrate import upgrade

    upgrade(empty)
    wait_until(lambda: scheduler.leads, TAKEOVER_SECONDS, "back to work")
    wait_until(lambda: "has its database back" in caplog.text, 5, "the good news")
    assert [r.levelname for r in caplog.records if r.levelno > logging.INFO] == ["WARNING"]
    scheduler.stop()
    empty.dispose()


def test_scheduler_whose_lease_row_is_locked_stops_acting_and_resumes(
    database: Database, make_scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[float] = []
    scheduler = make_scheduler(
        database, Job("job", lambda fence, now: done.append(time.monotonic()), SECOND)
    )
    scheduler.start()
    wait_until(lambda: len(done) >= 1, 10, "a run of the job")
    with database.write() as session:
        session.execute(update(LeaseRow).values(holder=LeaseRow.holder))  # and hold the lock
        taken = LEASE_TTL.total_seconds() + 3
        wait_until(lambda: not scheduler.leads, taken, "the lease runs out")
        count = len(done)
    took = wait_until(lambda: len(done) > count, TAKEOVER_SECONDS, "back to work")
    assert took < TAKEOVER_SECONDS
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 1


def test_scheduler_wakes_up_after_the_clock_was_set_back(
    migrated: Database, make_scheduler
) -> None:
    done: list[int] = []
    scheduler = make_scheduler(migrated, Job("job", lambda fence, now: done.append(1), SECOND))
    scheduler.start()
    wait_until(lambda: bool(done), 10, "a run of the job")
    for job in scheduler._background.get_jobs():  # what a step back of an hour leaves behind
        job.modify(next_run_time=datetime.now(job.next_run_time.tzinfo) + timedelta(hours=1))
    count = len(done)
    scheduler._beat -= 60
    scheduler.ensure_started()  # the next request
    wait_until(lambda: len(done) > count, 10, "a run after that")


_FORKS = """
import os, sys, threading, time
from flask_engage._guard import Guard
from flask_engage.automation.scheduler import Job, Scheduler
from flask_engage.store.ready import Readiness

ready = Readiness(lambda: sys.argv[1], lambda database: False)
ran = threading.Event()
scheduler = Scheduler([], ready, Guard())
assert not scheduler.running
if sys.argv[2] == "used":
    scheduler.ensure_started()
    assert scheduler.running
pid = os.fork()
if pid == 0:
    ready.after_fork()
    assert not scheduler.running
    scheduler.ensure_started()
    ok = scheduler.running and sum(t.name == "APScheduler" for t in threading.enumerate()) == 1
    deadline = time.monotonic() + 12
    while ok and sys.argv[2] != "used" and not scheduler.leads:
        ok = time.monotonic() < deadline
        time.sleep(0.02)
    scheduler.stop()
    os._exit(0 if ok else 7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert scheduler.running == (sys.argv[2] == "used")
print("threads:", sum(t.name == "APScheduler" for t in threading.enumerate()))
"""


@pytest.mark.parametrize(("parent", "threads"), [("fresh", 0), ("used", 1)])
def test_scheduler_starts_anew_in_a_forked_process(
    migrated: Database, parent: str, threads: int
) -> None:
    url = migrated.engine.url.render_as_string()
    began = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", _FORKS, url, parent],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"threads: {threads}\n"
    assert "Traceback" not in result.stderr
    assert time.monotonic() - began < 30


def test_scheduler_lets_go_of_the_lease_when_its_process_ends(migrated: Database) -> None:
    url = migrated.engine.url.render_as_string()
    script = """
import sys, time
from flask_engage._guard import Guard
from flask_engage.automation.scheduler import Scheduler
from flask_engage.store.ready import Readiness

scheduler = Scheduler([], Readiness(lambda: sys.argv[1], lambda database: False), Guard())
scheduler.start()
while not scheduler.leads:
    time.sleep(0.02)
"""
    result = subprocess.run(
        [sys.executable, "-c", script, url], check=False, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    with migrated.read() as session:
        assert session.scalars(select(LeaseRow.epoch)).all() == [1]
    assert Lease(lambda: migrated).acquire() == Fence(2)


def test_scheduler_takes_the_readiness_of_the_store(migrated: Database, make_scheduler) -> None:
    done = threading.Event()
    ready = Readiness(lambda: migrated.engine, lambda database: False)
    scheduler = make_scheduler(
        migrated, Job("job", lambda fence, now: done.set(), SECOND), ready=ready
    )
    scheduler.start()
    assert done.wait(10)
    scheduler.stop()
    ready.database().dispose()
