"""What would become of a file: its first rows one by one, all of them counted. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import islice

from sqlalchemy.orm import Session

from ...store.engine import Database
from ...store.transfer import RowProblem
from ...store.transfer_write import Entry, Matching, Placed
from .importing import BATCH, entries_of, refusal_of
from .mapping import checked_mapping
from .reading import Layout, Record, records
from .sources import Source

PREVIEW = 10
_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class Shown:
    """One row of a preview, and what would become of it."""

    record: Record
    outcome: str
    """``new``, ``user_id`` or ``email`` (matched by it), or ``refused``."""
    problems: tuple[RowProblem, ...] = ()
    entry: Entry | None = None
    """What would be stored; None: nothing would."""


@dataclass(slots=True)
class Counted:
    """What would become of the rows of a file."""

    rows: int = 0
    new: int = 0
    known: int = 0
    refused: int = 0
    is_whole: bool = False
    """Whether the time sufficed for all rows."""
    problems: list[RowProblem] = field(default_factory=list)
    """The first of them."""


def preview(
    database: Database,
    source: Source,
    layout: Layout,
    mapping: Mapping[str, str],
    zone: tzinfo,
    now: datetime,
    limit: int = PREVIEW,
) -> list[Shown]:
    """Return the first rows of a file and what would become of them."""
    wanted = checked_mapping(mapping, layout.columns)
    batch = list(islice(records(source, layout), limit))
    with database.read() as session:
        placed, problems = _placed(session, batch, wanted, zone, now)
    by_number: dict[int, list[RowProblem]] = {}
    for one in problems:
        by_number.setdefault(one.number, []).append(one)
    return [
        _shown(record, placed.get(record.number), by_number.get(record.number, ()))
        for record in batch
    ]


def _shown(record: Record, placed: Placed | None, problems: Sequence[RowProblem]) -> Shown:
    if placed is None or placed.outcome == "refused":
        return Shown(record, "refused", tuple(problems))
    return Shown(record, placed.outcome, tuple(problems), placed.entry)


def count_outcomes(
    database: Database,
    source: Source,
    layout: Layout,
    mapping: Mapping[str, str],
    zone: tzinfo,
    now: datetime,
    seconds: float,
) -> Counted:
    """Return what would become of all rows, or of as many as the time suffices for.

    :raises BadFile: if it can't be read to its end.
    """
    wanted = checked_mapping(mapping, layout.columns)
    counted, met = Counted(), _Met()
    end = time.monotonic() + seconds
    for batch in _batches(records(source, layout)):
        with database.read() as session:
            placed, problems = _placed(session, batch, wanted, zone, now)
        new = sum(met.is_new(one) for one in placed.values())
        refused = len(batch) - sum(one.outcome != "refused" for one in placed.values())
        counted.rows += len(batch)
        counted.new += new
        counted.refused += refused
        counted.known += len(batch) - new - refused
        counted.problems += problems[: _PROBLEMS - len(counted.problems)]
        if time.monotonic() >= end:
            return counted
    counted.is_whole = True
    return counted


def _batches(found: Iterator[Record]) -> Iterator[list[Record]]:
    while batch := list(islice(found, BATCH)):
        yield batch


class _Met:
    """Who would have come to be by the rows before: nobody is stored, so nobody is found."""

    def __init__(self) -> None:
        self._user_ids: set[str] = set()
        self._emails: set[str] = set()
        self._leads: set[str] = set()

    def is_new(self, placed: Placed) -> bool:
        """Tell whether a row would make somebody of whom no row before it tells."""
        entry = placed.entry
        if placed.outcome == "refused":
            return False
        is_new = placed.outcome == "new" and not self._knows(entry)
        if entry.user_id is not None:
            self._user_ids.add(entry.user_id)
            if entry.email is not None:
                self._leads.discard(entry.email)
        elif is_new and entry.email is not None:
            self._leads.add(entry.email)
        if entry.email is not None:
            self._emails.add(entry.email)
        return is_new

    def _knows(self, entry: Entry) -> bool:
        if entry.user_id is not None:
            return entry.user_id in self._user_ids or entry.email in self._leads
        return entry.email in self._emails


def _placed(
    session: Session,
    batch: Sequence[Record],
    mapping: Mapping[str, str],
    zone: tzinfo,
    now: datetime,
) -> tuple[dict[int, Placed], list[RowProblem]]:
    entries, problems = entries_of(batch, mapping, zone, now)
    matching = Matching(session, entries, lock=False)
    placed = {entry.number: matching.place(entry) for entry in entries}
    refusals = [one for one in placed.values() if one.outcome == "refused"]
    problems += [refusal_of(one, mapping) for one in refusals]
    return placed, sorted(problems, key=lambda one: one.number)
