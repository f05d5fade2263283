"""A rule that mails, under gunicorn with four workers and a real SMTP server: once, for ever."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import func, select, update

from flask_engage.store.delivery import DeliveryRow
from flask_engage.store.engine import Database, open_database
from flask_engage.store.lease import JobRow, LeaseRow
from flask_engage.store.moment import database_now
from flask_engage.store.person import PersonRow
from tests import _databases
from tests._processes import ROOT, environment, run_python
from tests._services import free_port
from tests._smtp import MailServer
from tests.automation._poll import wait_until
from tests.e2e import _rule_host

WORKERS = 4
PEOPLE = 200
AT_WORK = 30
"""Users who were seen lately, and are to get nothing."""
OPEN_STATES = ("queued", "claimed", "on_wire")


class SlowMailServer(MailServer):
    """Takes its time over each mail, so that a kill lands in the middle of the sending."""

    seconds = 0.02

    async def handle_DATA(  # noqa: N802  (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        await asyncio.sleep(self.seconds)
        answer = await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(self.seconds)
        return answer


@pytest.fixture
def slow_smtp_server() -> Iterator[MailServer]:
    """A real SMTP server that takes 40 ms over a mail."""
    server = SlowMailServer()
    server.start()
    yield server
    server.stop()


@dataclass(frozen=True)
class Site:
    """The host behind gunicorn."""

    url: str
    log: Path

    def wake_workers(self) -> set[int]:
        """Ask until each of the workers has had a request, and with it a scheduler."""
        seen: set[int] = set()
        with ThreadPoolExecutor(2 * WORKERS) as pool:

            def all_answered() -> bool:
                answers = pool.map(lambda _: self.pid(), range(2 * WORKERS))
                seen.update(pid for pid in answers if pid is not None)
                return len(seen) >= WORKERS

            wait_until(all_answered, 90, f"an answer of each worker; see {self.log}")
        return seen

    def pid(self) -> int | None:
        """Return which worker answers; None while there is none, or as it dies."""
        try:
            with urllib.request.urlopen(self.url, timeout=10) as answer:
                return int(answer.read())
        except (URLError, HTTPException, OSError):
            return None


def _fill(database: Database) -> None:
    """Give the host its users: those who have been away for a month, and some others."""
    now = datetime.now(UTC)
    _rule_host.Base.metadata.create_all(database.engine)
    rows = [
        {
            "id": number,
            "email": f"user{number}@example.com",
            "name": f"User {number}",
            "created_at": now - timedelta(days=90),
            "last_seen": now - timedelta(days=30 if number <= PEOPLE else 1),
        }
        for number in range(1, PEOPLE + AT_WORK + 1)
    ]
    with database.write() as session:
        session.add_all(_rule_host.User(**row) for row in rows)


def _settings(url: str, smtp_url: str, folder: Path) -> dict[str, str]:
    return {
        "HOST_DATABASE_URL": url,
        "HOST_SMTP_URL": smtp_url,
        "HOST_FOLDER": str(folder / "journal"),
    }


@contextmanager
def _running(
    command: list[str], url: str, smtp_url: str, folder: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run Python with `command` and give the process and its log."""
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment(**_settings(url, smtp_url, folder)),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield server, log
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
                raise


@contextmanager
def _served(url: str, smtp_url: str, folder: Path) -> Iterator[Site]:
    """Serve the host with gunicorn."""
    port = free_port()
    command = [
        *("-m", "gunicorn", "--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}"),
        *("--graceful-timeout", "5", "tests.e2e._rule_host:create_app()"),
    ]
    with _running(command, url, smtp_url, folder) as (_, log):
        yield Site(f"http://127.0.0.1:{port}", log)


def _states(database: Database) -> Counter[str]:
    with database.read() as session:
        rows = session.execute(
            select(DeliveryRow.state, func.count())
            .where(DeliveryRow.source == f"rule:{_rule_host.NAME}")
            .group_by(DeliveryRow.state)
        ).all()
    return Counter(dict(rows))


def _all_settled(database: Database) -> bool:
    states = _states(database)
    return states.total() == PEOPLE and not any(states[state] for state in OPEN_STATES)


def _addresses(database: Database, state: str) -> set[str]:
    with database.read() as session:
        return set(
            session.scalars(
                select(PersonRow.email)
                .join(DeliveryRow, DeliveryRow.person_id == PersonRow.id)
                .where(DeliveryRow.state == state)
            )
        )


def _runs(database: Database) -> dict[str, int]:
    with database.read() as session:
        return dict(session.execute(select(JobRow.name, JobRow.runs)).all())


def _another_round(database: Database) -> None:
    """Let rules and mail have one more turn, begun after this call."""
    before = _runs(database)
    with database.write() as session:
        session.execute(update(JobRow).values(next_run_at=database_now()))

    def both_ran() -> bool:
        now = _runs(database)
        return now["rules"] >= before["rules"] + 1 and now["mail"] >= before["mail"] + 2

    wait_until(both_ran, 30, "another round of rules and mail")


def _leader(database: Database) -> int | None:
    with database.read() as session:
        row: Any = session.execute(
            select(LeaseRow.holder).where(LeaseRow.expires_at > database_now())
        ).first()
    return int(row[0].split(":")[1]) if row else None


