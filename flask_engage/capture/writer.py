"""The journal into the database, exactly once.

One transaction stores a batch and moves its file's cursor, and the cursor moves only from
where the reader found it. So a batch read twice, by two processes, or again after a crash,
is stored once; and what isn't stored is still in the file.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from .._clock import Clock
from ..errors import EngageError, NotReady
from ..store.engine import Database
from ..store.journal_write import (
    FINISHED,
    bury,
    finish,
    is_schema_ours,
    move_position,
    position_of,
)
from ..store.meta import require_cut_in
from ..store.trouble import is_passing
from .apply import Outcome, Rules, apply
from .facts import Fact, decode
from .frames import Found
from .receipts import Receipts

_log = logging.getLogger("flask_engage")

BATCH = 4000
"""Facts in one transaction at most: enough for most of the gain, and locks are held briefly."""
_MAX_UNTOLD = 5
"""Batches kept in memory until they are announced."""
_TRIES = 3
"""Deadlocks and twins of an event id pass at the second try; a third is for bad luck."""

#: MySQL calls these operational, though it is the value that doesn't fit: 1264 and 1406 out of
#: range, 1292 and 1366 wrong value, 3140 no JSON.
_MYSQL_VALUES = frozenset({1264, 1292, 1366, 1406, 3140})
#: What a single fact can make our own code or a driver raise.
_OWN_ERRORS = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, EngageError)

Payloads = list[tuple[bytes, int]]


class Source(Protocol):
    """Where facts wait: a journal file, or the buffer in memory."""

    name: str
    stored: int | None

    @property
    def size(self) -> int:
        """Position behind the last fact."""

    def read(self, position: int, limit: int) -> Found:
        """Return facts from `position` on."""


class _Superseded(Exception):
    """Somebody else has stored what we were about to store."""


def is_poison(error: BaseException) -> bool:
    """Tell whether `error` comes from a fact, so that trying again would fail for ever."""
    if isinstance(error, NotReady) or is_passing(error):
        return False
    if isinstance(error, (DataError, IntegrityError)):
        return True
    if isinstance(error, (OperationalError, InterfaceError)):
        cause = error.orig
        number = cause.args[0] if cause is not None and cause.args else None
        state = getattr(cause, "sqlstate", None) or ""
        # 22 and 23: data and constraints; 54: a value too large for an index.
        return number in _MYSQL_VALUES or state[:2] in ("22", "23", "54")
    if isinstance(error, DBAPIError):
        return False  # missing tables, a full disk: the surroundings
    return isinstance(error, (StatementError, *_OWN_ERRORS))


class Writer:
    """Stores what lies in a source. One caller at a time."""

    def __init__(self, rules: Rules, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock
        self._receipts = Receipts()
        self._untold: list[Outcome] = []
        self.stored = 0
        """Facts stored since the process began."""
        self.buried = 0
        """Facts that went to the dead letters since the process began."""

    def drain(self, database: Database, source: Source, deadline: float | None = None) -> None:
        """Store what `source` holds at this moment.

        Ends earlier when :attr:`has_much_to_tell`.

        :param deadline: begin no further batch after this (monotonic seconds).
        :raises NotReady: if the tables are not those of this version.
        :raises sqlalchemy.exc.DBAPIError: if the database is away. Nothing is lost by it.
        """
        end = source.size
        while not self.has_much_to_tell and (deadline is None or time.monotonic() < deadline):
            position = self._position(database, source)
            if position == FINISHED:
                source.stored = source.size
                return
            if position >= end:
                return
            found = source.read(position, BATCH)
            if found.end == position:
                return
            try:
                self._store(database, source, found.payloads, found.end)
            except _Superseded:
                source.stored = None

    @property
    def has_much_to_tell(self) -> bool:
        """Tell whether what has been stored is to be announced before more is."""
        return len(self._untold) >= _MAX_UNTOLD

    def take_untold(self) -> list[Outcome]:
        """Return what has been committed since the last call.

        Announcing it is the caller's, once it holds no lock: a receiver may do anything.
        """
        untold, self._untold = self._untold, []
        return untold

    def write_now(self, database: Database, facts: Sequence[Fact]) -> Outcome:
        """Store facts that lie in no source; return what that did, once it is committed.

        :raises NotReady: if the tables are not those of this version, or of another zone.
        :raises sqlalchemy.exc.SQLAlchemyError: if they can't be; then none of them is, unless
            the database went away in the middle of a commit and did not come back.
        """
        try:
            return self._with_receipt(database, facts)
        except _Superseded:  # nobody wrote for so long that the receipts were forgotten
            self._receipts.forget()
            return self._with_receipt(database, facts)

    def _with_receipt(self, database: Database, facts: Sequence[Fact]) -> Outcome:
        receipt = self._receipts.take()
        done: list[Outcome] = []

        def work(session: Session) -> Outcome:
            now = self._clock()
            _require_schema(session)
            if not receipt.claim(session, now):
                if not done:
                    raise _Superseded
                return done[-1]  # committed the time before, but the answer was lost
            require_cut_in(session, self._rules.zone_name)
            done.append(apply(session, facts, self._rules, now))
            return done[-1]

        outcome = self._persistently(database, work)
        self._receipts.give_back(receipt)
        return outcome

    def _position(self, database: Database, source: Source) -> int:
        if source.stored is None:
            with database.read() as session:
                source.stored = position_of(session, source.name)
        return source.stored

    def _store(self, database: Database, source: Source, payloads: Payloads, end: int) -> None:
        """Store what lies between the cursor and `end`; halve it where the database refuses."""
        try:
            self._move(database, source, payloads, end)
            return
        except (SQLAlchemyError, *_OWN_ERRORS) as error:
            if not is_poison(error) or not payloads:
                raise
            if len(payloads) == 1:
                self._give_up(database, source, payloads[0][0], end, error)
                return
        middle = len(payloads) // 2
        self._store(database, source, payloads[:middle], payloads[middle - 1][1])
        self._store(database, source, payloads[middle:], end)

    def _move(self, database: Database, source: Source, payloads: Payloads, end: int) -> None:
        facts, unreadable = _decoded(payloads)
        now = self._clock()

        def work(session: Session) -> Outcome:
            _claim(session, source, end, now)
            require_cut_in(session, self._rules.zone_name)
            for payload, reason in unreadable:
                bury(session, payload, reason, now)
            return apply(session, facts, self._rules, now)

        outcome = self._persistently(database, work)
        source.stored = end
        self.stored += len(facts)
        self.buried += len(unreadable)
        self._untold.append(outcome)

    def _give_up(
        self, database: Database, source: Source, payload: bytes, end: int, error: Exception
    ) -> None:
        """Put a fact that the database refuses among the dead letters."""
        now = self._clock()
        reason = f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"[:2000]

        def work(session: Session) -> Outcome:
            _claim(session, source, end, now)
            bury(session, payload, reason, now)
            return Outcome()

        self._persistently(database, work)
        source.stored = end
        self.buried += 1
        # What our own code raises may quote what people have entered; a log is not the place.
        told = reason[:300] if isinstance(error, DBAPIError) else type(error).__name__
        _log.error("flask_engage: a fact can't be stored and is kept aside: %s", told)

    def _persistently(self, database: Database, work: Callable[[Session], Outcome]) -> Outcome:
        """Run `work` in a transaction; again, if it only came at a bad moment."""
        for left in reversed(range(_TRIES)):
            try:
                with database.write() as session:
                    return work(session)
            except (DBAPIError, PoolTimeout) as error:
                if not left or not (is_passing(error) or isinstance(error, IntegrityError)):
                    raise
        raise AssertionError("unreachable")

    def finish(self, database: Database, files: list[str]) -> None:
        """Note that `files` are stored and removed."""
        with database.write() as session:
            finish(session, files, self._clock())


def _require_schema(session: Session) -> None:
    if not is_schema_ours(session):
        raise NotReady("The engage_ tables have been changed to another version meanwhile.")


def _claim(session: Session, source: Source, end: int, now: datetime) -> None:
    _require_schema(session)
    if not move_position(session, source.name, source.stored or 0, end, now):
        raise _Superseded


def _decoded(payloads: Payloads) -> tuple[list[Fact], list[tuple[bytes, str]]]:
    facts: list[Fact] = []
    unreadable: list[tuple[bytes, str]] = []
    for payload, _ in payloads:
        try:
            facts.append(decode(payload))
        except (msgspec.MsgspecError, ValueError) as error:
            unreadable.append((payload, f"{type(error).__name__}: {error}"))
    return facts, unreadable
