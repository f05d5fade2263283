"""Connections to the database that break at the worst moment: each fact is stored once."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_engage._guard import Guard
from flask_engage.capture.facts import Event
from flask_engage.capture.recorder import Recorder
from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow
from flask_engage.store.journal import JournalRow
from flask_engage.store.ready import Readiness
from tests import _databases
from tests._clock import START, FakeClock
from tests._ledger import Ledger
from tests._proxy import Proxy, proxy_before
from tests.capture._recorders import Recorders, table


@pytest.fixture(params=["postgresql", "mariadb"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with our tables, of those that are reached over a network."""
    with _databases.migrated(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def proxied(migrated_url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the database, and the URL through it."""
    with proxy_before(migrated_url) as found:
        yield found


def _recorder(recorders: Recorders, url: str, **settings: str) -> Recorder:
    ready = Readiness(lambda: url, lambda _database: True)
    return recorders(ready=ready, guard=Guard(lambda: False), **settings)


def _is_commit(data: bytes) -> bool:
    return re.search(rb"\bCOMMIT\b", data) is not None


def _flush_until_stored(recorder: Recorder, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while recorder.status().problem or recorder.flush():
        recorder._ready.forget()
        recorder.flush()
        assert time.monotonic() < deadline, recorder.status()


def _cut_commits(
    database: Database, recorders: Recorders, proxied: tuple[Proxy, str], wanted: int
) -> str:
    """Cut connections right behind the COMMIT until that has happened `wanted` times."""
    proxy, url = proxied
    recorder, ledger, numbers = _recorder(recorders, url), Ledger(), itertools.count()
    proxy.cut_at = lambda data: _is_commit(data) and random.random() < 0.6
    while proxy.cuts < wanted:
        for n in itertools.islice(numbers, 30):
            assert recorder.append(Event(START, str(n % 5), "acted", {"by": "a", "n": n}))
            ledger.add("a", [n])
        recorder._ready.forget()
        recorder.flush()
    proxy.cut_at = lambda _data: False
    _flush_until_stored(recorder)
    return f"{proxy.cuts} cuts: {ledger.check(database)}"


def test_a_connection_cut_behind_the_commit_doubles_nothing(
    database: Database, recorders: Recorders, proxied: tuple[Proxy, str]
) -> None:
    """The database has committed; whoever asked for it never hears of it."""
    _cut_commits(database, recorders, proxied, 8)


@pytest.mark.campaign
def test_connections_cut_behind_a_hundred_commits(
    database: Database, recorders: Recorders, proxied: tuple[Proxy, str]
) -> None:
    print(_cut_commits(database, recorders, proxied, 100))


def test_a_fact_stored_in_its_request_is_stored_once_though_the_answer_is_lost(
    database: Database, recorders: Recorders, proxied: tuple[Proxy, str]
) -> None:
    """The mode ``sync`` has no journal to look it up in."""
    proxy, url = proxied
    recorder, ledger = _recorder(recorders, url, CAPTURE_MODE="sync"), Ledger()
    turns = itertools.cycle([True, False, False, True, False])
    proxy.cut_at = lambda data: _is_commit(data) and next(turns)
    refused = 0
    for n in range(40):
        recorder._ready.forget()
        if recorder.append(Event(START, str(n % 5), "acted", {"by": "a", "n": n})):
            ledger.add("a", [n])
        else:
            refused += 1
    assert proxy.cuts >= 8
    assert len(ledger.accepted) >= 10
    ledger.check(database, in_flight=refused)


def test_a_process_that_was_quiet_for_long_stores_the_next_fact(
    database: Database, recorders: Recorders, clock: FakeClock
) -> None:
    """What proves its last commit has been forgotten meanwhile, and is made anew."""
    quiet, busy = recorders(CAPTURE_MODE="sync"), recorders(CAPTURE_MODE="sync")
    assert quiet.append(Event(START, "7", "acted", {"by": "quiet", "n": 0}))
    clock.advance(days=31)
    assert busy.append(Event(START, "7", "acted", {"by": "busy", "n": 0}))
    assert len(table(database, JournalRow, "file")) == 1
    assert quiet.append(Event(START, "7", "acted", {"by": "quiet", "n": 1}))
    assert len(table(database, EventRow, "name")) == 3
    assert len(table(database, JournalRow, "file")) == 2


def test_a_slow_network_and_one_that_resets_lose_nothing(
    database: Database, recorders: Recorders, proxied: tuple[Proxy, str]
) -> None:
    proxy, url = proxied
    recorder, ledger = _recorder(recorders, url), Ledger()
    proxy.latency = 0.005
    for n in range(200):
        assert recorder.append(Event(START, str(n % 5), "acted", {"by": "a", "n": n}))
        ledger.add("a", [n])
        if n % 20 == 0:
            proxy.reset_all()
            recorder.flush()
    proxy.latency = 0
    _flush_until_stored(recorder)
    ledger.check(database)
