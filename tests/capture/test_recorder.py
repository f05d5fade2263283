"""From a fact to its rows, over the journal."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from flask_engage.capture.facts import Attributes, Context, Event, Increment, Seen, to_wire
from flask_engage.capture.recorder import Recorder
from flask_engage.store.activity import ActiveDayRow, ActiveGapRow, ActiveWeekRow
from flask_engage.store.attribute import AttributeRow
from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow, EventSummaryRow, EventTotalRow
from flask_engage.store.person import PersonRow
from flask_engage.store.session import SessionRow
from tests._clock import START
from tests.capture._recorders import FakeApp, Recorders, table


def test_a_fact_of_each_kind_reaches_its_tables(database: Database, recorder: Recorder) -> None:
    day = START.date()
    assert recorder.append(
        Event(START, "7", "created section", {"kind": "text", "n": 1.5}, in_request=True)
    )
    assert recorder.append(
        Seen(
            START,
            "7",
            context=Context("/x", "example.org", browser="Firefox"),
            email="ada@example.com",
            name="Ada 🎈",
            events=1,
            until=START + timedelta(seconds=1),
            attributes=to_wire({"plan": "pro", "renews": START}),
        )
    )
    assert recorder.append(Attributes(START, "7", to_wire({"plan": "free", "score": 3})))
    assert recorder.append(Increment(START, "7", "exports", 2))
    assert recorder.append(Increment(START, "7", "exports", 1))
    assert recorder.flush() == 5
    assert recorder.flush() == 0

    [person] = table(
        database,
        PersonRow,
        "user_id",
        "email",
        "name",
        "session_count",
        "first_seen_at",
        "last_seen_at",
        "browser",
        "referrer",
        "attributes",
        "id",
    )
    assert person[:8] == (
        "7",
        "ada@example.com",
        "Ada 🎈",
        1,
        START,
        START,
        "Firefox",
        "example.org",
    )
    assert person[8] == {
        "s:plan": "free",
        "t:renews": "2026-03-02T10:00:00.000000+00:00",
        "n:score": 3,
        "n:exports": 3,
    }
    [session] = table(database, SessionRow, "id", "person_id", "started_at", "last_at", "hits")
    assert session[1:] == (person[9], START, START, 1)
    assert table(database, EventRow, "person_id", "session_id", "name", "properties") == [
        (person[9], session[0], "created section", {"kind": "text", "n": 1.5})
    ]
    assert table(database, EventSummaryRow, "name", "count", "first_at", "last_at") == [
        ("created section", 1, START, START)
    ]
    assert table(database, EventTotalRow, "day", "name", "count") == [(day, "created section", 1)]
    assert table(database, ActiveDayRow, "day") == [(day,)]
    assert table(database, ActiveWeekRow, "week") == [(day,)]
    assert table(database, ActiveGapRow, "day", "gap", "count") == [(day, 31, 1)]
    assert table(database, AttributeRow, "name", "kind", "value", "source") == [
        ("exports", "n", "3", "api"),
        ("plan", "s", '"free"', "api"),
        ("renews", "t", '"2026-03-02T10:00:00.000000+00:00"', "page"),
        ("score", "n", "3", "api"),
    ]


def test_a_thread_that_could_not_be_had_is_asked_for_again(
    database: Database, recorders: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a container allows so and so many; the fact itself is accepted all the same."""
    recorder = recorders(app=FakeApp(testing=False), FLUSH_INTERVAL=timedelta(milliseconds=50))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(threading.Thread, "start", refuse)
        assert recorder.append(Seen(START, "7"))
    assert not recorder.status().thread_alive
    assert recorder.append(Seen(START, "8"))
    assert recorder.status().thread_alive
    deadline = time.monotonic() + 30
    while len(table(database, PersonRow, "id")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
