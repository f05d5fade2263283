"""The page about somebody who did 50,000 things, among others who did as many.

Asked through the host's app, as an operator's browser asks; and the queries by themselves. A
page further down the timeline must cost what the first one does.
"""

from __future__ import annotations

import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from flask_engage import Engage, Operator
from flask_engage._state import state_of
from flask_engage.reports.habits import habits
from flask_engage.reports.timeline import timeline
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from flask_engage.store.session import SessionRow
from tests import _databases
from tests._hosts import make_host
from tests.benchmarks._harness import Figures, Size
from tests.benchmarks.activity import left_out

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

EVENTS = 50_000
NAMES = 24
SESSIONS = 2_000
MESSAGES = 400
OTHERS: dict[Size, int] = {"small": 2, "full": 40}
"""People beside them, each with as many events."""
ROUNDS: dict[Size, int] = {"small": 15, "full": 60}
LIMIT_MS = 100
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
TABLES = ("person", "event", "event_summary", "session", "active_day", "delivery")


def run(size: Size, dialects: tuple[str, ...] = _databases.DIALECTS) -> Figures:
    """Measure and return the figures."""
    result = Figures(
        name="person",
        what="the page about one person, its parts, and a page far down the timeline",
        size={
            "events": EVENTS,
            "sessions": SESSIONS,
            "messages": MESSAGES,
            "others": OTHERS[size],
            "rounds": ROUNDS[size],
        },
    )
    for dialect in dialects:
        with ExitStack() as stack, left_out(result, dialect):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engage-bench-")))
            url = stack.enter_context(_databases.empty(dialect, folder))
            host = make_host("flask-sqlalchemy", url)
            stack.callback(host.dispose)
            engage = Engage(clock=lambda: NOW)
            engage.operator(lambda: Operator("7", role="admin"))
            app = host.create_app(engage, ENGAGE_JOURNAL_DIR=str(folder / "journal"))
            assert app.test_cli_runner().invoke(args=["engage", "upgrade"]).exit_code == 0
            database = state_of(app).ready.require()
            person_id, public_id = fill(database, url, OTHERS[size])
            row = {
                "database": dialect,
                **_pages(app, public_id, ROUNDS[size]),
                **_parts(database, person_id, ROUNDS[size]),
            }
            result.found.append(row)
            if row["page_ms"] > LIMIT_MS:
                result.notes.append(f"{dialect}: above the limit of {LIMIT_MS} ms")
    result.notes.append(
        f"load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores: above that number "
        "everything waits, and only best and cpu say what a page costs."
    )
    result.notes.append(
        "page, deep and part are medians of whole requests; best is the fastest of them, cpu the "
        "median of this process's own work on a page. The rest are its queries, as medians."
    )
    return result


def _pages(app: Flask, public_id: str, rounds: int) -> dict[str, float]:
    client = app.test_client()
    address = f"/engage/people/{public_id}"
    deep = _deep(client, address)
    page, cpu = _times(lambda: _asked(client, address), rounds)
    return {
        "page_ms": _median(page),
        "best_ms": round(min(page) * 1e3, 1),
        "cpu_ms": _median(cpu),
        "deep_ms": _median(_times(lambda: _asked(client, deep), rounds)[0]),
        "part_ms": _median(
            _times(lambda: _asked(client, deep.replace(public_id, f"{public_id}/story")), rounds)[0]
        ),
    }


def _deep(client: FlaskClient, address: str) -> str:
    """Return the address of a page in the midst of the timeline."""
    found = re.search(r'rel="next" href="([^"]+)"', _asked(client, address))
    assert found is not None
    middle = (NOW - YEAR / 2).isoformat()
    return re.sub(r"before=[^&\"]+", f"before={middle.replace('+', '%2B')}+3+1", unescape(found[1]))


