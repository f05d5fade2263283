"""A server of WSGI apps as a real process, and a crowd that uses what it serves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import NullPool, create_engine, select
from sqlalchemy.orm import Session

from flask_engage import Engage
from flask_engage._state import state_of
from flask_engage.store.event import EventRow
from tests._processes import environment
from tests._services import free_port

PATIENCE = 60.0
"""Seconds for what takes well under one on a machine that has nothing else to do."""
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
BIN = Path(sys.executable).parent


class Server:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    def log(self) -> str:
        """Return what it has said so far."""
        return self._log.read_text(errors="replace")

    def get(self, path: str, user: str = "ada") -> bytes:
        """Return the body of a page as `user` gets it."""
        return self.ask(path, {"Cookie": f"user={user}"})[1]

    def ask(self, path: str, headers: dict[str, str] | None = None) -> tuple[Any, bytes]:
        """Return headers and body of the answer to a GET."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            headers={"User-Agent": BROWSER, **(headers or {})},
        )
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            return answer.headers, answer.read()

    def json(self, path: str, user: str = "ada") -> dict[str, Any]:
        """Return the answer at `path`, read as JSON."""
        found: dict[str, Any] = json.loads(self.get(path, user))
        return found

    def act(self, numbers: Sequence[int], at_once: int = 4) -> list[dict[str, Any]]:
        """Have several users act; return the answers of those who got one."""

        def one(number: int) -> dict[str, Any] | None:
            try:
                return self.json(f"/act/{number}", user=f"user{number % 5}")
            except (OSError, urllib.error.URLError):
                return None  # a worker that ends may drop who is waiting: not acknowledged

        with ThreadPoolExecutor(at_once) as crowd:
            return [answer for answer in crowd.map(one, numbers) if answer is not None]

    def wait_until_ready(self, path: str) -> None:
        """Return when it answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.ask(path)
            except OSError:
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Kill it and all its children, as a machine does that has no memory left."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Send it the signal; return how many seconds it took to end."""
        begun = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(PATIENCE)
        return time.monotonic() - begun


@contextmanager
def running(
    command: Sequence[str], folder: Path, database: str, *, port: int = 0, **env: str
) -> Iterator[Server]:
    """Run `command` in `folder` until it is left."""
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(SERVED_FOLDER=str(folder), SERVED_DATABASE=database, **env),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(process, port, log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


@contextmanager
def serving(
    command: Sequence[str], folder: Path, database: str, *, ready: str = "/here", **env: str
) -> Iterator[Server]:
    """Run a server by `command`, with ``{port}`` filled in, until it is left."""
    port = free_port()
    filled = [part.format(port=port) for part in command]
    with running(filled, folder, database, port=port, **env) as server:
        server.wait_until_ready(ready)
        yield server


def threads_of(pid: int) -> int:
    """Return how many threads a process has, Python's and others."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


# --- what came of it ---------------------------------------------------------------------------


def stored(folder: Path, database: str, expected: Iterable[int]) -> Counter[int]:
    """Return how often each number is stored once all `expected` are, or patience has ended.

    Takes over what dead processes left, as the next process of the host would; the system may
    need a moment to bury them.
    """
    wanted = set(expected)
    deadline = time.monotonic() + PATIENCE
    app = Flask("shop", root_path=str(folder))
    app.config.update(TESTING=True, ENGAGE_DATABASE_URL=database)
    app.config.update(ENGAGE_JOURNAL_DIR=str(folder / "journal"), ENGAGE_AUTO_UPGRADE=False)
    engage = Engage(app)
    while True:
        with app.app_context():
            engage.flush()
            found = stored_already(database)
        if wanted <= set(found) or time.monotonic() > deadline:
            state_of(app).ready.database().dispose()
            return found
        time.sleep(0.05)


def stored_already(database: str) -> Counter[int]:
    """Return how often each number is stored now."""
    engine = create_engine(database, poolclass=NullPool)
    with Session(engine) as session:
        rows = session.scalars(select(EventRow.properties)).all()
    return Counter(int(row["number"]) for row in rows)


def exits(folder: Path) -> list[float]:
    """Return for each process that ended in order how long the exit handlers took, in seconds."""
    return [float(path.read_text()) for path in folder.glob("exit-*")]
