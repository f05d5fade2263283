"""A file of people on its way in: batch by batch, each with its place in the file.

How far it is stands in the import's row and moves in the transaction that stores the people. So
a process may die anywhere: the next one goes on behind the last row that is stored, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...errors import EngageError, InvalidFact
from ...store.engine import Database, refresh_statistics
from ...store.person import new_public_id
from ...store.retry import persistently
from ...store.transfer import ImportRow, RowProblem, add_problems, unfinished_import
from ...store.transfer_write import Entry, Matching, MetMeanwhile, Placed
from ...store.upload import delete_parts
from ..refresh import Turn
from .mapping import Problem, checked_mapping, read_record
from .reading import BadFile, Layout, Record, records, survey
from .sources import Source

BATCH = 500
_PROBLEMS_OF_ROW = 20
"""A row is told no more of its problems: with the wrong mapping each has one in every column."""
_MANY = 1_000
_TRIES = 5


class Overtaken(EngageError, RuntimeError):
    """Another process is at the same import."""


def begin_import(
    database: Database,
    layout: Layout,
    mapping: Mapping[str, str],
    now: datetime,
    *,
    name: str,
    created_by: str | None = None,
) -> int:
    """Return the import of a file in a shell: the one that was cut off, or a new one.

    :raises InvalidFact: if the mapping can't be used.
    """
    wanted = checked_mapping(mapping, layout.columns)

    def work(session: Session) -> int:
        row = unfinished_import(session, layout.digest, wanted)
        if row is None:
            row = new_import(name, layout, wanted, now, state="running", created_by=created_by)
            session.add(row)
            session.flush()
        return row.id

    return persistently(database, work)


def new_import(
    name: str,
    layout: Layout,
    mapping: Mapping[str, str],
    now: datetime,
    *,
    state: str,
    is_upload: bool = False,
    created_by: str | None = None,
) -> ImportRow:
    """Return the row of a new import, to be added."""
    return ImportRow(
        public_id=new_public_id(),
        name=name.encode(errors="replace").decode().replace("\0", "")[:255],
        digest=layout.digest,
        mapping=dict(mapping),
        state=state,
        is_upload=is_upload,
        position=0,
        created=0,
        changed=0,
        unchanged=0,
        refused=0,
        created_by=created_by,
        created_at=now,
        updated_at=now,
    )


def run_import(
    database: Database,
    import_id: int,
    source: Source,
    zone: tzinfo,
    now: datetime,
    turn: Turn | None = None,
) -> ImportRow:
    """Go on with an import until it is done or the turn is over; return how it stands.

    :raises Overtaken: if another process went on with it meanwhile.
    """
    turn = turn or Turn()
    with database.read() as session:
        row = session.get_one(ImportRow, import_id)
    if row.state not in ("waiting", "running"):
        return row
    try:
        layout = survey(source)
        if layout.digest != row.digest:
            raise BadFile("the file is another one than the import began with.")
        mapping = checked_mapping(row.mapping, layout.columns)  # in the order of the file
        total = row.rows or sum(1 for _ in records(source, layout))
    except (InvalidFact, OSError) as error:
        return _end(database, import_id, now, problem=_words(error))
    position = row.position
    found = islice(records(source, layout), position, None)
    while batch := list(islice(found, BATCH)):
        position = _store(database, import_id, batch, mapping, position, total, zone, now)
        if turn.progress is not None:
            turn.progress(position, total)
        if turn.is_over() or not turn.may_go_on():
            break
    else:
        if position >= _MANY:
            refresh_statistics(database, "engage_person")
        return _end(database, import_id, now)
    with database.read() as session:
        return session.get_one(ImportRow, import_id)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, InvalidFact) else f"the file can't be read: {error}"


def _store(
    database: Database,
    import_id: int,
    batch: Sequence[Record],
    mapping: Mapping[str, str],
    position: int,
    total: int,
    zone: tzinfo,
    now: datetime,
) -> int:
    """Store one batch and its place in the file, both or neither; return the new place."""

    def work(session: Session) -> int:
        row = session.scalars(
            select(ImportRow).where(ImportRow.id == import_id).with_for_update()
        ).one()
        if row.position != position or row.state not in ("waiting", "running"):
            raise Overtaken(f"The import of {row.name!r} is in other hands; look at its page.")
        problems, refused, new, changed = _store_people(session, batch, mapping, zone, now)
        add_problems(session, import_id, problems)
        row.state, row.rows, row.updated_at = "running", total, now
        row.position = position + len(batch)
        row.created += new
        row.changed += changed
        row.refused += refused
        row.unchanged += len(batch) - new - changed - refused
        return row.position

    for left in reversed(range(_TRIES)):
        try:
            return persistently(database, work)
        except MetMeanwhile:
            if not left:
                raise
    raise AssertionError("unreachable")


def _store_people(
    session: Session,
    batch: Sequence[Record],
    mapping: Mapping[str, str],
    zone: tzinfo,
    now: datetime,
) -> tuple[list[RowProblem], int, int, int]:
    entries, problems = entries_of(batch, mapping, zone, now)
    matching = Matching(session, entries)
    placed = [matching.place(entry) for entry in entries]
    refusals = [one for one in placed if one.outcome == "refused"]
    problems += [refusal_of(one, mapping) for one in refusals]
    problems.sort(key=lambda one: one.number)
    new, changed = matching.save(now)
    return problems, len(batch) - len(entries) + len(refusals), new, changed


def entries_of(
    batch: Sequence[Record], mapping: Mapping[str, str], zone: tzinfo, now: datetime
) -> tuple[list[Entry], list[RowProblem]]:
    """Return what some rows say of people, and what is wrong with the others."""
    entries, problems = [], []
    for record in batch:
        entry, wrong = read_record(record, mapping, zone, now)
        if wrong:
            told = wrong[:_PROBLEMS_OF_ROW]
            problems += [RowProblem(record.number, *_storable(one)) for one in told]
        else:
            entries.append(entry)
    return entries, problems


def _storable(problem: Problem) -> Problem:
    """Return a problem's words so that every database takes them."""
    column, what, fix = (
        text.encode(errors="backslashreplace").decode().replace("\0", "\\0") for text in problem
    )
    return column, what, fix


def refusal_of(placed: Placed, mapping: Mapping[str, str]) -> RowProblem:
    """Return why a row whose person can't be told, or may not be there, is refused."""
    heading = next((column for column, target in mapping.items() if target == placed.heading), "")
    return RowProblem(placed.entry.number, heading, placed.problem, placed.fix)


def _end(
    database: Database, import_id: int, now: datetime, problem: str | None = None
) -> ImportRow:
    def work(session: Session) -> ImportRow:
        row = session.scalars(
            select(ImportRow).where(ImportRow.id == import_id).with_for_update()
        ).one()
        if row.state not in ("waiting", "running"):
            return row  # stopped or discarded by hand in this very moment
        row.state = "done" if problem is None else "failed"
        row.problem, row.updated_at, row.finished_at = problem, now, now
        delete_parts(session, import_id)
        if problem is None:
            row.rows = row.position
        return row

    return persistently(database, work)
