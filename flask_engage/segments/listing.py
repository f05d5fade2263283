"""One page of a list, be there many who match or nobody: the cheaper of two ways, tried in turn.

Where many match, one meets enough of them soon, going along the order and looking up each. Where
few do, or nobody, that way leads past a million: then those who match are found first, by the
indexes that a count takes, and put in order. Which it is, no statistics tell for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import BindParameter, ColumnElement, bindparam, select
from sqlalchemy.orm import Session

from ..store.engine import Database
from ..store.person import PersonRow
from ..store.time_limit import read_within
from .ordering import has_index
from .paging import Page, read_page

WALK, SET = "walk", "set"

Tries = Sequence[tuple[str, float]]
"""Ways in turn, each with the seconds after which it is given up for the next."""

TRIES: Tries = ((WALK, 0.15), (SET, 0.6), (WALK, 0.6), (SET, 4.0))
"""For a filter. Each way is first given little: so neither costs much where the other is far
shorter, and a walk that would have been quick, had the database what it reads in its memory, comes
back to what it has read before a long search for all who match has put that out again."""
SEARCH_TRIES: Tries = ((WALK, 0.15), (SET, 4.0))
"""For a search: to look at everybody's name is the most that it can cost."""
FEW = 2000
"""So many who match are looked for just once, whatever the stretches of the order."""


@dataclass(frozen=True)
class Asked:
    """Which page is asked for; see :func:`.paging.read_page`."""

    dialect: str
    sort: str
    descending: bool
    after: str | None
    limit: int

    def read(self, session: Session, condition: ColumnElement[bool], *, as_set: bool) -> Page:
        """Return the page of those who meet `condition`."""
        return read_page(
            session,
            condition,
            dialect=self.dialect,
            sort=self.sort,
            descending=self.descending,
            after=self.after,
            limit=self.limit,
            as_set=as_set,
        )


Condition = Callable[[Session], ColumnElement[bool]]


def list_people(
    database: Database,
    asked: Asked,
    one_by_one: Condition,
    as_set: Condition,
    tries: Tries = TRIES,
) -> Page:
    """Return a page of those who match.

    :param one_by_one: makes the condition that is looked up for one person after another.
    :param as_set: makes the same, for everybody at once.
    :param tries: the ways to go; one walks to the end when all of them took too long.
    """
    if not has_index(asked.sort):
        with database.read() as session:
            # Everybody who matches is to be put in order anyway.
            return asked.read(session, as_set(session), as_set=True)
    page = try_to_list(database, asked, one_by_one, as_set, tries)
    if page is None:
        with database.read() as session:
            return asked.read(session, one_by_one(session), as_set=False)
    return page


def try_to_list(
    database: Database, asked: Asked, one_by_one: Condition, as_set: Condition, tries: Tries
) -> Page | None:
    """Return a page of those who match; None if each of `tries` took too long."""

    def walk(session: Session) -> Page:
        return asked.read(session, one_by_one(session), as_set=False)

    def gather(session: Session) -> Page:
        condition = as_set(session)
        ids = _few(session, asked.dialect, condition)
        if ids is not None:
            # Written out: to bind each of two thousand numbers takes longer than to find them.
            listed: BindParameter[int] = bindparam("ids", ids, expanding=True, literal_execute=True)
            condition = PersonRow.id.in_(listed)
        return asked.read(session, condition, as_set=True)

    ways = {WALK: walk, SET: gather}
    for way, seconds in tries:
        page = read_within(database, seconds, ways[way])
        if page is not None:
            return page
    return None


def _few(session: Session, dialect: str, condition: ColumnElement[bool]) -> Sequence[int] | None:
    """Return the ids of all who meet `condition`, if they are not many."""
    met = select(PersonRow.id).where(condition).cte("met")
    if dialect == "postgresql":
        # Or it plans for the first of them, as if there were many, and looks up one by one.
        met = met.prefix_with("MATERIALIZED")
    ids = session.scalars(select(met.c.id).limit(FEW + 1)).all()
    return ids if len(ids) <= FEW else None
