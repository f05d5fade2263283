"""How many people a segment had, day by day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..store.segment_member import SegmentDayRow, SegmentWatchRow

DAYS: Final = 30
"""How far back the trend goes."""


@dataclass(frozen=True, slots=True)
class SegmentTrend:
    """People in a segment on each of the last days, today at the end."""

    since: date
    """The first day of these on which it was measured."""
    days: tuple[int, ...]
    """From the first of the thirty days on; 0 before it was measured. A day on which nothing was
    measured has the number of the one before."""

    first: int
    """How many there were on the day `since`."""

    @property
    def growth(self) -> int:
        """How many more there are now than on the day `since`."""
        return self.days[-1] - self.first


def segment_trend(
    session: Session, name: str, today: date, *, is_of_code: bool
) -> SegmentTrend | None:
    """Return how the segment `name` grew in the thirty days that end with `today`.

    :param is_of_code: of the code or built in; a saved one may bear the same name, unseen.
    :returns: None if it was measured on fewer than two of these days.
    """
    return segment_trends(session, {name: is_of_code}, today).get(name)


def segment_trends(
    session: Session, segments: Mapping[str, bool], today: date
) -> dict[str, SegmentTrend]:
    """Return how each of these segments grew, as :func:`segment_trend` does, in one query.

    :param segments: of each name whether it is of the code; see there.
    """
    begin = today - timedelta(days=DAYS - 1)
    rows = session.execute(
        select(SegmentWatchRow.name, SegmentWatchRow.key, SegmentDayRow.day, SegmentDayRow.people)
        .join(SegmentWatchRow, SegmentWatchRow.id == SegmentDayRow.segment_id)
        .where(
            SegmentWatchRow.name.in_(list(segments)),
            SegmentDayRow.day.between(begin, today),
        )
    )
    counted: dict[str, dict[date, int]] = {}
    for row in rows:
        if row.key.startswith("code:" if segments[row.name] else "saved:"):
            counted.setdefault(row.name, {})[row.day] = row.people
    return {name: _trend(days, begin) for name, days in counted.items() if len(days) >= 2}


def _trend(counted: Mapping[date, int], begin: date) -> SegmentTrend:
    days, known = [], 0
    for number in range(DAYS):
        known = counted.get(begin + timedelta(days=number), known)
        days.append(known)
    since = min(counted)
    return SegmentTrend(since, tuple(days), counted[since])
