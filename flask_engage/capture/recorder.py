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
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .._clock import Clock
from .._fork import call_after_fork
from .._guard import Guard
from ..errors import NotReady
from ..settings import Settings
from ..store.journal_write import positions
from ..store.ready import Readiness
from .announce import Announcer
from .apply import Outcome, Rules
from .facts import Fact, Personal, Seen, Total, encode
from .host_session import write_in_host_session
from .journal import Journal
from .memory import MemoryBuffer
from .repeats import Repeats
from .storer import Storer
from .writer_thread import EXIT_SECONDS, WriterThread

if TYPE_CHECKING:
    from .backlog import Backlog
    from .buffer import Who


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
    last_error: str | None = None
    """What kept facts from being stored the last time that anything did, in this process."""
    last_error_at: datetime | None = None


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
        of_browser: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._settings = settings
        self._ready = ready
        self._guard = guard
        self._clock = clock
        self._folder = folder
        self._rules = Rules.of(settings)
        self._announce = Announcer(app, guard)
        self._storer = Storer(ready, self._rules, guard, clock, self._announce)
        self._opening = threading.Lock()
        self._at_once = settings.CAPTURE_MODE == "sync"
        self._store: Journal | MemoryBuffer | None = None
        self._thread: WriterThread | None = None
        self._thread_of: int | None = None
        """The process in which `_thread` was started."""
        self.repeats = Repeats(of_browser)
        self._refused = 0
        call_after_fork(weakref.WeakMethod(self._after_fork))

    # --- taking in -----------------------------------------------------------------------------

    def append(self, fact: Fact) -> bool:
        """Take `fact` in; tell whether it is accepted. An accepted fact is never lost.

        Does no database work (but in the mode ``sync``) and raises nothing.
        """
        accepted = False
        try:
            if self._at_once:
                accepted = self._storer.write_now(fact)
            else:
                store = self._store or self._open()
                accepted = store.append(encode(fact))
                # The store has just seen whose process this is.
                if accepted and self._thread_of != store.pid:
                    self._ensure_thread()
        except Exception as error:
            if not self._guard.ends("recording", error):
                raise
        if not accepted:
            self._refused += 1
        return accepted

    def append_first(self, seen: Seen, who: Who, environ: Mapping[str, Any]) -> None:
        """Take in a sighting of `who`; those that follow at once may be counted."""
        before = self.repeats.end(seen.user_id)
        if before is not None:
            self._tell([before])
        if self.append(seen):
            self.repeats.begin(seen, who, environ)

    def _tell(self, counted: list[Seen]) -> None:
        for seen in counted:
            if not self.append(seen):
                self._refused += seen.hits - 1

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
        if self._storer.is_at_it:
            return 0
        before = self._storer.writer.stored
        with self._guard.contained("storing facts"), suppress(NotReady):
            self.store_all()  # who found out why it is not ready has said so
        return self._storer.writer.stored - before

    def store_all(self, deadline: float | None = None) -> None:
        """Store what is waiting here and what dead processes have left.

        :param deadline: begin nothing further after this (monotonic seconds).
        :raises NotReady: if the tables can't be used.
        :raises sqlalchemy.exc.SQLAlchemyError: if the database is away.
        """
        store = self._store or self._open()
        self._tell(self.repeats.take())
        self._storer.store(store, deadline)

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
            thread = WriterThread(
                self._tick,
                self._last_words,
                self._write_up,
                self._thread_ended,
                self._settings.FLUSH_INTERVAL.total_seconds(),
            )
            # The fact is accepted whether or not there is a thread to be had; the next one tries
            # again.
            with self._guard.contained("starting the writer"):
                thread.start()
                self._thread, self._thread_of = thread, os.getpid()
                self.repeats.open()

    def _tick(self, *, may_store: bool) -> bool:
        """Do what is due; tell whether the database took what there was."""
        with self._guard.contained("writing the journal out"):
            store = self._store or self._open()
            self._tell(self.repeats.take())
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
            self._tell(self.repeats.close())
            if isinstance(store, Journal):
                store.sync()
            self.store_all(deadline)
            self._storer.end(store)

    def _thread_ended(self) -> None:
        """Let the next fact start another thread."""
        self._thread = self._thread_of = None

    def _write_up(self) -> None:
        """Write down at the end what the thread, which may be held up, has not."""
        with self._guard.contained("writing up hits"):
            self._tell(self.repeats.close())

    def close(self) -> None:
        """Stop the thread, storing the rest if that is quickly done, and let the files go."""
        if self._thread is not None and self._thread.belongs_here:
            self._thread.stop(EXIT_SECONDS)
        self._thread = self._thread_of = None
        if isinstance(self._store, Journal):
            self._store.close()

    def _after_fork(self) -> None:
        """Begin anew in a forked child: nothing of the parent's is ours."""
        self._opening = threading.Lock()
        self._thread = None
        self.repeats.after_fork()
        self._guard.after_fork()
        self._ready.after_fork()
        self._storer.after_fork()
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
        storer = self._storer
        return RecorderStatus(
            mode=self._settings.CAPTURE_MODE,
            folder=str(journal.folder) if journal else None,
            files=journal.files() if journal else [],
            backlog_bytes=0 if store is None else store.backlog_bytes(),
            refused=self._refused,
            stored=storer.writer.stored,
            buried=storer.writer.buried,
            last_flush_at=storer.last_flush_at,
            problem=storer.problem or self._ready.problem,
            thread_alive=self._thread is not None and self._thread.is_alive,
            last_error=storer.last_error[0] if storer.last_error else None,
            last_error_at=storer.last_error[1] if storer.last_error else None,
        )

    def backlog(self) -> Backlog | None:
        """Say what lies in the journal's folder, of all processes; None without a journal.

        Asks the database how far the files are stored. Without it, what other processes have
        stored already is counted as waiting.
        """
        from .backlog import Cursor, look

        store = self._store or self._open()
        if not isinstance(store, Journal):
            return None
        cursors = {file.name: Cursor(file.stored or 0) for file in store.own()}
        with suppress(SQLAlchemyError, NotReady):
            with self._ready.require().read() as session:
                known = positions(session, store.files())
            cursors |= {name: Cursor(*found) for name, found in known.items()}
        return look(store, cursors)
