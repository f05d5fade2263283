"""The clockwork: a thread in each serving process, of which one at a time does the jobs.

APScheduler keeps two appointments, both in memory: every two seconds the lease is renewed
or asked for, every second the process that holds it does the jobs whose turn has come. The
turns themselves are rows in our database, so nothing is lost with a process.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from .._clock import Clock, utcnow
from .._ending import END_SECONDS, stop_at_exit
from .._guard import Guard
from ..errors import NotReady
from ..store.engine import Database
from .jobs import Job, Looks, run_due_jobs
from .lease import RENEW_EVERY, Fence, Lease, LeaseLost
from .process import serves

__all__ = ["Job", "Scheduler"]

_log = logging.getLogger("flask_engage")

TICK_EVERY = timedelta(seconds=1)
STOP_SECONDS = END_SECONDS
"""At exit we hold up nobody for longer."""
LONGEST_PAUSE_SECONDS = 6.0
"""After errors the lease is asked for at growing distances up to this, so that work goes on
within 10 seconds of the database's return."""
STALLED_SECONDS = 10.0
"""No round of renewal for so long: the machine's clock was set back, and appointments with it."""


class Ready(Protocol):
    """Gives the database; :class:`flask_engage.store.ready.Readiness` is one."""

    def database(self) -> Database:
        """Return the database without looking whether it answers."""

    def require(self) -> Database:
        """Return the database, usable, or raise `NotReady`."""


class Scheduler:
    """Runs `jobs` in the one process that holds the lease."""

    def __init__(
        self,
        jobs: Sequence[Job],
        ready: Ready,
        guard: Guard,
        clock: Clock = utcnow,
        *,
        allowed: Callable[[], bool] = serves,
    ) -> None:
        self.jobs = tuple(jobs)
        self._ready = ready
        self._guard = guard
        self._clock = clock
        self._allowed = allowed
        self._pid: int | None = None
        self._reset()

    def _reset(self) -> None:
        self._starting = threading.Lock()
        self._working = threading.Lock()
        self._stopping = threading.Event()
        self._background: Any = None
        self._lease: Lease | None = None
        self._looks = Looks()
        self._failures = 0
        self._pause_until = 0.0
        self._beat = time.monotonic()

    # --- life ----------------------------------------------------------------------------

    def ensure_started(self) -> None:
        """Start in this process if that has not been decided yet. For each request: cheap.

        Does nothing where `allowed` says no, and never on a database in memory.
        """
        if self._pid == os.getpid():
            if time.monotonic() - self._beat > STALLED_SECONDS:
                self._wake()
            return
        with self._starting:
            if self._pid == os.getpid():
                return
            if self._pid is not None:
                self._reset()  # forked from a process in which we had started
            self._pid = os.getpid()
            if self._allowed():
                self._start()

    def start(self) -> bool:
        """Start in this process without asking whether it serves; for a dedicated worker.

        Returns False on a database in memory, which no thread of ours may touch.
        """
        with self._starting:
            if self._background is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._start()
        return self._background is not None

    def after_fork(self) -> None:
        """Forget the parent's thread and lease; to be called in the forked child."""
        self._pid = None
        self._reset()

    def begin_to_stop(self) -> None:
        """Begin no new work."""
        if self.running:
            self._stopping.set()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Begin no new work, give a running job a moment, let go of the lease.

        Returns after `seconds` at the latest. A job that has not ended by then keeps its
        lease, which runs out by itself.
        """
        lease, background = self._lease, self._background
        if background is None or lease is None or self._pid != os.getpid():
            return
        deadline = time.monotonic() + seconds
        self._stopping.set()
        self._background = None
        background.shutdown(wait=False)
        if self._working.acquire(timeout=max(0.0, seconds - 0.5)):
            releasing = threading.Thread(target=self._release, args=(lease,), daemon=True)
            releasing.start()
            releasing.join(max(0.0, deadline - time.monotonic()))
            self._working.release()
        lease.give_up()

    @property
    def running(self) -> bool:
        """Whether the thread runs in this process, with the lease or without it."""
        return self._background is not None and self._pid == os.getpid()

    @property
    def leads(self) -> bool:
        """Whether this process holds the lease."""
        return self._fence() is not None

    # --- the appointments ----------------------------------------------------------------

    def _start(self) -> None:
        if self._ready.database().shared:
            return
        self._stopping.clear()
        self._lease = Lease(self._ready.require)
        self._background = _background({"keep": self._keep, "tick": self._tick})
        self._background.start()
        stop_at_exit(self, by_itself=False)

    def _wake(self) -> None:
        """Make both appointments anew, now."""
        self._beat = time.monotonic()  # not at every request of a bad minute
        background = self._background
        if background is not None:
            for job in background.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))

    def _keep(self) -> None:
        """Renew the lease, or ask for it."""
        self._beat = time.monotonic()
        lease = self._lease
        if lease is None or self._stopping.is_set():
            return
        if lease.fence is None and self._beat < self._pause_until:
            return
        try:
            if not lease.renew():
                lease.acquire()
        except (NotReady, SQLAlchemyError, OSError) as error:
            self._note_away(error)
            return
        if self._failures:
            _log.info("flask_engage: the scheduler has its database back.")
        self._failures = 0

    def _tick(self) -> None:
        """Do the jobs whose turn has come, if this process holds the lease."""
        fence = self._fence()
        if fence is None or not self._working.acquire(blocking=False):
            return
        try:
            run_due_jobs(
                self.jobs, self._ready.require(), self._guard, self._clock, fence, self._looks
            )
        except LeaseLost as lost:
            _log.info("flask_engage: the scheduler stopped half-way: %s", lost)
        except (NotReady, SQLAlchemyError, OSError) as error:
            self._note_away(error)
        finally:
            self._working.release()

    def _fence(self) -> Fence | None:
        """The lease's fence, which falls too when this process is about to end."""
        fence = None if self._lease is None or self._stopping.is_set() else self._lease.fence
        if fence is None:
            return None
        held = fence.still
        return Fence(fence.epoch, fence.name, lambda: held() and not self._stopping.is_set())

    def _note_away(self, error: Exception) -> None:
        self._failures += 1
        pause = min(2.0**self._failures, LONGEST_PAUSE_SECONDS)
        self._pause_until = time.monotonic() + pause
        # One warning for one outage; a `NotReady` has been warned of where it was found.
        if self._failures == 1 and not isinstance(error, NotReady):
            _log.warning(
                "flask_engage: the scheduler waits for its database (%s).", type(error).__name__
            )

    def _release(self, lease: Lease) -> None:
        with self._guard.guarded("letting go of the lease"):
            lease.release()


