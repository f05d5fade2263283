"""Telling those who listen what has been stored. A listener that fails disturbs nobody."""

from __future__ import annotations

from blinker import NamedSignal

from .. import signals
from .._guard import Guard
from .apply import Outcome
from .writer_thread import WriterThread


class Announcer:
    """Sends one app's signals."""

    def __init__(self, sender: object, guard: Guard) -> None:
        self._sender = sender
        self._guard = guard

    def __call__(self, outcome: Outcome) -> None:
        """Send the signals of a committed batch."""
        for user_id, at in outcome.seen:
            self._send(signals.user_seen, user_id=user_id, at=at)
        for user_id, at in outcome.started:
            self._send(signals.session_started, user_id=user_id, at=at)
        for event in outcome.tracked:
            self._send(
                signals.event_tracked,
                user_id=event.user_id,
                name=event.name,
                properties=event.properties,
                at=event.at,
            )
        for user_id, change in outcome.changed:
            self._send(
                signals.attribute_changed,
                user_id=user_id,
                name=change.name,
                value=change.value,
                old=change.old,
            )

    def _send(self, signal: NamedSignal, **what: object) -> None:
        if not signal.receivers:
            return
        for receiver in signal.receivers_for(self._sender):
            place = f"a receiver of {signal.name}"
            with self._guard.contained(place):
                try:
                    receiver(self._sender, **what)
                except (SystemExit, KeyboardInterrupt) as error:
                    # In the host's thread that may be meant, and not by the receiver: a server
                    # ends a worker so. In ours it can only be a mistake, and would end the thread.
                    if not WriterThread.is_current():
                        raise
                    self._guard.report(place, error)
