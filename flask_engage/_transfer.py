"""Files that operators sent, on their way in: each turn some batches, then room for others."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ._state import EngageState
from .store.transfer import next_import

if TYPE_CHECKING:
    from .automation.lease import Fence
    from .people.refresh import Turn

TURN_SECONDS = 5.0
"""An import makes room for mail and rules after this."""


def import_job(state: EngageState, fence: Fence | None, now: datetime) -> str:
    """Store people from the files whose turn it is; under a lease only some, to make room."""
    from .automation.jobs import Unfinished
    from .people.refresh import Turn

    database = state.ready.require()
    turn = Turn() if fence is None else Turn(TURN_SECONDS, fence.still)
    done: list[str] = []
    while True:
        with database.read() as session:
            row = next_import(session)
        if row is None:
            return "; ".join(done) or "no file waits"
        if done and turn.is_over():
            return Unfinished("; ".join(done))
        done.append(_go_on(state, row.id, turn, now))
        if turn.is_over() or not turn.may_go_on():
            return Unfinished(done[-1])


def is_file_waiting(state: EngageState, _fence: Fence | None, _now: datetime) -> bool:
    """Tell whether there is a file to store people from."""
    with state.ready.require().read() as session:
        return next_import(session) is not None


def _go_on(state: EngageState, import_id: int, turn: Turn, now: datetime) -> str:
    from .people.transfer.importing import Overtaken, run_import
    from .people.transfer.sources import Stored

    database = state.ready.require()
    zone = ZoneInfo(state.settings.TIMEZONE)
    try:
        row = run_import(database, import_id, Stored(database, import_id), zone, now, turn)
    except Overtaken:
        return "stopped by hand"
    return f"{row.position} of {row.rows or 0} rows"


def forget_job(state: EngageState, _fence: Fence | None, now: datetime) -> str:
    """Delete files that nobody went on with, and old reports."""
    from .people.transfer.uploads import forget_old

    return "old ones deleted" if forget_old(state.ready.require(), now) else "none is old"