def _background(appointments: dict[str, Callable[[], None]]) -> Any:
    """Return APScheduler's thread, not started, with an executor that holds up no exit."""
    from apscheduler.executors.base import BaseExecutor
    from apscheduler.jobstores.memory import MemoryJobStore
    from apscheduler.schedulers.background import BackgroundScheduler

    class DaemonThreads(BaseExecutor):  # type: ignore[misc]
        """A daemon thread for each run: the interpreter waits for those of a pool."""

        def _do_submit_job(self, job: Any, _run_times: Any) -> None:
            threading.Thread(
                target=self._work, args=(job,), name=f"engage-{job.id}", daemon=True
            ).start()

        def _work(self, job: Any) -> None:
            try:
                job.func()
            finally:
                self._run_job_success(job.id, [])

    # APScheduler tells of each run that it skips, and there are many while a job takes long.
    logger = logging.getLogger("flask_engage.apscheduler")
    logger.setLevel(logging.ERROR)
    background = BackgroundScheduler(
        jobstores={"default": MemoryJobStore()},
        executors={"default": DaemonThreads()},
        job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        timezone=UTC,
        logger=logger,
        daemon=True,
    )
    every = {"keep": RENEW_EVERY, "tick": TICK_EVERY}
    for name, function in appointments.items():
        background.add_job(
            function,
            "interval",
            seconds=every[name].total_seconds(),
            id=name,
            next_run_time=datetime.now(UTC),
        )
    return background
