"""The recorder: takes facts in at once, and moves them to the database in the background.

Between the two stands a journal on disk. ``append`` returns once the fact is in it; a thread
of the process, started with the first fact, stores what has gathered every second. What a
dead process left behind is taken over by the next one.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .._clock import Clock
from .._guard import Guard
from ..errors import NotReady
from ..settings import Settings
from ..store.engine import Database
from ..store.ready import Readiness
from ..store.trouble import is_passing
from .announce import Announcer
from .apply import Outcome, Rules
from .facts import Fact, Personal, Total, encode
from .host_session import write_in_host_session
from .journal import Journal
from .journal_file import JournalFile
from .memory import MemoryBuffer
from .writer import Source, Writer
from .writer_thread import EXIT_SECONDS, WriterThread

ADOPT_SECONDS = 5.0
"""How often the writer looks for journals of dead processes."""


def _call_after_fork(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    def in_child() -> None:
        found = method()
        if found is not None:
            found()

    os.register_at_fork(after_in_child=in_child)


class App(Protocol):
    """What we need to know of the host's app, which is also the sender of signals."""

    @property
    def name(self) -> str: ...

    testing: bool


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """How the recorder is doing, for people."""

    mode: str
    folder: str | None
    """Where the journal is; None while there is none."""
    files: list[str]
    backlog_bytes: int
    """What waits to be stored, of all processes on this machine."""
    refused: int
    """Facts that this process could not take in."""
    stored: int
    """Facts that this process has stored."""
    buried: int
    """Facts that the database refused and that are kept aside."""
    last_flush_at: datetime | None
    """When this process last had nothing left to store."""
    problem: str | None
    """What keeps facts from being stored, if anything does."""
    thread_alive: bool


