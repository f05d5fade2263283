"""Processes that die at any moment: nothing accepted is lost, nothing is stored twice."""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from flask_engage import signals
from flask_engage._clock import utcnow
from flask_engage._guard import Guard
from flask_engage.capture.facts import Event, Seen
from flask_engage.capture.recorder import Recorder
from flask_engage.settings import Settings
from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow, EventSummaryRow
from flask_engage.store.person import PersonRow
from flask_engage.store.ready import Readiness
from flask_engage.store.session import SessionRow
from tests._clock import START
from tests._processes import in_child
from tests.capture._recorders import FakeApp, Recorders, table


def _serving(url: str, folder: Path, mode: str) -> Recorder:
    return Recorder(
        app=FakeApp(testing=False),
        settings=Settings(CAPTURE_MODE=mode, FLUSH_INTERVAL=timedelta(seconds=0.02)),  # type: ignore[arg-type]
        ready=Readiness(lambda: url, lambda _database: True),
        guard=Guard(lambda: False),
        clock=utcnow,
        folder=lambda: folder,
    )


def _track_for_ever(url: str, folder: Path, mode: str, nonce: int) -> Callable[[int], None]:
    def work(acknowledge: int) -> None:
        recorder = _serving(url, folder, mode)
        n = 0
        while True:
            if recorder.append(Event(START, str(n % 7), "acted", {"nonce": nonce, "n": n})):
                os.write(acknowledge, b".")
            n += 1
            time.sleep(0.0002)  # a request's pace, so that the writer gets its turns

    return work


def _kill_after(pid: int, pipe: int, seconds: float) -> int:
    """Kill the process some time after its first acknowledged fact; return how many it had."""
    count = len(os.read(pipe, 1))
    end = time.monotonic() + seconds
    os.set_blocking(pipe, False)
    while time.monotonic() < end:
        try:
            count += len(os.read(pipe, 65536))
        except BlockingIOError:
            time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.set_blocking(pipe, True)
    while chunk := os.read(pipe, 65536):
        count += len(chunk)
    os.close(pipe)
    return count


def test_sigkill_loses_nothing_and_doubles_nothing(
    database: Database, migrated_url: str, recorders: Recorders
) -> None:
    acknowledged = 0
    rounds = 4
    for nonce in range(rounds):
        work = _track_for_ever(migrated_url, recorders.folder, "journal", nonce)
        pid, pipe = in_child(work)
        acknowledged += _kill_after(pid, pipe, random.uniform(0.05, 0.5))
    recorders().flush()
    found = [(p["nonce"], p["n"]) for (p,) in _unordered(database)]
    assert len(found) == len(set(found)), "something was stored twice"
    # A process may die between the append and the acknowledgement.
    assert acknowledged <= len(found) <= acknowledged + rounds
    assert sum(count for (count,) in table(database, EventSummaryRow, "count")) == len(found)
    assert not list(recorders.folder.glob("*.journal"))


def _unordered(database: Database) -> list[tuple[dict[str, int]]]:
    from sqlalchemy import select

    with database.read() as session:
        return [tuple(row) for row in session.execute(select(EventRow.properties))]


def test_memory_mode_does_lose_facts(tmp_path: Path, recorders: Recorders) -> None:
    """The control: were nothing lost here either, the test above would be blind."""
    if not recorders.url.startswith("sqlite"):
        return
    lost = 0
    for nonce in range(5):
        work = _track_for_ever(recorders.url, recorders.folder, "memory", nonce)
        pid, pipe = in_child(work)
        acknowledged = _kill_after(pid, pipe, 0.2)
        database = recorders()._ready.require()
        stored = sum(p["nonce"] == nonce for (p,) in _unordered(database))
        lost += acknowledged - stored
    assert lost > 0


@pytest.mark.parametrize("how", [signal.SIGTERM, None])
def test_a_process_that_ends_stores_the_rest(
    database: Database,
    migrated_url: str,
    recorders: Recorders,
    how: signal.Signals | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By sys.exit, and by the SIGTERM that servers turn into one."""
    # What isn't quickly done is left to the next process; here that it is done is the point.
    monkeypatch.setattr("flask_engage.capture.recorder.EXIT_SECONDS", 30.0)

    def work(acknowledge: int) -> None:
        import atexit
        import sys

        def leave(*_: object) -> None:
            sys.exit(0)

        atexit._clear()  # pytest's own
        signal.signal(signal.SIGTERM, leave)
        try:
            recorder = _serving(migrated_url, recorders.folder, "journal")
            for n in range(100):
                assert recorder.append(Seen(START + timedelta(seconds=n), "7"))
            os.write(acknowledge, b".")
            if how is None:
                leave()
            signal.pause()
        except SystemExit:
            atexit._run_exitfuncs()
            os._exit(0)

    pid, pipe = in_child(work)
    assert os.read(pipe, 1) == b"."
    begun = time.monotonic()
    if how is not None:
        os.kill(pid, how)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert time.monotonic() - begun < 30
    os.close(pipe)
    assert table(database, SessionRow, "hits") == [(100,)]
    assert not list(recorders.folder.glob("*.journal"))


def test_a_child_forked_from_a_serving_process_has_its_own(
    database: Database, migrated_url: str, recorders: Recorders
) -> None:
    """As with --preload: the parent has a thread, a file and connections when it forks."""

    def serve(acknowledge: int) -> None:
        recorder = _serving(migrated_url, recorders.folder, "journal")
        assert recorder.append(Seen(START, "parent"))
        deadline = time.monotonic() + 20
        while recorder.status().stored < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        child = os.fork()
        name = "parent" if child else "child"
        ok = recorder.append(Event(START, name, "forked"))
        while recorder.status().stored < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        alive = recorder.status().thread_alive
        if not child:
            os._exit(0 if ok and alive else 1)
        ok = ok and alive and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        os.write(acknowledge, b"1" if ok else b"0")
        os._exit(0)

    pid, pipe = in_child(serve)
    assert os.read(pipe, 1) == b"1"
    os.waitpid(pid, 0)
    os.close(pipe)
    recorders().flush()
    assert table(database, PersonRow, "user_id") == [("child",), ("parent",)]
    assert sorted(count for (count,) in table(database, EventSummaryRow, "count")) == [1, 1]


def test_a_child_forked_in_the_middle_of_the_parents_work_goes_its_own_way(
    recorders: Recorders,
) -> None:
    """Locks that the parent's threads held are free, and what they had to tell is theirs."""
    app = FakeApp()
    guard = Guard(lambda: False)
    recorder = recorders(app=app, guard=guard)
    assert recorder.append(Event(START, "7", "acted"))
    [source] = recorder._storer.sources(recorder._open())
    recorder._storer.writer.drain(recorder._ready.require(), source)  # and not announced yet
    heard: list[int] = []

    def receiver(_sender: object, **what: object) -> None:
        heard.append(1)

    signals.event_tracked.connect(receiver, sender=app)

    def work(answer: int) -> None:
        recorder.append(Event(START, "7", "acted in the child"))
        recorder.flush()
        guard.report("something", ValueError("on purpose"))
        os.write(answer, b"%d" % len(heard))
        os._exit(0)

    with guard._lock, recorder._opening, recorder._storer.draining:
        pid, pipe = in_child(work)
        ready, _, _ = select.select([pipe], [], [], 60)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert ready, "the child waits for a lock that nobody will give back"
    assert os.read(pipe, 1) == b"1"
    os.close(pipe)
    recorder.flush()
    assert len(heard) == 1
