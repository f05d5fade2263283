"""Many rows in one statement: the same values on each database as one by one."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from flask_engage.store.attribute import AttributeRow
from flask_engage.store.bulk import Insert, InsertNew, Update, Upsert
from flask_engage.store.engine import Database
from flask_engage.store.event import EventTotalRow
from flask_engage.store.person import PersonRow
from tests._clock import START

EAST = timezone(timedelta(hours=5, minutes=30))
COLUMNS = (
    "public_id",
    "kind",
    "user_id",
    "name",
    "session_count",
    "attributes",
    "last_seen_at",
    "created_at",
    "updated_at",
)
add_people = Insert(PersonRow.__table__, COLUMNS)
add_new_people = InsertNew(PersonRow.__table__, COLUMNS)
change_people = Update(
    PersonRow.__table__, ("name", "session_count", "attributes", "last_seen_at", "country")
)
add_totals = Upsert(
    EventTotalRow.__table__,
    ("day", "name", "count"),
    ("day", "name"),
    lambda table, incoming: {"count": table.c["count"] + incoming("count")},
)

ODD = 'it\'s "50%" of %s \\ ?1 :x {} 日本 é 🎈\n\t end '
DOCUMENT = {"s:odd": ODD, "n:big": 2**53, "n:real": 0.1, "b:yes": True, "s:deep": {"a": [None]}}


def person(user_id: str, **more: Any) -> tuple[Any, ...]:
    values = {
        "public_id": f"p{user_id}",
        "kind": "user",
        "user_id": user_id,
        "name": None,
        "session_count": 0,
        "attributes": {},
        "last_seen_at": None,
        "created_at": START,
        "updated_at": START,
        **more,
    }
    return tuple(values[name] for name in COLUMNS)


def people(database: Database) -> dict[str, Any]:
    with database.read() as session:
        return {row.user_id: row for row in session.execute(sa.select(PersonRow.__table__))}


def test_values_go_in_as_they_are(database: Database) -> None:
    moment = datetime(2026, 7, 1, 23, 59, 59, 7, tzinfo=EAST)
    with database.write() as session:
        add_people(session, [])
        add_people(
            session,
            [person("1", name=ODD, attributes=DOCUMENT, last_seen_at=moment), person("2")],
        )
    found = people(database)
    assert found["1"].name == ODD
    assert found["1"].attributes == DOCUMENT
    assert found["1"].last_seen_at == moment
    assert found["1"].created_at.tzinfo is UTC
    assert (found["2"].name, found["2"].last_seen_at, found["2"].attributes) == (None, None, {})


def test_a_row_that_is_there_is_left_alone_or_refused(database: Database) -> None:
    with database.write() as session:
        add_people(session, [person("1", name="first")])
    with database.write() as session:
        add_new_people(session, [person("1", name="second"), person("2", name="new")])
    assert {key: row.name for key, row in people(database).items()} == {"1": "first", "2": "new"}
    with pytest.raises(sa.exc.IntegrityError), database.write() as session:
        add_people(session, [person("3"), person("1")])
    assert set(people(database)) == {"1", "2"}


def test_rows_are_added_to(database: Database) -> None:
    day = START.date()
    for amounts in ([1, 2], [10, 20]):
        with database.write() as session:
            add_totals(session, [(day, f"it's 100% {n}", n) for n in amounts] + [(day, "x", 5)])
    with database.read() as session:
        rows = session.execute(
            sa.select(EventTotalRow.name, EventTotalRow.count).order_by(EventTotalRow.name)
        ).all()
    assert ("x", 10) in [tuple(row) for row in rows]
    assert sorted(count for _, count in rows) == [1, 2, 10, 10, 20]


def test_many_rows_are_changed_each_in_its_way(database: Database) -> None:
    with database.write() as session:
        add_people(session, [person(str(n), name="before") for n in range(300)])
    ids = {key: row.id for key, row in people(database).items()}
    later = START + timedelta(microseconds=1)
    with database.write() as session:
        change_people(
            session,
            [
                (
                    ids[str(n)],
                    ODD if n % 2 else None,
                    n,
                    DOCUMENT,
                    later + n * START.resolution,
                    "B",
                )
                for n in range(299)
            ],
        )
    found = people(database)
    assert found["299"].name == "before"
    for n in range(299):
        row = found[str(n)]
        assert (row.name, row.session_count) == (ODD if n % 2 else None, n)
        assert row.last_seen_at == later + n * START.resolution
        assert row.attributes == DOCUMENT


def test_it_takes_one_round_trip(database: Database) -> None:
    """Not one for each row: that is what makes a writer slow on a server."""
    if database.dialect == "sqlite":
        return  # there is nobody to travel to
    sent: list[int] = []
    with database.write() as session:
        raw: Any = session.connection().connection.dbapi_connection
        _count_queries(raw, sent)
        rows = [person(str(n)) for n in range(500)]
        add_people(session, rows)
        add_new_people(session, rows)
        ids = session.scalars(sa.select(PersonRow.id)).all()
        sent.clear()
        add_new_people(session, rows)
        change_people(session, [(id_, "x", 1, {}, START, None) for id_ in ids])
        add_totals(session, [(START.date(), str(n), 1) for n in range(500)])
    assert len(sent) == 3


def _count_queries(raw: Any, sent: list[int]) -> None:
    if hasattr(raw, "query"):  # PyMySQL
        query = raw.query
        raw.query = lambda *args, **more: (sent.append(1), query(*args, **more))[1]
        return
    factory = raw.cursor_factory

    class Counting(factory):  # type: ignore[misc,valid-type]
        def execute(self, *args: Any, **more: Any) -> Any:
            sent.append(1)
            return super().execute(*args, **more)

        def executemany(self, query: Any, rows: Any, **more: Any) -> Any:
            sent.extend([1] * len(rows))
            return super().executemany(query, rows, **more)

    raw.cursor_factory = Counting


def test_what_does_not_fit_is_refused_and_not_cut(database: Database) -> None:
    if database.dialect == "sqlite":
        return  # takes texts of any length
    with database.write() as session:
        add_people(session, [person("1")])
    [row] = people(database).values()
    for name in ("x" * 256, "é" * 256):
        with pytest.raises(sa.exc.DBAPIError), database.write() as session:
            add_people(session, [person("2", name=name)])
        with pytest.raises(sa.exc.DBAPIError), database.write() as session:
            change_people(session, [(row.id, name, 1, {}, START, None)])
    assert people(database) == {"1": row}


def test_errors_quote_nobody(database: Database) -> None:
    """PostgreSQL shows the whole row that it refuses, MariaDB the value: people's data."""
    with database.write() as session:
        add_people(session, [person("ada@secret.example")])
    refused = [
        person("ada@secret.example", name="secret for key 'secret'"),
        person("3", name="secret", created_at=None),
    ]
    if database.dialect != "sqlite":  # takes texts of any length
        refused += [
            person("2", name="secret\0" if database.dialect == "postgresql" else "secret" * 99)
        ]
    for row in refused:
        with pytest.raises(sa.exc.DBAPIError) as error, database.write() as session:
            add_people(session, [person("1"), row])
        assert "secret" not in "".join(traceback.format_exception(error.value))
        assert "secret" not in repr(error.value.orig)


def test_the_key_may_have_any_name(database: Database) -> None:
    """Not only ``id``: attributes are found by their person."""
    replace = Upsert(
        AttributeRow.__table__,
        ("person_id", "name", "kind", "value", "source", "computed_at", "changed_at"),
        ("person_id", "name"),
        lambda _table, incoming: {"value": incoming("value")},
    )
    with database.write() as session:
        add_people(session, [person("1")])
        whose = session.scalar(sa.select(PersonRow.id))
        for value in ("1", "2"):
            replace(session, [(whose, "n", "n", value, "api", START, START)])
    with database.read() as session:
        assert session.scalars(sa.select(AttributeRow.value)).all() == ["2"]
