"""Jobs: what has to be done again and again, and the book that is kept about it.

A job is a name, a period and a function; what it does is the business of whoever wired it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from .._clock import Clock, utcnow
from .._guard import Guard
from ..store.engine import Database
from ..store.lease import jobs_at_rest, note_job_end, note_job_start
from ..store.trouble import is_passing
from .lease import Fence, LeaseLost


class Unfinished(str):
    """What a job says that has only made room for others, and wants its next turn soon."""

    __slots__ = ()


RETRY = timedelta(minutes=1)
"""A job that failed, or whose process died, gets its next turn no later than this."""

BOOK_EVERY = timedelta(seconds=10)
"""A job that finds nothing to do is run and written down at least this often."""

_BOOK_SECONDS = BOOK_EVERY.total_seconds()
_LONG = float("inf")

Work: TypeAlias = Callable[[Fence | None, datetime], str | None]
"""Does a job: given the fence for its writes (None outside of a lease) and the moment;
returns one line for people, or None."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is due every `period`."""

    name: str
    run: Work
    period: timedelta
    has_work: Callable[[Fence | None, datetime], bool] | None = None
    """Looks whether there is anything to do, where that costs less than to run and to write it
    down: a job that is due every few seconds would else make transactions all day for nothing."""


@dataclass(frozen=True, slots=True)
class JobRun:
    """How one run of a job went."""

    name: str
    result: str | None
    error: str | None
    duration: timedelta


class Looks:
    """Which of the jobs that mostly find nothing to do were looked at when, by one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looked: dict[str, float] = {}
        self._ran: dict[str, float] = {}

    def find(self, job: Job, fence: Fence | None, now: datetime) -> bool:
        """Tell whether to run `job`, whose turn it is: there is work, or it's time to say so.

        :raises sqlalchemy.exc.DBAPIError: if the database is away.
        """
        at = self._monotonic()
        if job.has_work is None or at - self._ran.get(job.name, -_LONG) >= _BOOK_SECONDS:
            self._ran[job.name] = at
            return True
        if at - self._looked.get(job.name, -_LONG) < job.period.total_seconds():
            return False
        self._looked[job.name] = at
        try:
            found = job.has_work(fence, now)
        except Exception as problem:
            if is_passing(problem):
                raise
            found = True  # the job meets the same, and is reported for it
        if found:
            self._ran[job.name] = at
        return found


def run_jobs_once(
    jobs: Sequence[Job],
    database: Database,
    guard: Guard,
    clock: Clock = utcnow,
    *,
    only_due: bool = False,
) -> list[JobRun]:
    """Run `jobs` in this thread, one after the other and without a lease; say how each went.

    `only_due` leaves out those whose period is not over, as a cron line would want it. A
    job that raises is reported to `guard`, which may raise again once all have run.

    :raises sqlalchemy.exc.DBAPIError: if the database is away.
    """
    raised: list[tuple[Job, Exception]] = []
    runs = [
        _run(job, database, clock, None, lambda job, error: raised.append((job, error)))
        for job in (_due(jobs, database) if only_due else jobs)
    ]
    for job, error in raised:
        with guard.guarded(_place(job)):
            raise error
    return runs


def run_due_jobs(
    jobs: Sequence[Job],
    database: Database,
    guard: Guard,
    clock: Clock,
    fence: Fence,
    looks: Looks | None = None,
) -> list[JobRun]:
    """Run those of `jobs` whose turn has come, as the holder of a lease.

    :param looks: remembers, from one call to the next, which of them had nothing to do.
    :raises LeaseLost: as soon as another process holds it.
    :raises sqlalchemy.exc.DBAPIError: if the database is away.
    """
    runs: list[JobRun] = []
    for job in _due(jobs, database):
        fence.require()
        if looks is not None and not looks.find(job, fence, clock()):
            continue
        runs.append(
            _run(job, database, clock, fence, lambda job, error: guard.report(_place(job), error))
        )
    return runs


def _due(jobs: Iterable[Job], database: Database) -> list[Job]:
    with database.read() as session:
        resting = jobs_at_rest(session)
    return [job for job in jobs if job.name not in resting]


def _place(job: Job) -> str:
    return f"the job {job.name!r}"


def _pause(job: Job, result: str | None) -> timedelta:
    return timedelta(0) if isinstance(result, Unfinished) else job.period


def _run(
    job: Job,
    database: Database,
    clock: Clock,
    fence: Fence | None,
    report: Callable[[Job, Exception], None],
) -> JobRun:
    """Run one job with its bookkeeping; what it raises goes to `report`."""
    soon = min(job.period, RETRY)
    fenced = None if fence is None else fence.condition()
    now = clock()
    with database.write() as session:
        if not note_job_start(session, job.name, now=now, again_in=soon, fenced=fenced):
            raise LeaseLost(f"The lease was lost before the job {job.name!r} began.")
    began = time.monotonic()
    result = error = None
    try:
        result = job.run(fence, now)
    except LeaseLost:
        raise
    except Exception as problem:
        if is_passing(problem):  # not the job's fault, and there may be nobody to write it to
            raise
        error = f"{type(problem).__name__}: {problem}"
        report(job, problem)
    duration = timedelta(seconds=time.monotonic() - began)
    with database.write() as session:
        note_job_end(
            session,
            job.name,
            now=clock(),
            duration=duration,
            again_in=_pause(job, result) if error is None else soon,
            result=result,
            error=error,
            fenced=fenced,
        )
    return JobRun(job.name, result, error, duration)
