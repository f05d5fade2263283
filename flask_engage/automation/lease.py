"""The lease: of many processes, one acts.

It saves work; it is not what keeps a message from going out twice. That is done by the
unique key of deliveries and by the fence, the epoch that each write under the lease names
in its condition: whoever was stopped and wakes up after a takeover writes nothing.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ..errors import EngageError
from ..store.engine import Database
from ..store.lease import epoch_is, lease_is_free, release_lease, renew_lease, take_lease

SCHEDULER_LEASE = "scheduler"
LEASE_TTL = timedelta(seconds=6)
"""A holder that died is replaced within this and one round of renewal."""
RENEW_EVERY = timedelta(seconds=2)
"""Two renewals may fail before the lease is lost."""


class LeaseLost(EngageError, RuntimeError):
    """Another process holds the lease by now; whoever meets this stops and undoes nothing."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to act under one epoch of a lease."""

    epoch: int
    name: str = SCHEDULER_LEASE
    still: Callable[[], bool] = field(default=_always, compare=False, repr=False)
    """Whether this process believes to hold it; false once it could not be renewed in time."""

    def condition(self) -> ColumnElement[bool]:
        """Return what the WHERE of each write under this fence has to contain."""
        return epoch_is(self.name, self.epoch)

    def holds(self, session: Session) -> bool:
        """Ask the database whether the epoch is still the current one."""
        return self.still() and bool(session.scalar(select(self.condition())))

    def require(self) -> None:
        """Stop whoever acts on: cheap, to be asked between two steps.

        :raises LeaseLost: if the lease was not renewed in time.
        """
        if not self.still():
            raise LeaseLost(f"The lease {self.name!r} (epoch {self.epoch}) ran out.")


def this_process() -> str:
    """Return a name of this process that no other process has or had."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}:{secrets.token_hex(4)}"


class Lease:
    """One process's part in the lease `name`; safe to use from several threads."""

    def __init__(
        self,
        database: Callable[[], Database],
        name: str = SCHEDULER_LEASE,
        holder: str | None = None,
        *,
        ttl: timedelta = LEASE_TTL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.holder = holder or this_process()
        self._database = database
        self._ttl = ttl
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._epoch: int | None = None
        self._until = 0.0

    def acquire(self) -> Fence | None:
        """Take the lease if it is free; return the right to act, or None.

        :raises sqlalchemy.exc.DBAPIError: if the database is away or the row is locked.
        """
        asked = self._monotonic()
        database = self._database()
        with database.read() as session:
            if not lease_is_free(session, self.name):
                return None
        with database.write() as session:
            epoch = take_lease(session, self.name, self.holder, self._ttl)
        if epoch is None:
            return None
        with self._lock:
            # Counted from before the question: the database's own count began later.
            self._epoch, self._until = epoch, asked + self._ttl.total_seconds()
        return self.fence

    def renew(self) -> bool:
        """Prolong the lease that this process holds; False if it holds none any more.

        :raises sqlalchemy.exc.DBAPIError: if the database is away or the row is locked; the
            lease then runs out by itself.
        """
        asked = self._monotonic()
        epoch = self._epoch
        if epoch is None:
            return False
        with self._database().write() as session:
            kept = renew_lease(session, self.name, epoch, self._ttl)
        with self._lock:
            if self._epoch != epoch:  # let go of in the meantime
                return False
            self._epoch = epoch if kept else None
            self._until = asked + self._ttl.total_seconds()
        return kept

    def release(self) -> None:
        """Let go of the lease, so that another process can take it at once."""
        with self._lock:
            epoch, self._epoch = self._epoch, None
        if epoch is None:
            return
        with self._database().write() as session:
            release_lease(session, self.name, epoch)

    def give_up(self) -> None:
        """Stop acting without a word to the database; the lease runs out there by itself."""
        with self._lock:
            self._epoch = None

    @property
    def fence(self) -> Fence | None:
        """The right to act, or None while somebody else has it or it ran out."""
        epoch = self._epoch
        if epoch is None or not self._believed(epoch):
            return None
        return Fence(epoch, self.name, lambda: self._believed(epoch))

    def _believed(self, epoch: int) -> bool:
        with self._lock:
            return self._epoch == epoch and self._monotonic() < self._until
