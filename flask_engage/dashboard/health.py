"""How the machinery is doing, and what to do where it isn't."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from flask import Response

from .._state import EngageState, current_state
from ..errors import NotReady
from ..reports.health import Health, health
from ..reports.providers import ProviderSummary, provider_summaries
from ..store.trouble import DATABASE_ERRORS, is_passing
from .data import registered
from .findings import findings
from .pages import page

if TYPE_CHECKING:
    from ..capture.backlog import Backlog


def show() -> Response:
    """Show what is wrong and what to do, then the journal, the jobs and our errors.

    Most of it is seen from this process, so that the page is there while the database is not.
    """
    state = current_state()
    found, providers = _from_database(state)
    recorder = state.recorder.status()
    backlog = state.recorder.backlog()
    return page(
        "health.html",
        findings=findings(state, recorder, found, providers, backlog),
        health=found,
        recorder=recorder,
        backlog=backlog,
        behind=_behind(backlog, state),
        providers=len(state.registry.providers),
        errors=sorted(state.guard.counts.items()),
        last_error=state.guard.last_error,
        scheduler=state.settings.SCHEDULER,
    )


def _behind(backlog: Backlog | None, state: EngageState) -> timedelta | None:
    """Return for how long the oldest fact has been waiting; None if none does."""
    if backlog is None or backlog.oldest_at is None:
        return None
    return timedelta(seconds=backlog.lag_seconds(state.clock()))


def _from_database(state: EngageState) -> tuple[Health | None, list[ProviderSummary]]:
    """Return what the database says of the machinery; nothing while it is away."""
    try:
        with state.ready.require().read() as session:
            return (
                health(session),
                provider_summaries(session, registered(state), state.clock()),
            )
    except NotReady:
        return None, []
    except DATABASE_ERRORS as error:
        if not is_passing(error):
            raise
        state.guard.report("the dashboard", error)
        return None, []
