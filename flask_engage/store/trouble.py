"""Which database errors pass by themselves, so that trying again is the right answer."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

#: PostgreSQL: serialisation, deadlock, lock not available; server going down or starting up.
_SQLSTATES = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03"})
#: MySQL and MariaDB: lock wait timeout, deadlock; too many connections; server gone or lost.
_NUMBERS = frozenset({1205, 1213, 1040, 2002, 2003, 2006, 2013, 2055})
_SQLITE_WORDS = ("database is locked", "database table is locked", "database is busy")


def is_passing(error: BaseException) -> bool:
    """Tell whether `error` comes from a lock, a deadlock or a connection, not from our SQL."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    cause = error.orig
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        # Class 08: connection exceptions.
        return state in _SQLSTATES or state.startswith("08")
    number = cause.args[0] if cause is not None and cause.args else None
    if isinstance(number, int):
        return number in _NUMBERS
    text = str(cause)
    if any(word in text for word in _SQLITE_WORDS):
        return True
    # psycopg says "connection failed" without a state when no server answers.
    return type(cause).__name__ == "OperationalError" and "connection" in text


def is_missing_table(error: DBAPIError) -> bool:
    """Tell whether `error` says that a table is not there."""
    cause = error.orig
    if getattr(cause, "sqlstate", None) == "42P01":
        return True
    number = cause.args[0] if cause is not None and cause.args else None
    return number == 1146 or "no such table" in str(cause)


#: What the database raises at us, whichever of the three it is.
DATABASE_ERRORS = (DBAPIError, PoolTimeout)
