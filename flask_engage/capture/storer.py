"""Out of the journal: what waits here, and what dead processes have left, into the database.

One thread at a time does it, the writer's or whoever flushes. What was stored is announced without
the lock: a receiver may well send, flush, or wait for another thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from .._clock import Clock
from .._guard import Guard
from ..errors import NotReady
from ..store.engine import Database
from ..store.ready import Readiness
from ..store.trouble import is_passing
from .apply import Outcome, Rules
from .facts import Fact
from .journal import Journal
from .journal_file import JournalFile
from .memory import MemoryBuffer
from .writer import Source, Writer
from .writer_thread import WriterThread

ADOPT_SECONDS = 5.0
"""How often the writer looks for journals of dead processes."""


class Storer:
    """Stores what one process has taken in, and what dead ones have left behind."""

    def __init__(
        self,
        ready: Readiness,
        rules: Rules,
        guard: Guard,
        clock: Clock,
        announce: Callable[[Outcome], None],
    ) -> None:
        self._ready = ready
        self._guard = guard
        self._clock = clock
        self._announce = announce
        self.writer = Writer(rules, clock)
        self.draining = threading.Lock()
        """Held while facts are stored, not while that is announced."""
        self._drainer: int | None = None
        self._adopt_at = 0.0
        self.last_flush_at: datetime | None = None
        """When this process last had nothing left to store."""
        self.problem: str | None = None
        """What keeps facts from being stored, if anything does."""
        self.last_error: tuple[str, datetime] | None = None
        """What did so the last time that anything did, and when."""

    def after_fork(self) -> None:
        """Begin anew in a forked child."""
        self.draining = threading.Lock()
        self._drainer = None
        self.writer.take_untold()  # the parent announces that

    @property
    def is_at_it(self) -> bool:
        """Tell whether it is the calling thread that is storing facts."""
        return self._drainer == threading.get_ident()

    def write_now(self, fact: Fact) -> bool:
        """Store a fact that lies in no journal; tell whether it is stored.

        :raises sqlalchemy.exc.SQLAlchemyError: if the database is away.
        """
        try:
            database = self._ready.require()
        except NotReady:
            return False  # said once, by who found out
        try:
            outcome = self.writer.write_now(database, [fact])
        except NotReady:
            self._ready.forget()  # changed under our hands; the next fact finds out and says so
            return False
        self._announce(outcome)
        return True

    def store(self, journal: Journal | MemoryBuffer, deadline: float | None = None) -> None:
        """Store what waits in `journal` and what dead processes have left.

        :param deadline: begin nothing further after this (monotonic seconds).
        :raises NotReady: if the tables can't be used.
        :raises sqlalchemy.exc.SQLAlchemyError: if the database is away.
        """
        while self._store_some(journal, deadline):
            pass

    def end(self, journal: Journal | MemoryBuffer) -> None:
        """Leave nothing behind of what is stored."""
        with self.draining:
            database = self._ready.require()
            self._tidy(database, journal, at_once=True)
            if isinstance(journal, MemoryBuffer):
                self.writer.finish(database, [journal.name])

    def _store_some(self, journal: Journal | MemoryBuffer, deadline: float | None) -> bool:
        """Store facts, then announce what was stored; tell whether there may be more."""
        untold: list[Outcome] = []
        try:
            with self.draining:
                self._drainer = threading.get_ident()
                try:
                    self._drain(journal, deadline)
                finally:
                    self._drainer = None
                    more = self.writer.has_much_to_tell
                    untold = self.writer.take_untold()
        finally:
            for outcome in untold:
                self._announce(outcome)
        return more

    def _drain(self, journal: Journal | MemoryBuffer, deadline: float | None) -> None:
        database = self._require()
        try:
            for source in self.sources(journal):
                self.writer.drain(database, source, deadline)
            self._tidy(database, journal)
            self._adopt(database, journal, deadline)
        except (NotReady, SQLAlchemyError, OSError) as error:
            self._note(error)
            if not isinstance(error, OSError):
                # Perhaps it was migrated under our hands: look again before the next try.
                self._ready.forget()
            raise
        self.problem, self.last_flush_at = None, self._clock()

    def _require(self) -> Database:
        try:
            return self._ready.require()
        except NotReady as error:
            self._note(error)
            raise

    def _note(self, error: Exception) -> None:
        self.problem = f"{type(error).__name__}: {error}"[:300]
        self.last_error = (self.problem, self._clock())

    def sources(self, journal: Journal | MemoryBuffer) -> list[Source]:
        """Return where facts of this process wait."""
        return [journal] if isinstance(journal, MemoryBuffer) else list(journal.own())

    def _adopt(
        self, database: Database, journal: Journal | MemoryBuffer, deadline: float | None
    ) -> None:
        if isinstance(journal, MemoryBuffer) or not self._is_time_to_adopt():
            return
        failed: list[NotReady | SQLAlchemyError] = []
        for file in journal.orphans():
            # One that fails keeps nobody from the others, nor from what this process took in.
            with self._guard.contained("storing what a dead process left"):
                try:
                    self._take_over(database, file, deadline)
                except (NotReady, SQLAlchemyError) as error:
                    failed.append(error)
            if failed and (isinstance(failed[-1], NotReady) or is_passing(failed[-1])):
                break  # it would be the same with the next one
        if failed:
            raise failed[0]

    def _take_over(self, database: Database, file: JournalFile, deadline: float | None) -> None:
        self.writer.drain(database, file, deadline)
        if file.stored is not None and file.stored >= file.size:
            file.remove()
            self.writer.finish(database, [file.name])

    def _is_time_to_adopt(self) -> bool:
        if WriterThread.is_current():
            now = time.monotonic()
            if now < self._adopt_at:
                return False
            self._adopt_at = now + ADOPT_SECONDS
        return True

    def _tidy(
        self, database: Database, journal: Journal | MemoryBuffer, *, at_once: bool = False
    ) -> None:
        """Remove files that are stored."""
        if isinstance(journal, MemoryBuffer):
            return
        done = journal.rotate(at_once=at_once)
        for file in done:
            file.remove()
        if done:
            self.writer.finish(database, [file.name for file in done])
