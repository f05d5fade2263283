"""Tags: words that operators put on people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import cast

from sqlalchemy import Table, case, delete, func, insert, literal, select
from sqlalchemy.orm import Session

from .base import BigId, UTCDateTime
from .person import PersonRow, PersonTagRow, is_live
from .segment_member import TAG, SegmentChangeRow, SegmentWatchRow
from .upsert import insert_ignore, upsert

MOST_TAGS = 100
"""Tags on one person; nobody reads more."""


def tag_people(session: Session, person_ids: Collection[int], name: str, now: datetime) -> int:
    """Put a tag on the living among these people (at most some thousands).

    Returns how many did not have it. Whoever has as many tags as there may be is left out.
    """
    return len(tag_new(session, person_ids, name, now))


def tag_new(session: Session, person_ids: Collection[int], name: str, now: datetime) -> list[int]:
    """Do the same as :func:`tag_people`, and return the ids of those who did not have it."""
    ids = may_get(session, person_ids, name)
    _put(session, name, dict.fromkeys(ids, now))
    return ids


def may_get(session: Session, person_ids: Collection[int], name: str) -> list[int]:
    """Return who of these people lives, does not have the tag and has room for it."""
    counts = (
        select(func.count())
        .select_from(PersonTagRow)
        .where(PersonTagRow.person_id == PersonRow.id)
        .scalar_subquery()
    )
    has = (
        select(PersonTagRow.person_id)
        .where(PersonTagRow.person_id == PersonRow.id, PersonTagRow.name == name)
        .exists()
    )
    wanted = select(PersonRow.id).where(
        PersonRow.id.in_(person_ids), is_live(), ~has, counts < MOST_TAGS
    )
    return list(session.scalars(wanted.order_by(PersonRow.id)))


def _put(session: Session, name: str, since: Mapping[int, datetime]) -> None:
    """Put the tag on these people, each since a moment."""
    upsert(
        session,
        cast("Table", PersonTagRow.__table__),
        [{"person_id": one, "name": name, "created_at": at} for one, at in since.items()],
        key=["person_id", "name"],
        update=lambda table, _incoming: {"created_at": table.c.created_at},
    )


def untag_people(session: Session, person_ids: Collection[int], name: str, now: datetime) -> int:
    """Take a tag off these people (at most some thousands); return how many had it.

    Since when they had it, and until when, is kept for as long as who left a segment. Nobody has
    it until before they got it: clocks differ.
    """
    having = [PersonTagRow.person_id.in_(person_ids), PersonTagRow.name == name]
    # Locked first: what is written down of them is what is taken off, and by nobody else.
    mine = select(PersonTagRow.person_id).where(*having).order_by(PersonTagRow.person_id)
    if not session.scalars(mine.with_for_update()).all():
        return 0
    group = group_of(session, name)
    since, moment = PersonTagRow.created_at, literal(now, UTCDateTime())
    for entered, at in ((True, since), (False, case((since > moment, since), else_=moment))):
        session.execute(
            insert(cast("Table", SegmentChangeRow.__table__)).from_select(
                ["segment_id", "person_id", "entered", "at", "said"],
                select(
                    literal(group, BigId),
                    PersonTagRow.person_id,
                    literal(entered),
                    at,
                    literal(True),  # no signal tells of it
                )
                .where(*having)
                .order_by(PersonTagRow.person_id),
            )
        )
    return session.connection().execute(delete(PersonTagRow).where(*having)).rowcount


def group_of(session: Session, name: str, prefix: str = TAG) -> int:
    """Return what the tag `name` has as its number among the groups that people leave."""
    key = f"{prefix}{name}"
    known = select(SegmentWatchRow.id).where(SegmentWatchRow.key == key)
    found = session.scalar(known)
    if found is None:
        table = cast("Table", SegmentWatchRow.__table__)
        insert_ignore(session, table, [{"key": key, "name": name}])
        # Locked: MariaDB would else not see the row of whoever was quicker.
        found = session.scalars(known.with_for_update()).one()
    return found


def tagged_among(session: Session, person_ids: Collection[int], name: str) -> list[int]:
    """Return, locked, the ids of those of these people (at most some thousands) who have a tag."""
    found = select(PersonTagRow.person_id).where(
        PersonTagRow.person_id.in_(person_ids), PersonTagRow.name == name
    )
    return list(session.scalars(found.order_by(PersonTagRow.person_id).with_for_update()))
