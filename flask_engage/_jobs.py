"""What runs by itself, and how often. Each job is told the fence and the moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from . import _operations
from ._state import EngageState, QueryProvider

if TYPE_CHECKING:
    from .automation.lease import Fence
    from .automation.scheduler import Job

RULES_EVERY = timedelta(seconds=60)
"""Short enough that a welcome feels prompt, long enough that a million people cost little."""
MAIL_EVERY = timedelta(seconds=2)
SYNC_EVERY = timedelta(days=1)


def jobs_of(state: EngageState) -> list[Job]:
    """Return the jobs of one app, in the order in which their results build on each other."""
    from .automation.scheduler import Job

    def in_app(
        work: Callable[[EngageState, Fence | None, datetime], str | None],
    ) -> Callable[[Fence | None, datetime], str | None]:
        def run(fence: Fence | None, now: datetime) -> str | None:
            with state.app.app_context():
                return work(state, fence, now)

        return run

    jobs: list[Job] = []
    has_users = state.user_model is not None
    if has_users:
        jobs.append(Job("sync users", in_app(_operations.sync_job), SYNC_EVERY))
    jobs.extend(
        Job(
            f"refresh {provider.name}",
            in_app(_refresh_job(name)),
            provider.every,
        )
        for name, provider in state.registry.providers.items()
        if has_users or isinstance(provider, QueryProvider)
    )
    jobs.append(Job("rules", in_app(_operations.rules_job), RULES_EVERY))
    jobs.append(Job("mail", in_app(_operations.mail_job), MAIL_EVERY))
    return jobs


def _refresh_job(name: str) -> Callable[[EngageState, Fence | None, datetime], str]:
    return lambda state, _fence, now: _operations.refresh(state, name, now)
