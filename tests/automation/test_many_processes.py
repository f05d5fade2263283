"""Many processes, some of them stopped or killed: nobody gets anything twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text

from flask_engage._guard import Guard
from flask_engage.automation.evaluate import evaluate
from flask_engage.automation.rules import AutoMessage
from flask_engage.automation.scheduler import Scheduler
from flask_engage.segments.compile import CompileContext
from flask_engage.store.delivery import DeliveryRow
from flask_engage.store.engine import Database, open_database
from flask_engage.store.ready import Readiness
from tests._clock import START
from tests.automation._evaluator import GONE, MAIL
from tests.automation._poll import wait_until

TAKEOVER_SECONDS = 10.0
ROOT = Path(__file__).parents[2]
RULE = AutoMessage("come back", to=GONE, send=MAIL)

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(migrated_url: str) -> Iterator[Start]:
    """Starts processes of :mod:`tests.automation._evaluator`; ends them with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(mode: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.automation._evaluator", migrated_url, mode],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def _hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the process ended with {process.wait()}"
    return line.strip()


def _tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def _count_and_people(database: Database) -> tuple[int, int]:
    with database.read() as session:
        row = session.execute(
            select(func.count(), func.count(DeliveryRow.person_id.distinct())).where(
                DeliveryRow.source == "rule:come back"
            )
        ).one()
    return row[0], row[1]


def test_processes_that_evaluate_one_rule_at_once_write_one_row_for_each_person(
    database: Database, start: Start, add_people
) -> None:
    add_people(500)
    processes = [start("once") for _ in range(4)]
    for process in processes:
        assert _hear(process) == "ready"
    for process in processes:
        _tell(process)
    written = [int(_hear(process)) for process in processes]
    assert sum(written) == 500, "what they say adds up to what is there"
    assert _count_and_people(database) == (500, 500)


def _in_threads(database: Database, context: CompileContext, count: int = 8) -> list[int]:
    together = threading.Barrier(count)
    written: list[int] = []

    def work() -> None:
        together.wait()
        written.append(evaluate(database, RULE, START, context))

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == count, "no thread failed"
    return written


def test_threads_that_evaluate_one_rule_at_once_write_one_row_for_each_person(
    database: Database, context: CompileContext, add_people
) -> None:
    add_people(2000)
    assert sum(_in_threads(database, context)) == 2000
    assert _count_and_people(database) == (2000, 2000)


@contextmanager
def _scheduler(url: str) -> Iterator[Scheduler]:
    ready = Readiness(lambda: url, lambda database: False)
    scheduler = Scheduler([], ready, Guard())
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.stop()
        ready.database().dispose()


def test_leader_that_was_stopped_and_wakes_up_after_a_takeover_writes_nothing(
    database: Database, migrated_url: str, start: Start, add_people
) -> None:
    add_people(20)
    leader = start("lead")
    assert _hear(leader) == "leads 1"
    assert _hear(leader) == "wrote 20"
    os.kill(leader.pid, signal.SIGSTOP)
    with _scheduler(migrated_url) as heir:
        took = wait_until(lambda: heir.leads, TAKEOVER_SECONDS, "takeover from a stopped process")
        assert took < TAKEOVER_SECONDS
        before = _all_deliveries(database)
        os.kill(leader.pid, signal.SIGCONT)
        assert _hear(leader) == "refused 20"
        # What was on its way into the database as it was stopped may still have arrived.
        assert _all_deliveries(database) - before in (0, 20)
        with database.read() as session:
            partial = session.execute(
                select(DeliveryRow.source, func.count())
                .group_by(DeliveryRow.source)
                .having(func.count() != 20)
            ).all()
        assert partial == []


def _all_deliveries(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(DeliveryRow)) or 0


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_leader_that_is_killed_is_replaced_within_ten_seconds(
    migrated_url: str, start: Start
) -> None:
    leader = start("schedule")
    assert _hear(leader) == "leads"
    with _scheduler(migrated_url) as heir:
        os.kill(leader.pid, signal.SIGKILL)
        wait_until(lambda: heir.leads, TAKEOVER_SECONDS, "takeover from a killed process")


# --- would these tests see it? ---------------------------------------------------------------


def _without_unique_key(database: Database) -> None:
    """Take away what makes a second row impossible."""
    with database.engine.begin() as connection:
        if database.dialect == "postgresql":
            connection.execute(
                text("ALTER TABLE engage_delivery DROP CONSTRAINT uq_engage_delivery_once")
            )
        elif database.dialect == "mysql":
            connection.execute(
                text("ALTER TABLE engage_delivery DROP INDEX uq_engage_delivery_once")
            )
        else:
            sql = connection.execute(
                text("SELECT sql FROM sqlite_master WHERE name = 'engage_delivery'")
            ).scalar_one()
            start = sql.index("CONSTRAINT uq_engage_delivery_once")
            end = sql.index(")", start) + 1
            connection.execute(text("DROP TABLE engage_delivery"))
            connection.execute(text(sql[:start] + "CHECK (1)" + sql[end:]))


def test_without_the_unique_key_these_tests_would_see_doubles(
    migrated_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight evaluators that all looked before any of them wrote: the key alone stands between."""
    import flask_engage.store.fan_out as fan_out_module
    from flask_engage.store.person import PersonRow
    from tests.automation.conftest import person

    database = migrated_database
    with database.write() as session:
        session.add_all(PersonRow(**person(number)) for number in range(50))
    context = CompileContext(dialect=database.dialect)
    # As if all had looked at the same moment, before anything was written.
    monkeypatch.setattr(fan_out_module, "_not_yet", lambda wish: text("1 = 1"))
    assert sum(_in_threads(database, context, count=3)) == 50
    assert _count_and_people(database) == (50, 50)
    with database.write() as session:
        session.execute(text("DELETE FROM engage_delivery"))
    _without_unique_key(database)
    monkeypatch.setattr(fan_out_module, "_insert_new", lambda session: insert(DeliveryRow))
    _in_threads(database, context, count=3)
    assert _count_and_people(database) == (150, 50)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def migrated_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of this test's own, which it may spoil."""
    from flask_engage.store.migrate import upgrade
    from tests import _databases

    with _databases.empty(request.param, tmp_path) as url:
        database = open_database(url)
        upgrade(database)
        yield database
        database.dispose()
