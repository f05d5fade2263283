"""Custom data: values that the host computes, refreshed by a job, never in a page request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Result, inspect, select
from sqlalchemy.orm import Session

from ..capture.limits import check_name, check_value
from ..errors import InvalidFact
from ..store.attribute import unconfirmed_values
from ..store.attribute_write import CONFIRMED_EVERY, write_attributes
from ..store.engine import Database
from ..store.person import PersonRow, is_live
from ..types import AttributeValue, Identity
from .host_users import BATCH, HostUsers, plain

_log = logging.getLogger("flask_engage")


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a refresh did."""

    people: int
    """People for whom a value was computed."""
    changed: int
    """Values that differ from before."""
    failed: int
    """Users for whom the host's function raised or gave nonsense; they keep the old value."""
    last_error: str | None = None

    def __str__(self) -> str:
        text = f"{self.people} people, {self.changed} changed"
        return text + (f", {self.failed} failed: {self.last_error}" if self.failed else "")


def refresh_attribute(
    database: Database,
    users: HostUsers,
    name: str,
    function: Callable[[Any], AttributeValue],
    now: datetime,
) -> RefreshReport:
    """Compute one attribute for every host user, 500 at a time.

    A user for whom `function` raises keeps the value from before; the others go on.
    """
    people = changed = failed = 0
    last_error: str | None = None

    def compute(user: Any) -> tuple[str, AttributeValue] | str | None:
        try:
            user_id = _id_of(user, users)
            if user_id is None:
                return None
            return user_id, check_value(name, plain(function(user)))
        except Exception as error:  # noqa: BLE001  (the host's code: one user's trouble)
            _log.warning("flask_engage: the attribute %r failed for a user: %s", name, error)
            return f"{type(error).__name__}: {error}"[:300]

    for batch in users.mapped(compute):
        values = {item[0]: {name: item[1]} for item in batch if isinstance(item, tuple)}
        errors = [item for item in batch if isinstance(item, str)]
        failed += len(errors)
        last_error = errors[-1] if errors else last_error
        changed += _write(database, values, name, now)
        people += len(values)
    return RefreshReport(people, changed, failed, last_error)


def refresh_query(
    database: Database,
    host_session: Session,
    name: str,
    function: Callable[[], Any],
    now: datetime,
) -> RefreshReport:
    """Run the host's one query for everybody and store its columns as attributes.

    The first column is the user id; each further column is an attribute named by its label.

    :raises InvalidFact: if `function` doesn't return a select of at least two columns.
    """
    people = changed = failed = 0
    last_error: str | None = None
    # A server-side cursor: it is closed whatever happens, or the connection stays busy.
    with host_session.execute(function(), execution_options={"yield_per": BATCH}) as result:
        labels = [str(label) for label in result.keys()]  # noqa: SIM118  (a result is no dict)
        for label in labels[1:]:
            check_name(label, "attribute")
        if len(labels) < 2:
            raise InvalidFact(
                f"attribute_query {name!r} returned {len(labels)} column; the first is the "
                "user's id, each further one an attribute, as in "
                "select(X.user_id, count().label('x'))."
            )
        for rows in _partitions(host_session, result):
            values: dict[str, dict[str, AttributeValue]] = {}
            for row in rows:
                if row[0] is None:
                    continue
                try:
                    values[str(row[0])] = {
                        label: check_value(label, plain(value))
                        for label, value in zip(labels[1:], row[1:], strict=True)
                    }
                except InvalidFact as error:
                    failed += 1
                    last_error = str(error)[:300]
            changed += _write(database, values, name, now)
            people += len(values)
    if not failed:
        changed += _forget_unnamed(database, labels[1:], name, now)
    return RefreshReport(people, changed, failed, last_error)


def _partitions(host_session: Session, result: Result[Any]) -> Iterator[Sequence[Any]]:
    """Yield the rows in bounded parts.

    SQLite is read to the end first: an open look would hold up whoever stores the results.
    """
    if host_session.get_bind().dialect.name != "sqlite":
        yield from result.partitions(BATCH)
        return
    rows = result.all()
    host_session.rollback()
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]


def _forget_unnamed(database: Database, labels: Sequence[str], provider: str, now: datetime) -> int:
    """Remove this query's values of people whom it no longer names.

    A GROUP BY leaves out whoever has nothing to count: their old number must not stay.
    """
    changed = 0
    while True:
        with database.write() as session:
            left = unconfirmed_values(
                session, labels, _source(provider), now - CONFIRMED_EVERY, limit=BATCH
            )
            if not left:
                return changed
            changed += len(write_attributes(session, left, source=_source(provider), now=now))


def _id_of(user: Any, users: HostUsers) -> str | None:
    if users.identify is None:
        return str(inspect(user).identity[0])
    identity: Identity | None = users.identify(user)
    return None if identity is None else str(identity.id)


def _write(
    database: Database,
    values: dict[str, dict[str, AttributeValue]],
    provider: str,
    now: datetime,
) -> int:
    if not values:
        return 0
    with database.write() as session:
        rows: Sequence[Any] = session.execute(
            select(PersonRow.id, PersonRow.user_id).where(PersonRow.user_id.in_(values), is_live())
        ).all()
        by_person = {row.id: values[str(row.user_id)] for row in rows}
        changes = write_attributes(session, by_person, source=_source(provider), now=now)
    return len(changes)


def _source(provider: str) -> str:
    return f"provider:{provider}"[:64]
