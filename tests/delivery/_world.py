"""People, messages and settings for the tests of this room."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from flask_engage.messages.content import Email, InApp
from flask_engage.settings import Settings
from flask_engage.store.delivery import DeliveryRow
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from tests._clock import START

MAIL = Email("Hello {{ name | default('there') }}", "Come **back**, {{ name | default('you') }}.")
POPUP = InApp("Hi", "Hello {{ name | default('there') }}")


def settings(**values: Any) -> Settings:
    """Settings of an app; names without their prefix."""
    values.setdefault("MAIL_FROM", "Ada <ada@example.com>")
    return Settings.from_config({f"ENGAGE_{name}": value for name, value in values.items()})


def add_people(database: Database, count: int = 1, **values: Any) -> list[int]:
    """Put `count` people in and return our ids of them."""
    with database.write() as session:
        offset = len(session.scalars(select(PersonRow.id)).all())
        rows = []
        for number in range(offset, offset + count):
            given = {
                "user_id": f"u{number}",
                "email": f"p{number}@example.org",
                "name": f"Person {number}",
                "created_at": START,
                "updated_at": START,
                "attributes": {},
            }
            rows.append(PersonRow(**(given | values)))
        session.add_all(rows)
        session.flush()
        return [row.id for row in rows]


def deliveries(database: Database) -> list[DeliveryRow]:
    """All deliveries, in order."""
    with database.read() as session:
        return list(session.scalars(select(DeliveryRow).order_by(DeliveryRow.id)))


def states(database: Database) -> dict[str, int]:
    """How many deliveries there are in each state."""
    counts: dict[str, int] = {}
    for row in deliveries(database):
        counts[row.state] = counts.get(row.state, 0) + 1
    return counts
