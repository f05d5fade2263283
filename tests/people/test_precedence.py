"""Who may overwrite whose value: by hand, by the host's providers, by pages and API, by others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from flask_engage.store.attribute import AttributeRow
from flask_engage.store.attribute_write import Write, apply_writes
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from flask_engage.store.person_write import lock_people
from tests._clock import START

SOURCES = ["manual", "provider:plan", "page", "api", "enrichment:web"]
RANKS = {"manual": 3, "provider": 2, "page": 1, "api": 1, "enrichment": 0}


@contextmanager
def person(database: Database) -> Iterator[tuple[Session, int]]:
    """Open a transaction that is rolled back, with somebody in it."""
    with Session(database.engine) as session:
        yield session, lock_people(session, ["ada"], START)["ada"].id


def write(session: Session, whose: int, value: Any, source: str, hours: int, **more: Any) -> None:
    at = START + timedelta(hours=hours)
    apply_writes(session, [Write(whose, "plan", value, source, at, **more)], at)


def held(session: Session, whose: int) -> tuple[Any, ...] | None:
    """Return value, source and since when, the person's own copy compared with it."""
    row = session.execute(
        sa.select(AttributeRow.__table__).where(AttributeRow.person_id == whose)
    ).one_or_none()
    copy = session.scalar(sa.select(PersonRow.attributes).where(PersonRow.id == whose)) or {}
    if row is None:
        assert copy == {}
        return None
    (value,) = copy.values()
    assert set(copy) == {f"{row.kind}:plan"}
    return value, row.source, row.changed_at


def _rank(source: str) -> int:
    return RANKS[source.partition(":")[0]]


def test_a_lower_source_never_overwrites_or_removes_a_higher_one(database: Database) -> None:
    for first, second, value in product(SOURCES, SOURCES, ["pro", None]):
        with person(database) as (session, whose):
            write(session, whose, "free", first, 1)
            write(session, whose, value, second, 2)
            found = held(session, whose)
            if _rank(second) < _rank(first):
                assert found == ("free", first, START + timedelta(hours=1))
            elif value is None:
                assert found is None
            else:
                assert found == ("pro", second, START + timedelta(hours=2))


def test_what_comes_late_does_not_replace_what_is_newer_of_its_rank(database: Database) -> None:
    for first, second in product(SOURCES, SOURCES):
        with person(database) as (session, whose):
            write(session, whose, "new", first, 5)
            write(session, whose, "old", second, 2)
            found = held(session, whose)
            assert found is not None
            assert found[0] == ("old" if _rank(second) > _rank(first) else "new")


def test_the_same_value_again_keeps_since_when_it_holds(database: Database) -> None:
    with person(database) as (session, whose):
        write(session, whose, "pro", "page", 1)
        write(session, whose, "pro", "provider:plan", 9)
        assert held(session, whose) == ("pro", "provider:plan", START + timedelta(hours=1))
        write(session, whose, "free", "page", 10)
        assert held(session, whose) == ("pro", "provider:plan", START + timedelta(hours=1))


def test_only_a_number_grows(database: Database) -> None:
    for before, after in [(2, 5), (None, 3), ("two", "two"), (True, True)]:
        with person(database) as (session, whose):
            if before is not None:
                write(session, whose, before, "api", 1)
            write(session, whose, None, "api", 2, by=3)
            found = held(session, whose)
            assert found is not None
            assert (type(found[0]), found[0]) == (type(after), after)


def test_a_number_does_not_grow_beyond_what_json_can_hold(database: Database) -> None:
    """Infinity in one person's attributes would be the end of filtering anybody by theirs."""
    with person(database) as (session, whose):
        write(session, whose, None, "api", 1, by=1e308)
        write(session, whose, None, "api", 2, by=1e308)
        [(value,)] = session.execute(sa.select(AttributeRow.value)).all()
        assert float(value) == 1e308
        plan = sa.func.json_extract(PersonRow.attributes, '$."n:plan"')
        if database.dialect != "postgresql":
            assert float(session.scalar(sa.select(plan)) or 0) == 1e308


def test_nobody_adds_to_a_number_that_the_host_computes(database: Database) -> None:
    with person(database) as (session, whose):
        write(session, whose, 10, "provider:plan", 1)
        write(session, whose, None, "api", 2, by=3)
        assert held(session, whose) == (10, "provider:plan", START + timedelta(hours=1))


def test_a_value_of_another_kind_is_another_value(database: Database) -> None:
    kinds: list[Any] = [1, "1", True, 1.5, datetime.fromisoformat("2026-03-02T10:00:00+00:00")]
    with person(database) as (session, whose):
        for hours, value in enumerate(kinds):
            write(session, whose, value, "page", hours)
            found = held(session, whose)
            assert found is not None
            assert found[2] == START + timedelta(hours=hours)
