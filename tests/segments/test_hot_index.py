"""Attributes that live filters ask about get an index, and lose it when nobody asks any more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, text

from flask_engage.segments.compile import CompileContext, where
from flask_engage.segments.filter import Filter
from flask_engage.segments.hot import hot_keys
from flask_engage.segments.words import ago, attr, did, in_segment, person
from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow
from flask_engage.store.hot_index import MOST, can_be_hot, index_name, keep_hot
from flask_engage.store.migrate import SchemaState, schema_state, upgrade
from flask_engage.store.person import PersonRow, is_live
from tests.segments._world import NOW

NAME = "it's %s :x"
KEYS = [f"n:{NAME}", "s:plan"]


def _fill(database: Database) -> None:
    with database.write() as session:
        session.execute(
            insert(PersonRow.__table__),  # type: ignore[arg-type]
            [
                {
                    "user_id": str(n),
                    "last_seen_at": NOW - timedelta(days=n % 90),
                    "attributes": {f"n:{NAME}": n, "s:plan": f"p{n % 500}"},
                    "created_at": NOW,
                    "updated_at": NOW,
                }
                for n in range(3000)
            ],
        )


def _plan(database: Database, wanted: Filter) -> str:
    context = CompileContext(database.dialect, whole=True)
    query = select(PersonRow.id).where(is_live(), where(wanted, now=NOW, context=context))
    words = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    with database.read() as session:
        compiled = query.compile(session.connection(), compile_kwargs={"literal_binds": True})
        rows = session.connection().exec_driver_sql(words + str(compiled)).all()
    return "\n".join(str(row[-1]) for row in rows)


def test_attributes_that_are_compared_are_hot_the_most_used_first() -> None:
    segments = {"rich": attr("mrr") >= 10, "also": in_segment("rich") & (attr("plan") == "pro")}
    rules = [in_segment("rich"), ~did("a") | attr("score").in_([1, 2]), attr("note").contains("x")]
    assert hot_keys(rules, segments) == ["n:mrr", "n:score", "s:plan"]
    assert hot_keys([], {"a": in_segment("b"), "b": in_segment("a")}) == []


def test_a_hot_attribute_is_found_by_its_index(database: Database) -> None:
    if database.dialect == "mysql":
        assert keep_hot(database, KEYS).created == ()
        return
    _fill(database)
    slipping = (attr(NAME) >= 2990) & (person.last_seen < ago(days=14))
    assert keep_hot(database, KEYS).created == tuple(KEYS)
    assert keep_hot(database, KEYS).created == ()
    assert index_name(KEYS[0]) in _plan(database, slipping)
    assert index_name(KEYS[1]) in _plan(database, attr("plan") == "p7")
    assert schema_state(database) is SchemaState.CURRENT
    upgrade(database)
    assert keep_hot(database, KEYS[:1]).dropped == (index_name(KEYS[1]),)
    assert len(keep_hot(database, []).dropped) == 1


def test_there_are_never_more_than_some(database: Database) -> None:
    keys = [f"n:a{number}" for number in range(MOST + 3)]
    if database.dialect != "mysql":
        assert len(keep_hot(database, keys).created) == MOST
        keep_hot(database, [])


@pytest.mark.parametrize("key", ["n:é", 'n:a"b', "n:a\\b"])
def test_what_a_path_cant_name_has_no_index_on_sqlite(key: str) -> None:
    assert not can_be_hot("sqlite", key)
    assert can_be_hot("postgresql", key)


def test_no_condition_reads_events_where_something_smaller_serves(database: Database) -> None:
    if database.dialect == "mysql":
        return
    _fill(database)
    with database.write() as session:
        someone = session.scalar(select(PersonRow.id).limit(1))
        session.execute(
            insert(EventRow.__table__),  # type: ignore[arg-type]
            [
                {
                    "person_id": someone,
                    "name": "a" if number % 500 == 0 else "b",
                    "properties": {},
                    "occurred_at": NOW - timedelta(hours=number),
                    "received_at": NOW,
                }
                for number in range(5000)
            ],
        )
    with database.engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    for wanted in (
        did("a"),
        did("a").at_least(3),
        did("a").exactly(0),
        ~did("a") | (attr("plan") == "p7"),
        did("a").first < ago(days=3),
        did("a").last.is_set(),
    ):
        plan = _plan(database, wanted)
        assert "engage_event_summary" in plan
        assert "engage_event " not in plan.replace("engage_event\n", "engage_event "), plan
    windowed = _plan(database, did("a").at_least(2).within(days=7))
    assert "SCAN engage_event" not in windowed
    assert "Seq Scan on engage_event" not in windowed
