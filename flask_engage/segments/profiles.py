"""The query for people, and people by one of their ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ..store.person import PersonRow, is_live
from ..store.profile import profiles_of
from ..store.relationship import RelationshipRow
from ..types import Person


def select_people() -> Select[PersonRow, int | None]:
    """Return the query for rows that :func:`as_people` takes, each with its hearts to order by."""
    return select(PersonRow, RelationshipRow.hearts).outerjoin(
        RelationshipRow, RelationshipRow.person_id == PersonRow.id
    )


def as_people(session: Session, rows: Sequence[Any]) -> list[Person]:
    """Return the people of `rows`, in their order."""
    found = profiles_of(session, [row for row, _ in rows])
    return [found[row.id] for row, _ in rows]


def people_by_id(session: Session, person_ids: Iterable[int]) -> dict[int, Person]:
    """Return the living among `person_ids` (at most some thousands) by their id."""
    rows = session.execute(
        select_people().where(PersonRow.id.in_(list(person_ids)), is_live())
    ).all()
    return profiles_of(session, [row for row, _ in rows])


def person_by_public_id(session: Session, public_id: str) -> Person | None:
    """Return the person with the opaque id `public_id`, if there is one."""
    return _one(session, PersonRow.public_id, public_id)


def people_by_public_id(session: Session, public_ids: Iterable[str]) -> dict[str, Person]:
    """Return those of `public_ids` (at most some thousands) who there are, by their public id."""
    asked = [one for one in public_ids if "\0" not in one and is_encodable(one)]
    rows = session.execute(select_people().where(PersonRow.public_id.in_(asked), is_live())).all()
    return {person.public_id: person for person in as_people(session, rows)}


def person_by_user_id(session: Session, user_id: str) -> Person | None:
    """Return the person who is the host's user `user_id`, if there is one."""
    return _one(session, PersonRow.user_id, user_id)


def _one(session: Session, column: Any, value: str) -> Person | None:
    if "\0" in value or not is_encodable(value):
        return None  # no id is like that, and databases refuse the question
    rows = session.execute(select_people().where(column == value, is_live())).all()
    return next(iter(as_people(session, rows)), None)


def is_encodable(text: str) -> bool:
    """Tell whether a database can be asked for `text`."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
