"""A database that is closed, silent, frozen or locked: pages are served as fast as before."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from flask_engage import Engage
from flask_engage.store.engine import open_database
from flask_engage.store.event import EventSummaryRow
from tests import _databases
from tests._hosts import Host, make_host
from tests._processes import environment, output_of
from tests._proxy import proxy_before
from tests._services import free_port
from tests.automation._poll import wait_until

_SLACK = 1.0
"""Seconds by which a busy machine and its disk may delay any one request. To wait for a connection
takes two, for a lock five."""
_PROMISED = 0.05
"""Seconds that a locked file may cost a request. A busy machine takes that from some itself, and
from as many of an app without us, which is asked by turns to tell how many those are."""


# --- from the start ---------------------------------------------------------------------------

_BOOT = """
import logging, sys, time
began = time.monotonic()
warnings = []
class Hear(logging.Handler):
    def emit(self, record):
        if record.name.startswith("flask_engage") and record.levelno >= logging.WARNING:
            warnings.append(record.getMessage())
logging.getLogger().addHandler(Hear())
from flask import Flask
from flask_engage import Email, Engage, ago, person
made = time.monotonic()
app = Flask("host", instance_path=sys.argv[3])
app.config.update(
    SECRET_KEY="a secret of sixteen bytes and more",
    ENGAGE_DATABASE_URL=sys.argv[1],
    ENGAGE_SMTP_URL=f"smtp://127.0.0.1:{sys.argv[2]}",
    ENGAGE_MAIL_FROM="host@example.com",
    ENGAGE_BASE_URL="http://127.0.0.1",
    ENGAGE_FLUSH_INTERVAL=0.1,
)
engage = Engage(app)
engage.load_user(lambda: "7")
engage.auto_message("late", to=person.last_seen < ago(days=1), send=Email(subject="s", body="b"))
app.get("/")(engage.tracked("looked")(lambda: "<html><body>hello</body></html>"))
client = app.test_client()
answer = client.get("/")
print("first answer after", time.monotonic() - made)
good = [client.get("/").status_code for _ in range(99)].count(200) + (answer.status_code == 200)
print("good", good)
time.sleep(2)
print("warnings", len(warnings), *warnings)
print("waiting", app.extensions["engage"].recorder.status().backlog_bytes)
"""


def test_a_host_starts_and_serves_with_database_and_mail_server_closed(tmp_path: Path) -> None:
    """In a process that serves: with its writer and its scheduler at work, and one warning."""
    said = output_of(
        [
            "-c",
            _BOOT,
            f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nowhere",
            str(free_port()),
            str(tmp_path / "instance"),
        ],
        cwd=tmp_path,
    )
    lines = dict(line.split(" ", 1) for line in said.replace("first answer", "first").splitlines())
    # Well below a second on a machine of one's own; a wait for either server would be far above.
    assert float(lines["first"].split()[-1]) < 5  # a refused connection is told at once
    assert lines["good"] == "100"
    assert lines["warnings"].startswith("1 "), said
    assert int(lines["waiting"]) > 100 * 50, "what was tracked waits in the journal"


# --- in the middle ----------------------------------------------------------------------------


@contextmanager
def _serving(host: Host, engage: Engage, folder: Path, **config: object) -> Iterator[Flask]:
    """Make an app that is served: a writer thread of its own stores what comes in."""
    app = host.create_app(
        engage,
        TESTING=False,
        ENGAGE_JOURNAL_DIR=str(folder / "journal"),
        ENGAGE_FLUSH_INTERVAL=0.05,
        **config,
    )
    app.post("/acts")(engage.tracked("acted")(lambda: {"acted": True}))
    try:
        yield app
    finally:
        app.extensions["engage"].recorder.close()


def _seconds(client: FlaskClient, count: int) -> list[float]:
    """Return how long each of so many requests took."""
    took = []
    for n in range(count):
        began = time.monotonic()
        answer = client.get("/") if n % 2 else client.post("/acts")
        took.append(time.monotonic() - began)
        assert answer.status_code == 200
        time.sleep(0.001)
    return took


def _seconds_beside(client: FlaskClient, bare: FlaskClient, count: int) -> list[list[float]]:
    """Return how long each of so many requests took, asked by turns: with us, and without."""
    both: list[list[float]] = [[], []]
    for n in range(0, count, 10):
        for asked, took in zip((client, bare), both, strict=True):
            took += _seconds(asked, min(10, count - n))
    return both


def _logged_in(app: Flask, host: Host) -> FlaskClient:
    user_id = host.add_user(app)
    client = app.test_client()
    assert client.get(f"/login/{user_id}").status_code == 302
    return client


def _check(app: Flask, before: list[float], during: list[float], acts: int) -> None:
    """Compare the times, and see that all was stored in the end, and once."""
    assert max(during) < max(before) + _SLACK, (max(before), max(during))
    assert median(during) < 5 * median(before), (median(before), median(during))
    state = app.extensions["engage"]

    def stored() -> bool:
        state.ready.forget()  # or nobody would look at the database again for seconds
        with state.ready.database().read() as session:
            return session.scalar(sa.select(sa.func.sum(EventSummaryRow.count))) == acts

    wait_until(stored, 60, "all events stored")
    assert state.recorder.status().refused == 0


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = make_host("flask-sqlalchemy", f"sqlite:///{tmp_path / 'host.sqlite3'}")
    yield host
    host.dispose()


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb"])
def test_a_database_that_falls_silent_delays_nobody(
    dialect: str, host: Host, tmp_path: Path
) -> None:
    """As behind a firewall that drops everything: connections open, and nothing answers."""
    with _databases.migrated(dialect, tmp_path) as url, proxy_before(url) as (proxy, through):
        engage = Engage()
        with _serving(host, engage, tmp_path, ENGAGE_DATABASE_URL=through) as app:
            client = _logged_in(app, host)
            before = _seconds(client, 100)
            proxy.swallow_everything()
            during = _seconds(client, 400)
            proxy.deliver_again()
            _check(app, before, during, 250)


_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_sqlite_file_that_another_process_has_locked_delays_nobody(tmp_path: Path) -> None:
    """The host's own file: its pages read from it, somebody's transaction holds it."""
    with _databases.migrated("sqlite", tmp_path) as url:
        host = make_host("flask-sqlalchemy", url)
        engage = Engage()
        with _serving(host, engage, tmp_path) as app:
            client = _logged_in(app, host)
            without = host.create_app()
            without.post("/acts")(lambda: {"acted": True})
            bare = without.test_client()
            assert bare.get("/login/1").status_code == 302
            before = _seconds(client, 100)
            with _locked(sa.make_url(url).database or ""):
                during, meanwhile = _seconds_beside(client, bare, 1000)
                state = app.extensions["engage"]
                assert state.recorder.status().backlog_bytes > 500 * 50
            _check(app, before, during, 550)
            limit = median(before) + _PROMISED
            late = [took for took in during if took > limit]
            late_anyway = [took for took in meanwhile if took > limit]
            assert len(late) <= len(during) // 100 + 2 * len(late_anyway), (limit, late)
        host.dispose()


@contextmanager
def _locked(path: str) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", _LOCK, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.stdin.close()


def test_a_database_that_is_away_for_long_fills_the_journal_and_no_more(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fits is accepted and stored later; the rest is refused, and said to be."""
    monkeypatch.setattr("flask_engage._setting_checks.JOURNAL_LEAST_BYTES", 1)
    with _databases.migrated("postgresql", tmp_path) as url, proxy_before(url) as (proxy, through):
        proxy.swallow_everything()
        engage = Engage()
        with _serving(
            host,
            engage,
            tmp_path,
            ENGAGE_DATABASE_URL=through,
            ENGAGE_JOURNAL_MAX_BYTES=40_000,
        ) as app:
            with app.app_context():
                answers = [engage.track("acted", {"n": n}, user="7") for n in range(1000)]
                accepted = answers.count(True)
                assert 100 < accepted < 900
                assert answers == [True] * accepted + [False] * (1000 - accepted)
                files = (tmp_path / "journal").rglob("*.journal")
                assert sum(path.stat().st_size for path in files) <= 40_000
            status = app.extensions["engage"].recorder.status()
            assert status.refused == 1000 - accepted
            proxy.deliver_again()
            database = open_database(url)
            _wait_for_sum(database.read, accepted, app)
            with app.app_context():
                assert engage.track("acted", user="7"), "there is room again"
            _wait_for_sum(database.read, accepted + 1, app)
            database.dispose()


def _wait_for_sum(read: Callable[[], object], wanted: int, app: Flask) -> None:
    def stored() -> bool:
        app.extensions["engage"].ready.forget()
        with read() as session:  # type: ignore[attr-defined]
            return session.scalar(sa.select(sa.func.sum(EventSummaryRow.count))) == wanted

    wait_until(stored, 60, f"{wanted} events stored")
