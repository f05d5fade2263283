"""One page of a list, be there many who match or nobody: the cheaper of two ways, tried in turn.

Where many match, one meets enough of them soon, going along the order and looking up each. Where
few do, or nobody, that way leads past a million: then those who match are found first, by the
indexes that a count takes, and put in order. Which it is, no statistics tell for certain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from ..store.engine import Database
from ..store.time_limit import read_within
from .ordering import has_index
from .paging import Page, read_page

WALK_SECONDS = 0.2
"""A walk that has not met enough by then is given up. With less, those are given up that would
have been quick, had the database what they read in its memory: past 2,000 people 0.19 s and not
0.03 s; and the set, which reads far more, puts it out of the memory again."""
SET_SECONDS = 4.0
"""Where to find all who match takes longer, the walk is made after all, to its end."""


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


def list_people(database: Database, asked: Asked, one_by_one: Condition, as_set: Condition) -> Page:
    """Return a page of those who match.

    :param one_by_one: makes the condition that is looked up for one person after another.
    :param as_set: makes the same, for everybody at once.
    """

    def walk(session: Session) -> Page:
        return asked.read(session, one_by_one(session), as_set=False)

    def gather(session: Session) -> Page:
        return asked.read(session, as_set(session), as_set=True)

    if not has_index(asked.sort):
        with database.read() as session:
            return gather(session)  # everybody who matches is to be put in order anyway
    page = read_within(database, WALK_SECONDS, walk) or read_within(database, SET_SECONDS, gather)
    if page is None:
        with database.read() as session:
            return walk(session)
    return page
