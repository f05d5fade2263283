"""Counts that take no longer than they may, on every database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, text, true
from sqlalchemy.exc import DBAPIError

from flask_engage._clock import utcnow
from flask_engage.segments import counting
from flask_engage.segments.counting import Count, count_people
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
                {"user_id": str(number), "created_at": now, "updated_at": now}
                for number in range(40)
            ],
        )
    return database


def test_a_count_within_its_time_is_exact(forty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_people(forty, true()) == Count(40)
    monkeypatch.setattr(counting, "FIRST", 7)
    assert count_people(forty, true(), 10) == Count(40)


def test_a_count_that_takes_too_long_says_how_many_at_least(
    forty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "FIRST", 7)
    whole = counting._within
    asked: list[object] = []

    def slow(database: Database, query: object, end: float) -> int | None:
        asked.append(query)
        return whole(database, query, end) if len(asked) == 1 else None

    monkeypatch.setattr(counting, "_within", slow)
    assert count_people(forty, true()) == Count(7, is_exact=False)


def test_the_database_itself_ends_what_takes_too_long(forty: Database) -> None:
    """As many rows as forty people to the sixth power are more than any machine counts."""
    tables = ", ".join(f"engage_person t{number}" for number in range(6))
    endless = select(text("count(*)")).select_from(text(tables))
    import time

    assert counting._within(forty, endless, time.monotonic() + 0.5) is None


def test_any_other_failure_is_raised(forty: Database) -> None:
    with pytest.raises(DBAPIError):
        count_people(forty, text("there_is_no_such_column = 1"), 20)  # type: ignore[arg-type]
