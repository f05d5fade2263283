"""The database's own clock, for what several machines must agree on.

The clocks of the machines differ; the database has one. Lease and job turns are judged by
it alone, and no machine's clock can stretch or cut them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, literal
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
    inherit_cache = True  # the offset is bound: looks every second are not to be compiled anew

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        super().__init__(literal(offset // timedelta(microseconds=1), BigInteger))


@compiles(database_now)
def _standard(_element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    raise NotImplementedError(f"No clock is known for the database {compiler.dialect.name!r}.")


@compiles(database_now, "sqlite")
def _sqlite(element: database_now, compiler: SQLCompiler, **more: Any) -> str:
    # As text, in the form of a stored DateTime: six digits, or the comparison goes wrong.
    seconds = f"printf('%+.3f seconds', {compiler.process(element.clauses, **more)} / 1000000.0)"
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds}) || '000')"


@compiles(database_now, "postgresql")
def _postgresql(element: database_now, compiler: SQLCompiler, **more: Any) -> str:
    microseconds = compiler.process(element.clauses, **more)
    return f"(clock_timestamp() + {microseconds} * INTERVAL '1 microsecond')"


@compiles(database_now, "mysql")
@compiles(database_now, "mariadb")
def _mysql(element: database_now, compiler: SQLCompiler, **more: Any) -> str:
    microseconds = compiler.process(element.clauses, **more)
    return f"(UTC_TIMESTAMP(6) + INTERVAL {microseconds} MICROSECOND)"
