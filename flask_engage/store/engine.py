"""Our way into the database: an engine of our own and two kinds of session.

The host's pool is never borrowed from and its sessions are never touched. Our engine keeps
the host's URL, connection creator and pool listeners, and adds time limits, so that a slow
or locked database holds up nobody but our own threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from .base import is_mysql
from .shared import is_shared, shared_engine
from .trouble import tell_no_values

CONNECT_SECONDS = 2
"""A database that doesn't answer within this is down for the moment; we come back later."""
STATEMENT_SECONDS = 30
"""No statement of our threads may run longer: the work is cut into batches far below it."""
LOCK_SECONDS = 5
"""How long our threads wait for a lock of the host's before they try again later."""

_OVERFLOW = 8
"""Connections beyond the idle ones: the scheduler, the writer, an upgrade, an operator's page."""

_READ_ONLY = {"engage_read": True}
LOOK = {"engage_look": True}
"""Options of an engine for looking while the host's code runs, for however long: on SQLite a
transaction held open meanwhile would keep everybody else from committing."""


@dataclass(frozen=True, eq=False)
class Database:
    """The database that holds our tables."""

    engine: Engine
    shared: bool = False
    """One connection for the whole process (SQLite in memory): no thread of ours may work."""

    @property
    def dialect(self) -> str:
        """``sqlite``, ``postgresql`` or ``mysql`` (MariaDB too)."""
        return "mysql" if is_mysql(self.engine.dialect) else self.engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session whose transaction commits at the end, or rolls back on an error.

        On SQLite the write lock is taken at the start, so that reading and then writing
        can't fail half-way.
        """
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for looking; what it changes is rolled back."""
        engine = self.engine.execution_options(**_READ_ONLY)
        with Session(engine, expire_on_commit=False) as session:
            yield session

    def dispose(self) -> None:
        """Close the idle connections."""
        self.engine.dispose()


def open_database(source: Engine | URL | str) -> Database:
    """Return our own access to the database behind `source`; connects to nothing yet.

    `source` is the host's engine, whose connection creator and pool listeners are kept, or
    a SQLAlchemy URL.
    """
    if isinstance(source, Engine):
        if is_shared(source):
            return Database(shared_engine(source), shared=True)
        engine = _engine_like(source)
    else:
        engine = _engine_for(make_url(source))
        if is_shared(engine):
            return Database(shared_engine(engine), shared=True)
    _limit(engine)
    return Database(engine)


def engine_for_reading(host: Engine, database: Database) -> Engine:
    """Return an engine of ours for looking at the host's own tables: never the host's pool.

    Where they are in our database, that is our engine; else one like the host's.
    """
    if host.url == database.engine.url:
        return database.engine.execution_options(**_READ_ONLY)
    if is_shared(host):
        return shared_engine(host)
    engine = _engine_like(host)
    _limit(engine)
    return engine.execution_options(**_READ_ONLY)


def _engine_like(host: Engine) -> Engine:
    pool = host.pool.recreate()
    if isinstance(pool, QueuePool):
        # Enough for our threads and a request of ours, however few the host allows itself.
        pool._max_overflow = max(pool._max_overflow, _OVERFLOW)
    if isinstance(host.pool, StaticPool):
        # Its only connection is in the host's hands: each of our units of work gets its own.
        pool = NullPool(host.pool._creator)
    return create_engine(host.url, pool=pool, **_options(host.dialect))


def _engine_for(url: URL) -> Engine:
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        return create_engine(
            url,
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
            **_options_for(backend),
        )
    if backend == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        arguments: dict[str, Any] = {"timeout": LOCK_SECONDS}
    else:
        arguments = {"connect_timeout": CONNECT_SECONDS}
    return create_engine(
        url,
        poolclass=QueuePool,
        pool_size=2,
        max_overflow=_OVERFLOW,
        pool_timeout=CONNECT_SECONDS,
        pool_pre_ping=True,
        connect_args=arguments,
        **_options_for(backend),
    )


def _options(dialect: Any) -> dict[str, Any]:
    return _options_for("mysql" if is_mysql(dialect) else dialect.name)


def _options_for(backend: str) -> dict[str, Any]:
    # What a statement was given are people's addresses and names: no matter for a log.
    options: dict[str, Any] = {"hide_parameters": True}
    if backend != "sqlite":
        # MySQL's default, REPEATABLE READ, hides rows that another writer has just committed.
        options["isolation_level"] = "READ COMMITTED"
    return options


def _limit(engine: Engine) -> None:
    """Give each connection of `engine` our time limits; its errors quote nobody's data."""
    event.listen(engine, "connect", _LIMITS[_backend(engine)])
    event.listen(engine, "handle_error", tell_no_values)
    if _backend(engine) == "sqlite":
        event.listen(engine, "begin", _begin_sqlite)


def _backend(engine: Engine) -> str:
    return "mysql" if is_mysql(engine.dialect) else engine.dialect.name


def _limit_sqlite(raw: Any, _record: Any) -> None:
    # Transactions begin by our own word (see _begin_sqlite), not by the driver's guess.
    raw.isolation_level = None
    cursor = raw.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _limit_postgresql(raw: Any, _record: Any) -> None:
    autocommit, raw.autocommit = raw.autocommit, True
    with raw.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
        cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        cursor.execute("SET TIME ZONE 'UTC'")
    raw.autocommit = autocommit


def _limit_mysql(raw: Any, _record: Any) -> None:
    with raw.cursor() as cursor:
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}")
        cursor.execute("SET SESSION time_zone = '+00:00'")
        cursor.execute(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,"
            "ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE'"
        )


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("engage_look"):
        return  # each statement for itself
    if connection.get_execution_options().get("engage_read"):
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


_LIMITS = {
    "sqlite": _limit_sqlite,
    "postgresql": _limit_postgresql,
    "mysql": _limit_mysql,
}


def refresh_statistics(database: Database, table: str) -> None:
    """Let the database look anew at how one of our tables is filled, so that it plans well."""
    with database.engine.begin() as connection:
        if database.dialect == "sqlite":
            # A sample is enough, and holds the write lock for milliseconds.
            connection.exec_driver_sql("PRAGMA analysis_limit = 1000")
        words = "ANALYZE TABLE" if database.dialect == "mysql" else "ANALYZE"
        connection.exec_driver_sql(f"{words} {table}")
