"""The host's history becomes events, each row once, however often and by whomever it is done.

A row has no id of its own. It is known by what it says (who, when, what, with which properties)
and by its number among the rows that say the same; that is remembered for ever, in the
transaction that stores the event. Where an earlier run was cut off only saves time.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as midnight
from enum import Enum
from hashlib import blake2b
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from .._clock import Clock
from ..capture.apply import Rules, apply
from ..capture.facts import Event, Fact, Seen
from ..capture.limits import check_name, check_past, check_properties, check_user_id
from ..capture.values import as_moment, plain
from ..errors import InvalidFact
from ..store.backfill_write import add_stored, begin_backfill, known_ids, note_backfill
from ..store.engine import Database, refresh_statistics
from ..store.event_write import claim_keys
from ..store.meta import require_cut_in
from ..store.retry import persistently
from ..types import PropertyValue
from .history import History, moment_at, place_of

BATCH = 1_000
"""Events in one transaction: locks are held briefly."""
_SAY_SECONDS = 1.0
_MANY = 1_000
"""From here on the planner is told at once that the tables are fuller."""
_TABLES = ("engage_person", "engage_event", "engage_event_summary")
_ERROR_CHARACTERS = 500

Progress = Callable[[int, int], object]
"""Told how many rows have been looked at, and of how many."""


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a backfill did, this time."""

    read: int
    """Rows looked at; those that a run before this one had done before it was cut off aside."""
    stored: int
    """Rows that are events now."""
    already: int
    """Rows that were events before."""
    refused: int
    """Rows that can't be events; those of erased people are in neither number."""
    last_error: str | None = None
    """Why the last of those can't."""

    def __str__(self) -> str:
        said = f"{self.read:,} rows read, {self.stored:,} stored"
        said += f", {self.already:,} there already" if self.already else ""
        erased = self.read - self.stored - self.already - self.refused
        said += f", {erased:,} of people who were erased" if erased > 0 else ""
        if self.refused:
            said += f", {self.refused:,} refused (the last: {self.last_error})"
        return said


def backfill(
    database: Database,
    history: History,
    key: str,
    rules: Rules,
    clock: Clock,
    *,
    seen: bool = False,
    progress: Progress | None = None,
) -> BackfillReport:
    """Make events of the host's history, in batches; safe to be killed and to run twice at once.

    :param seen: each row is a sighting, too.
    :raises InvalidFact: if `key` can't be a name, or a property has none; nothing is stored then.
    :raises sqlalchemy.exc.DBAPIError: if a database is away; run it again, and it goes on.
    :raises NotReady: if the days are being cut in another zone meanwhile.
    """
    work = _Backfill(database, history, check_name(key, "backfill"), rules, clock, seen, progress)
    return work.run()


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the host's, as an event."""

    id: str
    user_id: str
    at: datetime
    name: str
    properties: dict[str, PropertyValue]


