"""People as the rest of the house sees them: a row with its attributes, tags and heart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..types import AttributeValue, Person
from .person import PersonRow, PersonTagRow
from .relationship import RelationshipRow


def person_rows(session: Session, ids: Collection[int]) -> dict[int, PersonRow]:
    """Return the rows with these ids of ours, whatever they stand for by now."""
    rows = session.scalars(select(PersonRow).where(PersonRow.id.in_(ids)))
    return {row.id: row for row in rows}


def profiles_by_id(session: Session, ids: Collection[int]) -> dict[int, Person]:
    """Return the people with these ids of ours, in three queries. Keep `ids` below 1,000."""
    return profiles_of(session, person_rows(session, ids).values())


def profiles_of(session: Session, rows: Collection[PersonRow]) -> dict[int, Person]:
    """Return the people of `rows` by our id, with their tags and hearts."""
    ids = [row.id for row in rows]
    tags: dict[int, list[str]] = defaultdict(list)
    tagged = select(PersonTagRow.person_id, PersonTagRow.name).where(
        PersonTagRow.person_id.in_(ids)
    )
    for person_id, name in session.execute(tagged.order_by(PersonTagRow.name)):
        tags[person_id].append(name)
    related = select(RelationshipRow.person_id, RelationshipRow.hearts).where(
        RelationshipRow.person_id.in_(ids)
    )
    hearts = {found.person_id: found.hearts for found in session.execute(related)}
    return {row.id: _profile(row, tuple(tags[row.id]), hearts.get(row.id)) for row in rows}


def attributes_of(copy: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return the attributes by name from the copy on a person's row, keyed by kind and name."""
    return {
        key[2:]: datetime.fromisoformat(value) if key.startswith("t:") else plain_number(value)
        for key, value in copy.items()
    }


def plain_number(value: Any) -> Any:
    """Return a number as it went in: PostgreSQL gives 1e300 back as a whole number.

    Whole numbers of ours have at most 64 bits. Anything else is returned as it is.
    """
    large = type(value) is int and not -(2**63) <= value < 2**63
    return float(value) if large else value


def _profile(row: PersonRow, tags: tuple[str, ...], hearts: int | None) -> Person:
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
        attrs=attributes_of(row.attributes or {}),
    )
