"""A limit of time for statements that aren't ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from .base import is_mysql

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


def _reset(connection: Connection, statement: str) -> None:
    if connection.invalidated:
        return
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError:
        connection.invalidate()  # the pool must not hand it out with our limit
