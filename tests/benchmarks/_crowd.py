"""A crowd to filter: people, events and what was sent, written set by set in SQL.

A bit more than a third of the people did anything, some of them much more than others; two in
three were last seen more than two weeks ago. The same numbers come out on each database.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from flask_engage.store.engine import Database

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAYS = 60
"""Of events."""
EVENTS = ("exported", "opened", "shared", "paid", "invited")
"""From the most usual to the rarest."""
STEP = 500_000
"""Rows of one statement."""
BIG = ("engage_person", "engage_event", "engage_session")
"""Tables whose indexes are made when they are full."""

_DIGITS = " UNION ALL ".join(f"SELECT {digit} AS n" for digit in range(10))
_EPOCH = int(NOW.timestamp())


def fill(database: Database, people: int, events: int) -> None:
    """Write a crowd into our empty tables."""
    engine = sa.create_engine(database.engine.url)  # without the limits of time of our own
    with engine.begin() as connection:
        later = _indexes(connection)
        for name in later:
            connection.execute(sa.text(f"DROP INDEX {name}"))
    for first in range(0, people, STEP):
        count = min(STEP, people - first)
        for text in _of_people(database.dialect, first, count):
            _run(engine, text)
    for first in range(0, events, STEP):
        _run(engine, _of_events(database.dialect, first, min(STEP, events - first), people))
    for first in range(0, people * 2, STEP):
        _run(engine, _of_sessions(database.dialect, first, min(STEP, people * 2 - first), people))
    with engine.begin() as connection:
        for definition in later.values():
            connection.exec_driver_sql(definition)
    for text in _SUMS:
        _run(engine, text)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if database.dialect == "postgresql":
            connection.execute(sa.text("VACUUM ANALYZE"))
        else:
            connection.execute(sa.text("ANALYZE"))
    engine.dispose()


def _indexes(connection: sa.Connection) -> dict[str, str]:
    """Return what the migrations made of the big tables' indexes: not all that the classes say."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN :tables"
    else:
        query = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN :tables "
            "AND indexname LIKE 'ix%'"
        )
    tables = sa.bindparam("tables", BIG, expanding=True)
    rows = connection.execute(sa.text(query).bindparams(tables)).all()
    return {name: definition for name, definition in sorted(rows) if definition}


def _run(engine: sa.Engine, text: str) -> None:
    with engine.begin() as connection:
        # The driver of PostgreSQL takes % for the start of a parameter.
        percent = "%%" if engine.dialect.name == "postgresql" else "%"
        connection.exec_driver_sql(text.replace("%", percent))


def _numbers(first: int, count: int) -> str:
    places = range(len(str(count - 1)))
    whole = " + ".join(f"d{place}.n * {10**place}" for place in places)
    tables = ", ".join(f"({_DIGITS}) d{place}" for place in places)
    big = f"CAST({whole} AS BIGINT)"
    return f"(SELECT {big} + {first} AS n FROM {tables} WHERE {whole} < {count}) numbers"


def _ago(dialect: str, seconds: str) -> str:
    if dialect == "sqlite":
        return f"strftime('%Y-%m-%d %H:%M:%S', {_EPOCH} - ({seconds}), 'unixepoch') || '.000000'"
    return f"to_timestamp({_EPOCH} - ({seconds}))"


def _json(dialect: str, text: str) -> str:
    return text if dialect == "sqlite" else f"CAST({text} AS JSONB)"


def _hash(number: str, salt: int) -> str:
    return f"((({number}) * {2654435761 + 2 * salt * 7368787}) % 4294967296 / 64)"


