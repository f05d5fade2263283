"""What runs by itself, and how often. Each job is told the fence and the moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from . import _operations
from ._state import EngageState

if TYPE_CHECKING:
    from .automation.lease import Fence
    from .automation.scheduler import Job

RULES_EVERY = timedelta(seconds=60)
"""Short enough that a welcome feels prompt, long enough that a million people cost little."""
MAIL_EVERY = timedelta(seconds=2)
SYNC_EVERY = timedelta(days=1)
RELATIONSHIP_EVERY = timedelta(days=1)
"""The score decays by days."""
REFRESH_EVERY = timedelta(seconds=5)
"""How often somebody looks whose turn it is, and a long refresh gets another turn."""

ENRICH_EVERY = timedelta(seconds=10)
IMPORTS_EVERY = timedelta(seconds=5)
"""How long a file that somebody has just started waits; a large one gets turn after turn."""
FORGET_EVERY = timedelta(days=1)
INDEX_EVERY = timedelta(hours=1)
"""Which attributes live filters ask about changes with deployments and with what people save."""


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

    def looks(
        look: Callable[[EngageState, Fence | None, datetime], bool],
    ) -> Callable[[Fence | None, datetime], bool]:
        return lambda fence, now: look(state, fence, now)

    jobs: list[Job] = []
    if state.user_model is not None:
        jobs.append(Job("sync users", in_app(_operations.sync_job), SYNC_EVERY))
    if state.registry.providers:
        from . import _custom_data

        if _custom_data.registered(state):
            jobs.append(
                Job(
                    "custom data",
                    in_app(_custom_data.refresh_job),
                    REFRESH_EVERY,
                    looks(_custom_data.is_anything_due),
                )
            )
    if _may_enrich(state):
        from . import _enrichment

        jobs.append(Job("enrichment", in_app(_enrichment.enrichment_job), ENRICH_EVERY))
    from . import _relationship

    jobs.append(Job("relationship", in_app(_relationship.relationship_job), RELATIONSHIP_EVERY))
    from . import _membership

    every = timedelta(seconds=state.settings.SEGMENT_SECONDS)
    jobs.append(Job("segments", in_app(_membership.membership_job), every))
    jobs.append(Job("rules", in_app(_operations.rules_job), RULES_EVERY))
    from . import _transfer

    jobs.append(
        Job(
            "imports",
            in_app(_transfer.import_job),
            IMPORTS_EVERY,
            looks(_transfer.is_file_waiting),
        )
    )
    jobs.append(Job("old imports", in_app(_transfer.forget_job), FORGET_EVERY))
    jobs.append(Job("indexes", in_app(_operations.index_job), INDEX_EVERY))
    mail, waits = in_app(_operations.mail_job), looks(_operations.is_mail_waiting)
    jobs.append(Job("mail", mail, MAIL_EVERY, waits))
    return jobs


def _may_enrich(state: EngageState) -> bool:
    """Tell whether anybody is to be asked about people; everything is off by itself."""
    settings = state.settings
    return bool(
        state.registry.enrichers
        or settings.ENRICH_FULLCONTACT_KEY
        or settings.ENRICH_GRAVATAR
        or settings.ENRICH_COMPANY
        or settings.ENRICH_PLACE
    )
