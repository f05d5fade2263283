"""How the machinery is doing, and what to do where it isn't."""

from __future__ import annotations

from flask import Response

from .._state import AttributeProvider, EngageState, current_state
from ..reports.health import Health, JobHealth, health
from .pages import page


def show() -> Response:
    """Show jobs, the lease, the journal and the providers of custom data."""
    state = current_state()
    with state.ready.require().read() as session:
        found = health(session)
    return page(
        "health.html",
        health=found,
        recorder=state.recorder.status(),
        providers=_providers(state, found),
        errors=sorted(state.guard.counts.items()),
        last_error=state.guard.last_error,
        scheduler=state.settings.SCHEDULER,
    )


def _providers(
    state: EngageState, found: Health
) -> list[tuple[AttributeProvider | object, str, JobHealth | None]]:
    """Return each provider, whether it is a function or a query, and its job."""
    jobs = {job.name: job for job in found.jobs}
    return [
        (
            provider,
            "function" if isinstance(provider, AttributeProvider) else "query",
            jobs.get(f"refresh {name}"),
        )
        for name, provider in sorted(state.registry.providers.items())
    ]
