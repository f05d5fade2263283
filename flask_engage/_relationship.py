"""Hearts of one app: what it counts, and its turns."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ._operations import answering
from ._state import EngageState
from .people.refresh import Progress, RefreshReport, Turn
from .people.relationship import Score, checked_formula, refresh_relationship

if TYPE_CHECKING:
    from .automation.lease import Fence

TURN_SECONDS = 5.0
"""A run makes room for mail and rules after this."""


def compute_now(state: EngageState, *, progress: Progress | None = None) -> RefreshReport:
    """Compute everybody's heart, in this thread.

    :raises NotReady: if the database is away.
    """
    database = state.ready.require()
    with state.app.app_context(), answering("refresh"):
        report = refresh_relationship(
            database, _score(state), state.clock, Turn(progress=progress), anew=True
        )
    assert report is not None, "whoever begins anew waits for nobody"
    return report


def relationship_job(state: EngageState, fence: Fence | None, now: datetime) -> str:
    """Compute hearts; under a lease only some, to make room for other work."""
    from .automation.jobs import Unfinished

    turn = Turn() if fence is None else Turn(TURN_SECONDS, fence.still)
    report = refresh_relationship(
        state.ready.require(), _score(state), lambda: now, turn, anew=False
    )
    if report is None:
        return "another process is at it"
    return str(report) if report.finished else Unfinished(str(report))


def _score(state: EngageState) -> Score:
    formula = state.registry.relationship
    return Score(
        ZoneInfo(state.settings.TIMEZONE),
        state.settings.CORE_EVENTS,
        None if formula is None else checked_formula(formula),
    )
