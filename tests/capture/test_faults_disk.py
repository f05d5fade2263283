"""A disk that is full, fails or flips bits, and files that several processes want."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flask_engage._guard import Guard
from flask_engage.capture.facts import Event
from flask_engage.capture.frames import frame, scan
from flask_engage.capture.journal import Journal
from flask_engage.capture.journal_file import JournalFile
from flask_engage.capture.recorder import Recorder
from flask_engage.store.engine import Database
from tests._clock import START
from tests._disk import write_by
from tests._ledger import Ledger
from tests._processes import ROOT, in_child, read_all
from tests.capture._recorders import Recorders

_SPACE = 256 * 1024


@contextmanager
def _small_disk(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make `folder` a disk of its own with little space: really, or else by what ``write`` says."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SPACE}", "engage-test", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    write = os.write

    def limited(handle: int, data: bytes) -> int:
        free = _SPACE - sum(path.stat().st_size for path in folder.iterdir())
        if free <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:free])

    write_by(limited, patch)
    yield
    patch.undo()


def _fill(recorder: Recorder, ledger: Ledger, first: int, padding: str = "") -> list[bool]:
    answers = []
    for n in range(first, first + 3000):
        fact = Event(START, str(n % 5), "acted", {"by": "a", "n": n, "padding": padding})
        answers.append(recorder.append(fact))
        if answers[-1]:
            ledger.add("a", [n])
    return answers


def test_a_full_disk_refuses_all_and_tears_nothing(
    database: Database, recorders: Recorders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From full on everything is refused; what was accepted is stored, and then there is room."""
    with _small_disk(tmp_path / "journal", monkeypatch):
        recorder, ledger = recorders(guard=Guard(lambda: False)), Ledger()
        answers = _fill(recorder, ledger, 0, "x" * 200)
        accepted = answers.count(True)
        assert 200 < accepted < 1500
        # A fact that is shorter may still have fitted; then nothing does.
        assert answers[accepted + 5 :] == [False] * (3000 - accepted - 5)
        for path in recorders.folder.glob("*.journal"):
            found = scan(path.read_bytes(), 0, 10_000)
            assert found.rest == 0
            assert found.damaged == []
            assert len(found.payloads) == accepted + 1
        recorder.flush()
        ledger.check(database)
        recorder.close()
        assert recorders(guard=Guard(lambda: False)).flush() == 0
        more = recorders(guard=Guard(lambda: False))
        assert all(_fill(more, ledger, 10_000)[:500]), "there is room again"
        more.flush()
        ledger.check(database)
        more.close()
        assert not list(recorders.folder.glob("*.damaged"))


def test_a_half_frame_that_stays_costs_nothing_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes half of a frame, and does not let us take it back."""
    journal = Journal(tmp_path, "host", 1024**3)
    write = os.write

    def half(handle: int, data: bytes) -> int:
        return write(handle, data[: len(data) // 2])

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "the disk fails here")

    expected = []
    for n in range(6):
        if n % 2:
            with monkeypatch.context() as patch:
                write_by(half, patch)
                patch.setattr(os, "ftruncate", fail)
                assert not journal.append(b'"refused %d"' % n)
            continue
        expected.append(b'"accepted %d"' % n)
        assert journal.append(expected[-1])
    assert journal.append(b'"the last"')
    [file] = journal.own()
    found, position = [], 0
    while position < file.size:
        some = file.read(position, 2)
        found += [payload for payload, _ in some.payloads]
        position = some.end
    assert found == [*expected, b'"the last"']
    assert file.size == file.path.stat().st_size
    journal.close()


#: A pipe that nobody empties is a disk that takes nothing: whoever writes to it waits for good.
_STALLED = """
import os, threading
from pathlib import Path
from flask_engage.capture.journal_file import JournalFile

reader, handle = os.pipe()
os.set_blocking(handle, False)
try:
    while os.write(handle, bytes(4096)):
        pass
except BlockingIOError:
    os.set_blocking(handle, True)
at_work, may_end, writing = threading.Event(), threading.Event(), threading.Event()

def sync(_handle):
    at_work.set()
    may_end.wait()

def write(handle, data, real=os.write):
    writing.set()
    return real(handle, data)

