"""DAU, WAU and MAU of thirty days: from the counters that the writer keeps, and by counting.

The yardstick is the simple way: one ``COUNT(DISTINCT …)`` over the active days for each day
and figure. Both give the same ninety numbers, which is checked. A tenth of the people come on
most days, a third now and then, the rest hardly ever.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flask_engage.store.activity import active_people
from flask_engage.store.engine import Database, open_database
from flask_engage.store.migrate import upgrade
from tests import _databases
from tests.benchmarks._harness import Figures, Size

PEOPLE: dict[Size, int] = {"small": 50_000, "full": 1_000_000}
ROUNDS: dict[Size, int] = {"small": 9, "full": 15}
"""Rounds of ours. Counting is done once: it takes thousands of times as long."""

LAST = date(2026, 3, 31)
HISTORY = 60
"""Days of activity: the first of the thirty looks back over thirty more."""
SHOWN = 30

_DIGITS = " UNION ALL ".join(f"SELECT {digit} AS n" for digit in range(10))
_GAP = {
    "sqlite": "CAST(julianday(day) - julianday(former) AS INTEGER)",
    "postgresql": "day - former",
    "mysql": "DATEDIFF(day, former)",
}


def run(size: Size) -> Figures:
    """Measure and return the figures."""
    people = PEOPLE[size]
    result = Figures(
        name="activity",
        what="DAU, WAU and MAU of 30 days, from the counters and by counting distinct people",
        size={"people": people, "rounds": ROUNDS[size]},
    )
    for dialect in _databases.DIALECTS:
        with ExitStack() as stack, left_out(result, dialect):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engage-bench-")))
            url = stack.enter_context(_databases.empty(dialect, folder))
            database = open_database(url)
            stack.callback(database.dispose)
            upgrade(database)
            rows = fill(url, database.dialect, people)
            result.found.append(
                {"database": dialect, "active_days": rows, **measure(database, size)}
            )
    return result


@contextmanager
def left_out(result: Figures, dialect: str) -> Iterator[None]:
    """Note that a database which is not there is left out, and go on."""
    try:
        yield
    except pytest.skip.Exception as reason:
        result.notes.append(f"{dialect} is left out: {reason}")


def measure(database: Database, size: Size) -> dict[str, Any]:
    """Take the time of both ways, and hold their answers against each other."""
    times = []
    for _ in range(ROUNDS[size]):
        taken, mine = timed(lambda: by_counters(database))
        times.append(taken)
    counting, theirs = timed(lambda: by_counting(database))
    assert mine == theirs, "the counters are not what counting gives"
    median = statistics.median(times)
    return {
        "counters_ms": round(median * 1e3, 2),
        "worst_ms": round(max(times) * 1e3, 2),
        "counting_ms": round(counting * 1e3, 1),
        "times_faster": round(counting / median),
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long `work` took, and what it gave."""
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def by_counters(database: Database) -> list[tuple[int, int, int]]:
    """Ask as the dashboard does."""
    with database.read() as session:
        found = active_people(session, LAST - timedelta(days=SHOWN - 1), LAST)
    return [(on.daily, on.weekly, on.monthly) for on in found]


def by_counting(database: Database) -> list[tuple[int, int, int]]:
    """Ask for each figure by itself."""
    count = sa.text(
        "SELECT COUNT(DISTINCT person_id) FROM engage_active_day WHERE day BETWEEN :first AND :last"
    ).bindparams(sa.bindparam("first", type_=sa.Date), sa.bindparam("last", type_=sa.Date))
    # Without the limit that our own connections have: at a million people this takes a minute.
    engine = sa.create_engine(database.engine.url)
    with engine.connect() as connection:
        found = [
            tuple(
                connection.scalar(count, {"first": day - timedelta(days=length - 1), "last": day})
                for length in (1, 7, 30)
            )
            for day in (LAST - timedelta(days=back) for back in reversed(range(SHOWN)))
        ]
    engine.dispose()
    return found


def fill(url: str, dialect: str, people: int) -> int:
    """Write people, their active days and the counters, as the writer would; return the days."""
    engine = sa.create_engine(url)
    columns = "public_id, kind, user_id, session_count, attributes, created_at, updated_at"
    text = "CHAR" if dialect == "mysql" else "VARCHAR"
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                f"INSERT INTO engage_person (id, {columns}) SELECT n + 1, "
                f"CAST(n AS {text}(20)), 'user', CAST(n AS {text}(20)), 1, '{{}}', "
                f"'2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM ({_numbers(people)}) numbers"
            )
        )
    literal = "" if dialect == "sqlite" else "DATE "
    for back in reversed(range(HISTORY)):
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO engage_active_day (person_id, day) "
                    f"SELECT id, {literal}'{LAST - timedelta(days=back)}' FROM engage_person "
                    f"WHERE (id * 7919 + {back} * 104729) % 97 < CASE WHEN id % 10 = 0 "
                    "THEN 60 WHEN id % 10 < 4 THEN 14 ELSE 2 END"
                )
            )
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO engage_active_gap (day, gap, count) SELECT day, gap, COUNT(*) FROM ("
                f"SELECT day, CASE WHEN former IS NULL OR {_GAP[dialect]} > 30 THEN 31 "
                f"ELSE {_GAP[dialect]} END AS gap FROM (SELECT day, LAG(day) OVER ("
                "PARTITION BY person_id ORDER BY day) AS former FROM engage_active_day) days"
                ") gaps GROUP BY day, gap"
            )
        )
        rows = connection.scalar(sa.text("SELECT COUNT(*) FROM engage_active_day"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        words = "ANALYZE TABLE" if dialect == "mysql" else "ANALYZE"
        for table in ("engage_active_day", "engage_active_gap"):
            connection.execute(sa.text(f"{words} {table}"))
    engine.dispose()
    return int(rows or 0)


def _numbers(people: int) -> str:
    """Return a query for the numbers from 0, by digits: recursion is limited on MariaDB."""
    places = range(len(str(people - 1)))
    whole = " + ".join(f"d{place}.n * {10**place}" for place in places)
    tables = ", ".join(f"({_DIGITS}) d{place}" for place in places)
    return f"SELECT {whole} AS n FROM {tables} WHERE {whole} < {people}"