class _Backfill:
    """One run."""

    def __init__(
        self,
        database: Database,
        history: History,
        key: str,
        rules: Rules,
        clock: Clock,
        seen: bool,
        progress: Progress | None,
    ) -> None:
        self.database = database
        self.history = history
        self.key = key
        self.rules = rules
        self.clock = clock
        self.seen = seen
        self.progress = progress
        self.labels = history.labels
        self.read = self.stored = self.already = self.refused = 0
        self.last_error: str | None = None
        self.skipped = 0
        """Rows that a run before this one has done."""
        self.total = self.undated = 0
        self.position: str | None = None
        self.said = time.monotonic()

    def run(self) -> BackfillReport:
        after = self._begin()
        for page in self.history.pages(after):
            waiting: list[_Row] = []
            for row in self._rows(page.rows):
                waiting.append(row)
                if len(waiting) >= BATCH:
                    self._store(waiting)
                    waiting = []
            self._store(waiting)
            self._note_place(page.end)
        self._say(finished=True)
        if self.stored >= _MANY:
            for table in _TABLES:
                refresh_statistics(self.database, table)
        return BackfillReport(self.read, self.stored, self.already, self.refused, self.last_error)

    def _begin(self) -> Any:
        """Return the moment behind which to go on, or None to begin with the first row.

        A run that was cut off goes on where it was if there are as many rows before that place
        as there were. With more, or fewer, it looks at all of them again.
        """
        saved = persistently(
            self.database, lambda session: begin_backfill(session, self.key, self.clock())
        )
        place = json.loads(saved) if saved else None
        after = moment_at(place["at"]) if place else None
        size = self.history.size(after)
        if place and size.before == place["rows"]:
            self.skipped = size.before
            self.position = saved
        else:
            after = None
        self.total, self.undated = size.dated + size.undated, size.undated
        if size.undated:
            self.read = size.undated
            self._refuse(f"{size.undated:,} rows have no time", size.undated)
        return after

    # --- rows of the host's ----------------------------------------------------------------------

    def _rows(self, rows: Sequence[Any]) -> Iterator[_Row]:
        """Yield what of `rows` can be an event."""
        now = self.clock()
        for moment, some in groupby(rows, key=lambda row: row[1]):
            alike: Counter[str] = Counter()
            for row in some:
                self.read += 1
                try:
                    found = self._event(row, moment, now, alike)
                except (InvalidFact, ValueError, TypeError, OverflowError) as error:
                    self._refuse(f"a row of user {row[0]!r:.80} at {moment!s:.40}: {error}")
                    continue
                yield found

    def _event(self, row: Any, moment: Any, now: datetime, alike: Counter[str]) -> _Row:
        user_id = check_user_id(row[0] if isinstance(row[0], UUID) else plain(row[0]))
        at = check_past(self._moment(moment), now)
        name = check_name(row[2].value if isinstance(row[2], Enum) else row[2])
        properties = check_properties(
            {label: _property(value) for label, value in zip(self.labels, row[3:], strict=True)}
        )
        said = [user_id, at.isoformat(), name, sorted(properties.items())]
        digest = blake2b(json.dumps(said).encode(), digest_size=16).hexdigest()
        number = alike[digest]
        alike[digest] += 1
        return _Row(f"backfill:{self.key}:{digest}:{number}", user_id, at, name, properties)

    def _moment(self, value: Any) -> datetime:
        """Return a moment of the host's; without a zone it is UTC, and a day begins at midnight."""
        found = as_moment(value)
        if found is not None:
            return found
        if isinstance(value, date):
            return datetime.combine(value, midnight(), self.rules.zone)
        raise InvalidFact(
            f"the second column is {type(value).__name__}, and must be a datetime or a date"
        )

    def _refuse(self, error: str, count: int = 1) -> None:
        self.refused += count
        self.last_error = error[:_ERROR_CHARACTERS]

    # --- rows of ours ----------------------------------------------------------------------------

    def _store(self, rows: list[_Row]) -> None:
        """Store those of `rows` that aren't there, in one transaction."""
        new = self._unknown(rows)
        if new:
            stored, fresh = persistently(self.database, lambda session: self._write(session, new))
            self.stored += stored
            self.already += len(rows) - fresh
        else:
            self.already += len(rows)
        if self.progress is not None:
            self.progress(self.skipped + self.read, self.total)
        if time.monotonic() - self.said >= _SAY_SECONDS:
            self._say()

    def _unknown(self, rows: list[_Row]) -> list[_Row]:
        """Return those of `rows` that aren't events yet; a look that holds up nobody."""
        by_name: dict[str, list[str]] = {}
        for row in rows:
            by_name.setdefault(row.name, []).append(row.id)
        with self.database.read() as session:
            known = {name: known_ids(session, name, ids) for name, ids in by_name.items()}
        return [row for row in rows if row.id not in known[row.name]]

    def _write(self, session: Session, rows: list[_Row]) -> tuple[int, int]:
        """Store `rows`; return how many, and how many were new."""
        require_cut_in(session, self.rules.zone_name)
        fresh = claim_keys(session, {(row.name, row.id) for row in rows})
        facts: list[Fact] = []
        for row in rows:
            if (row.name, row.id) not in fresh:
                continue
            if self.seen:
                facts.append(Seen(row.at, row.user_id))
            facts.append(Event(row.at, row.user_id, row.name, row.properties))
        now = self.clock()
        stored = len(apply(session, facts, self.rules, now).tracked)
        add_stored(session, self.key, stored, now)
        return stored, len(fresh)

    def _note_place(self, moment: Any) -> None:
        """Remember that all up to `moment` is done."""
        place = place_of(moment)
        rows = self.skipped + self.read - self.undated
        self.position = json.dumps({"at": place, "rows": rows}) if place else None
        self._say()

    def _say(self, *, finished: bool = False) -> None:
        """Write down how far it is."""
        self.said = time.monotonic()
        persistently(
            self.database,
            lambda session: note_backfill(
                session,
                self.key,
                self.clock(),
                read=self.read,
                refused=self.refused,
                error=self.last_error,
                position=None if finished else self.position,
                finished=finished,
            ),
        )


def _property(value: Any) -> PropertyValue:
    """Return a column's value as one of the kinds that a property may hold."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    found = plain(value)
    return found.isoformat() if isinstance(found, datetime) else found
