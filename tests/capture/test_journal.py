"""The journal: what it takes it keeps, and what it can't keep it refuses."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from flask_engage.capture.frames import frame
from flask_engage.capture.journal import Journal
from flask_engage.capture.journal_file import JournalFile
from tests._disk import write_by

BIG = 1024**3


def _journal(folder: Path, app: str = "host", max_bytes: int = BIG) -> Journal:
    return Journal(folder, app, max_bytes)


def _read(file: JournalFile) -> list[bytes]:
    payloads: list[bytes] = []
    position = 0
    while True:
        found = file.read(position, 3)
        payloads += [payload for payload, _ in found.payloads]
        if found.end == position:
            return payloads
        position = found.end


def _orphaned(folder: Path, payloads: list[bytes]) -> Path:
    """Leave a journal file behind as a dead process would."""
    journal = _journal(folder)
    assert all(journal.append(payload) for payload in payloads)
    [file] = journal.own()
    journal.close()
    return file.path


def test_nothing_is_opened_before_the_first_fact(tmp_path: Path) -> None:
    journal = _journal(tmp_path / "journal")
    assert journal.own() == []
    assert list(journal.orphans()) == []
    assert not (tmp_path / "journal").exists()


def test_the_folder_is_closed_to_others(tmp_path: Path) -> None:
    journal = _journal(tmp_path / "journal")
    assert journal.append(b"1")
    [file] = journal.own()
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
    assert file.path.stat().st_mode & 0o777 == 0o600
    journal.close()


def test_what_is_appended_is_read_in_order(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    payloads = [b"fact %d" % n for n in range(10)]
    assert all(journal.append(payload) for payload in payloads)
    assert _read(journal.own()[0]) == payloads
    journal.close()


def test_a_living_process_keeps_its_file(tmp_path: Path) -> None:
    alive, other = _journal(tmp_path), _journal(tmp_path)
    assert alive.append(b"1")
    assert list(other.orphans()) == []
    alive.close()
    assert [_read(file) for file in other.orphans()] == [[b"1"]]


def test_a_file_of_another_app_is_left_alone(tmp_path: Path) -> None:
    _orphaned(tmp_path, [b"1"])
    assert list(_journal(tmp_path, app="other").orphans()) == []


def test_a_file_of_another_format_is_left_alone(tmp_path: Path) -> None:
    path = _orphaned(tmp_path, [b"1"])
    path.rename(path.with_name("2" + path.name[1:]))
    assert list(_journal(tmp_path).orphans()) == []


def test_a_torn_tail_is_dropped(tmp_path: Path) -> None:
    path = _orphaned(tmp_path, [b"1", b"2"])
    with path.open("ab") as file:
        file.write(frame(b"never accepted")[:-5])
    [found] = [(_read(file), file.read(0, 100).end) for file in _journal(tmp_path).orphans()]
    assert found[0] == [b"1", b"2"]
    assert not list(tmp_path.glob("*.damaged"))


def test_a_file_with_half_a_head_holds_nothing(tmp_path: Path) -> None:
    path = _orphaned(tmp_path, [b"1"])
    path.write_bytes(path.read_bytes()[:10])
    for file in _journal(tmp_path).orphans():
        assert _read(file) == []


def test_damage_in_the_middle_is_kept_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _orphaned(tmp_path, [b"first", b"second", b"third"])
    data = bytearray(path.read_bytes())
    where = data.index(b"second")
    data[where] ^= 1
    path.write_bytes(data)
    for _ in range(2):  # reading it again changes nothing
        assert [_read(file) for file in _journal(tmp_path).orphans()] == [[b"first", b"third"]]
        [aside] = tmp_path.glob("*.damaged")
        assert b"recond" in aside.read_bytes()
    assert "damaged" in caplog.text


def test_damage_at_the_end_is_kept_aside(tmp_path: Path) -> None:
    path = _orphaned(tmp_path, [b"first", b"second"])
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    [(payloads, end)] = [
        (_read(file), file.read(file.size - 10, 9).end) for file in _journal(tmp_path).orphans()
    ]
    assert payloads == [b"first"]
    assert end == len(data)
    assert list(tmp_path.glob("*.damaged"))


def test_a_long_stretch_of_damage_is_skipped(tmp_path: Path) -> None:
    path = _orphaned(tmp_path, [b"first"])
    with path.open("ab") as file:
        file.write(os.urandom(3 * 1024 * 1024))
        file.write(frame(b"behind it"))
    assert [_read(file) for file in _journal(tmp_path).orphans()] == [[b"first", b"behind it"]]


def test_a_full_disk_refuses_and_leaves_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = _journal(tmp_path)
    assert journal.append(b"before")
    write = os.write

    def half(handle: int, data: bytes) -> int:
        return write(handle, data[: len(data) // 2])

    def full(_handle: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for broken in (half, full):
        with monkeypatch.context() as patch:
            write_by(broken, patch)
            assert not journal.append(b"refused")
        assert journal.append(b"after")
    assert _read(journal.own()[0]) == [b"before", b"after", b"after"]
    journal.close()


def test_a_real_limit_on_the_file_refuses(tmp_path: Path) -> None:
    """In a child with RLIMIT_FSIZE: the kernel itself cuts the write short."""
    pid = os.fork()
    if pid == 0:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        journal = _journal(tmp_path)
        accepted = sum(journal.append(b"x" * 50) for _ in range(100))
        ok = 0 < accepted < 20 and len(_read(journal.own()[0])) == accepted
        os._exit(0 if ok and journal.own()[0].size <= 1000 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_journal_stays_below_its_size(tmp_path: Path) -> None:
    _orphaned(tmp_path, [b"x" * 100] * 10)
    journal = _journal(tmp_path, max_bytes=4000)
    accepted = sum(journal.append(b"x" * 100) for _ in range(100))
    assert 10 < accepted < 30
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4000
    for file in journal.orphans():
        file.remove()
    assert journal.append(b"x" * 100), "there is room again"
    journal.close()


def test_a_folder_that_can_not_be_written_to_refuses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    journal = _journal(tmp_path / "file" / "journal")
    assert not journal.append(b"1")
    assert not journal.append(b"2")
    assert caplog.text.count("ENGAGE_JOURNAL_DIR") == 1


def test_a_stored_file_is_left_when_it_is_large(tmp_path: Path) -> None:
    journal = _journal(tmp_path, max_bytes=4000)
    assert journal.append(b"x" * 2000)
    [file] = journal.own()
    assert journal.rotate() == [], "not stored yet"
    file.stored = file.size
    assert journal.rotate() == [file]
    file.remove()
    assert journal.own() == []
    assert journal.files() == []


def test_a_file_that_somebody_removed_is_left(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    assert journal.append(b"1")
    journal.own()[0].path.unlink()
    journal.sync()
    assert journal.append(b"2")
    assert [_read(file) for file in journal.own()] == [[b"1"], [b"2"]]
    assert journal.own()[1].path.exists()
    journal.close()


def test_a_forked_child_lets_the_parents_file_go(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    assert journal.append(b"parent")
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        ok = journal.append(b"child")
        os.write(done, b"1" if ok else b"0")
        import signal

        signal.pause()
    os.close(done)
    try:
        assert os.read(ready, 1) == b"1"
        assert journal.append(b"parent again")
        assert len(journal.files()) == 2
        journal.close()
        # The parent's file is free though the child lives; the child's is not.
        assert [_read(file) for file in _journal(tmp_path).orphans()] == [
            [b"parent", b"parent again"]
        ]
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(ready)
    found = [_read(file) for file in _journal(tmp_path).orphans()]
    assert sorted(found) == [[b"child"], [b"parent", b"parent again"]]
