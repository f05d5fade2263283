"""Signals: each stored fact is told of once, after its commit, and who hears it disturbs nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from flask_engage import signals
from flask_engage._guard import Guard
from flask_engage.capture.facts import Attributes, Event, Seen, to_wire
from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow
from tests._clock import START
from tests.capture._recorders import FakeApp, Recorders, table

MINUTE = timedelta(minutes=1)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def event(n: int = 0, user_id: str = "7", name: str = "clicked", **more: Any) -> Event:
    return Event(START + n * MINUTE, user_id, name, {"n": n}, **more)


@pytest.mark.parametrize("mode", ["journal", "sync"])
def test_signals_tell_what_is_stored(recorders: Recorders, mode: str) -> None:
    app = FakeApp()
    reported: list[str] = []
    guard = Guard(lambda: False)
    guard.report = lambda what, _error: reported.append(what)  # type: ignore[method-assign]
    recorder = recorders(app=app, guard=guard, CAPTURE_MODE=mode)
    heard: list[tuple[str, dict[str, Any]]] = []

    def listen(name: str) -> Any:
        def receiver(sender: Any, **what: Any) -> None:
            assert sender is app
            heard.append((name, what))

        return receiver

    names = ("user_seen", "session_started", "event_tracked", "attribute_changed")
    receivers = [(getattr(signals, name), listen(name)) for name in names]
    for signal, receiver in receivers:
        signal.connect(receiver, sender=app)

    def broken(_sender: Any, **_what: Any) -> None:
        raise RuntimeError("the host's own receiver")

    signals.user_seen.connect(broken, sender=app)
    recorder.append(Seen(START, "7"))
    recorder.append(event(id="once"))
    recorder.append(event(id="once"))
    recorder.append(Attributes(START, "7", to_wire({"plan": "pro"})))
    recorder.append(Attributes(START, "7", to_wire({"plan": "pro"})))
    assert mode == "sync" or heard == []
    assert recorder.flush() == (5 if mode == "journal" else 0)
    assert recorder.flush() == 0
    assert reported == ["a receiver of user_seen"]
    assert heard == [
        ("user_seen", {"user_id": "7", "at": START}),
        ("session_started", {"user_id": "7", "at": START}),
        (
            "event_tracked",
            {"user_id": "7", "name": "clicked", "properties": {"n": 0}, "at": START},
        ),
        ("attribute_changed", {"user_id": "7", "name": "plan", "value": "pro", "old": None}),
    ]


def test_late_facts_are_told_too(recorders: Recorders) -> None:
    """With the moment at which they were, and a session that began by them as begun."""
    app = FakeApp()
    recorder = recorders(app=app)
    heard: list[tuple[str, Any]] = []

    def seen(_sender: Any, at: Any, **_what: Any) -> None:
        heard.append(("seen", at))

    def started(_sender: Any, at: Any, **_what: Any) -> None:
        heard.append(("started", at))

    signals.user_seen.connect(seen, sender=app)
    signals.session_started.connect(started, sender=app)
    for n in (0, -600, -590, -10):
        assert recorder.append(Seen(START + n * MINUTE, "7"))
        assert recorder.flush() == 1
    late = START - 600 * MINUTE
    assert heard == [
        ("seen", START),
        ("started", START),
        ("seen", late),
        ("started", late),
        ("seen", START - 590 * MINUTE),
        ("seen", START - 10 * MINUTE),
    ]


def test_a_receiver_may_flush_and_wait_for_another_thread(
    database: Database, recorders: Recorders
) -> None:
    """A receiver that sends or flushes needs what the storing thread would still be holding."""
    app = FakeApp()
    recorder = recorders(app=app)
    stored: list[int] = []

    def flush() -> None:
        stored.append(recorder.flush())

    def receiver(_sender: Any, name: str, **_what: Any) -> None:
        if name == "clicked":
            assert recorder.append(event(1, name="answered"))
            other = threading.Thread(target=flush, daemon=True)
            other.start()
            other.join(20)
            assert not other.is_alive()

    signals.event_tracked.connect(receiver, sender=app)
    assert recorder.append(event())
    storing = threading.Thread(target=recorder.store_all, daemon=True)
    storing.start()
    storing.join(30)
    assert not storing.is_alive()
    assert stored == [1]
    assert table(database, EventRow, "name") == [("answered",), ("clicked",)]


def test_what_is_stored_is_announced_though_a_later_batch_fails(
    recorders: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = FakeApp()
    recorder = recorders(app=app, guard=Guard(lambda: False))
    heard: list[str] = []

    def receiver(_sender: Any, name: str, **_what: Any) -> None:
        heard.append(name)
        assert not recorder._storer.draining.locked()

    signals.event_tracked.connect(receiver, sender=app)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(recorder._storer, "_adopt", fail)
    assert recorder.append(event())
    assert recorder.flush() == 1
    assert heard == ["clicked"]


def test_flushing_while_this_thread_stores_does_nothing(
    recorders: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recorders()
    inner: list[int] = []
    monkeypatch.setattr(recorder._storer, "_adopt", lambda *_: inner.append(recorder.flush()))
    assert recorder.append(event())
    assert recorder.flush() == 1
    assert inner == [0]


def test_a_long_backlog_is_announced_piece_by_piece(
    recorders: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_engage.capture.writer.BATCH", 1)
    monkeypatch.setattr("flask_engage.capture.writer._MAX_UNTOLD", 2)
    app = FakeApp()
    recorder = recorders(app=app)
    heard: list[int] = []

    def receiver(_sender: Any, properties: dict[str, Any], **_what: Any) -> None:
        heard.append(properties["n"])

    signals.event_tracked.connect(receiver, sender=app)
    for n in range(7):
        assert recorder.append(event(n))
    assert recorder.flush() == 7
    assert heard == list(range(7))


@pytest.mark.parametrize("ends", [SystemExit, KeyboardInterrupt, RuntimeError])
def test_a_receiver_that_would_end_the_process_ends_not_even_the_writer(
    database: Database, recorders: Recorders, ends: type[BaseException]
) -> None:
    app, guard = FakeApp(testing=False), Guard()
    recorder = recorders(app=app, guard=guard, FLUSH_INTERVAL=timedelta(seconds=0.02))
    heard: list[str] = []

    def broken(_sender: Any, **_what: Any) -> None:
        heard.append("broken")
        raise ends

    def listening(_sender: Any, **what: Any) -> None:
        heard.append(str(what["properties"]["n"]))

    signals.event_tracked.connect(broken, sender=app)
    signals.event_tracked.connect(listening, sender=app)
    for n in range(3):
        recorder.append(event(n))
        wait_until(lambda: len(heard) == 2 * n + 2)  # noqa: B023  (it is over within the round)
    assert sorted(heard) == ["0", "1", "2", "broken", "broken", "broken"]
    assert len(table(database, EventRow, "name")) == 3
    assert recorder.status().thread_alive
    assert guard.counts == {"a receiver of event_tracked": 3}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_ends_all_the_same_is_told_of_and_followed_by_another(
    database: Database,
    recorders: Recorders,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = recorders(app=FakeApp(testing=False), FLUSH_INTERVAL=timedelta(seconds=0.02))
    store_all = recorder.store_all

    def end(*_args: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(recorder, "store_all", end)
    recorder.append(event(1))
    wait_until(lambda: "the writer has ended" in caplog.text)
    monkeypatch.setattr(recorder, "store_all", store_all)
    wait_until(lambda: not recorder.status().thread_alive)
    recorder.append(event(2))
    wait_until(lambda: len(table(database, EventRow, "name")) == 2)
