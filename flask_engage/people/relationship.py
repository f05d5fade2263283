"""Computing everybody's heart: first what much is among those who are active, then the points.

A run goes through people by their ids, in turns that leave room for other work, and may be cut
anywhere: how far it is stands in a row, as with custom data. Everybody is measured for the moment
at which the run began.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, Table, case, delete, func, not_, select, text
from sqlalchemy.orm import Session

from .._clock import Clock
from ..errors import InvalidFact
from ..store.engine import Database
from ..store.person import PersonRow, is_live
from ..store.provider_write import Run, end_run, let_go, note_progress, take_run
from ..store.relationship import Norms, RelationshipRow, keep_norms
from ..store.retry import persistently
from ..store.trouble import is_passing
from ..store.upsert import dialect_of, insert_of
from .refresh import SAY_SECONDS, RefreshReport, Turn
from .relationship_sql import (
    PEOPLE,
    Formula,
    Moment,
    changed,
    measured_among_active,
    pointed,
    scored,
)
from .relationship_words import Words, lend_functions

NAME = "relationship"
"""What one refreshes."""
RUN = " relationship"
"""The run's row. No provider of the host's can be called so: names are trimmed."""

FEW = 30
"""With less people than this who were active in 28 days, `USUAL` says what much is."""
USUAL = (12, 50)
"""Active days and core events in 28 days."""


@dataclass(frozen=True, slots=True)
class Score:
    """How hearts are computed in one app."""

    zone: ZoneInfo
    """Where days are cut."""
    core: Collection[str] | None = None
    """The events that count; None: all of them."""
    formula: Formula | None = None
    """The host's own."""


@dataclass(slots=True)
class _Place:
    """How far a run is, as its row has it."""

    after: int = 0
    """The id behind which it goes on."""
    norms: Norms | None = None
    """None as long as it is finding out what much is."""
    days: Counter[int] = field(default_factory=Counter)
    """How many active people had so many active days."""
    events: Counter[int] = field(default_factory=Counter)
    """And how many so many core events."""

    def dump(self) -> str:
        norms = self.norms and [self.norms.days, self.norms.events, self.norms.active]
        return json.dumps([self.after, norms, list(self.days.items()), list(self.events.items())])

    @classmethod
    def load(cls, text: str | None, run: Run, score: Score) -> _Place:
        if text is None:
            return cls()
        after, norms, days, events = json.loads(text)
        found = None
        if norms:
            much, many, active = norms
            found = Norms(much, many, active, run.started_at, score.formula is not None)
        return cls(after, found, Counter(dict(days)), Counter(dict(events)))


def refresh_relationship(
    database: Database,
    score: Score,
    clock: Clock,
    turn: Turn | None = None,
    *,
    anew: bool = True,
) -> RefreshReport | None:
    """Compute the heart of everybody, or as far as `turn` allows; write those that changed.

    :param anew: begin with the first person, whoever else is at it; else go on with the run that
        was cut off, if there is one. Returns None if another process works on that.
    :raises InvalidFact: if the host's formula gives no SQL expression.
    :raises sqlalchemy.exc.DBAPIError: if the database is away; then the run goes on later.
    """
    turn = turn or Turn()
    run = persistently(
        database, lambda session: take_run(session, RUN, clock(), anew=anew, by_force=anew)
    )
    if run is None:
        return None
    computing = _Computing(database, score, run, clock, turn)
    try:
        finished = computing.go_on()
    except Exception as error:
        computing.stop(error)
        raise
    return RefreshReport(run.done, run.changed, 0, None, finished)


def nearest_rank(counts: Mapping[int, int], percent: int) -> int:
    """Return the value that `percent` % of those counted do not exceed: one that somebody has."""
    wanted = sum(counts.values()) * percent
    sum_ = 0
    for value in sorted(counts):
        sum_ += counts[value]
        if 100 * sum_ >= wanted:
            return value
    return 0


