"""Writing a batch of events with everything that is summed up of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Table, case, select
from sqlalchemy.orm import Session

from .among import among
from .bulk import Insert, Upsert
from .event import EventKeyRow, EventNameRow, EventRow, EventSummaryRow, EventTotalRow
from .upsert import Incoming


class NewEvents(NamedTuple):
    """Events to be stored, column by column of their rows: no object for each of them."""

    person_id: Sequence[int]
    session_id: Sequence[int | None]
    name: Sequence[str]
    properties: Sequence[Mapping[str, Any]]
    occurred_at: Sequence[datetime]
    received_at: Sequence[datetime]


class Tally(msgspec.Struct, gc=False):
    """How often something was done, first and last."""

    count: int
    first_at: datetime
    last_at: datetime

    def add(self, other: Tally) -> None:
        """Take further times in that it was done."""
        self.count += other.count
        self.first_at = min(self.first_at, other.first_at)
        self.last_at = max(self.last_at, other.last_at)

    def values(self) -> tuple[int, datetime, datetime]:
        """Return what its row holds."""
        return self.count, self.first_at, self.last_at


def _summed(table: Table, incoming: Incoming) -> dict[str, Any]:
    first, last = incoming("first_at"), incoming("last_at")
    return {
        "count": table.c["count"] + incoming("count"),
        "first_at": case((first < table.c.first_at, first), else_=table.c.first_at),
        "last_at": case((last > table.c.last_at, last), else_=table.c.last_at),
    }


def _added(table: Table, incoming: Incoming) -> dict[str, Any]:
    return {"count": table.c["count"] + incoming("count")}


_SUMS = ("count", "first_at", "last_at")
_insert_events = Insert(EventRow.__table__, NewEvents._fields)
_insert_keys = Insert(EventKeyRow.__table__, ("name", "id"))
_add_summaries = Upsert(
    EventSummaryRow.__table__, ("person_id", "name", *_SUMS), ("person_id", "name"), _summed
)
_add_totals = Upsert(EventTotalRow.__table__, ("day", "name", "count"), ("day", "name"), _added)
_add_names = Upsert(EventNameRow.__table__, ("name", *_SUMS), ("name",), _summed)


def claim_keys(session: Session, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Remember these (name, id) for ever; return those that had not been there.

    :raises sqlalchemy.exc.IntegrityError: if another transaction remembers one of them at
        the same time; the second try finds it.
    """
    if not keys:
        return set()
    names = {name for name, _ in keys}
    ids = {id_ for _, id_ in keys}
    found: set[tuple[str, str]] = {
        (name, id_)
        for name, id_ in session.execute(
            select(EventKeyRow.name, EventKeyRow.id).where(
                among(session, EventKeyRow.name, names), among(session, EventKeyRow.id, ids)
            )
        )
    }
    new = set(keys) - found
    _insert_keys(session, sorted(new))
    return new


def insert_events(session: Session, events: NewEvents) -> dict[str, Tally]:
    """Store events and their sums by person; return the sums of everybody, by name.

    Those are for :func:`add_totals` and :func:`add_names`.
    """
    _insert_events.columns_of(session, events)
    sums: dict[tuple[int, str], Tally] = {}
    for key, at in zip(
        zip(events.person_id, events.name, strict=True), events.occurred_at, strict=True
    ):
        tally = sums.get(key)
        if tally is None:
            sums[key] = Tally(1, at, at)
            continue
        tally.count += 1
        if at > tally.last_at:
            tally.last_at = at
        elif at < tally.first_at:
            tally.first_at = at
    _add_summaries(session, [(*key, *sums[key].values()) for key in sorted(sums)])
    by_name: dict[str, Tally] = {}
    for (_, name), tally in sums.items():
        add_to(by_name, name, tally)
    return by_name


def add_to(tallies: dict[str, Tally], name: str, further: Tally) -> None:
    """Add `further` to the tally of `name`."""
    tally = tallies.get(name)
    if tally is None:
        tallies[name] = Tally(*further.values())
    else:
        tally.add(further)


def add_totals(session: Session, totals: Mapping[tuple[date, str], int]) -> None:
    """Add to how often everybody together did something on a day.

    These rows are everybody's: until the transaction ends, nobody else can add to them.
    """
    _add_totals(session, [(*key, totals[key]) for key in sorted(totals)])


def add_names(session: Session, names: Mapping[str, Tally]) -> None:
    """Add to the catalogue of what people do. These rows are everybody's, too."""
    _add_names(session, [(name, *names[name].values()) for name in sorted(names)])
