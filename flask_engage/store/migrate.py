"""Creating and evolving our tables, with a version table of our own.

Safe when many processes start at once: one migrates, the others wait for it. The host's
own migrations know nothing of this.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, inspect, select, table, text

from ..errors import SchemaError
from .base import Base
from .engine import Database
from .hot_index import PREFIX as HOT_PREFIX

if TYPE_CHECKING:
    from alembic.config import Config

_log = logging.getLogger("flask_engage")

VERSION_TABLE = "engage_alembic_version"
HEAD = "0005"
"""The schema that this version of the code works with; a test compares it with Alembic's."""

_LOCK_NAME = "engage_migrate"
_LOCK_NUMBER = 7_310_517_260_913_001
"""Any constant will do for PostgreSQL's advisory lock, as long as it is always the same."""
_LOCK_WAIT_SECONDS = 120
_FOLDER = Path(__file__).parent / "migrations"
_ALEMBIC = threading.Lock()
"""Alembic keeps its context in module globals: one thread of a process at a time."""


class SchemaState(StrEnum):
    """How the tables in the database stand to this version of the code."""

    MISSING = "missing"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"
    UNVERSIONED = "unversioned"


def schema_state(database: Database) -> SchemaState:
    """Look which schema the database has. Cheap: at most two small queries.

    :raises sqlalchemy.exc.DBAPIError: if the database is away.
    """
    with database.read() as session:
        connection = session.connection()
        tables = inspect(connection)
        if not tables.has_table(VERSION_TABLE):
            has_ours = tables.has_table("engage_person")
            return SchemaState.UNVERSIONED if has_ours else SchemaState.MISSING
        return _state_of(_version(connection))


def upgrade(database: Database) -> str:
    """Bring the tables to this version of the code and return its revision.

    Waits for another process that is doing the same.

    :raises SchemaError: if the tables are newer than this code, or there without a version
        and different from what this code would have made.
    """
    with _locked(database) as connection:
        tables = inspect(connection)
        has_version = tables.has_table(VERSION_TABLE)
        found = _version(connection) if has_version else None
        if found is not None and _state_of(found) is SchemaState.NEWER:
            raise SchemaError(
                f"The engage_ tables are at revision {found!r}, which this version of "
                f"flask_engage (revision {HEAD!r}) doesn't know. Upgrade flask-engage."
            )
        if found is None and tables.has_table("engage_person") and not _half_done(connection):
            _adopt(connection)
        if found != HEAD:
            _run_alembic(connection)
    return HEAD


def _version(connection: Connection) -> str | None:
    versions = table(VERSION_TABLE, column("version_num"))
    row = connection.execute(select(versions.c.version_num)).first()
    return None if row is None else str(row[0])


def _state_of(version: str | None) -> SchemaState:
    if version is None:
        return SchemaState.MISSING
    if version == HEAD:
        return SchemaState.CURRENT
    # Revisions are numbered upwards, so that code knows a newer one without having it.
    return SchemaState.OLDER if version < HEAD else SchemaState.NEWER


def _half_done(connection: Connection) -> bool:
    """Tell whether an upgrade was cut off (MySQL commits each step by itself)."""
    present = set(inspect(connection).get_table_names())
    return any(table not in present for table in Base.metadata.tables)


def _adopt(connection: Connection) -> None:
    """Stamp tables that are there without a version, if they are what we would have made."""
    from alembic.autogenerate import compare_metadata

    differences = compare_metadata(_context(connection), Base.metadata)
    if differences:
        raise SchemaError(
            "There are engage_ tables without a version, and they differ from what this "
            f"version makes (first of {len(differences)} differences: {differences[0]!r}). "
            "Drop them, or bring them to the expected form, and run 'flask engage upgrade'."
        )
    _log.info("flask_engage: found its tables without a version; they fit, and are stamped.")
    _stamp(connection)


def _is_made_by_migrations(name: str | None, kind: str, _parents: object) -> bool:
    """Tell whether a table or an index is one that migrations make, or none of ours at all."""
    if kind == "index":
        return not str(name).startswith(HOT_PREFIX)
    return kind != "table" or (str(name).startswith("engage_") and name != VERSION_TABLE)


def _context(connection: Connection):  # type: ignore[no-untyped-def]
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(
        connection,
        opts={
            "version_table": VERSION_TABLE,
            "compare_type": False,
            "include_name": _is_made_by_migrations,
        },
    )


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _run_alembic(connection: Connection) -> None:
    from alembic import command

    with _ALEMBIC:
        command.upgrade(_config(connection), "head")


def _stamp(connection: Connection) -> None:
    from alembic import command

    with _ALEMBIC:
        command.stamp(_config(connection), "head")


@contextmanager
def _locked(database: Database) -> Iterator[Connection]:
    """Hold the one lock for migrations, in a transaction that commits at the end."""
    # SQLite: our transactions begin with BEGIN IMMEDIATE, which is the lock. The other two
    # hold theirs on a connection apart: it must be let go after the commit, not with it.
    if database.dialect == "sqlite":
        with (
            database.engine.connect() as connection,
            _waiting_longer(connection),
            connection.begin(),
        ):
            yield connection
        return
    with database.engine.connect() as guard:
        _lock(guard, database.dialect)
        try:
            with database.engine.begin() as connection:
                yield connection
        finally:
            _unlock(guard, database.dialect)


@contextmanager
def _waiting_longer(connection: Connection) -> Iterator[None]:
    """Have an SQLite connection wait for a lock as long as an upgrade by others may take."""
    raw = connection.connection.driver_connection
    assert raw is not None
    (usual,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT_SECONDS * 1000}")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {usual}")


def _lock_name(guard: Connection) -> str:
    """Return the lock's name: on MySQL and MariaDB one name is one lock of the whole server."""
    database = str(guard.engine.url.database)
    return f"{_LOCK_NAME}:{hashlib.sha256(database.encode()).hexdigest()[:16]}"


def _lock(guard: Connection, dialect: str) -> None:
    if dialect == "postgresql":
        guard.execute(text(f"SET statement_timeout = '{_LOCK_WAIT_SECONDS}s'"))
        guard.execute(text(f"SET lock_timeout = '{_LOCK_WAIT_SECONDS}s'"))
        guard.execute(text("SELECT pg_advisory_lock(:number)"), {"number": _LOCK_NUMBER})
        guard.commit()
        return
    got = guard.scalar(
        text("SELECT GET_LOCK(:name, :seconds)"),
        {"name": _lock_name(guard), "seconds": _LOCK_WAIT_SECONDS},
    )
    if got != 1:
        raise SchemaError(
            "Another process has been upgrading the engage_ tables for over "
            f"{_LOCK_WAIT_SECONDS} seconds; look what it is doing, then try again."
        )


def _unlock(guard: Connection, dialect: str) -> None:
    if dialect == "postgresql":
        guard.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": _LOCK_NUMBER})
        guard.commit()
    else:
        guard.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _lock_name(guard)})
    # The time limits set above belong to this one wait, not to the pool.
    guard.invalidate()
