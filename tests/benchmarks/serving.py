"""What visitors feel: requests per second and waiting times under gunicorn, driven by wrk.

All servers run at once and take turns at being asked. What a round has left in a journal is
stored before the next one begins, for as long as there is a database to store it in. The
database is also taken away: stopped, locked by somebody else, and swallowed by the network.

All of it twice, by whom the cookie is from. Flask-Login holds a cookie from another browser for
stolen, so each answer signs a new one, the plain app's too, and what we add is a smaller share.
The first is what a visitor has; the second is there to compare with older figures.
"""

from __future__ import annotations

import math
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest
import sqlalchemy as sa

from flask_engage.store.engine import open_database
from flask_engage.store.migrate import upgrade
from tests import _databases
from tests._processes import ROOT, environment
from tests._proxy import proxy_before
from tests._services import free_port
from tests.benchmarks import _peer
from tests.benchmarks._harness import Figures, Size

ROUNDS: dict[Size, tuple[int, int]] = {"small": (3, 2), "full": (9, 5)}
"""Rounds, and seconds in each."""
CONNECTIONS = 8
SERVERS = {
    "2 sync": ("-w", "2"),
    "1 gthread x 4": ("-w", "1", "-k", "gthread", "--threads", "4"),
}
START_SECONDS = 120.0
DRAIN_SECONDS = 60.0
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Answers:
    """What wrk says of one round."""

    completed: int
    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass
class Served:
    """A server with one app."""

    variant: str
    address: str
    stores: str | None = None
    """Where facts arrive; None if they can't, or if there are none."""
    before_rounds: Callable[[], object] = lambda: None
    answers: dict[str, list[Answers]] = field(default_factory=lambda: defaultdict(list))
    """By whose cookie was sent."""


def run(size: Size) -> Figures:
    """Measure and return the figures."""
    rounds, seconds = ROUNDS[size]
    result = Figures(
        name="serving",
        what=f"a 10 KB page for somebody logged in, from gunicorn to wrk -t1 -c{CONNECTIONS}",
        size={"rounds": rounds, "seconds in each": seconds},
    )
    if shutil.which("wrk") is None:
        result.notes.append("Left out: wrk is not installed (apt install wrk).")
        return result
    if find_spec("gunicorn") is None:
        result.notes.append("Left out: gunicorn is not installed (pip install gunicorn).")
        return result
    cookies = {"its own": log_in(_peer.BROWSER), "another browser's": log_in("Another/1.0")}
    for server, arguments in SERVERS.items():
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engage-bench-")))
            servers = started(stack, folder, arguments, result.notes)
            for one in servers:
                for _ in range(4 * CONNECTIONS):  # wakes the threads, and opens what is to be open
                    get(f"{one.address}/page", cookies["its own"])
                one.before_rounds()
                drained(one)
            for number, (whose, cookie) in product(range(rounds), cookies.items()):
                shift = number % len(servers)
                for one in servers[shift:] + servers[:shift]:
                    one.answers[whose].append(load(one.address, cookie, seconds))
                    drained(one)
            for whose in cookies:
                result.found += rows(server, servers, whose)
            result.notes += [note for one in servers for note in stored(server, one)]
    return result


def started(
    stack: ExitStack, folder: Path, arguments: tuple[str, ...], notes: list[str]
) -> list[Served]:
    """Start a server for each variant."""

    def serve(variant: str, app: str, **env: str) -> Served:
        return Served(
            variant, gunicorn(stack, folder / variant.replace(" ", "-"), app, arguments, **env)
        )

    usual = [("engage", "engage"), ("engage, and an event", "engage_event")]
    servers = [
        serve("plain", "plain"),
        serve("plain, empty hook", "empty_hook"),
        serve("the least to do", "ideal"),  # in memory, unsafe: what nobody can go below
    ]
    for variant, app in usual:
        url = migrated(f"sqlite:///{folder / app}.sqlite3")
        servers.append(serve(variant, app, DATABASE=url))
        servers[-1].stores = url

    nobody = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none"
    servers.append(serve("engage, database stopped", "engage_event", DATABASE=nobody))

    path = folder / "locked.sqlite3"
    locked = serve(
        "engage, database locked", "engage_event", DATABASE=migrated(f"sqlite:///{path}")
    )
    locked.before_rounds = lambda: hold(stack, path)
    servers.append(locked)

    try:
        direct = migrated(stack.enter_context(_databases.empty("postgresql", folder)))
    except pytest.skip.Exception as reason:
        notes.append(f"The silent database is left out: {reason}")
        return servers
    proxy, through = stack.enter_context(proxy_before(direct))
    silent = serve("engage, database silent", "engage_event", DATABASE=through)
    silent.before_rounds = proxy.swallow_everything
    servers.append(silent)
    return servers


