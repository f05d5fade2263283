"""Counting twelve filters, each beside SQL written by hand for the same question.

Both are asked in turn of the same tables; the answers must be the same numbers. Then the first
page of the list of those who match, and in several orders of everybody.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from flask_engage.segments.compile import CompileContext
from flask_engage.segments.filter import Filter
from flask_engage.segments.hot import hot_keys
from flask_engage.segments.people import People
from flask_engage.segments.words import (
    ago,
    attr,
    bucket,
    did,
    everyone,
    person,
    prop,
    received,
    visited,
)
from flask_engage.store.engine import Database, open_database
from flask_engage.store.hot_index import keep_hot
from flask_engage.store.migrate import upgrade
from flask_engage.store.share import PRIME, _constants
from tests import _databases
from tests.benchmarks._crowd import NOW, fill
from tests.benchmarks._harness import Figures, Size

PEOPLE: dict[Size, int] = {"small": 20_000, "full": 1_000_000}
EVENTS: dict[Size, int] = {"small": 200_000, "full": 10_000_000}
ROUNDS: dict[Size, int] = {"small": 7, "full": 5}
DIALECTS = ("sqlite", "postgresql")

SORTS = (
    *("last_seen", "signed_up", "email", "name", "sessions", "relationship"),
    *("attr:score", "attr:plan", "first_seen", "country"),
)
"""Orders of the list; of the last two there is no index."""

HOT = (attr("invites sent") >= 4, attr("plan") == "pro", attr("score") > 0)
"""What segments and rules ask about."""

FILTERS: dict[str, Filter] = {
    "slipping (indexed)": (attr("invites sent") >= 28) & (person.last_seen < ago(days=14)),
    "pro and here (indexed)": (attr("plan") == "pro") & (person.last_seen >= ago(days=7)),
    "active": person.last_seen >= ago(days=30),
    "exported often": did("exported").at_least(5),
    "export, no invite": did("exported").at_least(3).within(days=30) & ~did("invited"),
    "paid much": did("paid").where(prop("amount") >= 100).within(days=7),
    "stopped exporting": did("exported").last < ago(days=30),
    "German VIP": person.tags.contains("vip") & (person.country == "DE"),
    "loves us": person.relationship >= 4,
    "clicked welcome": received("welcome").clicked(),
    "mobile": visited().at_least(2).within(days=7).where(device="mobile"),
    "a tenth, no export": bucket("a", 0, 10) & ~did("exported"),
}


NOBODY: dict[str, Filter] = {
    "nobody did it": did("refunded"),
    "nobody of late": visited().within(days=7).where(device="television"),
    "nobody clicked": received("goodbye").clicked(),
}
"""Whom one finds only by going past everybody, unless it is asked the other way round."""
FEW = attr("score") < 30
"""Three in ten thousand."""


def by_hand(dialect: str) -> dict[str, str]:
    """Return the same questions as somebody would write them who knows the tables."""

    def back(days: int) -> str:
        if dialect == "sqlite":
            return f"datetime('2026-03-31 12:00:00', '-{days} days') || '.000000'"
        return f"TIMESTAMPTZ '2026-03-31 12:00:00+00' - INTERVAL '{days} days'"

    def member(name: str, kind: str = "") -> str:
        if dialect == "sqlite":
            return f"json_extract(attributes, '$.\"{name}\"')"
        found = f"(attributes ->> '{name}')"
        return f"CAST({found} AS NUMERIC)" if kind else f'{found} COLLATE "C"'

    amount = (
        "json_extract(properties, '$.amount')"
        if dialect == "sqlite"
        else "CAST(properties ->> 'amount' AS NUMERIC)"
    )
    factor, first, second, last = _constants("bucket/a")
    x = f"(((id % {PRIME}) * CAST({factor} AS BIGINT) + {first}) % {PRIME})"
    fourth = f"((({x} * {x}) % {PRIME}) * (({x} * {x}) % {PRIME}) % {PRIME})"
    lot = f"(((({fourth} * {x}) % {PRIME}) * {second} + {last}) % {PRIME})"
    none = "NOT EXISTS (SELECT 1 FROM engage_event_summary s WHERE s.person_id = p.id AND s.name ="
    return {
        "slipping (indexed)": (
            f"{member('n:invites sent', 'n')} >= 28 AND last_seen_at < {back(14)}"
        ),
        "pro and here (indexed)": f"{member('s:plan')} = 'pro' AND last_seen_at >= {back(7)}",
        "active": f"last_seen_at >= {back(30)}",
        "exported often": (
            "id IN (SELECT person_id FROM engage_event_summary WHERE name = 'exported' "
            "AND count >= 5)"
        ),
        "export, no invite": (
            "id IN (SELECT person_id FROM engage_event WHERE name = 'exported' AND occurred_at >= "
            f"{back(30)} GROUP BY person_id HAVING COUNT(*) >= 3) AND {none} 'invited')"
        ),
        "paid much": (
            "id IN (SELECT person_id FROM engage_event WHERE name = 'paid' AND occurred_at >= "
            f"{back(7)} AND {amount} >= 100)"
        ),
        "stopped exporting": (
            "id IN (SELECT person_id FROM engage_event_summary WHERE name = 'exported' "
            f"AND last_at < {back(30)})"
        ),
        "German VIP": (
            "id IN (SELECT person_id FROM engage_person_tag WHERE name = 'vip') AND country = 'DE'"
        ),
        "loves us": "id IN (SELECT person_id FROM engage_relationship WHERE hearts >= 4)",
        "clicked welcome": (
            "id IN (SELECT d.person_id FROM engage_delivery d JOIN engage_delivery_event e ON "
            "e.delivery_id = d.id WHERE d.source = 'rule:welcome' AND e.kind = 'clicked')"
        ),
        "mobile": (
            f"id IN (SELECT person_id FROM engage_session WHERE started_at >= {back(7)} "
            "AND device = 'mobile' GROUP BY person_id HAVING COUNT(*) >= 2)"
        ),
        "a tenth, no export": f"{lot} < {round(PRIME / 10)} AND {none} 'exported')",
    }


def run(size: Size) -> Figures:
    """Measure and return the figures."""
    result = Figures(
        name="segments",
        what="counting 12 filters beside SQL by hand, and first pages of the list",
        size={"people": PEOPLE[size], "events": EVENTS[size], "rounds": ROUNDS[size]},
    )
    for dialect in DIALECTS:
        with ExitStack() as stack, _left_out(result, dialect):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engage-bench-")))
            url = stack.enter_context(_databases.empty(dialect, folder))
            database = open_database(url)
            stack.callback(database.dispose)
            upgrade(database)
            fill(database, PEOPLE[size], EVENTS[size])
            result.found += measure(database, ROUNDS[size])
    return result


@contextmanager
def _left_out(result: Figures, dialect: str) -> Iterator[None]:
    try:
        yield
    except pytest.skip.Exception as reason:
        result.notes.append(f"{dialect} is left out: {reason}")


def measure(database: Database, rounds: int) -> list[dict[str, Any]]:
    """Take the times on a database that is filled, with the indexes that a job would make."""
    keep_hot(database, hot_keys(HOT, {}))
    context = CompileContext(database.dialect)
    hands = by_hand(database.dialect)
    found = []
    for name, wanted in FILTERS.items():
        people = People(database, wanted, context, lambda: NOW)
        ours, theirs = _in_turn(
            people.count, lambda name=name: _count(database, hands[name]), rounds
        )
        found.append(
            {
                "database": database.dialect,
                "what": name,
                "people": ours[1],
                "ours_ms": ours[0],
                "by_hand_ms": theirs[0],
                "ratio": round(ours[0] / theirs[0], 2),
            }
        )
    pages = {
        f"page of {name}": (wanted, "last_seen") for name, wanted in (FILTERS | NOBODY).items()
    }
    pages |= {f"page of few by {sort}": (FEW, sort) for sort in ("last_seen", "relationship")}
    pages |= {f"page by {sort}": (everyone, sort) for sort in SORTS}
    filtered: list[float] = []
    for name, (wanted, sort) in pages.items():
        people = People(database, wanted, context, lambda: NOW)
        tracemalloc.start()
        took = [_timed(lambda one=people, by=sort: one.page(sort=by))[0] for _ in range(rounds)]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        found.append(_page_row(database, name, statistics.median(took)))
        assert peak < 50_000_000, f"a page took {peak} bytes"
        if wanted is not everyone:
            filtered += took
    slow = statistics.quantiles(filtered, n=20)[-1]
    return [*found, _page_row(database, "filter and page, p95 of all of these", slow)]


def _page_row(database: Database, what: str, seconds: float) -> dict[str, Any]:
    row = {"database": database.dialect, "what": what, "people": 50}
    return {**row, "ours_ms": round(seconds * 1e3, 2), "by_hand_ms": None, "ratio": None}


def _count(database: Database, condition: str) -> int:
    query = (
        "SELECT COUNT(*) FROM engage_person p WHERE deleted_at IS NULL AND merged_into IS NULL "
        f"AND {condition}"
    )
    percent = "%%" if database.dialect == "postgresql" else "%"
    with database.read() as session:
        return int(session.connection().exec_driver_sql(query.replace("%", percent)).scalar() or 0)


def _in_turn(
    ours: Callable[[], int], theirs: Callable[[], int], rounds: int
) -> tuple[tuple[float, int], tuple[float, int]]:
    times: tuple[list[float], list[float]] = ([], [])
    answers = [ours(), theirs()]
    assert answers[0] == answers[1], f"{answers[0]} and {answers[1]} are not the same people"
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            times[which].append(_timed((ours, theirs)[which])[0])
    first, second = (round(statistics.median(some) * 1e3, 2) for some in times)
    return (first, answers[0]), (second, answers[1])


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found
