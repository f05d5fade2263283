"""Which threads of ours run where: a writer where facts are taken, a scheduler where it serves."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flask_engage import Engage
from flask_engage.store.engine import open_database
from flask_engage.store.event import EventSummaryRow
from tests import _databases
from tests._hosts import make_host
from tests._processes import ROOT, environment
from tests.automation._poll import wait_until
from tests.capture._recorders import table

OURS = ("engage-writer", "APScheduler")


def ours() -> list[str]:
    """Return the threads of ours that run in this process."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name in OURS)


def test_importing_and_making_an_app_starts_none(tmp_path: Path) -> None:
    before = ours()
    with _databases.migrated("sqlite", tmp_path) as url:
        host = make_host("flask-sqlalchemy", url)
        host.create_app(Engage(), TESTING=False, ENGAGE_SCHEDULER="thread")
        assert ours() == before
        host.dispose()


@pytest.mark.parametrize("testing", [True, False])
def test_tests_run_without_and_servers_with(testing: bool, tmp_path: Path) -> None:
    """The first answer starts the scheduler, the first fact the writer; both stop when told."""
    before = ours()
    with _databases.migrated("sqlite", tmp_path) as url:
        host = make_host("flask-sqlalchemy", url)
        app = host.create_app(
            Engage(),
            TESTING=testing,
            ENGAGE_SCHEDULER="thread",
            ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        )
        client = app.test_client()
        client.get(f"/login/{host.add_user(app)}")
        assert client.get("/").status_code == 200
        started = sorted({*OURS} & {*ours()})
        state = app.extensions["engage"]
        if not testing:
            assert started == sorted(OURS)
            state.recorder.close()
            state.runner.scheduler().stop()
            wait_until(lambda: ours() == before, 10, f"the end of {ours()}")
        else:
            assert ours() == before
        host.dispose()


def test_a_command_starts_none(tmp_path: Path) -> None:
    before = ours()
    with _databases.migrated("sqlite", tmp_path) as url:
        host = make_host("flask-sqlalchemy", url)
        app = host.create_app(
            Engage(),
            TESTING=False,
            ENGAGE_SCHEDULER="thread",
            ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        )
        host.add_user(app)
        for command in ("doctor", "sync", "people", "run-once"):
            result = app.test_cli_runner().invoke(args=["engage", command])
            assert result.exit_code == 0 or command == "doctor", result.output
            assert ours() == before, command
        host.dispose()


_SHELL = """
from flask import current_app
import threading
engage = current_app.extensions["host_engage"]
print("accepted", engage.track("acted", user="7"))
print("threads", sorted(t.name for t in threading.enumerate() if t is not threading.main_thread()))
"""

_HOST = """
import sys
import sqlalchemy as sa
from flask import Flask
from flask_engage import Engage

def create_app(url, folder):
    app = Flask("host")
    app.config.update(SECRET_KEY="a secret of sixteen bytes and more", ENGAGE_JOURNAL_DIR=folder)
    engage = Engage(app, sa.create_engine(url))
    app.extensions["host_engage"] = engage
    return app
"""


def test_a_shell_writes_what_it_is_told_and_schedules_nothing(tmp_path: Path) -> None:
    """What is tracked by hand is stored when the shell is left, at the latest."""
    (tmp_path / "shell_host.py").write_text(_HOST)
    with _databases.migrated("sqlite", tmp_path) as url:
        app = f"shell_host:create_app({url!r}, {str(tmp_path / 'journal')!r})"
        result = subprocess.run(
            [sys.executable, "-m", "flask", "--app", app, "shell"],
            cwd=tmp_path,
            env=environment(PYTHONPATH=f"{tmp_path}:{ROOT}"),
            input=_SHELL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert "accepted True" in result.stdout
        assert "threads ['engage-writer']" in result.stdout
        database = open_database(url)
        assert table(database, EventSummaryRow, "name", "count") == [("acted", 1)]
        database.dispose()
    assert not list((tmp_path / "journal").rglob("*.journal"))