def gunicorn(
    stack: ExitStack, folder: Path, app: str, arguments: tuple[str, ...], **env: str
) -> str:
    """Start gunicorn with one of the apps, and return its address once it answers."""
    folder.mkdir()
    port = free_port()
    log = stack.enter_context((folder / "stderr").open("w", encoding="utf-8"))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "--no-control-socket"),
            *("--log-level", "error", *arguments, "tests.benchmarks._served:make()"),
        ],
        cwd=ROOT,
        env=environment(VARIANT=app, FOLDER=str(folder), SCHEDULER="thread", **env),
        stdout=log,
        stderr=log,
    )
    stack.callback(stop, process)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            get(f"{address}/journal")
            return address
        time.sleep(0.05)
    raise RuntimeError(f"gunicorn did not start:\n{Path(log.name).read_text(encoding='utf-8')}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, in peace if it can."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def migrated(url: str) -> str:
    """Make our tables, and return `url`."""
    database = open_database(url)
    upgrade(database)
    database.dispose()
    return url


def hold(stack: ExitStack, path: Path) -> None:
    """Take SQLite's write lock and keep it."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    stack.callback(connection.close)
    connection.execute("BEGIN IMMEDIATE")


def log_in(browser: str) -> str:
    """Return the cookie of somebody logged in by a browser: all apps have the same key."""
    answer = _peer.host().test_client().get("/login", headers={"User-Agent": browser})
    return answer.headers["Set-Cookie"].partition(";")[0]


def get(address: str, cookie: str = "") -> str:
    """Return what an address answers, to somebody who sends `cookie`."""
    asked = urllib.request.Request(address, headers={"Cookie": cookie, "User-Agent": _peer.BROWSER})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return str(answer.read().decode())


def drained(one: Served) -> None:
    """Wait until what `one` has taken in is stored, so that it works in nobody else's round."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while one.stores and get(f"{one.address}/backlog") != "0":
        if time.monotonic() > deadline:
            raise RuntimeError(f"{one.variant}: not stored within {DRAIN_SECONDS:.0f} s")
        time.sleep(0.05)


def load(address: str, cookie: str, seconds: int) -> Answers:
    """Have wrk ask for pages."""
    said = subprocess.run(
        [
            *("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "30s"),
            *("-H", f"Cookie: {cookie}", "-H", f"User-Agent: {_peer.BROWSER}", f"{address}/page"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said
    )
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Answers(
        completed=int(_found(r"(\d+) requests in ", said)),
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", said)),
        p50_ms=_milliseconds(_found(r"50%\s+(\S+)", said)),
        p99_ms=_milliseconds(_found(r"99%\s+(\S+)", said)),
        failed=sum(map(int, errors.groups() if errors else ())) + int(refused[1] if refused else 0),
    )


def rows(server: str, servers: list[Served], whose: str) -> list[dict[str, object]]:
    """Return a row per variant; ratios are per round, so that a drift cancels out."""
    plain = servers[0].answers[whose]

    def ratio(mine: list[float], theirs: list[float]) -> float:
        return round(statistics.median(m / t for m, t in zip(mine, theirs, strict=True)), 3)

    def row(one: Served, answers: list[Answers]) -> dict[str, object]:
        return {
            "server": server,
            "cookie": whose,
            "variant": one.variant,
            "per_second": round(statistics.median(a.per_second for a in answers)),
            "ratio": ratio([a.per_second for a in answers], [a.per_second for a in plain]),
            "p50_ms": round(statistics.median(a.p50_ms for a in answers), 2),
            "p99_ms": round(statistics.median(a.p99_ms for a in answers), 2),
            "p99_ratio": ratio([a.p99_ms for a in answers], [a.p99_ms for a in plain]),
            "failed": sum(a.failed for a in answers),
        }

    return [row(one, one.answers[whose]) for one in servers]


def stored(server: str, one: Served) -> list[str]:
    """Say how much of what was answered has arrived in the database, or waits for it."""
    completed = sum(each.completed for answers in one.answers.values() for each in answers)
    if one.stores is None:
        waits = int(get(f"{one.address}/journal"))
        return [f"{server}, {one.variant}: {waits:,} bytes wait for the database."] if waits else []
    engine = sa.create_engine(one.stores)
    with engine.connect() as connection:
        hits = connection.scalar(sa.text("SELECT SUM(hits) FROM engage_session")) or 0
        events = connection.scalar(sa.text("SELECT COUNT(*) FROM engage_event"))
    engine.dispose()
    arrived = f"{hits:,} hits and {events:,} events stored, with those of the warm-up"
    return [f"{server}, {one.variant}: {completed:,} pages answered in the rounds; {arrived}."]


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"wrk said something unexpected:\n{text}")
    return found[1]


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    # Where nothing was answered in time, wrk has no figure either.
    return math.nan if found is None else float(found[1]) * _UNITS[found[2]]
