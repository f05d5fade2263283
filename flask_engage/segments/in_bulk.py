"""Doing one thing to many people: some batches at a time, each whole or not at all.

Left: an operator's choice, by ids or by a filter. Right: tags, and erasing. Whoever asks gives a
time and goes on from where it ended, so that no request and no transaction is long, however many
they are. Each batch is written down with whom it changed, which is what an undo reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy.orm import Session

from ..store.engine import Database
from ..store.erase import erase_people
from ..store.operator import changes_of, is_taken_back, last_change_of, take_back
from ..store.retry import persistently
from ..store.tag import tag_new, tagged_among, untag_people
from ..store.tag_undo import undo_putting, undo_taking
from .people import People

SECONDS = 2.0
"""What one part of the work may take; a batch that has begun is finished."""
BATCH = 1_000
ERASED_BATCH = 100
"""With each of them goes all that hangs on them."""

Ticking = Callable[[], float]
Note = Callable[[Session, list[int]], object]
"""Writes down whom a batch changed, in its transaction."""


@dataclass(frozen=True, slots=True)
class Part:
    """How far the work is."""

    position: int
    """Everybody up to this id has had their turn."""
    seen: int
    """People who had their turn in this part."""
    changed: int
    """Those of them who are different now."""
    already: int
    """Those of them who were so before."""
    is_done: bool


@dataclass(frozen=True, slots=True)
class Span:
    """Whose turn it is: people between two ids, for some seconds."""

    after: int
    up_to: int
    """Whom we came to know since the work began is left out."""
    seconds: float = SECONDS
    ticking: Ticking = time.monotonic
    known_by: datetime | None = None
    """The same by time: SQLite gives the highest id anew once whoever had it is erased."""


def tag_part(
    database: Database, people: People, name: str, now: datetime, note: Note, span: Span
) -> Part:
    """Put a tag on the next of `people`; all that one piece of work tags have the moment `now`."""

    def work(session: Session, ids: Sequence[int]) -> tuple[int, int]:
        already = len(tagged_among(session, ids, name))
        changed = tag_new(session, ids, name, now)
        if changed:
            note(session, changed)
        return len(changed), already

    return _each_batch(database, people, work, span)


def untag_part(
    database: Database, people: People, name: str, now: datetime, note: Note, span: Span
) -> Part:
    """Take a tag off the next of `people`; all that one piece of work untags have the moment `now`.

    By the moment an undo knows whom to give it back.
    """

    def work(session: Session, ids: Sequence[int]) -> tuple[int, int]:
        changed = tagged_among(session, ids, name)
        if changed:
            untag_people(session, changed, name, now)
            note(session, changed)
        return len(changed), len(ids) - len(changed)

    return _each_batch(database, people, work, span)


def erase_part(
    database: Database,
    people: People,
    now: datetime,
    note: Callable[[Session, int], object],
    span: Span,
) -> Part:
    """Erase the next of `people`, with all that hangs on them."""
    end, position, seen, changed = span.ticking() + span.seconds, span.after, 0, 0
    while True:
        ids = people.ids(
            after=position, up_to=span.up_to, known_by=span.known_by, limit=ERASED_BATCH
        )
        if ids:
            changed += erase_people(database, ids, now, note)
            position, seen = ids[-1], seen + len(ids)
        is_done = len(ids) < ERASED_BATCH
        if is_done or span.ticking() >= end:
            return Part(position, seen, changed, 0, is_done)


def undo_part(
    database: Database,
    work: str,
    name: str,
    begun: datetime,
    now: datetime,
    note: Note,
    span: Span,
    *,
    was_put: bool,
) -> Part:
    """Take back the next batches of a work by which a tag was put on people, or taken off.

    Each batch is taken back once, by whomever and however often it is asked for; who is in one
    that was taken back before counts as `already`.

    :param work: what its batches are written down under.
    :param begun: its moment: what was put on then is taken off again, and what was taken off then
        is put back. What others did since stays.
    :param span: between rows of what was written down, not between people.
    """

    def back(session: Session, row_id: int) -> int | None:
        row = take_back(session, row_id)
        if row is None:
            return None
        ids = _people_of(row.detail)
        undo = undo_putting if was_put else undo_taking
        changed = undo(session, ids, name, begun, now)
        if ids:
            note(session, ids)
        return changed

    end, position, seen, changed, already = span.ticking() + span.seconds, span.after, 0, 0, 0
    while True:
        with database.read() as session:
            batch = next(iter(changes_of(session, work, begun, after=position, limit=1)), None)
        if batch is None:
            return Part(position, seen, changed, already, is_done=True)
        people = len(_people_of(batch.detail))
        count = persistently(database, partial(back, row_id=batch.id))
        position, seen = batch.id, seen + people
        if count is None:
            already += people  # which took no time
            continue
        changed += count
        if span.ticking() >= end:
            return Part(position, seen, changed, already, is_done=False)


def written_down(
    database: Database, work: str, begun: datetime, after: int
) -> tuple[int, int] | None:
    """Return how far a tagging or untagging is beyond `after`, and how many it changed since.

    A form that is found again may be older than what was done: the browser was closed before the
    answer came. None: it is not.
    """
    position, changed, row_id = after, 0, None
    while True:
        with database.read() as session:
            row = last_change_of(session, work, begun, before=row_id)
            ids = [] if row is None else [one for one in _people_of(row.detail) if one > after]
            row_id = None if row is None else row.id
        if not ids:
            return (position, changed) if changed else None
        position, changed = max(position, *ids), changed + len(ids)


def is_undone(database: Database, work: str, begun: datetime) -> bool:
    """Tell whether all of a work was taken back."""
    with database.read() as session:
        # Its batches are taken back in their order.
        last = last_change_of(session, work, begun)
        return last is not None and is_taken_back(last)


def _people_of(detail: dict[str, object]) -> list[int]:
    found = detail.get("people")
    return [one for one in found if type(one) is int] if isinstance(found, list) else []


def _each_batch(
    database: Database,
    people: People,
    work: Callable[[Session, Sequence[int]], tuple[int, int]],
    span: Span,
) -> Part:
    end, position, seen, changed, already = span.ticking() + span.seconds, span.after, 0, 0, 0
    while True:
        ids = people.ids(after=position, up_to=span.up_to, known_by=span.known_by, limit=BATCH)
        if ids:
            some, others = persistently(database, lambda session, ids=ids: work(session, ids))  # type: ignore[misc]
            changed, already = changed + some, already + others
            position, seen = ids[-1], seen + len(ids)
        is_done = len(ids) < BATCH
        if is_done or span.ticking() >= end:
            return Part(position, seen, changed, already, is_done)