def test_rule_under_four_workers_mails_everyone_once(
    database: Database, migrated_url: str, smtp_server: MailServer, tmp_path: Path
) -> None:
    _fill(database)
    with _served(migrated_url, smtp_server.url, tmp_path) as site:
        workers = site.wake_workers()
        assert len(workers) == WORKERS
        wait_until(lambda: _all_settled(database), 60, f"{PEOPLE} mails; see {site.log}")
        assert _states(database) == {"sent": PEOPLE}
        _another_round(database)
        assert _leader(database) in workers
    assert _states(database) == {"sent": PEOPLE}
    everyone = {f"user{number}@example.com" for number in range(1, PEOPLE + 1)}
    assert set(smtp_server.recipients) == everyone
    assert set(smtp_server.recipients.values()) == {1}
    assert len(smtp_server.mails) == PEOPLE
    assert {str(mail["Subject"]) for mail in smtp_server.mails} == {
        f"We miss you, User {number}" for number in range(1, PEOPLE + 1)
    }
    log = site.log.read_text()
    assert "Traceback" not in log, log
    assert "flask_engage" not in log, log


def test_rule_whose_worker_is_killed_in_the_middle_mails_nobody_twice(
    database: Database, migrated_url: str, slow_smtp_server: MailServer, tmp_path: Path
) -> None:
    server = slow_smtp_server
    _fill(database)
    with _served(migrated_url, server.url, tmp_path) as site:
        workers = site.wake_workers()
        server.wait_for(PEOPLE // 4, seconds=60)
        leader = _leader(database)
        assert leader in workers
        os.kill(leader, signal.SIGKILL)
        arrived = len(server.mails)
        assert arrived < PEOPLE, "the kill came too late to tell anything"
        server.wait_for(arrived + 5, seconds=30)  # from the worker that took over
        restarted = site.wake_workers()
        assert leader not in restarted
        wait_until(lambda: _all_settled(database), 60, f"an end; see {site.log}")
        _another_round(database)
    _check_that_nobody_was_mailed_twice(database, server, kills=1)


@pytest.mark.campaign
def test_rule_whose_workers_are_killed_again_and_again_mails_nobody_twice(
    database: Database, migrated_url: str, slow_smtp_server: MailServer, tmp_path: Path
) -> None:
    server = slow_smtp_server
    _fill(database)
    kills = 0
    with _served(migrated_url, server.url, tmp_path) as site:
        while not _all_settled(database):
            site.wake_workers()
            arrived = len(server.mails)
            wait_until(
                lambda arrived=arrived: (
                    len(server.mails) >= min(arrived + PEOPLE // 10, PEOPLE)
                    or _all_settled(database)
                ),
                60,
                f"more mails, or an end; see {site.log}",
            )
            leader = _leader(database)
            if leader is not None and kills < 8:
                os.kill(leader, signal.SIGKILL)
                kills += 1
        _another_round(database)
    assert kills >= 4
    _check_that_nobody_was_mailed_twice(database, server, kills=kills)


def _check_that_nobody_was_mailed_twice(
    database: Database, server: MailServer, *, kills: int
) -> None:
    """Hold what the database says against what the mail server got."""
    states = _states(database)
    assert set(states) <= {"sent", "unknown"}
    assert states["sent"] + states["unknown"] == PEOPLE
    assert states["unknown"] <= kills, "one mail at most is on the wire of each worker"
    assert set(server.bodies.values()) == {1}
    assert set(server.recipients.values()) == {1}
    sent, unknown = _addresses(database, "sent"), _addresses(database, "unknown")
    assert len(sent) == states["sent"]
    assert sent <= set(server.recipients) <= sent | unknown


# --- which processes run it ------------------------------------------------------------------


def test_flask_run_with_reloader_schedules_in_the_process_that_serves(
    smtp_server: MailServer, tmp_path: Path
) -> None:
    with _databases.migrated("sqlite", tmp_path) as url:
        database = open_database(url)
        _fill(database)
        port = free_port()
        command = ["--app", "tests.e2e._rule_host", "--debug", "run", "--port", str(port)]
        with _running(["-m", "flask", *command], url, smtp_server.url, tmp_path) as (server, log):
            site = Site(f"http://127.0.0.1:{port}", log)
            wait_until(lambda: site.pid() is not None, 60, f"an answer; see {log}")
            wait_until(lambda: _leader(database) is not None, 20, f"a leader; see {log}")
            serving = site.pid()
            assert serving is not None
            try:
                assert _leader(database) == serving != server.pid
                smtp_server.wait_for(PEOPLE, seconds=60)
            finally:
                os.kill(serving, signal.SIGTERM)  # the reloader leaves its child behind
        database.dispose()


def test_flask_command_starts_no_scheduler_whatever_it_requests(
    smtp_server: MailServer, tmp_path: Path
) -> None:
    with _databases.migrated("sqlite", tmp_path) as url:
        database = open_database(url)
        _fill(database)
        database.dispose()
        settings = _settings(url, smtp_server.url, tmp_path)
        result = run_python(
            *("-m", "flask", "--app", "tests.e2e._rule_host", "poke"), cwd=ROOT, **settings
        )
        assert result.returncode == 0, result.stderr
        assert result.stdout == "0\n"
    assert smtp_server.mails == []
