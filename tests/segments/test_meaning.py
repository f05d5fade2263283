"""The SQL form means what plain Python says, on every database and for everybody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from flask_engage.segments.compile import CompileContext, where
from flask_engage.segments.filter import Filter
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from tests.segments._oracle import matches
from tests.segments._strategies import SEGMENTS, filters, somebody
from tests.segments._world import NOW, Somebody, add_people

FEW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _members(session: Session, wanted: Filter, context: CompileContext) -> set[int]:
    query = select(PersonRow.id).where(where(wanted, now=NOW, context=context))
    return set(session.scalars(query))


def _check(database: Database, people: list[Somebody], wanted: list[Filter]) -> None:
    context = CompileContext(database.dialect, SEGMENTS)
    whole = replace(context, whole=True)
    asked = (context, whole, replace(whole, few=True))
    with Session(database.engine) as session:
        ids = add_people(session, people)
        for one in wanted:
            expected = {
                person_id
                for person_id, somebody in zip(ids, people, strict=True)
                if matches(one, somebody, SEGMENTS)
            }
            for how in asked:
                assert _members(session, one, how) == expected, one
                assert _members(session, ~one, how) == set(ids) - expected, one
            assert _members(session, one | ~one, context) == set(ids), one
            read_again = Filter.from_json(one.to_json(), SEGMENTS)
            assert read_again == one
            assert _members(session, read_again, context) == expected, one
        session.rollback()


@FEW
@given(
    people=st.lists(somebody(), min_size=1, max_size=6),
    wanted=st.lists(filters(), min_size=4, max_size=8),
)
def test_a_filter_matches_whom_plain_python_says(
    database: Database, people: list[Somebody], wanted: list[Filter]
) -> None:
    _check(database, people, wanted)


@pytest.mark.campaign
@settings(FEW, max_examples=3000)
@given(
    people=st.lists(somebody(), min_size=1, max_size=12),
    wanted=st.lists(filters(), min_size=4, max_size=8),
)
def test_a_filter_matches_whom_plain_python_says_at_length(
    database: Database, people: list[Somebody], wanted: list[Filter]
) -> None:
    _check(database, people, wanted)
