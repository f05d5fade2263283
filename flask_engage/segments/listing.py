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

WALK, SET = "walk", "set"
TRIES = ((WALK, 0.15), (SET, 0.3), (WALK, 0.6), (SET, 4.0))
"""The ways in turn, each with the seconds after which it is given up for the next; then one walks
to the end. Each is given more than what went before it: so neither costs much where the other is
far shorter, and a walk that would have been quick, had the database what it reads in its memory,
comes back to what it has read before a long search for all who match has put that out again."""


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
    ways = {WALK: walk, SET: gather}
    for way, seconds in TRIES:
        page = read_within(database, seconds, ways[way])
        if page is not None:
            return page
    with database.read() as session:
        return walk(session)
