"""Files that operators send: taken in once they can be read, then moved on by hand.

A draft waits for its mapping. What runs can be stopped between two batches, and goes on there.
The file itself is gone as soon as nothing more will come of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import BinaryIO

from sqlalchemy.orm import Session

from ...errors import InvalidFact
from ...store.engine import Database
from ...store.retry import persistently
from ...store.transfer import ImportRow
from ...store.upload import PART_BYTES, add_parts, delete_parts, forget_one_import, locked_import
from .guessing import guess_from
from .importing import new_import
from .mapping import checked_mapping
from .reading import BadFile, Layout, records, survey
from .sources import Sent, Stored

UPLOAD_BYTES = 20 * 1024 * 1024
UPLOAD_ROWS = 100_000
KEPT_DRAFT = timedelta(days=7)
"""A file that nobody goes on with, or that was cut off on its way here."""
KEPT_REPORT = timedelta(days=90)
"""What was wrong with which row quotes the file."""
SAMPLE = 100
_PARTS_AT_ONCE = 4
_MOVES = {
    # what to do: from which states, to which
    "start": (("draft",), "waiting"),
    "stop": (("waiting", "running"), "stopped"),
    "resume": (("stopped",), "waiting"),
    "discard": (("draft", "stopped"), "discarded"),
}
_LEFT_ALONE = ("loading", "draft", "stopped")

Note = Callable[[Session, ImportRow], object]
"""Writes down who did it, in the transaction in which it is done."""


def accept_upload(
    database: Database,
    stream: BinaryIO,
    name: str,
    now: datetime,
    created_by: str | None,
    note: Note,
    known: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:
    """Keep a file with its guessed mapping; return the public id of the draft.

    :param known: the attributes that people have, with the kinds of their values.
    :raises BadFile: if it can't be read to its end, or is too large; then nothing is kept.
    """
    sent = Sent(stream)
    layout = survey(sent)
    if layout.size > UPLOAD_BYTES:
        raise BadFile(
            f"the file has {layout.size:,} bytes; up to {UPLOAD_BYTES:,} can be sent here. Larger "
            "ones go in with “flask engage import”, or in pieces."
        )
    count = sum(1 for _ in islice(records(sent, layout), UPLOAD_ROWS + 1))
    if not 0 < count <= UPLOAD_ROWS:
        raise BadFile(
            "the file has a heading and no rows."
            if not count
            else f"the file has more than {UPLOAD_ROWS:,} rows. It goes in with “flask engage "
            "import”, or in pieces."
        )
    mapping = guess_from(layout.columns, islice(records(sent, layout), SAMPLE), known)
    row = new_import(
        name, layout, mapping, now, state="loading", is_upload=True, created_by=created_by
    )
    row.rows = count
    with database.write() as session:
        session.add(row)
    _keep(database, row.id, sent)

    def finish(session: Session) -> None:
        kept = session.get_one(ImportRow, row.id)
        kept.state = "draft"
        note(session, kept)

    persistently(database, finish)
    return row.public_id


def _keep(database: Database, import_id: int, sent: Sent) -> None:
    """Write the file into our tables, some parts at a time: no transaction is long."""
    number = 0
    with sent.open("rb") as file:
        while True:
            parts: dict[int, bytes] = {}
            while len(parts) < _PARTS_AT_ONCE and (content := file.read(PART_BYTES)):
                parts[number] = content
                number += 1
            if not parts:
                return
            with database.write() as session:
                add_parts(session, import_id, parts)


def layout_of(database: Database, row: ImportRow) -> Layout:
    """Look through a kept file.

    :raises BadFile: if it isn't there any more.
    """
    return survey(Stored(database, row.id))


def map_upload(
    database: Database, public_id: str, layout: Layout, mapping: Mapping[str, str], now: datetime
) -> bool:
    """Keep what the columns of a draft are; tell whether it was a draft.

    :raises InvalidFact: if the mapping can't be used.
    """
    wanted = checked_mapping(mapping, layout.columns)

    def work(session: Session) -> bool:
        row = locked_import(session, public_id)
        if row is None or row.state != "draft":
            return False
        row.mapping, row.updated_at = wanted, now
        return True

    return persistently(database, work)


def move_upload(database: Database, public_id: str, action: str, now: datetime, note: Note) -> bool:
    """Start, stop, resume or discard an import; tell whether it stood so that this could be done.

    :raises InvalidFact: if there is no such action.
    """
    if action not in _MOVES:
        raise InvalidFact(f"action: {action!r:.40} is none of {', '.join(_MOVES)}.")
    before, after = _MOVES[action]

    def work(session: Session) -> bool:
        row = locked_import(session, public_id)
        if row is None or row.state not in before:
            return False
        note(session, row)
        if row.state == "draft" and after == "discarded":
            delete_parts(session, row.id)
            session.delete(row)  # nothing came of it
            return True
        if after == "discarded":
            delete_parts(session, row.id)
            row.finished_at = now
        row.state, row.updated_at = after, now
        return True

    return persistently(database, work)


def forget_old(database: Database, now: datetime) -> bool:
    """Delete files that nobody went on with, and imports with their reports once they are old.

    Returns whether there were any. Each transaction deletes some thousand rows at most.
    """
    found = False
    for before, states in ((now - KEPT_DRAFT, _LEFT_ALONE), (now - KEPT_REPORT, None)):

        def work(
            session: Session, before: datetime = before, states: tuple[str, ...] | None = states
        ) -> bool:
            return forget_one_import(session, before, states)

        while persistently(database, work):
            found = True
    return found
