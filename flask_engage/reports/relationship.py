"""Why a heart is what it is: its parts, with whole points that add up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import ceil, floor
from statistics import median

from sqlalchemy.orm import Session

from ..people.relationship_sql import HABIT_DAYS, WHOLE
from ..store.person_activity import active_days
from ..store.relationship import Norms, RelationshipRow, kept_norms, relationship_of

ENOUGH_DAYS = 5
"""Active days from which something like a habit is told."""


@dataclass(frozen=True, slots=True)
class Coming:
    """How often somebody was here lately, from their own active days."""

    days: int
    """Active days of the last :data:`HABIT_DAYS`."""
    gap: float | None
    """Median of the days from one to the next; None if they are too few for a habit.

    It is what was measured: the score's half-life is kept within bounds, and given to those
    without a habit, too.
    """


@dataclass(frozen=True, slots=True)
class Heart:
    """One person's heart and what it is made of."""

    row: RelationshipRow
    norms: Norms
    """What everybody was measured by."""
    points: dict[str, int]
    """By part; they add up to `total`. With a formula of the host's there are none."""
    total: int
    """Of 100."""
    is_capped: bool
    """Whether an unsubscription or two dismissals keep it at two hearts."""
    coming: Coming

    @property
    def days_since_seen(self) -> int | None:
        """Whole days, as of the moment of measuring."""
        seen: datetime | None = self.row.seen_at
        return None if seen is None else max(0, (self.norms.at - seen).days)


def heart_of(session: Session, person_id: int) -> Heart | None:
    """Return a person's heart with its reasons; None if it was never computed."""
    row, norms = relationship_of(session, person_id), kept_norms(session)
    if row is None or norms is None:
        return None
    # Rounded up as the hearts are: 80.3 points are five hearts, and are shown as 81.
    total = ceil(round(row.score, 2))
    points = {} if norms.own_formula else _whole({n: getattr(row, n) for n in WHOLE}, total)
    capped = row.hearts == 2 and total > 40
    since = norms.at.date() - timedelta(days=HABIT_DAYS)
    return Heart(row, norms, points, total, capped, _coming(active_days(session, person_id, since)))


def _coming(days: list[date]) -> Coming:
    gaps = [(day - former).days for former, day in pairwise(days)]
    return Coming(len(days), median(gaps) if len(days) >= ENOUGH_DAYS else None)


def _whole(parts: dict[str, float], total: int) -> dict[str, int]:
    """Round parts so that they add up to `total`: the largest rests are rounded up."""
    exact = {name: round(value, 2) for name, value in parts.items()}
    found = {name: floor(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: found[name] - exact[name])
    for name in rest[: max(0, total - sum(found.values()))]:
        found[name] += 1
    return found
