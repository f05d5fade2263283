"""Person rows as the frozen :class:`flask_engage.types.Person` that everybody else is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ..store.attribute import RelationshipRow
from ..store.person import PersonRow, PersonTagRow, is_live
from ..types import AttributeValue, Person


def select_people() -> Select[PersonRow, int | None]:
    """Return the query for rows that :func:`as_people` takes; narrow and order it."""
    return select(PersonRow, RelationshipRow.hearts).outerjoin(
        RelationshipRow, RelationshipRow.person_id == PersonRow.id
    )


def as_people(session: Session, rows: Sequence[Any]) -> list[Person]:
    """Return the people of `rows`, in their order; asks once more, for all of their tags."""
    tags = _tags(session, [row.id for row, _ in rows])
    return [_person(row, hearts, tags.get(row.id, ())) for row, hearts in rows]


def people_by_id(session: Session, person_ids: Iterable[int]) -> dict[int, Person]:
    """Return the living among `person_ids` (at most some thousands) by their id."""
    rows = session.execute(
        select_people().where(PersonRow.id.in_(list(person_ids)), is_live())
    ).all()
    people = as_people(session, rows)
    return {row.id: person for (row, _), person in zip(rows, people, strict=True)}


def person_by_public_id(session: Session, public_id: str) -> Person | None:
    """Return the person with the opaque id `public_id`, if there is one."""
    return _one(session, PersonRow.public_id, public_id)


def person_by_user_id(session: Session, user_id: str) -> Person | None:
    """Return the person who is the host's user `user_id`, if there is one."""
    return _one(session, PersonRow.user_id, user_id)


def _one(session: Session, column: Any, value: str) -> Person | None:
    if "\0" in value or not _is_encodable(value):
        return None  # no id is like that, and databases refuse the question
    rows = session.execute(select_people().where(column == value, is_live())).all()
    return next(iter(as_people(session, rows)), None)


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _tags(session: Session, person_ids: Sequence[int]) -> Mapping[int, tuple[str, ...]]:
    if not person_ids:
        return {}
    found: dict[int, tuple[str, ...]] = {}
    query = (
        select(PersonTagRow.person_id, PersonTagRow.name)
        .where(PersonTagRow.person_id.in_(person_ids))
        .order_by(PersonTagRow.person_id, PersonTagRow.name)
    )
    for person_id, name in session.execute(query):
        found[person_id] = (*found.get(person_id, ()), name)
    return found


def _person(row: PersonRow, hearts: int | None, tags: tuple[str, ...]) -> Person:
    return Person(
        public_id=row.public_id,
        user_id=row.user_id,
        email=row.email,
        name=row.name,
        signed_up=row.signed_up_at,
        first_seen=row.first_seen_at,
        last_seen=row.last_seen_at,
        sessions=row.session_count,
        relationship=hearts,
        country=row.country,
        city=row.city,
        timezone=row.timezone,
        language=row.language,
        browser=row.browser,
        os=row.os,
        device=row.device,
        referrer=row.referrer,
        utm_source=row.utm_source,
        utm_medium=row.utm_medium,
        utm_campaign=row.utm_campaign,
        tags=tags,
        unsubscribed=row.unsubscribed_at is not None,
        attrs=_attributes(row.attributes),
    )


def _attributes(stored: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return what is kept by kind and name (``n:score``) by name."""
    found: dict[str, AttributeValue] = {}
    for key in sorted(stored, key=lambda key: key[2:]):
        value = stored[key]
        found[key[2:]] = datetime.fromisoformat(value) if key.startswith("t:") else number(value)
    return found


def number(value: Any) -> Any:
    """Return a number as it went in: PostgreSQL gives 1e300 back as a whole number.

    Whole numbers of ours have at most 64 bits. Anything else is returned as it is.
    """
    large = type(value) is int and not -(2**63) <= value < 2**63
    return float(value) if large else value
