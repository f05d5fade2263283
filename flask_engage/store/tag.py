"""Tags: words that operators put on people."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, cast

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
    ids = _may_get(session, person_ids, name)
    _put(session, name, dict.fromkeys(ids, now))
    return ids


def _may_get(session: Session, person_ids: Collection[int], name: str) -> list[int]:
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


def untag_people(
    session: Session,
    person_ids: Collection[int],
    name: str,
    now: datetime,
    *,
    put_at: datetime | None = None,
) -> int:
    """Take a tag off these people (at most some thousands); return how many had it.

    Since when they had it, and until when, is kept for as long as who left a segment. Nobody has
    it until before they got it: clocks differ.

    :param put_at: only where it was put on at this very moment.
    """
    having = [PersonTagRow.person_id.in_(person_ids), PersonTagRow.name == name]
    if put_at is not None:
        having.append(PersonTagRow.created_at == put_at)
    # Locked first: what is written down of them is what is taken off, and by nobody else.
    mine = select(PersonTagRow.person_id).where(*having).order_by(PersonTagRow.person_id)
    if not session.scalars(mine.with_for_update()).all():
        return 0
    group = _group_of(session, name)
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


def give_back(session: Session, person_ids: Collection[int], name: str, taken_at: datetime) -> int:
    """Put a tag back on those of these people whom it was taken off at a moment.

    Returns how many. They have it since they had it, as if it had never been taken off. Left out
    is who got it or lost it again since then, besides whom :func:`tag_people` leaves out.
    """
    lost = {
        one.person_id: one
        for one in _lost_last(session, person_ids, name)
        if one.until == max(taken_at, one.since or taken_at)
    }
    ids = _may_get(session, lost, name)
    _put(session, name, {one: lost[one].since or taken_at for one in ids})
    rows = [row for one in ids for row in lost[one].rows]
    session.execute(
        delete(SegmentChangeRow)
        .where(SegmentChangeRow.id.in_(rows))
        .execution_options(synchronize_session=False)
    )
    return len(ids)


def keep_off(
    session: Session, person_ids: Collection[int], name: str, put_at: datetime, now: datetime
) -> None:
    """Let nobody give a tag back that was put on at a moment and has been taken off since."""
    lost = [one for one in _lost_last(session, person_ids, name) if one.since == put_at]
    off = set(_may_get(session, [one.person_id for one in lost], name))
    session.add_all(
        SegmentChangeRow(
            segment_id=one.group, person_id=one.person_id, entered=False, at=now, said=True
        )
        for one in lost
        if one.person_id in off
    )
    session.flush()


class _Lost(NamedTuple):
    """When somebody had a tag that was taken off, the last time."""

    person_id: int
    group: int
    since: datetime | None
    """None: it is so long ago that it isn't kept any more."""
    until: datetime
    rows: list[int]
    """Where that is written down."""


def _lost_last(session: Session, person_ids: Collection[int], name: str) -> Iterator[_Lost]:
    change = SegmentChangeRow
    rows = session.execute(
        select(change.person_id, change.segment_id, change.id, change.entered, change.at)
        .join(SegmentWatchRow, SegmentWatchRow.id == change.segment_id)
        .where(SegmentWatchRow.key == f"{TAG}{name}", change.person_id.in_(person_ids))
        .order_by(change.person_id, change.id)
    )
    for person_id, group in groupby(rows, key=itemgetter(0)):
        changes = list(group)
        last, put = changes[-1], [one for one in changes[-2:-1] if one.entered]
        since = put[0].at if put else None
        yield _Lost(person_id, last.segment_id, since, last.at, [one.id for one in (*put, last)])


def _group_of(session: Session, name: str) -> int:
    """Return what the tag `name` has as its number among the groups that people leave."""
    key = f"{TAG}{name}"
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
