"""Writing custom attributes: the row that is the truth, and the copy on the person for filters.

Who may overwrite whom: a manual edit stands above the host's providers, those above what
pages and the API push, and that above enrichment. Within one rank the newer value holds.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table, bindparam, delete, select, update
from sqlalchemy.orm import Session

from .._clock import as_utc
from ..errors import InvalidFact
from ..types import AttributeValue
from .among import among
from .attribute import AttributeRow
from .person import PersonRow
from .upsert import Incoming, upsert

_log = logging.getLogger("flask_engage")

_RANKS = {"manual": 3, "provider": 2, "page": 1, "api": 1, "import": 1, "enrichment": 0}
CONFIRMED_EVERY = timedelta(minutes=15)
"""A value that stays the same is written again this often at most."""


@dataclass(frozen=True, slots=True)
class Write:
    """One value that somebody is to have, or (`by`) the amount by which theirs grows."""

    person_id: int
    name: str
    value: AttributeValue
    source: str
    at: datetime
    by: int | float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One value that is different now."""

    person_id: int
    name: str
    value: AttributeValue
    old: AttributeValue


@dataclass(slots=True)
class _State:
    kind: str
    value: AttributeValue
    source: str
    computed_at: datetime
    changed_at: datetime


def kind_of(value: AttributeValue) -> str:
    """Return the kind of `value`: ``s`` text, ``n`` number, ``b`` boolean, ``t`` time.

    :raises InvalidFact: if it is None or of none of these kinds.
    """
    if isinstance(value, bool):
        return "b"
    if isinstance(value, (int, float)):
        return "n"
    if isinstance(value, str):
        return "s"
    if isinstance(value, datetime):
        return "t"
    raise InvalidFact(f"attribute value {value!r:.100}: expected a str, number, bool or datetime.")


def to_json(value: AttributeValue) -> str | int | float | bool | None:
    """Return `value` as JSON has it; times as ISO 8601 in UTC with microseconds."""
    if isinstance(value, datetime):
        return as_utc(value).isoformat(timespec="microseconds")
    return value


def from_json(kind: str, value: Any) -> AttributeValue:
    """Return a stored value as it was before :func:`to_json`."""
    return datetime.fromisoformat(value).astimezone(UTC) if kind == "t" else value


def write_attributes(
    session: Session,
    values: Mapping[int, Mapping[str, AttributeValue]],
    *,
    source: str,
    now: datetime,
) -> list[Change]:
    """Set attributes of people, by person id; None removes. Return what has changed.

    Joins the transaction of `session` and locks the people in it.

    :param source: ``manual``, ``provider:<name>``, ``page``, ``api`` or ``enrichment:<name>``.
    :raises InvalidFact: if a value is of no kind that an attribute can hold.
    """
    return apply_writes(
        session,
        [
            Write(person_id, name, value, source, now)
            for person_id, some in values.items()
            for name, value in some.items()
        ],
        now,
    )


def give_up_manual(session: Session, person_id: int, name: str, now: datetime) -> Change | None:
    """Take away a value that was set by hand, so that others may give one again.

    Returns what has changed; None if there is no such value, or it is not by hand (any more).
    Joins the transaction of `session` and locks the person in it.
    """
    copies = _locked_copies(session, {person_id})
    before = _known(session, [Write(person_id, name, None, "manual", now)])
    held = before[person_id, name]
    if held is None or held.source != "manual" or person_id not in copies:
        return None
    after: dict[_Key, _State | None] = {(person_id, name): None}
    changes = _changes(before, after)
    _save(session, before, after)
    _save_copies(session, copies, changes, now)
    return changes[0]


def apply_writes(session: Session, writes: Sequence[Write], now: datetime) -> list[Change]:
    """Carry out `writes` in their order; return what has changed, one change per attribute."""
    if not writes:
        return []
    copies = _locked_copies(session, {write.person_id for write in writes})
    before = _known(session, writes)
    after = dict(before)
    for write in writes:
        if write.person_id in copies:
            _apply(after, write)
    changes = _changes(before, after)
    _save(session, before, after)
    _save_copies(session, copies, changes, now)
    return changes


def _locked_copies(session: Session, person_ids: set[int]) -> dict[int, dict[str, Any]]:
    rows = session.execute(
        select(PersonRow.id, PersonRow.attributes)
        .where(among(session, PersonRow.id, person_ids))
        .order_by(PersonRow.id)
        .with_for_update()
    )
    return {row.id: dict(row.attributes or {}) for row in rows}


_Key = tuple[int, str]


