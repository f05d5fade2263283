"""``flask engage doctor`` says what is wrong with storing, what to do, and 1 to who calls it."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_engage import Engage
from flask_engage._state import EngageState, state_of
from flask_engage.capture.journal import is_writable
from flask_engage.capture.recorder import Recorder
from flask_engage.store.journal import DeadLetterRow
from flask_engage.store.lease import JobRow
from tests import _databases
from tests._clock import START, FakeClock
from tests._hosts import Host, make_host
from tests._processes import in_child, read_all
from tests._services import free_port

Doctor = Callable[[], tuple[int, str]]


@pytest.fixture
def served(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., tuple[EngageState, Doctor]]]:
    """Makes a host in which nothing is wrong, and its doctor."""
    hosts: list[Host] = []

    def make(**config: Any) -> tuple[EngageState, Doctor]:
        with _databases.migrated("sqlite", tmp_path) as url:
            host = make_host("flask-sqlalchemy", url)
        hosts.append(host)
        engage = Engage(clock=clock)
        engage.operator(lambda: False)
        app: Flask = host.create_app(
            engage, **{"ENGAGE_JOURNAL_DIR": str(tmp_path / "journal"), **config}
        )

        def doctor() -> tuple[int, str]:
            result = app.test_cli_runner().invoke(args=["engage", "doctor"])
            return result.exit_code, result.output

        return state_of(app), doctor

    yield make
    for host in hosts:
        host.dispose()


@pytest.fixture
def track(clock: FakeClock) -> Callable[..., None]:
    def track(state: EngageState, count: int = 3) -> None:
        with state.app.app_context():
            from flask_engage.capture.facts import Event

            for n in range(count):
                assert state.recorder.append(Event(clock(), "7", "acted", {"n": n}))

    return track


Served = Callable[..., tuple[EngageState, Doctor]]
Track = Callable[..., None]


def test_all_is_well(served: Served, track: Track) -> None:
    state, doctor = served()
    track(state)
    assert doctor() == (0, doctor()[1])
    assert "3 facts (" in doctor()[1]
    state.recorder.flush()
    code, said = doctor()
    assert code == 0
    assert "mode 'journal'" in said
    assert "nothing waits to be stored" in said
    assert "→" not in said


def test_facts_that_nobody_stores(served: Served, track: Track, clock: FakeClock) -> None:
    state, doctor = served()
    track(state)
    state.recorder.flush()
    clock.advance(minutes=20)
    track(state, 5)
    clock.advance(minutes=10)
    code, said = doctor()
    assert code == 1
    assert "5 facts (" in said
    assert "the oldest for 10 minutes" in said
    assert "→ Facts wait for 10 minutes to be stored" in said
    state.recorder.flush()
    assert doctor()[0] == 0


def test_facts_of_a_dead_process_and_of_a_long_backlog(
    served: Served, track: Track, tmp_path: Path
) -> None:
    state, doctor = served()
    track(state, 20_000)
    state.recorder.close()
    backlog = state.recorder.backlog()
    assert backlog is not None
    assert backlog.files == 1
    assert 18_000 < backlog.facts < 22_000, "a long file is estimated"
    assert "to be stored, the oldest for 0 seconds" in doctor()[1]


def test_a_fact_from_the_past_has_not_been_waiting_since_then(
    served: Served, track: Track, clock: FakeClock
) -> None:
    state, doctor = served()
    track(state)
    state.recorder.flush()
    now = clock()
    clock.now = START.replace(year=2020)
    track(state)
    clock.now = now
    assert doctor()[0] == 0


def test_a_database_that_is_away(served: Served, track: Track) -> None:
    nowhere = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nowhere"
    state, doctor = served(ENGAGE_DATABASE_URL=nowhere)
    track(state)
    code, said = doctor()
    assert code == 1
    assert "the database does not answer" in said
    assert "3 facts (" in said
    assert "→ The database is away" in said
    state.recorder.flush()
    status = state.recorder.status()
    assert status.problem is not None
    assert status.last_error is not None
    assert status.last_error_at == START


def test_missing_tables(served: Served, tmp_path: Path) -> None:
    _, doctor = served(
        ENGAGE_DATABASE_URL=f"sqlite:///{tmp_path / 'empty.sqlite3'}", ENGAGE_AUTO_UPGRADE=False
    )
    code, said = doctor()
    assert code == 1
    assert "→ run: flask engage upgrade" in said


def _dead_letter(state: EngageState, _folder: Path) -> None:
    with state.ready.require().write() as session:
        for n in (1, 2):
            session.add(DeadLetterRow(payload="x", reason=f"too long {n}", occurred_at=START))


def _job(state: EngageState, failures: int, *, late: timedelta = timedelta(0)) -> None:
    with state.ready.require().write() as session:
        session.add(
            JobRow(
                name="mail",
                runs=9,
                failures=failures,
                last_error="SMTPError: no" if failures else None,
                next_run_at=START - late,
            )
        )


def _damage(state: EngageState, folder: Path) -> None:
    state.recorder.close()
    [path] = folder.glob("*.journal")
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)
    state.recorder.flush()


def _unreadable(_state: EngageState, folder: Path) -> None:
    [path] = folder.glob("*.journal")
    # No permission holds back who is root: something that nobody can open as a file.
    (folder / f"{path.name.rsplit('-', 1)[0]}-0.journal").mkdir()


def _another_apps(state: EngageState, folder: Path) -> None:
    state.recorder.flush()
    state.recorder.close()
    [path] = folder.glob("*.journal")
    path.rename(folder / f"9-{path.name}")


SYMPTOMS: dict[str, tuple[Callable[[EngageState, Path], None], str]] = {
    "dead letters": (_dead_letter, "2 facts that the database refused lie in"),
    "a job that fails": (lambda state, _: _job(state, 4), "“mail” failed 4 times in a row: SMTP"),
    "nobody runs jobs": (
        lambda state, _: _job(state, 0, late=timedelta(minutes=30)),
        "A job waits for its turn for 30 minutes: nobody runs jobs",
    ),
    "damage": (_damage, "damaged and are kept aside"),
    "another user's": (_unreadable, "belong to another system user"),
    "another app's": (_another_apps, "another app's or another version's"),
}


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_a_symptom_is_told_with_what_to_do(symptom: str, served: Served, track: Track) -> None:
    state, doctor = served()
    track(state)
    folder = Path(state.recorder.status().folder or "")
    make, sentence = SYMPTOMS[symptom]
    make(state, folder)
    code, said = doctor()
    assert code == 1
    [line] = [line for line in said.splitlines() if "→" in line]
    assert sentence in line
    assert line.endswith(".") or ": " in line


def test_each_reason_of_the_database_is_told_with_how_many_facts_it_cost(served: Served) -> None:
    state, doctor = served()
    with state.ready.require().write() as session:
        for n in range(5):
            reason = f"DataError: too long\n[SQL: …] [{n}]" if n % 2 else "NotNull: no name"
            session.add(DeadLetterRow(payload="x", reason=reason, occurred_at=START))
    assert "(3 × NotNull: no name; 2 × DataError: too long)" in doctor()[1]


def test_a_journal_that_is_nearly_full(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_engage._setting_checks.JOURNAL_LEAST_BYTES", 1)
    state, doctor = served(ENGAGE_JOURNAL_MAX_BYTES=5000)
    with state.app.app_context():
        from flask_engage.capture.facts import Event

        while state.recorder.append(Event(START, "7", "acted")):
            pass
    code, said = doctor()
    assert code == 1
    assert "of 5 KiB (ENGAGE_JOURNAL_MAX_BYTES); when it is full, facts are refused" in said
    assert state.recorder.status().refused == 1


def test_a_disk_that_is_nearly_full(
    served: Served, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, doctor = served()
    track(state)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 7 * 1024 * 1024))
    code, said = doctor()
    assert code == 1
    assert "The journal's disk has 7 MiB left" in said


def test_a_folder_that_can_not_be_written_to(served: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    _, doctor = served(ENGAGE_JOURNAL_DIR=str(tmp_path / "file" / "journal"))
    code, said = doctor()
    assert code == 1
    assert "can't be written to by this user" in said


def test_a_folder_that_is_not_for_us_to_see_keeps_no_host_from_starting(tmp_path: Path) -> None:
    """As another system user, where there is one to become."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)

    def work(answer: int) -> None:
        if os.geteuid() == 0:
            os.setuid(65534)
        wrong = is_writable(closed / "deep" / "journal")
        os.write(answer, b"1" if wrong else b"0")

    pid, pipe = in_child(work)
    assert read_all(pipe) == b"0"
    os.waitpid(pid, 0)
    closed.chmod(0o700)


@pytest.mark.parametrize("mode", ["sync", "memory"])
def test_the_mode_is_told(mode: str, served: Served) -> None:
    _, doctor = served(ENGAGE_CAPTURE_MODE=mode)
    code, said = doctor()
    assert code == 0, said
    assert f"{mode!r}" in said


def test_looking_disturbs_nobody_who_stores(
    served: Served, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is stored and removed at this moment is no fault."""
    state, doctor = served()
    track(state)
    real = Recorder.backlog

    def store_first(recorder: Recorder) -> Any:
        found = real(recorder)
        recorder.flush()
        recorder.close()
        return found

    monkeypatch.setattr(Recorder, "backlog", store_first)
    assert doctor()[0] == 0
    assert doctor()[0] == 0
