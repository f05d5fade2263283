"""Indexes for the custom attributes that live filters ask about, made while we run.

A person's attributes are one JSON document. For the few that segments and rules compare, an
index over the expression that filters compile to serves as a column of their own would. They
are made and dropped by a job, never in a request, and named so that migrations look away.
MariaDB has no indexes over expressions: there the list is read as it was.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from .engine import Database, refresh_statistics

_log = logging.getLogger("flask_engage")

PREFIX = "ix_engage_hot_"
_PLANS_WELL = "engage_plans_well"
"""Noted of a connection, so that it isn't asked again."""
_MORE = "id, last_seen_at, deleted_at, merged_into"
"""What an index has besides the value. By the id equals are ordered in the list; by the rest
filters are answered without a look at each person."""
MOST = 16
"""Indexes at a time: each one is work at each write of a person."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What one run did."""

    created: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    """Attributes (with their kind) whose index could not be made."""


def can_be_hot(dialect: str, key: str) -> bool:
    """Tell whether the attribute `key` (``n:score``) can have an index."""
    if dialect == "sqlite":  # a path can't name a key that is written with escapes
        return key.isascii() and key.isprintable() and '"' not in key and "\\" not in key
    return dialect == "postgresql"


def index_name(key: str) -> str:
    """Return the name of the index for `key`: the same in every process."""
    # With what the index has, so that one of another make is dropped.
    return PREFIX + hashlib.sha256(f"{_MORE}/{key}".encode()).hexdigest()[:16]


def keep_hot(database: Database, keys: Iterable[str]) -> Indexed:
    """Make the indexes for the first `MOST` of `keys`, and drop those of others.

    On PostgreSQL writers go on meanwhile; on SQLite they wait some seconds at a million people.
    """
    wanted = {index_name(key): key for key in keys if can_be_hot(database.dialect, key)}
    wanted = dict(list(wanted.items())[:MOST])
    if database.dialect not in _EXPRESSIONS:
        return Indexed()
    engine = database.engine
    if database.dialect == "postgresql":
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    created, failed = [], []
    with engine.connect() as connection:
        if database.dialect == "postgresql":
            # Building takes longer than any other statement of ours, and stands in nobody's way.
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql("SET lock_timeout = 0")
        there = _existing(connection, database.dialect)
        dropped = [name for name in there if name not in wanted or not there[name]]
        for name in dropped:
            _do(connection, f"DROP INDEX {_concurrently(database)} IF EXISTS {name}")
        for name, key in wanted.items():
            if there.get(name):
                continue
            try:
                _do(connection, _create(database, name, key))
                created.append(key)
            except DBAPIError as error:
                _log.warning("flask_engage: no index for the attribute %r: %s", key, error.orig)
                connection.rollback()
                failed.append(key)
        if database.dialect == "postgresql":
            connection.invalidate()  # its limits of time are not those of the pool
    if created:  # or SQLite goes by another index, as long as it doesn't know this one's worth
        refresh_statistics(database, "engage_person")
    return Indexed(tuple(created), tuple(dropped), tuple(failed))


def plans_well(session: Session) -> bool:
    """Tell whether the database knows enough of our tables to plan a join of them.

    PostgreSQL takes a table without statistics for a row or two.
    """
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        return True
    if _PLANS_WELL in connection.info:  # once it knows enough, it goes on doing so
        return True
    known = text(
        "SELECT EXISTS (SELECT 1 FROM pg_stats WHERE schemaname = ANY(current_schemas(false)) "
        "AND tablename = 'engage_person' AND attname = 'deleted_at')"
    )
    found = bool(connection.scalar(known))
    if found:
        connection.info[_PLANS_WELL] = True
    return found


def _existing(connection: Connection, dialect: str) -> dict[str, bool]:
    """Return the names of our indexes, each with whether it is whole."""
    if dialect == "sqlite":
        query = (
            "SELECT name, 1 FROM sqlite_master WHERE type = 'index' "
            "AND tbl_name = 'engage_person' AND substr(name, 1, :length) = :prefix"
        )
    else:  # one that was cut off while being made stays behind, and is of no use
        query = (
            "SELECT c.relname, i.indisvalid FROM pg_index i "
            "JOIN pg_class c ON c.oid = i.indexrelid "
            "WHERE i.indrelid = to_regclass('engage_person') "
            "AND substr(c.relname::text, 1, :length) = :prefix"
        )
    rows = connection.execute(text(query), {"length": len(PREFIX), "prefix": PREFIX}).all()
    connection.commit()
    return {str(name): bool(valid) for name, valid in rows}


def _create(database: Database, name: str, key: str) -> str:
    expression = _EXPRESSIONS[database.dialect](key)
    return (
        f"CREATE INDEX {_concurrently(database)} IF NOT EXISTS {name} ON engage_person "
        f"({expression}, {_MORE})"
    )


def _concurrently(database: Database) -> str:
    return "CONCURRENTLY" if database.dialect == "postgresql" else ""


def _do(connection: Connection, statement: str) -> None:
    # The driver of PostgreSQL takes % for the start of a parameter.
    percent = "%%" if connection.dialect.name == "postgresql" else "%"
    connection.exec_driver_sql(statement.replace("%", percent))
    connection.commit()


def _of_sqlite(key: str) -> str:
    path = f'$."{key}"'.replace("'", "''")
    # Of a boolean, filters ask the type: what is extracted of it is a number.
    function = "json_type" if key.startswith("b:") else "json_extract"
    return f"{function}(attributes, '{path}')"


def _of_postgresql(key: str) -> str:
    literal = key.replace("'", "''")
    found = f"attributes ->> '{literal}'"
    if key.startswith("n:"):
        return f"(CAST(({found}) AS NUMERIC))"
    return f'(({found}) COLLATE "C")'


_EXPRESSIONS = {"sqlite": _of_sqlite, "postgresql": _of_postgresql}
