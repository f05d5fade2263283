"""Refreshing custom data: a run goes on part by part, and may be cut anywhere.

What a run has done so far is in its row, written at least every second. So it can be watched
from everywhere, it makes room for other work after some seconds, and when its process dies
another one goes on where it was.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from .._clock import Clock
from ..store.attribute_write import Change, write_attributes
from ..store.engine import Database
from ..store.person import PersonRow, is_live
from ..store.provider_write import Run, end_run, let_go, note_progress, take_run
from ..store.retry import persistently
from ..store.trouble import is_passing
from .provider_query import source_of
from .providers import Failure, Part, Source, Start, failure_of

_log = logging.getLogger("flask_engage")

SAY_SECONDS = 1.0
"""How often a run says how far it is."""

Progress = Callable[[int, int | None], object]
"""Told how many users have been looked at, and of how many if that is known."""
Tell = Callable[[Sequence[tuple[str, Change]]], object]
"""Told which attribute of whom has changed, once that is committed."""


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a refresh did."""

    people: int
    """People for whom a value was computed."""
    changed: int
    """Values that differ from before."""
    failed: int
    """Users for whom the host's code raised, hung or gave nonsense; they keep the old value."""
    last_error: str | None = None
    finished: bool = True
    """Whether it came to its end; otherwise the next turn goes on."""

    def __str__(self) -> str:
        text = f"{self.people} people, {self.changed} changed"
        text += f", {self.failed} failed" if self.failed else ""
        text += f": {self.last_error}" if self.last_error else ""
        return text if self.finished else f"{text} (so far)"


@dataclass(slots=True)
class Turn:
    """How long a run may work before it makes room, and who wants to know of it."""

    seconds: float | None = None
    """None: to its end."""
    may_go_on: Callable[[], bool] = lambda: True
    """Asked between two parts; no: stop at once."""
    progress: Progress | None = None
    tell: Tell | None = None
    began: float = field(default_factory=time.monotonic)

    def is_over(self) -> bool:
        """Tell whether it is time to make room."""
        return self.seconds is not None and time.monotonic() - self.began >= self.seconds


def refresh(
    database: Database,
    source: Source,
    name: str,
    clock: Clock,
    turn: Turn | None = None,
    *,
    anew: bool = True,
) -> RefreshReport | None:
    """Compute a provider's values for everybody, or as far as `turn` allows.

    :param anew: begin with the first user, whoever else is at it; else go on with the run that
        was cut off, if there is one. Returns None if another process works on that.
    :raises Exception: what the provider raised; it is in its row, too, and the run is given up.
    :raises sqlalchemy.exc.DBAPIError: if a database is away; then the run goes on later.
    """
    turn = turn or Turn()
    run = persistently(
        database, lambda session: take_run(session, name, clock(), anew=anew, by_force=anew)
    )
    if run is None:
        return None
    refreshing = _Refreshing(database, source, run, clock, turn)
    try:
        finished = refreshing.go_on()
    except Exception as error:
        refreshing.stop(error)
        raise
    shown = run.error and str(Failure(run.error, run.error_user_id))
    return RefreshReport(run.done, run.changed, run.failed, shown, finished)


class _Refreshing:
    """One run in this process's hands."""

    def __init__(
        self, database: Database, source: Source, run: Run, clock: Clock, turn: Turn
    ) -> None:
        self.database = database
        self.source = source
        self.run = run
        self.clock = clock
        self.turn = turn
        self.earlier = run.seconds
        self.began = self.said = time.monotonic()

    def go_on(self) -> bool:
        """Work until the turn is over; tell whether the run came to its end."""
        run = self.run
        position: dict[str, Any] = json.loads(run.position) if run.position else {}
        if run.total is None and not position:
            run.total = self.source.total()
        failures: list[Failure] = []
        try:
            for part in self.source.parts(Start(run, position, self.turn.is_over)):
                failures = part.failures[-1:] or failures
                if not self._take(part):
                    return False  # a newer run has begun
                if self.turn.is_over() or not self.turn.may_go_on():
                    self._save(let_go)
                    return False
            self._save(lambda session, run, now: end_run(session, run, now, well=True))
        finally:
            if failures:
                _log.warning(
                    "flask_engage: %r failed for %d user(s), who keep the value from before;"
                    " the last: %s",
                    run.name,
                    run.failed,
                    failures[-1],
                )
        return True

    def stop(self, error: Exception) -> None:
        """Write down why the run doesn't go on, or not now."""
        self.run.error, self.run.error_user_id = failure_of(error).error, None
        passing = is_passing(error)
        try:
            if passing:
                self._save(let_go)
            else:
                self._save(lambda session, run, now: end_run(session, run, now, well=False))
        except Exception as second:
            # With the database away nobody is told; whoever comes next finds the run cut off.
            if not is_passing(second):
                raise

    def _take(self, part: Part) -> bool:
        """Write a part; False if this run isn't the newest any more."""
        changes = self._write(part)
        run = self.run
        run.done += part.people
        run.failed += len(part.failures)
        run.changed += len(changes)
        if part.failures:
            run.error, run.error_user_id = part.failures[-1].error, part.failures[-1].user_id
        run.attributes = self.source.attributes()
        run.position = json.dumps(part.position)
        if self.turn.tell is not None and changes:
            self.turn.tell(changes)
        if self.turn.progress is not None:
            self.turn.progress(run.done + run.failed, run.total)
        if time.monotonic() - self.said < SAY_SECONDS:
            return True
        self.said = time.monotonic()
        return bool(self._save(note_progress))

    def _write(self, part: Part) -> list[tuple[str, Change]]:
        values = {user_id: found for user_id, found in part.values.items() if found}
        if not values:
            return []

        def write(session: Session) -> list[tuple[str, Change]]:
            rows = session.execute(
                select(PersonRow.id, PersonRow.user_id).where(
                    PersonRow.user_id.in_(values), is_live()
                )
            )
            whose = {row.id: str(row.user_id) for row in rows}
            changes = write_attributes(
                session,
                {person_id: values[user_id] for person_id, user_id in whose.items()},
                source=source_of(self.run.name),
                now=self.clock(),
            )
            return [(whose[change.person_id], change) for change in changes]

        return persistently(self.database, write)

    def _save(self, write: Callable[[Session, Run, Any], Any]) -> Any:
        self.run.seconds = self.earlier + time.monotonic() - self.began
        return persistently(self.database, lambda session: write(session, self.run, self.clock()))
