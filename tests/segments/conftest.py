"""Fixtures for filters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from flask_engage.segments.compile import CompileContext
from flask_engage.segments.filter import Everyone, Filter
from flask_engage.segments.people import People
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from tests.segments._world import NOW, Somebody, add_people


@pytest.fixture
def people_of(database: Database) -> Callable[..., People]:
    """Returns the people who match a filter: ``people_of(filter, segments=…)``."""

    def people(wanted: Filter | None = None, **context: object) -> People:
        return People(
            database,
            Everyone() if wanted is None else wanted,
            CompileContext(database.dialect, **context),  # type: ignore[arg-type]
            lambda: NOW,
        )

    return people


@pytest.fixture
def matching(database: Database, people_of: Callable[..., People]) -> Callable[..., set[str]]:
    """Returns the names of those who match, of people given by name, then or before.

    ``matching(filter, ada=Somebody(…), bob=Somebody(…))``
    """
    known: set[str] = set()

    def match(
        wanted: Filter, segments: dict[str, Filter] | None = None, **people: Somebody
    ) -> set[str]:
        with database.write() as session:
            for name, somebody in people.items():
                somebody.fields.setdefault("user_id", name)
            add_people(session, people.values())
        known.update(people)
        both = [people_of(one, segments=segments or {}) for one in (wanted, ~wanted)]
        found, others = ({str(one.user_id) for one in people} for people in both)
        with database.read() as session:
            as_sets = [
                set(session.scalars(select(PersonRow.user_id).where(condition)))
                for people in both
                for condition in [people._condition(whole=True, few=True)]
            ]
        assert as_sets == [found, others]
        assert found | others == known
        assert not found & others
        return found

    return match
