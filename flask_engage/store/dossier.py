"""Everything that is known of one person, as one JSON document, streamed.

Goes through every table that points at people, whichever they are: nobody can forget one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, select, tuple_
from sqlalchemy.orm import Session

from .base import Base
from .content import ContentRow
from .delivery import DeliveryEventRow, DeliveryRow, OutboxRow
from .engine import Database
from .person import PersonRow, is_live
from .segment_member import SegmentChangeRow, SegmentWatchRow

FORMAT = 1
_PAGE = 500
#: How the sections are called; a table that is not here has its own name.
_SECTIONS = {
    "engage_active_day": "active_days",
    "engage_active_week": "active_weeks",
    "engage_attribute": "attributes",
    "engage_delivery": "messages",
    "engage_event": "events",
    "engage_event_summary": "event_counts",
    "engage_note": "notes",
    "engage_person_tag": "tags",
    "engage_segment_change": "segment_changes",
    "engage_segment_member": "segments",
    "engage_session": "sessions",
}
#: Rows in JSON already.
_JSON = {"engage_attribute": "value"}


def dossier(
    database: Database,
    now: datetime,
    *,
    user_id: str | None = None,
    public_id: str | None = None,
) -> Iterator[str] | None:
    """Return the pieces of the document about one person; None if there is nobody."""
    which = PersonRow.public_id == public_id if user_id is None else PersonRow.user_id == user_id
    with database.read() as session:
        table = cast("Table", PersonRow.__table__)
        row = session.execute(select(table).where(which, is_live())).mappings().first()
    return None if row is None else _pieces(database, dict(row), now)


def _pieces(database: Database, person: dict[str, Any], now: datetime) -> Iterator[str]:
    person_id = person.pop("id")
    yield f'{{"format": {FORMAT}, "exported_at": {_text(now)},\n"person": {_text(person)}'
    table = cast("Table", PersonRow.__table__)
    for other in Base.metadata.sorted_tables:
        for key in other.foreign_keys:
            if key.column.table is not table or other is table:
                continue
            name = _SECTIONS.get(other.name, other.name.removeprefix("engage_"))
            yield f',\n"{name}": ['
            yield from _list(database, other, key.parent.name, person_id)
            yield "]"
    yield ',\n"mails_kept_here": ['
    yield from _mails(database, person_id)
    yield "]}\n"


def _list(database: Database, table: Table, column: str, person_id: int) -> Iterator[str]:
    keys = list(table.primary_key.columns)
    query = select(table).where(table.c[column] == person_id).order_by(*keys).limit(_PAGE)
    behind: ColumnElement[bool] | None = None
    comma = "\n"
    while True:
        with database.read() as session:
            rows = session.execute(query if behind is None else query.where(behind)).mappings()
            page = [dict(row) for row in rows]
            told = _told(session, table, page, column)
        for row in told:
            yield f"{comma}{_text(row)}"
            comma = ",\n"
        if len(page) < _PAGE:
            return
        last = tuple(page[-1][key.name] for key in keys)
        behind = keys[0] > last[0] if len(keys) == 1 else tuple_(*keys) > last


def _told(
    session: Session, table: Table, page: Sequence[dict[str, Any]], column: str
) -> list[dict[str, Any]]:
    """Return rows as they are told: without our id of the person, with what belongs to them."""
    told = [{name: value for name, value in row.items() if name != column} for row in page]
    for row in told:
        if table.name in _JSON:
            row[_JSON[table.name]] = json.loads(row[_JSON[table.name]])
    if table is DeliveryRow.__table__ and page:
        _add_outcomes(session, told)
    if table is SegmentChangeRow.__table__ and page:
        _add_groups(session, told)
    return told


def _add_groups(session: Session, changes: list[dict[str, Any]]) -> None:
    """Say what was entered or left: ``code:Active``, ``saved:regulars``, ``tag:beta``."""
    ids = {change["segment_id"] for change in changes}
    rows = session.execute(
        select(SegmentWatchRow.id, SegmentWatchRow.key, SegmentWatchRow.name).where(
            SegmentWatchRow.id.in_(ids)
        )
    )
    known = {row.id: f"{row.key.partition(':')[0]}:{row.name}" for row in rows}
    for change in changes:
        change["of"] = known.get(change["segment_id"])


def _add_outcomes(session: Session, messages: list[dict[str, Any]]) -> None:
    events = cast("Table", DeliveryEventRow.__table__)
    content = cast("Table", ContentRow.__table__)
    by_id: dict[int, dict[str, Any]] = {}
    for message in messages:
        message["outcomes"] = []
        by_id[message["id"]] = message
    rows = session.execute(
        select(events).where(events.c.delivery_id.in_(by_id)).order_by(events.c.id)
    )
    for row in rows.mappings():
        by_id[row["delivery_id"]]["outcomes"].append(
            {name: row[name] for name in ("kind", "detail", "occurred_at")}
        )
    wanted = {message["content_id"] for message in messages if message["content_id"] is not None}
    found = session.execute(select(content).where(content.c.id.in_(wanted))).mappings()
    words = {row["id"]: {k: v for k, v in row.items() if k != "id"} for row in found}
    for message in messages:
        message["content"] = words.get(message["content_id"])


def _mails(database: Database, person_id: int) -> Iterator[str]:
    last, comma = 0, "\n"
    while True:
        with database.read() as session:
            rows = session.execute(
                select(OutboxRow.id, OutboxRow.recipient, OutboxRow.subject, OutboxRow.source)
                .join(DeliveryRow, DeliveryRow.message_id == OutboxRow.message_id)
                .where(DeliveryRow.person_id == person_id, OutboxRow.id > last)
                .order_by(OutboxRow.id)
                .limit(_PAGE)
            ).all()
        for row in rows:
            last = row.id
            yield f"{comma}{_text(dict(row._mapping))}"
            comma = ",\n"
        if len(rows) < _PAGE:
            return


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)
