"""Finding somebody by what is typed: at once by a whole id or address, else within a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement

from ..store.engine import Database
from ..store.person import PersonRow
from ..types import Person
from .listing import SEARCH_TRIES, SET, Asked, Condition, try_to_list
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
    one_by_one: ColumnElement[bool],
    as_set: Condition,
    *,
    dialect: str,
    limit: int,
    seconds: float,
) -> Found:
    """Return at most `limit` people `among` whom `text` names; see ``People.find``.

    :param one_by_one: who they are whom a search finds, as it is asked of one after another.
    :param as_set: the same, as it is asked of everybody at once.
    """
    named = _named(database, text, among, limit)
    asked = Asked(dialect, "last_seen", descending=True, after=None, limit=limit)
    tries = (*SEARCH_TRIES[:1], (SET, seconds))
    page = try_to_list(database, asked, lambda _session: one_by_one, as_set, tries)
    searched = () if page is None else page.people
    people = {one.public_id: one for one in (*named, *searched)}
    return Found(tuple(people.values())[:limit], page is not None or len(named) >= limit)


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
