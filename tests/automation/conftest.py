"""People for rules to meet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from flask_engage._guard import Guard
from flask_engage.segments.compile import CompileContext
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow, new_public_id
from tests._clock import START


@pytest.fixture
def context(database: Database) -> CompileContext:
    """What the compiler has to know of `database`."""
    return CompileContext(dialect=database.dialect)


@pytest.fixture
def guard() -> Guard:
    """A guard that raises nothing again."""
    return Guard()


def person(number: int, now: datetime = START, **values: Any) -> dict[str, Any]:
    """Return the row of a person who was last seen a month ago and has an address."""
    return {
        "public_id": new_public_id(),
        "kind": "user",
        "user_id": str(number),
        "email": f"user{number}@example.com",
        "name": f"User {number}",
        "last_seen_at": now - timedelta(days=30),
        "first_seen_at": now - timedelta(days=60),
        "session_count": 5,
        "attributes": {},
        "created_at": now,
        "updated_at": now,
        **values,
    }


@pytest.fixture
def add_people(database: Database) -> Callable[..., list[int]]:
    """Adds `count` people with these values and returns their ids, in order."""
    numbers = iter(range(1, 1_000_000))

    def add(count: int = 1, **values: Any) -> list[int]:
        rows = [person(next(numbers), **values) for _ in range(count)]
        with database.write() as session:
            session.execute(insert(PersonRow), rows)
            names = [row["public_id"] for row in rows]
            found = dict(
                session.query(PersonRow.public_id, PersonRow.id)
                .filter(PersonRow.public_id.in_(names))
                .all()
            )
        return [found[name] for name in names]

    return add