class Recorder:
    """Takes facts in for one app. Safe to use from every thread and after a fork."""

    def __init__(
        self,
        *,
        app: App,
        settings: Settings,
        ready: Readiness,
        guard: Guard,
        clock: Clock,
        folder: Callable[[], Path],
    ) -> None:
        self._app = app
        self._settings = settings
        self._ready = ready
        self._guard = guard
        self._clock = clock
        self._folder = folder
        self._rules = Rules.of(settings)
        self._announce = Announcer(app, guard)
        self._writer = Writer(self._rules, clock)
        self._opening = threading.Lock()
        self._draining = threading.Lock()
        self._drainer: int | None = None
        self._store: Journal | MemoryBuffer | None = None
        self._thread: WriterThread | None = None
        self._adopt_at = 0.0
        self._refused = 0
        self._last_flush_at: datetime | None = None
        self._problem: str | None = None
        _call_after_fork(weakref.WeakMethod(self._after_fork))

    # --- taking in -----------------------------------------------------------------------------

    def append(self, fact: Fact) -> bool:
        """Take `fact` in; tell whether it is accepted. An accepted fact is never lost.

        Does no database work (but in the mode ``sync``) and raises nothing.
        """
        accepted = False
        with self._guard.guarded("recording"):
            if self._settings.CAPTURE_MODE == "sync":
                accepted = self._write_now(fact)
            else:
                accepted = (self._store or self._open()).append(encode(fact))
                if accepted:
                    self._ensure_thread()
        if not accepted:
            self._refused += 1
        return accepted

    def write_in_session(self, host_session: Any, fact: Personal) -> bool:
        """Store `fact` in the host's own transaction; tell whether that worked.

        It commits or rolls back with what else the host does in it. If it fails, the host's
        work is as it was. It never raises, with one exception:

        :raises sqlalchemy.exc.DBAPIError: if the database has ended the host's transaction (a
            deadlock on MariaDB or MySQL, a lost connection), so that its work must be done again.
        """
        return write_in_host_session(
            host_session,
            fact,
            self._rules,
            self._clock,
            self._committed,
            self._guard,
            self._tables_missing,
        )

    def _tables_missing(self, host: Engine) -> bool:
        """Say that our tables are missing, if the host's database is where they should be."""
        if host.url != self._ready.database().engine.url:
            return False
        self._ready.note_missing()
        return True

    def _committed(self, outcome: Outcome) -> None:
        """Count what the host has committed, then announce it."""
        for (at, name), count in Counter((t.at, t.name) for t in outcome.tracked).items():
            with self._guard.contained("counting events"):
                self.append(Total(at, name, count))
        self._announce(outcome)

    def _write_now(self, fact: Fact) -> bool:
        try:
            outcome = self._writer.write_now(self._ready.require(), [fact])
        except NotReady:
            return False  # said once, by who found out
        self._announce(outcome)
        return True

    def _open(self) -> Journal | MemoryBuffer:
        with self._opening:
            if self._store is None:
                limit = self._settings.JOURNAL_MAX_BYTES
                if self._settings.CAPTURE_MODE == "memory" or self._dies_with_us():
                    self._store = MemoryBuffer(limit)
                else:
                    self._store = Journal(self._folder(), self._app.name, limit)
            return self._store

    def _dies_with_us(self) -> bool:
        """Tell whether the database is in memory: a journal on disk would outlive it."""
        database = self._ready.database()
        return database.shared and database.engine.url.database in (None, "", ":memory:")

    # --- writing out ---------------------------------------------------------------------------

    def flush(self) -> int:
        """Store what is waiting, in this thread; return how many facts were stored.

        Raises nothing while the database is away: what is not stored stays in the journal.
        Does nothing in a thread that is storing facts already.
        """
        if self._drainer == threading.get_ident():
            return 0
        before = self._writer.stored
        with self._guard.contained("storing facts"), suppress(NotReady):
            self.store_all()  # who found out why it is not ready has said so
        return self._writer.stored - before

    def store_all(self, deadline: float | None = None) -> None:
        """Store what is waiting here and what dead processes have left.

        :param deadline: begin nothing further after this (monotonic seconds).
        :raises NotReady: if the tables can't be used.
        :raises sqlalchemy.exc.SQLAlchemyError: if the database is away.
        """
        store = self._store or self._open()
        while self._store_some(store, deadline):
            pass

    def _store_some(self, store: Journal | MemoryBuffer, deadline: float | None) -> bool:
        """Store facts, then announce what was stored; tell whether there may be more.

        Announces without the lock: a receiver may well send, flush, or wait for another thread.
        """
        untold: list[Outcome] = []
        try:
            with self._draining:
                self._drainer = threading.get_ident()
                try:
                    self._drain(store, deadline)
                finally:
                    self._drainer = None
                    more = self._writer.has_much_to_tell
                    untold = self._writer.take_untold()
        finally:
            for outcome in untold:
                self._announce(outcome)
        return more

    def _drain(self, store: Journal | MemoryBuffer, deadline: float | None) -> None:
        database = self._require()
        try:
            for source in self._sources(store):
                self._writer.drain(database, source, deadline)
            self._tidy(database, store)
            self._adopt(database, store, deadline)
        except (NotReady, SQLAlchemyError, OSError) as error:
            self._note(error)
            if not isinstance(error, OSError):
                # Perhaps it was migrated under our hands: look again before the next try.
                self._ready.forget()
            raise
        self._problem, self._last_flush_at = None, self._clock()

    def _require(self) -> Database:
        try:
            return self._ready.require()
        except NotReady as error:
            self._note(error)
            raise

    def _note(self, error: Exception) -> None:
        self._problem = f"{type(error).__name__}: {error}"[:300]

    def _sources(self, store: Journal | MemoryBuffer) -> list[Source]:
        return [store] if isinstance(store, MemoryBuffer) else list(store.own())

    def _adopt(
        self, database: Database, store: Journal | MemoryBuffer, deadline: float | None
    ) -> None:
        if isinstance(store, MemoryBuffer) or not self._is_time_to_adopt():
            return
        failed: list[NotReady | SQLAlchemyError] = []
        for file in store.orphans():
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
        self._writer.drain(database, file, deadline)
        if file.stored is not None and file.stored >= file.size:
            file.remove()
            self._writer.finish(database, [file.name])

    def _is_time_to_adopt(self) -> bool:
        if WriterThread.is_current():
            now = time.monotonic()
            if now < self._adopt_at:
                return False
            self._adopt_at = now + ADOPT_SECONDS
        return True

    def _tidy(
        self, database: Database, store: Journal | MemoryBuffer, *, at_once: bool = False
    ) -> None:
        """Remove files that are stored."""
        if isinstance(store, MemoryBuffer):
            return
        done = store.rotate(at_once=at_once)
        for file in done:
            file.remove()
        if done:
            self._writer.finish(database, [file.name for file in done])

    # --- the thread ----------------------------------------------------------------------------

    def _ensure_thread(self) -> None:
        thread = self._thread
        if thread is not None and thread.belongs_here:
            return
        with self._opening:
            if self._thread is not None and self._thread.belongs_here:
                return
            if self._app.testing or self._ready.database().shared:
                return
            self._thread = WriterThread(
                self._tick, self._last_words, self._settings.FLUSH_INTERVAL.total_seconds()
            )
            self._thread.start()

    def _tick(self, *, may_store: bool) -> bool:
        """Do what is due; tell whether the database took what there was."""
        with self._guard.contained("writing the journal out"):
            store = self._store or self._open()
            if isinstance(store, Journal):
                store.sync()
            if may_store:
                return self._tries_to_store()
        return True

    def _tries_to_store(self) -> bool:
        try:
            self.store_all()
        except NotReady:
            return False  # said once, by who found out
        except (SQLAlchemyError, OSError) as error:
            self._guard.report("storing facts", error)
            return False
        return True

    def _last_words(self) -> None:
        """Store the rest before the process ends, if that is quickly done."""
        store = self._store
        if store is None:
            return
        with self._guard.contained("storing the rest at exit"), suppress(NotReady):
            deadline = time.monotonic() + EXIT_SECONDS * 0.75
            if isinstance(store, Journal):
                store.sync()
            self.store_all(deadline)
            with self._draining:
                self._tidy(self._ready.require(), store, at_once=True)
                if isinstance(store, MemoryBuffer):
                    self._writer.finish(self._ready.require(), [store.name])

    def close(self) -> None:
        """Stop the thread, storing the rest if that is quickly done, and let the files go."""
        if self._thread is not None and self._thread.belongs_here:
            self._thread.stop(EXIT_SECONDS)
        self._thread = None
        if isinstance(self._store, Journal):
            self._store.close()

    def _after_fork(self) -> None:
        """Begin anew in a forked child: nothing of the parent's is ours."""
        self._opening = threading.Lock()
        self._draining = threading.Lock()
        self._drainer = None
        self._thread = None
        self._ready.after_fork()
        if self._store is not None:
            self._store.after_fork()

    # --- looking -------------------------------------------------------------------------------

    def status(self) -> RecorderStatus:
        """Say how it is going, of this process and of what lies on the disk."""
        found: list[Journal | MemoryBuffer] = []
        with self._guard.contained("looking at the journal"):
            found.append(self._open())
        store = found[0] if found else None
        journal = store if isinstance(store, Journal) else None
        return RecorderStatus(
            mode=self._settings.CAPTURE_MODE,
            folder=str(journal.folder) if journal else None,
            files=journal.files() if journal else [],
            backlog_bytes=0 if store is None else store.backlog_bytes(),
            refused=self._refused,
            stored=self._writer.stored,
            buried=self._writer.buried,
            last_flush_at=self._last_flush_at,
            problem=self._problem or self._ready.problem,
            thread_alive=self._thread is not None and self._thread.is_alive,
        )
