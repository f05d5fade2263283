"""Why a heart is what it is: its parts, with whole points that add up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor

from sqlalchemy.orm import Session

from ..people.relationship_sql import WHOLE
from ..store.relationship import Norms, RelationshipRow, kept_norms, relationship_of


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
    # Who has none is not kept at two, but has no more points than everybody starts with.
    capped = row.hearts == 2 and total > 40
    return Heart(row, norms, points, total, capped)


def _whole(parts: dict[str, float], total: int) -> dict[str, int]:
    """Round parts so that they add up to `total`: the largest rests are rounded up."""
    exact = {name: round(value, 2) for name, value in parts.items()}
    found = {name: floor(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: found[name] - exact[name])
    for name in rest[: max(0, total - sum(found.values()))]:
        found[name] += 1
    return found
