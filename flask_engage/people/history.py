"""Reading the host's history, page by page in the order of time.

A page never ends between two rows of the same moment. So a place between two pages is a moment,
rows that are equal in all they say are together, and nothing is held open on the host's database
while we write to ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Engine, Subquery, case, func, select
from sqlalchemy.orm import Session

from ..errors import InvalidFact
from ..store.engine import LOOK
from ..store.time_limit import statements_within
from .host_query import Unreadable, label_of, rows_of

PAGE = 20_000
"""Rows of the host's in memory at a time: some megabytes. More if more have the same moment."""
_STATEMENT_SECONDS = 600
"""To sort years of history by time without an index takes its time."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of the host's history: (user id, moment, name, properties…)."""

    rows: Sequence[Any]
    end: Any
    """The last moment in it, as the host's database has it."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows there are."""

    dated: int
    """With a moment."""
    undated: int
    """Without one."""
    before: int
    """Up to and with the moment that was asked for."""


@dataclass(frozen=True, slots=True)
class History:
    """The host's select, to be read in the order of its second column."""

    engine: Engine
    """For looking at the host's tables."""
    query: Subquery
    page: int = PAGE

    @property
    def labels(self) -> list[str]:
        """The names of the properties.

        :raises InvalidFact: if a column has none.
        """
        columns = list(self.query.c)
        return [label_of(columns, place) for place in range(3, len(columns))]

    def size(self, until: Any = None) -> Size:
        """Count the rows, and those that are not behind the moment `until`."""
        at = list(self.query.c)[1]
        before = func.count() if until is None else func.count(case((at <= until, 1)))
        query = select(func.count(at), func.count(), before).select_from(self.query)
        dated, everything, found = self._ask(query)[0]
        return Size(dated, everything - dated, 0 if until is None else found)

    def pages(self, after: Any = None) -> Iterator[Page]:
        """Yield the rows with a moment, from behind the moment `after` on."""
        columns = list(self.query.c)
        at, size = columns[1], self.page
        while True:
            behind = at.is_not(None) if after is None else at > after
            rows = self._ask(select(*columns).where(behind).order_by(at).limit(size))
            if not rows:
                return
            if len(rows) == size:
                whole = _without_last_moment(rows)
                if not whole:
                    size *= 2  # all of one moment: it must fit
                    continue
                after = whole[-1][1]
                if isinstance(after, Unreadable):
                    raise InvalidFact(f"many rows have an {after!r} for a time; mend them first.")
                yield Page(whole, after)
                size = self.page
            else:
                yield Page(rows, rows[-1][1])
                return

    def _ask(self, query: Any) -> Sequence[Any]:
        with (
            Session(self.engine.execution_options(**LOOK)) as session,
            statements_within(session, _STATEMENT_SECONDS),
        ):
            return rows_of(session, query)


def _without_last_moment(rows: Sequence[Any]) -> Sequence[Any]:
    last = rows[-1][1]
    cut = sum(1 for _ in takewhile(lambda row: row[1] == last, reversed(rows)))
    return rows[: len(rows) - cut]


def place_of(moment: Any) -> list[str] | None:
    """Return a moment of the host's in a form that JSON keeps; None for what is no time."""
    if isinstance(moment, datetime):
        return ["datetime", moment.isoformat()]
    if isinstance(moment, date):
        return ["date", moment.isoformat()]
    return None


def moment_at(place: Sequence[str]) -> datetime | date:
    """Return the moment that :func:`place_of` was given."""
    kind, text = place
    return datetime.fromisoformat(text) if kind == "datetime" else date.fromisoformat(text)
