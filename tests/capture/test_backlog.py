"""A long backlog is stored piece by piece: what that takes of memory doesn't grow with it."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta

import pytest

from flask_engage.capture.facts import Event, Seen
from flask_engage.store.engine import Database
from flask_engage.store.event import EventNameRow
from tests._clock import START
from tests.capture._recorders import Recorders, table

TEXT = "x" * 2000


def test_memory_does_not_grow_with_the_backlog(
    database: Database, recorders: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_engage.capture.writer.BATCH", 25)
    monkeypatch.setattr("flask_engage.capture.writer._MAX_UNTOLD", 4)
    monkeypatch.setattr("flask_engage.capture.journal_file._CHUNK", 64 * 1024)

    def peak_of(number: int, first: int) -> int:
        dead = recorders()
        for n in range(first, first + number):
            at, user_id = START + n * timedelta(seconds=1), str(n % 40)
            assert dead.append(Event(at, user_id, "clicked", {"n": n, "what": TEXT}))
            if n % 5 == 0:
                assert dead.append(Seen(at, user_id))
        dead.close()
        heir = recorders()
        tracemalloc.start()
        try:
            assert heir.flush() == number + number // 5
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_of(100, 0)  # what is made once: statements, connections
    small, large = peak_of(300, 100), peak_of(1200, 400)
    # Holding on to what it reads would be 900 texts more; a few are garbage of the moment.
    assert large - small < 300 * len(TEXT), (small, large)
    assert table(database, EventNameRow, "name", "count") == [("clicked", 1600)]
