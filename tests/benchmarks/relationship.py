"""Everybody's heart: computed for the first time, again at once, and again a day later.

A tenth of the people come on most days, a third now and then, the rest hardly ever; each event
and each delivery is in the tables that the real run reads. Generated set-wise.
"""

from __future__ import annotations

import resource
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from flask_engage.people.relationship import Score, refresh_relationship
from flask_engage.store.engine import open_database
from flask_engage.store.migrate import upgrade
from tests import _databases
from tests.benchmarks._harness import Figures, Size
from tests.benchmarks.activity import LAST, fill, left_out

PEOPLE: dict[Size, int] = {"small": 20_000, "full": 1_000_000}
LIMIT_SECONDS = {"sqlite": 60, "postgresql": 60, "mariadb": 120}
"""For a million people."""
NOW = datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=UTC)
TABLES = ("active_day", "event", "event_summary", "delivery", "delivery_event", "person")


def run(size: Size, dialects: tuple[str, ...] = _databases.DIALECTS) -> Figures:
    """Measure and return the figures."""
    people = PEOPLE[size]
    result = Figures(
        name="relationship",
        what="hearts of everybody: the first time, again at once, and a day later",
        size={"people": people},
    )
    for dialect in dialects:
        with ExitStack() as stack, left_out(result, dialect):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engage-bench-")))
            url = stack.enter_context(_databases.empty(dialect, folder))
            database = open_database(url)
            stack.callback(database.dispose)
            upgrade(database)
            fill(url, database.dialect, people)
            events = add_facts(url, database.dialect)
            row: dict[str, object] = {"database": dialect, "events": events}
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            moments = {"first": NOW, "again": NOW, "day_later": NOW + timedelta(days=1)}
            for name, now in moments.items():
                begin = time.perf_counter()
                report = refresh_relationship(database, Score(ZoneInfo("UTC")), lambda now=now: now)
                assert report is not None
                assert report.people == people
                row[f"{name}_s"] = round(time.perf_counter() - begin, 1)
                row[f"{name}_rows"] = report.changed
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            result.found.append({**row, "grown_mb": round(grown / 1024, 1)})
            limit = LIMIT_SECONDS[dialect]
            if size == "full" and row["first_s"] > limit:  # type: ignore[operator]
                result.notes.append(f"{dialect}: above the limit of {limit} s")
    return result


def add_facts(url: str, dialect: str) -> int:
    """Give people a last seen, one event a day active with its sums, and two messages each."""
    engine = sa.create_engine(url)
    at = {"sqlite": "day || ' 09:00:00.000000'", "postgresql": "day + TIME '09:00'"}.get(
        dialect, "CAST(day AS DATETIME(6)) + INTERVAL 9 HOUR"
    )
    text = "CHAR" if dialect == "mysql" else "VARCHAR"
    old = "'2025-06-01 00:00:00.000000'"
    steps = [
        (
            "INSERT INTO engage_event (person_id, name, properties, occurred_at, "
            "received_at) SELECT "
            f"person_id, CASE WHEN person_id % 3 = 0 THEN 'exported' ELSE 'viewed' END, "
            f"'{{}}', {at}, "
            f"{at} FROM engage_active_day"
        ),
        (
            "INSERT INTO engage_event_summary (person_id, name, count, first_at, last_at) SELECT "
            "person_id, name, COUNT(*), MIN(occurred_at), MAX(occurred_at) FROM engage_event "
            "GROUP BY person_id, name"
        ),
        (
            # Of the events themselves PostgreSQL would seek the latest by going back in time.
            f"UPDATE engage_person SET signed_up_at = {old}, last_seen_at = (SELECT MAX(last_at) "
            "FROM engage_event_summary WHERE person_id = engage_person.id)"
        ),
        *(
            "INSERT INTO engage_delivery (public_id, source, person_id, occurrence, channel, "
            "variant, content_version, state, not_before, attempts, created_at, updated_at) SELECT "
            f"CONCAT('{n}-', CAST(id AS {text}(20))), 's{n}', id, '1', 'email', '', 1, 'sent', "
            f"{old}, 1, {old}, {old} FROM engage_person"
            for n in range(2)
        ),
        (
            "INSERT INTO engage_delivery_event (delivery_id, kind, detail, occurred_at) SELECT id, "
            f"'clicked', '', {old} FROM engage_delivery WHERE id % 5 = 0"
        ),
    ]
    for step in steps:
        sql = step.replace("CONCAT('0-', ", "('0-' || ").replace("CONCAT('1-', ", "('1-' || ")
        with engine.begin() as connection:
            connection.execute(sa.text(sql if dialect == "sqlite" else step))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in TABLES:
            words = {"mysql": "ANALYZE TABLE", "postgresql": "VACUUM ANALYZE"}
            connection.execute(sa.text(f"{words.get(dialect, 'ANALYZE')} engage_{table}"))
        events = connection.scalar(sa.text("SELECT COUNT(*) FROM engage_event"))
    engine.dispose()
    return int(events or 0)
