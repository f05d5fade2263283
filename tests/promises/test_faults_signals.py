"""Every signal that ends, reloads or replaces a server: nothing accepted is lost or doubled."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from flask_engage.store.engine import Database, open_database
from tests import _databases
from tests._load import Load, Server, drain, is_alive, served
from tests.automation._poll import wait_until

TO_WORKERS = ("TERM", "INT", "QUIT", "ABRT", "HUP", "USR2", "KILL")
ENDS_MASTER = ("TERM", "INT", "QUIT", "ABRT", "KILL")


def _number(name: str) -> signal.Signals:
    return signal.Signals[f"SIG{name}"]


def _end_workers(server: Server, load: Load, names: tuple[str, ...]) -> None:
    """Send each signal to a worker, and wait until another has taken its place."""
    for name in names:
        load.wait_for(20)
        pid = server.strike(load, _number(name))
        wait_until(lambda pid=pid: not is_alive(pid), 60, f"the end of a worker by SIG{name}")
        server.wait_for_workers()
        load.wait_for(20)


def _check(url: str, database: Database, folder: Path, load: Load) -> None:
    drain(url, folder)
    books = load.ledger.books(database)
    print(f"{load}: {books}")
    assert books.accepted > 100, str(books)
    assert load.refused == 0, str(load)
    assert not books.lost, str(books)
    assert not books.doubled, str(books)
    assert len(books.unasked) <= load.unanswered, str(books)


def _signal_workers(url: str, database: Database, folder: Path, names: tuple[str, ...]) -> None:
    with (
        served(url, folder, "--preload", workers=2) as server,
        Load(server.port, pause=0.005) as load,
    ):
        _end_workers(server, load, names)
    _check(url, database, folder, load)


def _signal_master(url: str, database: Database, folder: Path, name: str) -> None:
    """The master goes, or starts another; its workers end by themselves."""
    with served(url, folder, "--pid", str(folder / "pid")) as server:
        with Load(server.port, pause=0.005) as load:
            load.wait_for(200)
            server.wait_for_workers()
            workers = server.workers()
            server.process.send_signal(_number(name))
            if name in ENDS_MASTER:
                server.process.wait(60)
                wait_until(
                    lambda: not any(map(is_alive, workers)), 60, f"the end of all by SIG{name}"
                )
            else:
                known = load.pids.union(workers)
                wait_until(lambda: bool(load.pids - known), 90, f"new workers by SIG{name}")
                load.wait_for(100)
                _replace(server, name, folder)
        if name in ENDS_MASTER:
            assert load.unanswered
    _check(url, database, folder, load)


def _replace(server: Server, name: str, folder: Path) -> None:
    """Let the new master of a ``USR2`` take over from the old one."""
    if name == "USR2":
        new = int((folder / "pid.2").read_text())
        server.process.terminate()
        server.process.wait(60)
        os.kill(new, signal.SIGTERM)


def test_a_signal_to_a_worker_loses_nothing(tmp_path: Path) -> None:
    """Signals to the master, and the other databases, have their turn in the campaign."""
    with _databases.migrated("sqlite", tmp_path) as url:
        database = open_database(url)
        _signal_workers(url, database, tmp_path / "host", TO_WORKERS)
        database.dispose()


@pytest.mark.campaign
def test_a_signal_to_a_worker_loses_nothing_on_any_database(
    database: Database, migrated_url: str, tmp_path: Path
) -> None:
    _signal_workers(migrated_url, database, tmp_path / "host", TO_WORKERS)


@pytest.mark.campaign
@pytest.mark.parametrize("name", [*ENDS_MASTER, "HUP", "USR2"])
def test_a_signal_to_the_master_loses_nothing(
    name: str, database: Database, migrated_url: str, tmp_path: Path
) -> None:
    _signal_master(migrated_url, database, tmp_path / "host", name)