def _of_people(dialect: str, first: int, count: int) -> list[str]:
    numbers = _numbers(first, count)
    seen = f"{_hash('n', 1)} % 100"
    since = f"(CASE WHEN {seen} < 36 THEN 1209600 ELSE 15552000 END)"
    last = _ago(dialect, f"{_hash('n', 2)} % {since}")
    plan = f"CASE {_hash('n', 3)} % 10 WHEN 0 THEN 'pro' WHEN 1 THEN 'team' ELSE 'free' END"
    document = (
        f"""'{{"n:invites sent": ' || ({_hash("n", 4)} % 30) || """
        f"""', "s:plan": "' || ({plan}) || '", """
        f""""n:score": ' || ({_hash("n", 5)} % 100000) || ', "b:active": true}}'"""
    )
    text = "CAST(n AS VARCHAR(20))"
    made = _ago(dialect, "0")
    country = f"CASE {_hash('n', 6)} % 8 WHEN 0 THEN 'DE' WHEN 1 THEN 'FR' ELSE 'US' END"
    return [
        (
            "INSERT INTO engage_person (id, public_id, kind, user_id, email, name, signed_up_at, "
            "first_seen_at, last_seen_at, session_count, country, attributes, created_at, "
            "updated_at) "
            f"SELECT n + 1, {text}, 'user', {text}, {text} || '@example.com', 'Person ' || {text}, "
            f"{_ago(dialect, 'n * 15')}, {_ago(dialect, 'n * 15')}, {last}, "
            f"{_hash('n', 7)} % 20, {country}, {_json(dialect, document)}, {made}, {made} "
            f"FROM {numbers}"
        ),
        (
            "INSERT INTO engage_person_tag (person_id, name, created_at) "
            f"SELECT n + 1, CASE n % 3 WHEN 0 THEN 'vip' ELSE 'beta' END, {made} FROM {numbers} "
            f"WHERE {_hash('n', 8)} % 20 = 0"
        ),
        (
            "INSERT INTO engage_relationship (person_id, score, hearts, trend, recency, frequency, "
            f"depth, reply, computed_at) SELECT n + 1, {_hash('n', 9)} % 100, {_hash('n', 9)} % 6, "
            f"0, 0, 0, 0, 0, {made} FROM {numbers}"
        ),
        *(
            "INSERT INTO engage_attribute (person_id, name, kind, value, source, computed_at, "
            f"changed_at) SELECT n + 1, '{name}', '{kind}', {value}, 'page', {made}, "
            f"{_ago(dialect, _hash('n', 10) + ' % 5184000')} FROM {numbers}"
            for name, kind, value in (
                ("plan", "s", f"""'"' || ({plan}) || '"'"""),
                ("invites sent", "n", f"CAST({_hash('n', 4)} % 30 AS VARCHAR(20))"),
                ("score", "n", f"CAST({_hash('n', 5)} % 100000 AS VARCHAR(20))"),
                ("active", "b", "'true'"),
            )
        ),
        (
            "INSERT INTO engage_delivery (id, public_id, source, person_id, occurrence, channel, "
            "variant, content_version, state, not_before, attempts, sent_at, created_at, "
            "updated_at) "
            f"SELECT n + 1, {text}, 'rule:welcome', n + 1, '1', 'email', '', 1, 'sent', {made}, 1, "
            f"{made}, {made}, {made} FROM {numbers} WHERE {_hash('n', 11)} % 10 < 3"
        ),
        (
            "INSERT INTO engage_delivery_event (delivery_id, kind, detail, occurred_at) "
            f"SELECT id, 'clicked', '', {made} FROM engage_delivery WHERE id > {first} "
            f"AND id % 7 = 0"
        ),
    ]


def _of_events(dialect: str, first: int, count: int, people: int) -> str:
    active = people * 377 // 1000
    who = f"({_hash('n', 12)} % 1024) * ({_hash('n', 13)} % {active}) / 1024"
    draw = f"{_hash('n', 14)} % 100"
    name = f"CASE WHEN {draw} < 40 THEN 'exported' WHEN {draw} < 70 THEN 'opened' "
    name += f"WHEN {draw} < 90 THEN 'shared' WHEN {draw} < 98 THEN 'paid' ELSE 'invited' END"
    at = _ago(dialect, f"{_hash('n', 15)} % {DAYS * 86400}")
    properties = _json(dialect, f"""'{{"amount": ' || ({_hash("n", 16)} % 200) || '}}'""")
    return (
        "INSERT INTO engage_event (id, person_id, name, properties, occurred_at, received_at) "
        f"SELECT n + 1, 1 + ({who}) * 1000 / 377, {name}, {properties}, {at}, {at} "
        f"FROM {_numbers(first, count)}"
    )


def _of_sessions(dialect: str, first: int, count: int, people: int) -> str:
    at = _ago(dialect, f"{_hash('n', 17)} % {DAYS * 86400}")
    device = f"CASE {_hash('n', 18)} % 3 WHEN 0 THEN 'mobile' ELSE 'desktop' END"
    return (
        "INSERT INTO engage_session (id, person_id, started_at, last_at, hits, "
        f"previous_sessions, device) SELECT n + 1, 1 + {_hash('n', 19)} % {people}, {at}, {at}, "
        f"1, 0, {device} FROM {_numbers(first, count)}"
    )


_SUMS = (
    (
        "INSERT INTO engage_event_summary (person_id, name, count, first_at, last_at) "
        "SELECT person_id,"
        " name, COUNT(*), MIN(occurred_at), MAX(occurred_at) "
        "FROM engage_event GROUP BY person_id, name"
        " ORDER BY person_id, name"
    ),
    (
        "INSERT INTO engage_event_name (name, count, first_at, last_at) SELECT name, SUM(count), "
        "MIN(first_at), MAX(last_at) FROM engage_event_summary GROUP BY name"
    ),
)
