"""Segments of one app: measuring them by turns, and telling who entered and who left."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from . import _operations
from ._state import EngageState
from .signals import segment_entered, segment_left
from .store.segment_member import first_person_at

if TYPE_CHECKING:
    from .automation.lease import Fence
    from .segments.membership import Measured

TURN_SECONDS = 5.0
"""A measurement makes room for mail and rules after this."""


def measure_now(state: EngageState) -> Measured:
    """Measure every segment now, in this thread.

    :raises NotReady: if the database is away.
    """
    with state.app.app_context(), _operations.answering("refresh"):
        return _measure(state, state.clock(), None, timedelta(0))


def membership_job(state: EngageState, fence: Fence | None, now: datetime) -> str:
    """Measure segments; under a lease only some, to make room for other work."""
    from .automation.jobs import Unfinished

    period = timedelta(seconds=state.settings.SEGMENT_SECONDS)
    with state.ready.require().read() as session:
        first = first_person_at(session)
    if first is None or first > now - period:
        return "nobody has been here for long"  # what reads filters need not be loaded for that

    # In a round that takes several turns, those measured in the first are not measured again.
    done = _measure(state, now, fence, period / 2)
    return str(done) if done.finished else Unfinished(str(done))


def _measure(
    state: EngageState, now: datetime, fence: Fence | None, at_least: timedelta
) -> Measured:
    from .segments.membership import forget_gone, measure_segments, prune, record_day

    database = state.ready.require()
    end = time.monotonic() + TURN_SECONDS

    def may_go_on() -> bool:
        return fence is None or (fence.still() and time.monotonic() < end)

    of_code = _operations.segments_of_code(state)
    _tell(state)  # what a process that died left untold comes first
    done = measure_segments(
        database,
        _operations.context_of(state, database),
        of_code,
        now,
        may_go_on=may_go_on,
        at_least=at_least,
        is_heard=bool(segment_entered.receivers or segment_left.receivers),
    )
    _tell(state)
    if done.finished:
        record_day(database, now, state.settings.TIMEZONE)
        forget_gone(database, of_code)
        prune(database, now - timedelta(days=state.settings.SEGMENT_HISTORY_DAYS))
    return done


def _tell(state: EngageState) -> None:
    from .segments.membership import take_untold

    database = state.ready.require()
    while told := take_untold(database):
        for one in told:
            signal = segment_entered if one.entered else segment_left
            with state.guard.contained(f"a receiver of {signal.name}"):
                signal.send(
                    state.app,
                    user_id=one.user_id,
                    public_id=one.public_id,
                    segment=one.segment,
                    at=one.at,
                )