os.fdatasync, os.write = sync, write
file = JournalFile(Path("a.journal"), handle, 0)
file.dirty = True
syncs = threading.Thread(target=file.sync)
syncs.start()
at_work.wait()
answers = []
writes = threading.Thread(target=lambda: answers.append(file.append(b"a fact")))
writes.start()
writing.wait()
print("the others go on", flush=True)
os.read(reader, 1 << 20)
writes.join()
may_end.set()
syncs.join()
print(answers, os.read(reader, 100))
"""


def test_a_disk_that_takes_nothing_stops_no_other_thread() -> None:
    """While a sync lasts; without one, the frame is only copied into memory."""
    done = subprocess.run(
        [sys.executable, "-c", _STALLED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["the others go on", "[True] b'a fact'"]


def test_any_flipped_bit_costs_the_fact_it_hits_and_no_other() -> None:
    """Each bit of a file, one after the other."""
    payloads = [b'["seen","2026-03-02T10:00:00Z","%d"]' % n for n in range(4)]
    whole = b"".join(map(frame, payloads))
    length = len(whole) // len(payloads)
    for where in range(len(whole)):
        hit = where // length
        others = payloads[:hit] + payloads[hit + 1 :]
        for bit in range(8):
            data = bytearray(whole)
            data[where] ^= 1 << bit
            found = [payload for payload, _ in scan(bytes(data), 0, 100).payloads]
            assert [payload for payload in found if payload != payloads[hit]] == others
            assert set(found) <= set(payloads)


# --- who may have a file ------------------------------------------------------------------


def _adopting(url: str, recorders: Recorders) -> Callable[[int], None]:
    def work(ready: int) -> None:
        recorder = recorders(guard=Guard(lambda: False))
        recorder._ready.require()
        os.write(ready, b".")
        os.read(0, 1)  # until both are let go
        recorder.flush()
        os.write(ready, b"%d" % recorder.status().stored)
        os._exit(0)

    return work


def _orphans(recorders: Recorders, ledger: Ledger, round_: int) -> None:
    dead = recorders(guard=Guard(lambda: False))
    for n in range(20):
        assert dead.append(Event(START, str(n % 3), "acted", {"by": str(round_), "n": n}))
    ledger.add(str(round_), range(20))
    dead.close()


def _adopt_at_once(database: Database, url: str, recorders: Recorders, rounds: int) -> None:
    ledger = Ledger()
    for round_ in range(rounds):
        _orphans(recorders, ledger, round_)
        gate, opener = os.pipe()
        before = os.dup(0)
        os.dup2(gate, 0)
        rivals = [in_child(_adopting(url, recorders)) for _ in range(2)]
        os.dup2(before, 0)
        for _, pipe in rivals:
            assert os.read(pipe, 1) == b"."
        os.write(opener, b"..")
        stored = [int(read_all(pipe)) for _, pipe in rivals]
        for pid, _ in rivals:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        for handle in (gate, opener, before):
            os.close(handle)
        assert sum(stored) == 20, stored
    books = ledger.check(database)
    print(f"{rounds} rounds: {books}")
    assert not list(recorders.folder.glob("*.journal"))


def test_two_processes_that_adopt_a_file_at_once_store_it_once(
    database: Database, migrated_url: str, recorders: Recorders
) -> None:
    _adopt_at_once(database, migrated_url, recorders, 5)


@pytest.mark.campaign
def test_two_processes_that_adopt_files_at_once_again_and_again(
    database: Database, migrated_url: str, recorders: Recorders
) -> None:
    _adopt_at_once(database, migrated_url, recorders, 200)


def test_a_child_forked_while_a_file_is_adopted_does_not_keep_it(tmp_path: Path) -> None:
    """Else nobody could store it if the adopter died, for as long as the child lives."""
    dead = Journal(tmp_path, "host", 1024**3)
    assert dead.append(b'"1"')
    dead.close()
    journal = Journal(tmp_path, "host", 1024**3)
    adopted = journal.orphans()
    file = next(adopted)

    def work(ready: int) -> None:
        journal.after_fork()
        os.write(ready, b".")
        threading.Event().wait()

    pid, pipe = in_child(work)
    try:
        assert os.read(pipe, 1) == b"."
        adopted.close()
        again = JournalFile.adopt(file.path)
        assert again is not None, "the child has it"
        again.close()
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(pipe)
