"""Taking back what one piece of work did with a tag, as if that had never been done.

Of each person and tag there is a row of moments: put on, taken off, put on again. To undo is to
strike one out; what the others make of it is who has the tag, and since when. So it does not
matter in which order works are undone.

The moment since which somebody has the tag stands with the tag, all others stand beside those who
left a segment. One that is struck out and was seen to be so (the tag was there for a while) goes
to a group of its own, where it is told and does not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, cast

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.orm import Session

from .person import PersonTagRow
from .segment_member import TAG, SegmentChangeRow, SegmentWatchRow
from .tag import group_of, may_get
from .upsert import upsert

_UNDONE = f"{TAG} "
"""What the key of such a group begins with: no tag's name begins with a space."""


def undo_putting(
    session: Session, person_ids: Collection[int], name: str, put_at: datetime, now: datetime
) -> int:
    """Undo that a tag was put on these people at a moment; return how many lost it by that.

    Who had it before, and whom others put it on since, has it still.
    """
    change = _Change(session, name, now)
    for story in _stories(session, person_ids, name):
        struck = next((one for one in story.moments if one.is_put and one.at == put_at), None)
        if struck is not None:
            change.strike_put(story, struck)
    return change.make()


def undo_taking(
    session: Session, person_ids: Collection[int], name: str, taken_at: datetime, now: datetime
) -> int:
    """Undo that a tag was taken off these people at a moment; return how many got it by that.

    They have it since they had it. Whom others took it off since does not have it. Left out is
    who is gone, or has as many tags as there may be.
    """
    change = _Change(session, name, now)
    stories = [one for one in _stories(session, person_ids, name) if one.taken(taken_at)]
    away = [one.person_id for one in stories if not one.has]
    may = set(may_get(session, away, name)) if away else set()
    for story in stories:
        struck = story.taken(taken_at)
        if struck is not None and (story.has or story.person_id in may):
            change.strike_taken(story, struck)
    return change.make()


class _Moment(NamedTuple):
    """The tag was put on, or taken off."""

    at: datetime
    is_put: bool
    row: int | None
    """Where it is kept; None: with the tag itself."""


@dataclass(frozen=True, slots=True)
class _Story:
    """One person's tag, in the order of time."""

    person_id: int
    moments: list[_Moment]
    is_cut: bool
    """Whether the first moment is a taking off because the putting on is kept no more."""

    @property
    def has(self) -> bool:
        """Whether the person has the tag."""
        return any(one.row is None for one in self.moments)

    def taken(self, at: datetime) -> _Moment | None:
        """Return where a work of that moment took it off; later where it was put on later."""
        former = None
        for one in self.moments:
            late = former is not None and former.is_put and one.at == former.at > at
            if not one.is_put and (one.at == at or late):
                return one
            former = one
        return None

    def without(self, struck: _Moment) -> list[_Moment]:
        """Return the puttings on since which it is there, if `struck` had not been."""
        left = [one for one in self.moments if one is not struck]
        if not left and self.is_cut:
            return [struck]  # since then at the latest
        off = max((n for n, one in enumerate(left) if not one.is_put), default=-1)
        return left[off + 1 :]


