"""A host behind gunicorn under load, and a book of every acknowledgement its clients got."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests._ledger import Ledger
from tests._processes import ROOT, environment
from tests._services import free_port, listens
from tests.automation._poll import wait_until

_APP = "tests.promises._load_host:create_app()"
WORKERS = 4
_REQUESTS = 10
"""Requests on one connection, so that clients come to all of the workers."""


def children(pid: int) -> list[int]:
    """Return the ids of a process's living children."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(word) for word in text.split() if is_alive(int(word))]


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Server:
    """gunicorn with the host of :mod:`tests.promises._load_host`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    wanted: int

    def workers(self) -> list[int]:
        """Return the ids of the workers that are there."""
        return children(self.process.pid)

    def wait_for_workers(self) -> None:
        """Wait until there are as many workers as there should be."""
        wait_until(lambda: len(self.workers()) >= self.wanted, 60, f"all workers; see {self.log}")

    def strike(self, load: Load, number: int = signal.SIGKILL) -> int:
        """Send a signal to one of the workers that have answered `load`; return which."""
        found: list[int] = []

        def serving() -> bool:
            found[:] = sorted(load.pids.intersection(self.workers()))
            return bool(found)

        wait_until(serving, 60, f"a worker that has answered; see {self.log}")
        victim = random.choice(found)
        os.kill(victim, number)
        return victim


@contextmanager
def served(
    url: str, folder: Path, *options: str, mode: str = "journal", workers: int = WORKERS
) -> Iterator[Server]:
    """Serve the host; end whatever is left of it at the end."""
    folder.mkdir(exist_ok=True)
    port, log = free_port(), folder / "server.log"
    command = [
        # Not "python -m": its USR2 starts a file of that name, which finds other modules.
        *(str(Path(sys.executable).with_name("gunicorn")), "--bind", f"127.0.0.1:{port}"),
        *("--workers", str(workers), "--worker-class", "gthread", "--threads", "4"),
        *("--graceful-timeout", "5", "--log-level", "warning", *options, _APP),
    ]
    with log.open("a") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(
                HOST_DATABASE_URL=url, HOST_FOLDER=str(folder / "journal"), HOST_MODE=mode
            ),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # to find what a master that is gone has left
        )
    try:
        wait_until(lambda: listens(port), 60, f"a server on {port}; see {log}")
        yield Server(process, port, log, workers)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server, and the processes of its session if it has left some."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    left = _session(process.pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left():
            os.kill(pid, number)
        deadline = time.monotonic() + 15
        while left() and time.monotonic() < deadline:
            time.sleep(0.02)


def _session(leader: int) -> Callable[[], list[int]]:
    def members() -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and is_alive(int(entry.name)):
                try:
                    if os.getsid(int(entry.name)) == leader:
                        found.append(int(entry.name))
                except ProcessLookupError:
                    continue
        return found

    return members


@dataclass
class Load:
    """Clients that post events, and write down which of them were accepted."""

    port: int
    clients: int = 4
    events: int = 5
    """Events in each request."""
    pause: float = 0.0
    """Seconds between a client's requests."""
    name: str = "client"
    ledger: Ledger = field(default_factory=Ledger)
    unanswered: int = 0
    """Events of requests that were cut off: stored or not, nobody was promised anything."""
    refused: int = 0
    pids: set[int] = field(default_factory=set)
    """Processes that have answered."""
    seconds: float = 0.0
    slowest: float = 0.0
    """Seconds that the slowest answered request took."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Load:
        self._began = time.monotonic()
        self._threads = [
            threading.Thread(target=self._run, args=(f"{self.name}-{number}",), daemon=True)
            for number in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        self.seconds = time.monotonic() - self._began

    def wait_for(self, accepted: int, seconds: float = 60) -> None:
        """Wait until so many more events have been accepted."""
        target = len(self.ledger.accepted) + accepted
        wait_until(
            lambda: len(self.ledger.accepted) >= target,
            seconds,
            f"{accepted} more answers",
        )

    def _run(self, by: str) -> None:
        first = 0
        connection = self._connect()
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                connection.request("POST", f"/act?by={by}&first={first}&count={self.events}")
                answer = connection.getresponse()
                said = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError):
                connection.close()
                connection = self._connect()
                self.unanswered += self.events
                time.sleep(0.02)
            else:
                with self._lock:
                    self.ledger.add(by, said["accepted"])
                    self.pids.add(said["pid"])
                    self.refused += self.events - len(said["accepted"])
                    self.slowest = max(self.slowest, time.monotonic() - began)
            first += self.events
            if first % (_REQUESTS * self.events) == 0:
                connection.close()
            if self.pause:
                time.sleep(self.pause)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def __str__(self) -> str:
        rate = len(self.ledger.accepted) / max(self.seconds, 0.001)
        return (
            f"{self.seconds:.0f} s, {rate:.0f} accepted a second, {len(self.pids)} processes, "
            f"{self.refused} refused, {self.unanswered} without an answer"
        )


def drain(url: str, folder: Path) -> None:
    """Store what dead processes have left, as the next process of the host does."""
    from tests.promises._load_host import create_app

    told = {"HOST_DATABASE_URL": url, "HOST_FOLDER": str(folder / "journal")}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        app = create_app(TESTING=True, ENGAGE_RAISE_ERRORS=False)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    state = app.extensions["engage"]
    state.recorder.flush()
    status = state.recorder.status()
    state.recorder.close()
    state.ready.database().dispose()
    assert not status.files, f"not stored: {status}"
