"""How fast facts come out of the journal, against inserting the bare rows of their events.

A row is one of ``engage_event``: both sides store the same ones, and the figures are per such
row. The yardstick is SQLAlchemy Core at its best: the rows are ready as dictionaries (making
them is not timed), and one ``executemany`` and one commit store as many of them as a batch of
ours does, in the same table with the same indexes, through the same engine. Ours reads the
journal and has besides the events all of their tables to fill: it sums up each person, counts
days and names, keeps sessions, people and activity, and moves the cursor. None of these further
rows is counted. A round is a backlog of several batches, and both are given its whole time, so
that a slow commit counts for both.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from flask_engage.capture.facts import Event, Personal
from flask_engage.capture.writer import BATCH
from flask_engage.store.engine import open_database
from flask_engage.store.event import EventRow
from flask_engage.store.migrate import upgrade
from flask_engage.store.person import PersonRow
from tests import _databases
from tests._clock import FakeClock
from tests.benchmarks._harness import Result, Size, interleaved
from tests.benchmarks._story import START, sighting, story
from tests.capture._recorders import Recorders

ROUNDS: dict[Size, tuple[int, int]] = {"small": (5, 6000), "full": (9, 40_000)}
"""Rounds, and events in each."""
PEOPLE: dict[Size, int] = {"small": 1500, "full": 20_000}
SIGHTINGS = 0.25
"""For each event; they are facts of the batch, too."""
AT_ONCE = int(BATCH / (1 + SIGHTINGS))
"""Events in one batch of ours, and so in one ``executemany``."""
BEFORE = START - timedelta(days=3)


def bare(recorders: Recorders, facts: Iterator[Personal]) -> Callable[[int], list[float]]:
    """Return what inserts `n` events, as many at once as we do, and gives the seconds of each."""
    table: sa.Table = EventRow.__table__  # type: ignore[assignment]
    database = recorders()._ready.database()
    with database.read() as session:
        ids = dict(session.execute(sa.select(PersonRow.user_id, PersonRow.id)).tuples().all())

    def run(number: int) -> list[float]:
        events = (fact for fact in facts if isinstance(fact, Event))
        rows: list[dict[str, Any]] = [
            {
                "person_id": ids[event.user_id],
                "session_id": None,
                "name": event.name,
                "properties": event.properties,
                "occurred_at": event.at,
                "received_at": event.at,
            }
            for event in islice(events, number)
        ]
        begin = time.perf_counter()
        for first in range(0, number, AT_ONCE):
            with database.engine.begin() as connection:
                connection.execute(sa.insert(table), rows[first : first + AT_ONCE])
        return [(time.perf_counter() - begin) / number] * number

    return run


def ours(recorders: Recorders, facts: Iterator[Personal]) -> Callable[[int], list[float]]:
    """Return what stores a journal of `n` events, and gives the seconds of each."""
    recorder = recorders()

    def run(number: int) -> list[float]:
        left = number
        while left:
            fact = next(facts)
            left -= isinstance(fact, Event)
            assert recorder.append(fact)
        begin = time.perf_counter()
        assert recorder.flush() >= number
        return [(time.perf_counter() - begin) / number] * number

    return run


def run(size: Size) -> Result:
    """Measure and return the figures."""
    rounds, each = ROUNDS[size]
    people = PEOPLE[size]
    result = Result(
        name="writer",
        what="one event out of the journal into all of its tables, with 0.25 sightings each",
        yardstick="sqlite: bare executemany",
        size={"rounds": rounds, "events in each": each, "people": people},
    )
    with ExitStack() as stack:
        variants: dict[str, Callable[[int], list[float]]] = {}
        for dialect in _databases.DIALECTS:
            yardstick = f"{dialect}: bare executemany"
            facts = [story(1, people, sightings=SIGHTINGS) for _ in range(2)]
            variants[yardstick] = bare(place(stack, dialect, people), facts[0])
            variants[f"{dialect}: engage"] = ours(place(stack, dialect, people), facts[1])
            result.against |= {yardstick: yardstick, f"{dialect}: engage": yardstick}
        return interleaved(result, variants, rounds=rounds, each=each)


def place(stack: ExitStack, dialect: str, people: int) -> Recorders:
    """Make a database where everybody is known: a product's day has few new people."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engage-bench-")))
    url = stack.enter_context(_databases.empty(dialect, folder))
    database = open_database(url)
    upgrade(database)
    database.dispose()
    recorders = Recorders(url, folder / "journal", FakeClock())
    stack.callback(recorders.close)
    recorder = recorders()
    for number in range(people):
        assert recorder.append(sighting(BEFORE, str(number)))
    assert recorder.flush() == people
    return recorders
