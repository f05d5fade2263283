"""SIGKILL at each step between a fact and its rows: nothing is lost, nothing is doubled.

The steps are told by what the process asks of the system and of the database, not by the names
of our functions: the kill comes inside of a real ``write``, ``unlink``, ``INSERT`` or ``COMMIT``.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event as sa_event

from flask_engage._clock import utcnow
from flask_engage._guard import Guard
from flask_engage.capture.facts import Event, Increment, Seen
from flask_engage.capture.recorder import Recorder
from flask_engage.settings import Settings
from flask_engage.store.attribute import AttributeRow
from flask_engage.store.engine import Database
from flask_engage.store.ready import Readiness
from flask_engage.store.session import SessionRow
from tests._clock import START
from tests._disk import write_by
from tests._ledger import Ledger
from tests._processes import in_child, read_all
from tests.capture._recorders import FakeApp, Recorders, table

_FACTS = 240
"""Events of one child; each third comes with an increment and a sighting."""
_FLUSH_EVERY = 40


@dataclass
class Fuse:
    """Kills this process at the `left`-th time that somebody passes."""

    left: int

    def burn(self, *_: Any, **__: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


Arm = Callable[[Fuse, Recorder], None]


def _patched(name: str, *, before: bool, module: Any = os) -> Arm:
    def arm(fuse: Fuse, _recorder: Recorder) -> None:
        real = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if before:
                fuse.burn()
            result = real(*args, **kwargs)
            if not before:
                fuse.burn()
            return result

        setattr(module, name, call)

    return arm


def _in_write(share: float) -> Arm:
    """Let the kill come when this share of a frame is on the disk."""

    def arm(fuse: Fuse, _recorder: Recorder) -> None:
        write = os.write

        def call(handle: int, data: bytes) -> int:
            if len(data) < 20:  # the acknowledgement, which goes to the parent
                return write(handle, data)
            if fuse.left > 1:
                fuse.burn()
                return write(handle, data)
            write(handle, data[: int(len(data) * share)])
            fuse.burn()
            raise AssertionError

        write_by(call)

    return arm


def _torn(fuse: Fuse, _recorder: Recorder) -> None:
    """Cut a write short, as a full disk does, and kill before the half frame is taken back."""
    write = os.write

    def call(handle: int, data: bytes) -> int:
        if len(data) >= 20 and random.random() < 0.05:
            return write(handle, data[: len(data) // 2])
        return write(handle, data)

    write_by(call)
    _patched("ftruncate", before=True)(fuse, _recorder)


def _at_statement(start: str, *, before: bool) -> Arm:
    """Let the kill come around the statement that begins like this."""

    def arm(fuse: Fuse, recorder: Recorder) -> None:
        name = "before_cursor_execute" if before else "after_cursor_execute"

        def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if " ".join(statement.split()).upper().startswith(start.upper()):
                fuse.burn()

        sa_event.listen(recorder._ready.require().engine, name, listen)

    return arm


def _at_commit(*, before: bool) -> Arm:
    def arm(fuse: Fuse, recorder: Recorder) -> None:
        engine = recorder._ready.require().engine
        if before:
            sa_event.listen(engine, "commit", fuse.burn)
            return
        commit = engine.dialect.do_commit

        def call(connection: Any) -> None:
            commit(connection)
            fuse.burn()

        engine.dialect.do_commit = call  # type: ignore[method-assign]

    return arm


POINTS: dict[str, tuple[Arm, int]] = {
    # The point, and how late at most the kill comes there.
    "before a write": (_in_write(0), 200),
    "in the middle of a write": (_in_write(0.5), 200),
    "after a write": (_in_write(1), 200),
    "before a half write is taken back": (_torn, 2),
    "before a batch is claimed": (_at_statement("UPDATE engage_journal", before=True), 4),
    "before the insert": (_at_statement("INSERT INTO engage_event ", before=True), 4),
    "after the insert": (_at_statement("INSERT INTO engage_event ", before=False), 4),
    "between the insert and the totals": (
        _at_statement("INSERT INTO engage_event_total", before=True),
        4,
    ),
    "before the commit": (_at_commit(before=True), 5),
    "after the commit": (_at_commit(before=False), 5),
    "before a file is removed": (_patched("unlink", before=True), 2),
    "after a file is removed": (_patched("unlink", before=False), 2),
    "as a file is adopted": (_patched("flock", before=False, module=fcntl), 2),
    "before a new file has its name": (_patched("rename", before=True), 2),
    "after a new file has its name": (_patched("rename", before=False), 2),
    "as the folder is made safe": (_patched("fsync", before=True), 3),
}


def _recorder(url: str, recorders: Recorders) -> Recorder:
    return Recorder(
        app=FakeApp(),  # without a thread: the kill comes where it is meant to
        settings=Settings(
            CAPTURE_MODE="journal",
            FLUSH_INTERVAL=timedelta(seconds=1),
            JOURNAL_MAX_BYTES=64 * 1024,  # so that files are left every few flushes
        ),
        ready=Readiness(lambda: url, lambda _database: True),
        guard=Guard(lambda: False),
        clock=utcnow,
        folder=lambda: recorders.folder,
    )


def _work(url: str, recorders: Recorders, by: str, arm: Arm, fuse: Fuse) -> Callable[[int], None]:
    def work(acknowledge: int) -> None:
        recorder = _recorder(url, recorders)
        recorder._ready.require()
        arm(fuse, recorder)
        for n in range(_FACTS):
            kinds = 0
            if recorder.append(Event(START, str(n % 7), "acted", {"by": by, "n": n})):
                kinds |= 1
            if n % 3 == 0:
                kinds |= 2 * recorder.append(Increment(START, "counted", "acts", 1))
                kinds |= 4 * recorder.append(Seen(START, "counted"))
            os.write(acknowledge, struct.pack("<IB", n, kinds))
            if n % _FLUSH_EVERY == _FLUSH_EVERY - 1:
                recorder.flush()

    return work


def _strike(
    point: str, round_: int, url: str, recorders: Recorders, ledger: Ledger
) -> tuple[int, int]:
    """Kill one child at `point`; return how many increments and sightings it had accepted."""
    arm, latest = POINTS[point]
    by = f"{point} {round_}"
    pid, pipe = in_child(_work(url, recorders, by, arm, Fuse(random.randint(1, latest))))
    said = list(struct.iter_unpack("<IB", read_all(pipe)))
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status), f"{point}: no kill; the process ended with {status}"
    assert os.WTERMSIG(status) == signal.SIGKILL
    ledger.add(by, (n for n, kinds in said if kinds & 1))
    return sum(bool(kinds & 2) for _, kinds in said), sum(bool(kinds & 4) for _, kinds in said)


def _campaign(database: Database, url: str, recorders: Recorders, rounds: int) -> str:
    ledger, increments, sightings, kills = Ledger(), 0, 0, 0
    for round_ in range(rounds):
        for point in POINTS:
            more = _strike(point, round_, url, recorders, ledger)
            increments, sightings, kills = increments + more[0], sightings + more[1], kills + 1
    recorders().flush()
    books = ledger.check(database, in_flight=kills)
    [counted] = table(database, AttributeRow, "value")
    assert increments <= int(counted[0]) <= increments + kills
    hits = sum(hits for (hits,) in table(database, SessionRow, "hits"))
    assert sightings <= hits <= sightings + kills
    assert not list(recorders.folder.glob("*.journal"))
    return f"{kills} kills: {books}"


def test_a_kill_at_any_step_loses_nothing_and_doubles_nothing(
    database: Database, migrated_url: str, recorders: Recorders
) -> None:
    _campaign(database, migrated_url, recorders, 1)


@pytest.mark.campaign
def test_a_kill_at_any_step_again_and_again(
    database: Database, migrated_url: str, recorders: Recorders
) -> None:
    print(_campaign(database, migrated_url, recorders, 50))
