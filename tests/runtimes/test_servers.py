"""Every server that Flask runs under: what it acknowledged is stored, once, and it ends at once."""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests._databases import migrated
from tests._proxy import proxy_before
from tests.runtimes._server import BIN, PATIENCE, exits, serving, stored, stored_already, threads_of

APP = "tests.runtimes._served:app"
GUNICORN = (sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "--no-control-socket")
UWSGI = (
    *(str(BIN / "uwsgi"), "--http-socket", "127.0.0.1:{port}", "--master", "--need-app"),
    *("--die-on-term", "--module", APP),
)


@dataclass(frozen=True)
class Way:
    """How the app is run."""

    command: tuple[str, ...]
    dialect: str = "sqlite"
    has_master: bool = True
    """Whether the process that we start serves nobody, and has only children that do."""
    ends_by: signal.Signals = signal.SIGTERM
    ends: Literal["in order", "at once", "either"] = "in order"
    """What that does: at once if it leaves the signal to the system. uWSGI may or may not wait
    for Python's exit handlers."""


WAYS = {
    "gunicorn": Way((*GUNICORN, "-w", "2", APP)),
    "gunicorn, threads": Way((*GUNICORN, "-k", "gthread", "--threads", "4", APP)),
    "gunicorn, gevent": Way((*GUNICORN, "-k", "gevent", APP), dialect="postgresql"),
    "gunicorn, preloaded": Way((*GUNICORN, "-w", "2", "--preload", APP)),
    "gunicorn, workers replaced": Way((*GUNICORN, "--max-requests", "25", APP)),
    "uWSGI": Way((*UWSGI, "--processes", "2", "--enable-threads"), ends="either"),
    "uWSGI, app loaded in workers": Way((*UWSGI, "--threads", "3", "--lazy-apps"), ends="either"),
    "waitress": Way(
        (str(BIN / "waitress-serve"), "--listen=127.0.0.1:{port}", APP),
        has_master=False,
        ends="at once",
    ),
    "flask run": Way(
        (sys.executable, "-m", "flask", "--app", APP, "run", "--port", "{port}"),
        has_master=False,
        ends_by=signal.SIGINT,
    ),
    "flask run, SIGTERM": Way(
        (sys.executable, "-m", "flask", "--app", APP, "run", "--port", "{port}"),
        has_master=False,
        ends="at once",
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_what_a_server_acknowledged_is_stored_once(name: str, tmp_path: Path) -> None:
    way = WAYS[name]
    with (
        migrated(way.dialect, tmp_path) as database,
        serving(way.command, tmp_path, database) as server,
    ):
        answers = server.act(range(60))
        if way.has_master:  # all that runs began after the fork
            assert threads_of(server.process.pid) == 1
        server.stop(way.ends_by)
        accepted = [answer["number"] for answer in answers if answer["accepted"]]
        found = stored(tmp_path, database, accepted)
    assert len(accepted) >= 50, server.log()
    assert set(found.values()) == {1}
    assert set(accepted) <= set(found), server.log()
    for answer in answers:
        assert answer["threads"].count("engage-writer") == 1, answer
        # It starts behind a process's first answer.
        assert answer["threads"].count("APScheduler") <= 1, answer
    last = {answer["pid"]: answer["threads"] for answer in answers}
    assert any("APScheduler" in threads for threads in last.values())
    took = exits(tmp_path)
    if way.ends != "either":
        assert bool(took) is (way.ends == "in order"), server.log()
    assert max(took, default=0) < 2, server.log()
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("mode", ["journal", "sync"])
def test_uwsgi_without_threads_loses_nothing_and_says_what_to_change(
    mode: str, tmp_path: Path
) -> None:
    with (
        migrated("sqlite", tmp_path) as database,
        serving(UWSGI, tmp_path, database, SERVED_MODE=mode, SERVED_SCHEDULER="off") as server,
    ):
        assert ("--enable-threads" in server.log()) is (mode == "journal")
        accepted = [answer["number"] for answer in server.act(range(20)) if answer["accepted"]]
        if mode == "sync":
            assert len(stored_already(database)) == len(accepted)
        server.kill()
        found = stored(tmp_path, database, accepted)
    assert set(found) == set(accepted) == set(range(20))
    assert set(found.values()) == {1}


def test_a_server_ends_within_two_seconds_though_its_database_falls_silent(tmp_path: Path) -> None:
    with (
        migrated("postgresql", tmp_path) as database,
        proxy_before(database) as (proxy, url),
        serving(WAYS["gunicorn, threads"].command, tmp_path, url) as server,
    ):
        server.act(range(5))
        deadline = time.monotonic() + PATIENCE
        while not stored_already(database) and time.monotonic() < deadline:
            time.sleep(0.05)  # so that both threads have their connections
        proxy.swallow_everything()
        answers = server.act(range(5, 25))
        assert [answer["accepted"] for answer in answers] == [True] * 20
        server.stop()
        assert exits(tmp_path), server.log()
        assert max(exits(tmp_path)) < 2.5, (exits(tmp_path), server.log())
