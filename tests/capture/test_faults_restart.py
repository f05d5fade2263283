"""A database server that is restarted, crashes or freezes in the middle of the work."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from flask_engage._clock import utcnow
from flask_engage._guard import Guard
from flask_engage.capture.facts import Event
from flask_engage.capture.recorder import Recorder
from flask_engage.settings import Settings
from flask_engage.store.engine import Database, open_database
from flask_engage.store.migrate import upgrade
from flask_engage.store.ready import Readiness
from tests._clock import START
from tests._ledger import Ledger
from tests._postgresql import PrivatePostgresql, private_postgresql
from tests.automation._poll import wait_until
from tests.capture._recorders import FakeApp

_PACE = 0.002


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePostgresql]:
    with private_postgresql() as server:
        database = open_database(server.url)
        upgrade(database)
        database.dispose()
        yield server


@pytest.fixture
def database(server: PrivatePostgresql) -> Iterator[Database]:
    database = open_database(server.url)
    yield database
    database.dispose()


class Host:
    """A process that takes facts in at a steady pace while its writer thread stores them."""

    def __init__(self, url: str, folder: object, by: str) -> None:
        self.ready = Readiness(lambda: url, lambda _database: True)
        self.recorder = Recorder(
            app=FakeApp(testing=False),
            settings=Settings(FLUSH_INTERVAL=timedelta(seconds=0.05)),
            ready=self.ready,
            guard=Guard(lambda: False),
            clock=utcnow,
            folder=lambda: folder,  # type: ignore[arg-type,return-value]
        )
        self.ledger = Ledger()
        self.slowest = 0.0
        self._by = by
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Host:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.recorder.close()
        self.ready.database().dispose()

    def stored(self) -> int:
        self.ready.forget()  # or nobody would look at the database again for seconds
        return self.recorder.status().stored

    def is_done(self) -> bool:
        return self.stored() >= len(self.ledger.accepted)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        for n in itertools.count():
            if self._stop.wait(_PACE):
                return
            began = time.monotonic()
            if self.recorder.append(Event(START, str(n % 7), "acted", {"by": self._by, "n": n})):
                self.ledger.add(self._by, [n])
            self.slowest = max(self.slowest, time.monotonic() - began)


def _restart(server: PrivatePostgresql, folder: object, times: int, ledger: Ledger) -> None:
    """Restart the server again and again, always while a batch is on its way."""
    with Host(server.url, folder, f"restarted {time.monotonic_ns()}") as host:
        for number in range(times):
            before = host.stored()
            wait_until(lambda before=before: host.stored() > before, 90, "something stored")
            time.sleep(random.uniform(0, 0.1))
            server.restart(("fast", "immediate")[number % 2])
        host.stop()
        wait_until(host.is_done, 120, f"all stored: {host.recorder.status()}")
        ledger.accepted |= host.ledger.accepted


def test_restarts_lose_nothing_and_double_nothing(
    server: PrivatePostgresql, database: Database, tmp_path: object
) -> None:
    """Once in good order, once as after a crash."""
    ledger = Ledger()
    _restart(server, tmp_path, 2, ledger)
    database.dispose()
    books = ledger.books(database)
    assert not books.lost, str(books)
    assert not books.doubled, str(books)


@pytest.mark.campaign
def test_twenty_restarts_lose_nothing_and_double_nothing(
    server: PrivatePostgresql, database: Database, tmp_path: object
) -> None:
    ledger = Ledger()
    _restart(server, tmp_path, 20, ledger)
    database.dispose()
    books = ledger.books(database)
    print(f"20 restarts: {books}")
    assert not books.lost, str(books)
    assert not books.doubled, str(books)


def _freeze(server: PrivatePostgresql, folder: object, seconds: float) -> tuple[Host, float]:
    with Host(server.url, folder, f"frozen {time.monotonic_ns()}") as host:
        wait_until(lambda: host.stored() > 20, 90, "something stored")
        server.freeze()
        try:
            before = len(host.ledger.accepted)
            time.sleep(seconds)
            assert len(host.ledger.accepted) > before + 0.2 * seconds / _PACE
        finally:
            server.thaw()
        host.stop()
        drained = wait_until(host.is_done, 120, f"all stored: {host.recorder.status()}")
    return host, drained


def test_a_frozen_server_holds_nobody_up_and_loses_nothing(
    server: PrivatePostgresql, database: Database, tmp_path: object
) -> None:
    host, _ = _freeze(server, tmp_path, 1.5)
    books = host.ledger.books(database)
    assert not books.lost, str(books)
    assert not books.doubled, str(books)
    assert host.slowest < 0.5


@pytest.mark.campaign
def test_a_server_frozen_for_a_minute_loses_nothing(
    server: PrivatePostgresql, database: Database, tmp_path: object
) -> None:
    host, drained = _freeze(server, tmp_path, 60)
    books = host.ledger.books(database)
    print(f"frozen for 60 s: {books}; drained in {drained:.1f} s, slowest {host.slowest:.4f} s")
    assert not books.lost, str(books)
    assert not books.doubled, str(books)
    assert drained <= 60
