"""The scheduler of one app, made when it is first wanted: registrations may come late."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ._clock import Clock
from ._fork import call_after_fork
from ._guard import Guard

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from .automation.scheduler import Job, Scheduler
    from .delivery.transport import Transport
    from .settings import Settings
    from .store.ready import Readiness


_LOOK_SECONDS = 0.25
"""Requests look at the scheduler this seldom: they are many, and it is missed in good time."""


class Runner:
    """Starts one app's scheduler in processes that serve, at their first request."""

    def __init__(
        self,
        jobs: Callable[[], Sequence[Job]],
        ready: Readiness,
        guard: Guard,
        clock: Clock,
        wanted: Callable[[], bool],
    ) -> None:
        self._jobs = jobs
        self._ready = ready
        self._guard = guard
        self._clock = clock
        self._wanted = wanted
        self._scheduler: Scheduler | None = None
        self._decided_for: int | None = None
        self.look_at = 0.0
        """When :meth:`ensure_started` is worth a call again, in monotonic seconds."""
        call_after_fork(weakref.WeakMethod(self._after_fork))
        self._transport: Transport | None = None
        self._host: tuple[int, Engine] | None = None

    def host_engine(self, make: Callable[[], Engine]) -> Engine:
        """Return this process's engine for looking at the host's tables; `make` makes it."""
        if self._host is None or self._host[0] != os.getpid():
            self._host = (os.getpid(), make())
        return self._host[1]

    def transport(self, settings: Settings) -> Transport:
        """Return this process's way out for mail, which remembers a server that failed."""
        if self._transport is None:
            from .delivery.transports import make_transport

            self._transport = make_transport(settings)
        return self._transport

    def scheduler(self) -> Scheduler:
        """Return the scheduler, not started."""
        if self._scheduler is None:
            from .automation.scheduler import Scheduler

            self._scheduler = Scheduler(self._jobs(), self._ready, self._guard, self._clock)
        return self._scheduler

    def _after_fork(self) -> None:
        self.look_at = 0.0

    def ensure_started(self) -> None:
        """Start the scheduler in this process unless it is not wanted, or see whether it lives."""
        self.look_at = time.monotonic() + _LOOK_SECONDS
        pid = os.getpid()
        if self._decided_for == pid:
            if self._scheduler is not None:
                self._scheduler.ensure_started()
            return
        self._decided_for = pid
        if self._wanted():
            self.scheduler().ensure_started()