class _Computing:
    """One run in this process's hands."""

    def __init__(
        self, database: Database, score: Score, run: Run, clock: Clock, turn: Turn
    ) -> None:
        self.database = database
        self.score = score
        self.run = run
        self.clock = clock
        self.turn = turn
        self.earlier = run.seconds
        self.began = self.said = time.monotonic()
        self.moment = Moment(run.started_at, run.started_at.astimezone(score.zone).date())
        self.words = Words(database.dialect)

    def go_on(self) -> bool:
        """Work until the turn is over; tell whether the run came to its end."""
        run = self.run
        place = _Place.load(run.position, run, self.score)
        if run.total is None:
            run.total = self._count()
        if place.norms is None:
            if not self._find_norms(place):
                return False
            place.norms, place.after = self._norms(place), 0
            place.days, place.events = Counter(), Counter()
        return self._compute(place, place.norms)

    def stop(self, error: Exception) -> None:
        """Write down why the run doesn't go on, or not now."""
        self.run.error = f"{type(error).__name__}: {error}"[:500]
        passing = is_passing(error)
        try:
            if passing:
                self._save(let_go)
            else:
                self.run.position = None  # what was wrong is right, or wrong again from the start
                self._save(lambda session, run, now: end_run(session, run, now, well=False))
        except Exception as second:
            if not is_passing(second):
                raise

    def _count(self) -> int:
        with self.database.read() as session:
            return session.scalar(select(func.count()).where(is_live())) or 0

    # --- what much is --------------------------------------------------------------------

    def _find_norms(self, place: _Place) -> bool:
        statement = measured_among_active(self.moment, self.score.core)
        while True:
            with self.database.read() as session:
                _plan_for_parts(session)
                high = _next(session, place.after)
                if high is None:
                    return True
                counted = session.execute(statement, {"low": place.after + 1, "high": high})
                for l28, e28, people in counted:
                    place.days[l28] += people
                    place.events[e28] += people
            place.after = high
            if not self._may_go_on(place):
                return False

    def _norms(self, place: _Place) -> Norms:
        active = sum(place.days.values())
        days, events = nearest_rank(place.days, 90), nearest_rank(place.events, 95)
        if active < FEW:
            days, events = USUAL
        # Where hardly anybody has an event, one is much.
        own = self.score.formula is not None
        return Norms(days, max(1, events), active, self.moment.now, own)

    # --- the points ----------------------------------------------------------------------

    def _compute(self, place: _Place, norms: Norms) -> bool:
        found = pointed(self.moment, norms, self.score.core, self.words)
        names, rows = changed(
            scored(found, self.words, self.score.formula), self.words, self.moment.now
        )
        run = self.run
        while True:
            with self.database.read() as session:
                high = _next(session, place.after)
            if high is None:
                break
            low = place.after + 1
            people, changes = persistently(
                self.database, partial(self._write, names=names, rows=rows, low=low, high=high)
            )
            run.done += people
            run.changed += changes
            place.after = high
            if self.turn.progress is not None:
                self.turn.progress(run.done, run.total)
            if not self._may_go_on(place):
                return False
        persistently(self.database, lambda session: keep_norms(session, norms))
        run.position = None
        self._save(lambda session, run, now: end_run(session, run, now, well=True))
        return True

    def _write(
        self, session: Session, names: list[str], rows: Select[Any], low: int, high: int
    ) -> tuple[int, int]:
        """Write those of the range who changed; return how many there are, and of those."""
        lend_functions(session)
        _plan_for_parts(session)
        session.execute(_upsert(session, names, rows), {"low": low, "high": high})
        heart, here = RelationshipRow, RelationshipRow.person_id.between(low, high)
        everybody = PersonRow.id.between(low, high)
        alive = func.count(case((is_live(), 1)))
        there, living = session.execute(select(func.count(), alive).where(everybody)).one()
        if there > living:
            gone = select(PersonRow.id).where(everybody, not_(is_live()))
            session.execute(
                delete(heart)
                .where(here, heart.person_id.in_(gone))
                .execution_options(synchronize_session=False)
            )
        # The moment is this run's alone, and MariaDB counts rows in a way of its own.
        mine: ColumnElement[bool] = heart.computed_at == self.moment.now
        changes = session.scalar(select(func.count()).where(here, mine)) or 0
        return living, changes

    # --- the book ------------------------------------------------------------------------

    def _may_go_on(self, place: _Place) -> bool:
        """Say how far the run is, now and then; tell whether there is time for more of it."""
        if self.turn.is_over() or not self.turn.may_go_on():
            self.run.position = place.dump()
            self._save(let_go)
            return False
        if time.monotonic() - self.said < SAY_SECONDS:
            return True
        self.said = time.monotonic()
        self.run.position = place.dump()
        return bool(self._save(note_progress))

    def _save(self, write: Any) -> Any:
        self.run.seconds = self.earlier + time.monotonic() - self.began
        return persistently(self.database, lambda session: write(session, self.run, self.clock()))


def _next(session: Session, after: int) -> int | None:
    """Return the last id of the next people behind `after`; None: there are none."""
    behind = select(PersonRow.id).where(PersonRow.id > after).order_by(PersonRow.id)
    full = session.scalar(behind.offset(PEOPLE - 1).limit(1))
    if full is not None:
        return full
    return session.scalar(select(func.max(PersonRow.id)).where(PersonRow.id > after))


def _plan_for_parts(session: Session) -> None:
    """Keep PostgreSQL from translating each statement into machine code, which takes longer."""
    if dialect_of(session) == "postgresql":
        session.execute(text("SET LOCAL jit = off"))


def _upsert(session: Session, names: list[str], rows: Select[Any]) -> Any:
    table = cast("Table", RelationshipRow.__table__)
    dialect = dialect_of(session)
    statement = insert_of(dialect, table).from_select(names, rows, include_defaults=False)
    if dialect == "mysql":
        return statement.on_duplicate_key_update(
            [(name, func.values(table.c[name])) for name in names[1:]]
        )
    return statement.on_conflict_do_update(
        index_elements=["person_id"],
        set_={name: statement.excluded[name] for name in names[1:]},
    )


def checked_formula(formula: Formula) -> Formula:
    """Return `formula`, watched: what it gives must be an SQL expression.

    :raises InvalidFact: when it gives something else.
    """

    def checked(parts: Any) -> Any:
        given = formula(parts)
        if not isinstance(given, (ColumnElement, int, float)) or isinstance(given, bool):
            raise InvalidFact(
                f"@engage.relationship: {getattr(formula, '__qualname__', formula)} gave "
                f"{given!r:.100}; return an SQL expression made of the parts, from 0 to 100."
            )
        return given

    return checked


__all__ = ["NAME", "RUN", "Score", "checked_formula", "nearest_rank", "refresh_relationship"]
