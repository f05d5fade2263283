"""The database's own clock, for what several machines must agree on.

The clocks of the machines differ; the database has one. Lease and job turns are judged by
it alone, and no machine's clock can stretch or cut them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .base import UTCDateTime


class database_now(FunctionElement[datetime]):  # noqa: N801  (reads as the SQL function it is)
    """The database's current moment, moved by `offset`; comparable with our time columns.

    Precise to microseconds, on SQLite to milliseconds. Not the start of the transaction: a
    statement that had to wait for a lock must not take an expired lease for a living one.
    """

    type = UTCDateTime()
    inherit_cache = False  # the offset is part of the text

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        super().__init__()
        self.microseconds = offset // timedelta(microseconds=1)


@compiles(database_now)
def _standard(_element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    raise NotImplementedError(f"No clock is known for the database {compiler.dialect.name!r}.")


@compiles(database_now, "sqlite")
def _sqlite(element: database_now, _compiler: SQLCompiler, **_: Any) -> str:
    # As text, in the form of a stored DateTime: six digits, or the comparison goes wrong.
    seconds = f"{element.microseconds / 1_000_000:+.3f} seconds"
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', '{seconds}') || '000')"


@compiles(database_now, "postgresql")
def _postgresql(element: database_now, _compiler: SQLCompiler, **_: Any) -> str:
    return f"(clock_timestamp() + INTERVAL '{element.microseconds} microseconds')"


@compiles(database_now, "mysql")
@compiles(database_now, "mariadb")
def _mysql(element: database_now, _compiler: SQLCompiler, **_: Any) -> str:
    return f"(UTC_TIMESTAMP(6) + INTERVAL {element.microseconds} MICROSECOND)"
