"""Workers of a host under load, killed again and again: what was accepted is stored, once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from flask_engage.store.engine import Database, open_database
from tests import _databases
from tests._ledger import Books
from tests._load import Load, drain, served

PRELOADED = ("--preload",)
"""The app is made before the fork: workers are there at once, and can be killed more often."""


def _kill_workers(
    url: str,
    database: Database,
    folder: Path,
    *,
    seconds: float,
    every: float,
    options: tuple[str, ...] = (),
    mode: str = "journal",
) -> tuple[int, Load, Books]:
    """Kill a worker every so often; return how many, what was accepted, and what came of it."""
    kills = 0
    with served(url, folder, *options, mode=mode) as server, Load(server.port) as load:
        load.wait_for(1)
        end = time.monotonic() + seconds
        while time.monotonic() < end or kills < 3:
            time.sleep(every)
            load.wait_for(20)
            server.strike(load)
            kills += 1
    if mode == "journal":
        drain(url, folder)
    return kills, load, load.ledger.books(database)


def _check(kills: int, load: Load, books: Books) -> None:
    report = f"{kills} kills, {load}: {books}"
    print(report)
    assert kills >= 3, report
    assert load.refused == 0, report
    assert not books.lost, report
    assert not books.doubled, report
    assert len(books.unasked) <= load.unanswered, report


def test_workers_killed_under_load_lose_nothing(
    database: Database, migrated_url: str, tmp_path: Path
) -> None:
    _check(
        *_kill_workers(migrated_url, database, tmp_path, seconds=4, every=0.7, options=PRELOADED)
    )


def test_what_is_only_in_memory_is_lost(tmp_path: Path) -> None:
    """The control: were nothing lost here either, the test above would be blind."""
    with _databases.migrated("sqlite", tmp_path) as url:
        database = open_database(url)
        kills, load, books = _kill_workers(
            url, database, tmp_path / "host", seconds=1, every=0.3, options=PRELOADED, mode="memory"
        )
        database.dispose()
    print(f"memory: {kills} kills, {load}: {books}")
    assert books.lost
    assert not books.doubled


@pytest.mark.campaign
def test_workers_killed_every_two_seconds_for_a_minute(
    database: Database, migrated_url: str, tmp_path: Path
) -> None:
    _check(*_kill_workers(migrated_url, database, tmp_path, seconds=60, every=2, options=PRELOADED))
