"""Finding somebody by what is typed: at once by a whole id or address, else within a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_

from ..store.engine import Database
from ..store.person import PersonRow
from ..store.time_limit import read_within
from ..types import Person
from .paging import read_page
from .profiles import as_people, is_encodable, select_people


@dataclass(frozen=True, slots=True)
class Found:
    """The people whom a text names."""

    people: tuple[Person, ...]
    is_complete: bool
    """Whether everybody was looked at, or as many were found as were asked for."""


def find_people(
    database: Database,
    text: str,
    among: ColumnElement[bool],
    search: ColumnElement[bool],
    *,
    dialect: str,
    limit: int,
    seconds: float,
) -> Found:
    """Return at most `limit` people `among` whom `text` names; see ``People.find``."""
    named = _named(database, text, among, limit)
    searched = _searched(database, and_(among, search), dialect, limit, seconds)
    people = {one.public_id: one for one in (*named, *(searched or ()))}
    return Found(tuple(people.values())[:limit], searched is not None or len(named) >= limit)


def _named(
    database: Database, text: str, among: ColumnElement[bool], limit: int
) -> Sequence[Person]:
    if "\0" in text or not is_encodable(text):
        return ()  # no id is like that, and databases refuse the question
    found: dict[str, Person] = {}
    with database.read() as session:
        # One question for each: with OR the databases take none of the indexes for certain.
        for column in (PersonRow.user_id, PersonRow.public_id, PersonRow.email):
            query = select_people().where(column == text, among).order_by(PersonRow.id)
            rows = session.execute(query.limit(limit)).all()
            found.update((one.public_id, one) for one in as_people(session, rows))
    return tuple(found.values())


def _searched(
    database: Database, condition: ColumnElement[bool], dialect: str, limit: int, seconds: float
) -> Sequence[Person] | None:
    """Return those who meet `condition`, who were last seen first; None if the time was over."""
    page = read_within(
        database,
        seconds,
        lambda session: read_page(
            session,
            condition,
            dialect=dialect,
            sort="last_seen",
            descending=True,
            after=None,
            limit=limit,
        ),
    )
    return None if page is None else page.people