def _known(session: Session, writes: Sequence[Write]) -> dict[_Key, _State | None]:
    wanted: dict[_Key, _State | None] = {(write.person_id, write.name): None for write in writes}
    rows = session.execute(
        select(AttributeRow.__table__).where(
            among(session, AttributeRow.person_id, {person_id for person_id, _ in wanted}),
            among(session, AttributeRow.name, {name for _, name in wanted}),
        )
    )
    for row in rows:
        if (row.person_id, row.name) in wanted:
            value = from_json(row.kind, json.loads(row.value))
            wanted[row.person_id, row.name] = _State(
                row.kind, value, row.source, row.computed_at, row.changed_at
            )
    return wanted


def _rank(source: str) -> int:
    return _RANKS.get(source.partition(":")[0], 0)


def _apply(states: dict[_Key, _State | None], write: Write) -> None:
    key = (write.person_id, write.name)
    state = states[key]
    value, at = write.value, write.at
    if state is not None and _rank(state.source) > _rank(write.source):
        return
    if write.by is not None:
        if state is not None and state.kind != "n":
            _log.warning(
                "flask_engage: %r of a person is no number; it was not increased.", write.name
            )
            return
        held = 0 if state is None else state.value
        value = held + write.by  # type: ignore[operator]
        if not math.isfinite(value):
            # No JSON: SQLite would then refuse to filter anybody by any attribute.
            _log.warning(
                "flask_engage: %r of a person would be endless; it was not increased.", write.name
            )
            return
        at = max(at, state.computed_at) if state is not None else at
    elif (
        state is not None and _rank(state.source) == _rank(write.source) and at < state.computed_at
    ):
        return  # it comes late: what we hold is newer
    if value is None:
        states[key] = None
        return
    kind = kind_of(value)
    if state is not None and (state.kind, state.value) == (kind, value):
        states[key] = _State(kind, state.value, write.source, at, state.changed_at)
    else:
        states[key] = _State(kind, value, write.source, at, at)


def _changes(
    before: Mapping[_Key, _State | None], after: Mapping[_Key, _State | None]
) -> list[Change]:
    changes = []
    for (person_id, name), new in after.items():
        old = before[person_id, name]
        held = (old.kind, old.value) if old else None
        if (new and (new.kind, new.value)) != held:
            changes.append(
                Change(person_id, name, new.value if new else None, old.value if old else None)
            )
    return changes


def _save(
    session: Session, before: Mapping[_Key, _State | None], after: Mapping[_Key, _State | None]
) -> None:
    rows, gone = [], []
    for key, state in sorted(after.items(), key=lambda item: item[0]):
        old = before[key]
        if state is None:
            if old is not None:
                gone.append({"whose": key[0], "what": key[1]})
            continue
        if old is not None and _is_confirmation(old, state):
            continue
        rows.append(
            {
                "person_id": key[0],
                "name": key[1],
                "kind": state.kind,
                "value": json.dumps(to_json(state.value), ensure_ascii=False),
                "source": state.source,
                "computed_at": state.computed_at,
                "changed_at": state.changed_at,
            }
        )
    table: Table = AttributeRow.__table__  # type: ignore[assignment]
    upsert(session, table, rows, key=["person_id", "name"], update=_replaced)
    if gone:
        session.connection().execute(
            delete(table).where(
                table.c.person_id == bindparam("whose"), table.c.name == bindparam("what")
            ),
            gone,
        )


def _is_confirmation(old: _State, new: _State) -> bool:
    return (
        (old.kind, old.value, old.source) == (new.kind, new.value, new.source)
        and old.changed_at == new.changed_at
        and new.computed_at - old.computed_at < CONFIRMED_EVERY
    )


def _replaced(_table: Table, incoming: Incoming) -> dict[str, Any]:
    return {
        name: incoming(name) for name in ("kind", "value", "source", "computed_at", "changed_at")
    }


def _save_copies(
    session: Session,
    copies: Mapping[int, dict[str, Any]],
    changes: Sequence[Change],
    now: datetime,
) -> None:
    """Bring the people's own copies up to date, keyed by kind and name."""
    changed: dict[int, dict[str, Any]] = {}
    for change in changes:
        copy = changed.setdefault(change.person_id, copies[change.person_id])
        for kind in "snbt":
            copy.pop(f"{kind}:{change.name}", None)
        if change.value is not None:
            copy[f"{kind_of(change.value)}:{change.name}"] = to_json(change.value)
    if not changed:
        return
    table: Table = PersonRow.__table__  # type: ignore[assignment]
    session.connection().execute(
        update(table)
        .where(table.c.id == bindparam("row_id"))
        .values(attributes=bindparam("copy"), updated_at=bindparam("moment")),
        [
            {"row_id": person_id, "copy": changed[person_id], "moment": now}
            for person_id in sorted(changed)
        ],
    )