def _asked(client: FlaskClient, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text[:500]
    return answer.text


def _parts(database: Database, person_id: int, rounds: int) -> dict[str, float]:
    zone = ZoneInfo("Europe/Berlin")

    def story() -> None:
        with database.read() as session:
            assert len(timeline(session, person_id).happenings) == 50

    def year() -> None:
        with database.read() as session:
            found, _habit = habits(session, person_id, zone, NOW)
            assert sum(day.events for day in found.days) > EVENTS * 0.95

    return {
        "timeline_ms": _median(_times(story, rounds)[0]),
        "habits_ms": _median(_times(year, rounds)[0]),
    }


def _times(work: Callable[[], Any], rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds that each round took, by the clock and of this thread's work."""
    work()
    taken, worked = [], []
    for _ in range(rounds):
        begin, mine = time.perf_counter(), time.thread_time()
        work()
        taken.append(time.perf_counter() - begin)
        worked.append(time.thread_time() - mine)
    return taken, worked


def _median(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1e3, 1)


def fill(database: Database, url: str, others: int) -> tuple[int, str]:
    """Write the people with what they did over a year; return who is looked at."""
    with database.write() as session:
        people = [
            PersonRow(
                user_id=f"u{number}",
                name=f"Reader {number}",
                email=f"u{number}@example.com",
                session_count=SESSIONS,
                first_seen_at=NOW - YEAR,
                last_seen_at=NOW,
                signed_up_at=NOW - YEAR,
                created_at=NOW,
                updated_at=NOW,
            )
            for number in range(others + 1)
        ]
        session.add_all(people)
        session.flush()
        someone = people[others // 2]
        ids = [row.id for row in people]
    engine = sa.create_engine(url)
    for person_id in ids:
        with database.write() as session:
            session.add_all(_sessions(person_id))
            session.execute(sa.insert(_DAY), _days(person_id))
            step = YEAR / EVENTS
            rows = [_event(person_id, number, NOW - number * step) for number in range(EVENTS)]
            for first in range(0, EVENTS, 10_000):
                session.execute(sa.insert(_EVENT), rows[first : first + 10_000])
    _sum_up(engine, database.dialect, ids)
    engine.dispose()
    return someone.id, someone.public_id


_DAY = PersonRow.metadata.tables["engage_active_day"]
_EVENT = PersonRow.metadata.tables["engage_event"]


def _event(person_id: int, number: int, at: datetime) -> dict[str, Any]:
    return {
        "person_id": person_id,
        "name": f"did thing {(number * number + number // 7) % NAMES}",
        "properties": {"format": "pdf", "pages": number % 90, "to": "a reader of ours"},
        "occurred_at": at,
        "received_at": at,
    }


def _sessions(person_id: int) -> list[SessionRow]:
    step = YEAR / SESSIONS
    return [
        SessionRow(
            person_id=person_id,
            started_at=NOW - (number + 1) * step,
            last_at=NOW - (number + 1) * step + timedelta(minutes=40),
            hits=12,
            landing_page="/sections",
            browser="Firefox",
            os="Linux",
        )
        for number in range(SESSIONS)
    ]


def _days(person_id: int) -> list[dict[str, Any]]:
    days = range(YEAR.days)
    return [{"person_id": person_id, "day": (NOW - timedelta(days=n)).date()} for n in days]


def _sum_up(engine: sa.Engine, dialect: str, ids: list[int]) -> None:
    messages = [
        {"id": person_id, "source": f"send:{number}", "at": NOW - number * YEAR / MESSAGES}
        for person_id in ids
        for number in range(MESSAGES)
    ]
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO engage_event_summary (person_id, name, count, first_at, last_at) "
                "SELECT person_id, name, COUNT(*), MIN(occurred_at), MAX(occurred_at) "
                "FROM engage_event GROUP BY person_id, name"
            )
        )
        table = PersonRow.metadata.tables["engage_delivery"]
        connection.execute(
            sa.insert(table),
            [
                {
                    "source": one["source"],
                    "person_id": one["id"],
                    "channel": "email",
                    "state": "sent",
                    "not_before": one["at"],
                    "sent_at": one["at"],
                    "created_at": one["at"],
                    "updated_at": one["at"],
                }
                for one in messages
            ],
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        words = {"mysql": "ANALYZE TABLE", "postgresql": "VACUUM ANALYZE"}.get(dialect, "ANALYZE")
        for name in TABLES:
            connection.execute(sa.text(f"{words} engage_{name}"))
