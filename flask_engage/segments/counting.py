"""Counting people within a time: a page does not wait for a million, and no number is made up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from ..store.engine import Database
from ..store.person import PersonRow
from ..store.time_limit import read_within

SECONDS = 2.0
"""What a count on a page may take."""
FIRST = 10_000
"""Counted before all others: where an exact number takes too long, this many are known."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many people there are, or how many at least."""

    number: int
    is_exact: bool = True


def count_people(
    database: Database, condition: ColumnElement[bool], seconds: float = SECONDS
) -> Count:
    """Return how many people meet `condition`, as far as that can be told in `seconds`."""
    end = time.monotonic() + seconds
    some = select(PersonRow.id).where(condition).limit(FIRST + 1).subquery()
    found = _within(database, select(func.count()).select_from(some), end)
    if found is None:
        return Count(0, is_exact=False)
    if found <= FIRST:
        return Count(found)
    whole = _within(database, select(func.count()).select_from(PersonRow).where(condition), end)
    return Count(FIRST, is_exact=False) if whole is None else Count(whole)


def _within(database: Database, query: Select[Any], end: float) -> int | None:
    """Return the number that `query` gives, or None if it was ended because of the time."""
    left = end - time.monotonic()
    if left <= 0.01:
        return None
    return read_within(database, left, lambda session: session.scalar(query) or 0)