@dataclass(slots=True)
class _Change:
    """What is to be written for some people."""

    session: Session
    name: str
    now: datetime
    changed: int = 0
    since: dict[int, datetime] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    told_only: list[int] = field(default_factory=list)
    kept: list[tuple[int, datetime]] = field(default_factory=list)
    """Puttings on that don't count as long as one before does."""
    had: list[tuple[int, datetime]] = field(default_factory=list)
    """Since when the tag was there until now."""

    def strike_put(self, story: _Story, struck: _Moment) -> None:
        if struck.row is not None:
            self.told_only.append(struck.row)
            return
        puttings = story.without(struck)
        if puttings:
            self._begin(story, puttings[0])
        else:
            self.lost.append(story.person_id)
            self.had.append((story.person_id, struck.at))
            self.changed += 1

    def strike_taken(self, story: _Story, struck: _Moment) -> None:
        assert struck.row is not None
        self.forgotten.append(struck.row)
        puttings = story.without(struck)
        if not puttings or puttings[0].row is None:
            return
        if story.has:
            self.kept += [(story.person_id, one.at) for one in puttings if one.row is None]
        else:
            self.changed += 1
        self._begin(story, puttings[0])

    def _begin(self, story: _Story, putting: _Moment) -> None:
        self.since[story.person_id] = putting.at
        if putting.row is not None:
            self.forgotten.append(putting.row)

    def make(self) -> int:
        """Write it; return whom it made a difference to."""
        rows, tags = SegmentChangeRow, cast("Table", PersonTagRow.__table__)
        run = self.session.connection().execute
        if self.lost:
            mine = PersonTagRow.person_id.in_(self.lost) & (PersonTagRow.name == self.name)
            run(delete(PersonTagRow).where(mine))
        since = [
            {"person_id": person_id, "name": self.name, "created_at": at}
            for person_id, at in self.since.items()
        ]
        upsert(
            self.session,
            tags,
            since,
            key=["person_id", "name"],
            update=lambda _table, incoming: {"created_at": incoming("created_at")},
        )
        if self.forgotten:
            run(delete(rows).where(rows.id.in_(self.forgotten)))
        if self.told_only or self.had:
            group = group_of(self.session, self.name, _UNDONE)
            if self.told_only:
                run(update(rows).where(rows.id.in_(self.told_only)).values(segment_id=group))
            self._write(group, [(*one, True) for one in self.had])
            self._write(group, [(person_id, self.now, False) for person_id, _ in self.had])
        if self.kept:
            self._write(group_of(self.session, self.name), [(*one, True) for one in self.kept])
        return self.changed

    def _write(self, group: int, moments: list[tuple[int, datetime, bool]]) -> None:
        values = [
            {"segment_id": group, "person_id": one, "entered": put, "at": at, "said": True}
            for one, at, put in moments
        ]
        if values:
            table = cast("Table", SegmentChangeRow.__table__)
            self.session.connection().execute(insert(table), values)


def _stories(session: Session, person_ids: Collection[int], name: str) -> Iterator[_Story]:
    """Yield the stories of those of these people who have or had the tag; locks the tags."""
    tags = (
        select(PersonTagRow.person_id, PersonTagRow.created_at)
        .where(PersonTagRow.person_id.in_(person_ids), PersonTagRow.name == name)
        .order_by(PersonTagRow.person_id)
        .with_for_update()
    )
    since = {row.person_id: row.created_at for row in session.execute(tags)}
    counted, undone = f"{TAG}{name}", f"{_UNDONE}{name}"
    change = SegmentChangeRow
    rows = session.execute(
        select(change.person_id, change.at, change.id, change.entered, SegmentWatchRow.key)
        .join(SegmentWatchRow, SegmentWatchRow.id == change.segment_id)
        .where(SegmentWatchRow.key.in_((counted, undone)), change.person_id.in_(person_ids))
        .order_by(change.person_id, change.at, change.id)
    )
    for person_id, group in groupby(rows, key=itemgetter(0)):
        found = list(group)
        moments = [_Moment(one.at, one.entered, one.id) for one in found if one.key == counted]
        was_struck = any(one.key == undone and one.entered for one in found)
        is_cut = bool(moments) and not moments[0].is_put and not was_struck
        yield _Story(person_id, _with_tag(moments, since.pop(person_id, None)), is_cut)
    for person_id, at in since.items():
        yield _Story(person_id, [_Moment(at, True, None)], False)


def _with_tag(moments: list[_Moment], since: datetime | None) -> list[_Moment]:
    """Put the moment that stands with the tag where it belongs: behind the last taking off."""
    if since is None:
        return moments
    off = max((n for n, one in enumerate(moments) if not one.is_put), default=-1)
    return [*moments[: off + 1], _Moment(since, True, None), *moments[off + 1 :]]
