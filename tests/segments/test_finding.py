"""Finding somebody while one types, within a time, on every database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, insert, select, text, true
from sqlalchemy.exc import DBAPIError

from flask_engage._clock import utcnow
from flask_engage.segments.finding import find_people
from flask_engage.store.person import PersonRow

if TYPE_CHECKING:
    from flask_engage.store.engine import Database


@pytest.fixture
def forty(database: Database) -> Database:
    now = utcnow()
    with database.write() as session:
        session.execute(
            insert(PersonRow),
            [
                {
                    "user_id": str(number),
                    "email": f"reader{number}@example.com",
                    "created_at": now,
                    "updated_at": now,
                }
                for number in range(40)
            ],
        )
    return database


def _ids(database: Database, wanted: str, search: object = None, seconds: float = 20) -> object:
    condition: Any = PersonRow.user_id.contains(wanted) if search is None else search
    found = find_people(
        database,
        wanted,
        true(),
        condition,
        lambda _session: condition,
        dialect=database.dialect,
        limit=4,
        seconds=seconds,
    )
    return [one.user_id for one in found.people], found.is_complete


def test_the_very_id_and_the_very_address_come_first_and_nobody_twice(forty: Database) -> None:
    ids, is_complete = _ids(forty, "3")  # type: ignore[misc]
    assert ids[0] == "3"
    assert len(set(ids)) == 4
    assert is_complete
    assert _ids(forty, "reader7@example.com") == (["7"], True)


def test_the_database_itself_ends_a_search_that_takes_too_long(forty: Database) -> None:
    """As many rows as forty people to the sixth power are more than any machine looks at."""
    tables = ", ".join(f"engage_person t{number}" for number in range(6))
    count = select(func.count()).select_from(text(tables)).scalar_subquery()
    assert _ids(forty, "7", count < 0, 0.5) == (["7"], False)


def test_what_is_not_met_soon_is_looked_for_among_everybody_at_once(forty: Database) -> None:
    tables = ", ".join(f"engage_person t{number}" for number in range(6))
    count = select(func.count()).select_from(text(tables)).scalar_subquery()
    found = find_people(
        forty,
        "nobody's",
        true(),
        count < 0,
        lambda _session: PersonRow.email.startswith("reader1"),
        dialect=forty.dialect,
        limit=4,
        seconds=20,
    )
    assert [one.email for one in found.people] == [
        f"reader{n}@example.com" for n in (19, 18, 17, 16)
    ]
    assert found.is_complete


def test_any_other_failure_is_raised(forty: Database) -> None:
    with pytest.raises(DBAPIError):
        _ids(forty, "7", text("there_is_no_such_column = 1"))
