"""Writing a batch of events with everything that is summed up of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Table, case, insert, select
from sqlalchemy.orm import Session

from .event import EventKeyRow, EventRow, EventSummaryRow, EventTotalRow
from .upsert import Incoming, upsert


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be stored."""

    person_id: int
    name: str
    properties: Mapping[str, Any]
    occurred_at: datetime
    day: date
    session_id: int | None = None


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
                EventKeyRow.name.in_(names), EventKeyRow.id.in_(ids)
            )
        )
    }
    new = set(keys) - found
    if new:
        rows = [{"name": name, "id": id_} for name, id_ in sorted(new)]
        session.execute(insert(EventKeyRow.__table__), rows)  # type: ignore[arg-type]
    return new


def insert_events(session: Session, events: Sequence[NewEvent], now: datetime) -> None:
    """Store events and their sums by person. Their totals are for :func:`add_totals`."""
    if not events:
        return
    session.execute(
        insert(EventRow.__table__),  # type: ignore[arg-type]
        [
            {
                "person_id": event.person_id,
                "session_id": event.session_id,
                "name": event.name,
                "properties": dict(event.properties),
                "occurred_at": event.occurred_at,
                "received_at": now,
            }
            for event in events
        ],
    )
    _sum_up(session, events)


def _sum_up(session: Session, events: Sequence[NewEvent]) -> None:
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for event in events:
        key = (event.person_id, event.name)
        row = rows.get(key)
        if row is None:
            rows[key] = {
                "person_id": event.person_id,
                "name": event.name,
                "count": 1,
                "first_at": event.occurred_at,
                "last_at": event.occurred_at,
            }
            continue
        row["count"] += 1
        row["first_at"] = min(row["first_at"], event.occurred_at)
        row["last_at"] = max(row["last_at"], event.occurred_at)
    upsert(
        session,
        EventSummaryRow.__table__,  # type: ignore[arg-type]
        [rows[key] for key in sorted(rows)],
        key=["person_id", "name"],
        update=_summed,
    )


def _summed(table: Table, incoming: Incoming) -> dict[str, Any]:
    first, last = incoming("first_at"), incoming("last_at")
    return {
        "count": table.c["count"] + incoming("count"),
        "first_at": case((first < table.c.first_at, first), else_=table.c.first_at),
        "last_at": case((last > table.c.last_at, last), else_=table.c.last_at),
    }


def add_totals(session: Session, totals: Mapping[tuple[date, str], int]) -> None:
    """Add to how often everybody together did something on a day.

    These rows are everybody's: until the transaction ends, nobody else can add to them.
    """
    if not totals:
        return
    upsert(
        session,
        EventTotalRow.__table__,  # type: ignore[arg-type]
        [{"day": day, "name": name, "count": totals[day, name]} for day, name in sorted(totals)],
        key=["day", "name"],
        update=lambda table, incoming: {"count": table.c["count"] + incoming("count")},
    )
