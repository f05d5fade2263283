"""A limit of time for statements that aren't ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from .base import is_mysql
from .engine import Database

T = TypeVar("T")

_EARLY_SECONDS = 0.05
"""By so much the clock of the database may be ahead of ours."""

_SQLITE_STEPS = 10_000
"""Instructions of SQLite's machine between two looks at the clock: about a millisecond."""


@contextmanager
def statements_within(session: Session, seconds: float) -> Iterator[None]:
    """Let the database end each statement in the block that takes longer than `seconds`.

    :raises sqlalchemy.exc.DBAPIError: in the block, from a statement that was ended.
    """
    connection = session.connection()
    dialect = connection.dialect
    if is_mysql(dialect):
        is_mariadb = bool(getattr(dialect, "is_mariadb", False))
        name = "max_statement_time" if is_mariadb else "max_execution_time"
        value = seconds if is_mariadb else int(seconds * 1000)
        connection.exec_driver_sql(f"SET SESSION {name} = {value}")
        try:
            yield
        finally:
            _reset(connection, f"SET SESSION {name} = DEFAULT")
    elif dialect.name == "sqlite":
        raw: Any = connection.connection.driver_connection
        end = time.monotonic() + seconds
        raw.set_progress_handler(lambda: time.monotonic() > end, _SQLITE_STEPS)
        try:
            yield
        finally:
            raw.set_progress_handler(None, 0)
    else:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
        yield


def read_within(database: Database, seconds: float, work: Callable[[Session], T]) -> T | None:
    """Return what `work` reads, or None if the database ended it because of the time.

    :param seconds: what a statement of `work` may take (on SQLite, all of them).
    :raises sqlalchemy.exc.DBAPIError: if a statement failed for another reason.
    """
    end = time.monotonic() + seconds
    try:
        with database.read() as session, statements_within(session, seconds):
            return work(session)
    except DBAPIError:
        if time.monotonic() < end - _EARLY_SECONDS:
            raise  # it was not our limit that ended it
        return None


def _reset(connection: Connection, statement: str) -> None:
    if connection.invalidated:
        return
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError:
        connection.invalidate()  # the pool must not hand it out with our limit
