"""Which database errors pass by themselves, so that trying again is the right answer."""

from __future__ import annotations

import re

from sqlalchemy import ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

#: PostgreSQL: serialisation, deadlock, lock not available; server going down or starting up.
_SQLSTATES = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03"})
#: MySQL and MariaDB: lock wait timeout, deadlock, and the next id not to be had, which is how
#: InnoDB tells of either when it waits for a table's counter; too many connections; server gone
#: or lost.
_NUMBERS = frozenset({1205, 1213, 1467, 1040, 2002, 2003, 2006, 2013, 2055})
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
    # MySQL's drivers give a number, newer ones a state beside it, which says less.
    number = cause.args[0] if cause is not None and cause.args else None
    if isinstance(number, int):
        return number in _NUMBERS
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        # Class 08: connection exceptions.
        return state in _SQLSTATES or state.startswith("08")
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


#: What MariaDB and MySQL say of a column or key behind the value that they quote before it.
_PLACE = re.compile(r" for (?:key|column) [`'][\w.`']+(?: at row \d+)?$")
#: MySQL and MariaDB: a duplicate; wrong values, which they quote; one that is no JSON or date.
_QUOTING = frozenset({1062, 1292, 1366, 1411, 1525, 3140})


def tell_no_values(context: ExceptionContext) -> None:
    """Take the values of rows, which are people's, out of what an error says.

    Databases quote them, and errors end up in logs. What kind of error it is and where it
    happened stays. SQLite names columns only.
    """
    cause, error = context.original_exception, context.sqlalchemy_exception
    if not isinstance(error, DBAPIError) or not cause.args:
        return
    number = cause.args[0]
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
    if isinstance(number, int):
        if number not in _QUOTING:
            return
        place = _PLACE.search(str(cause.args[-1]))
        cause.args = (number, f"a value is refused{place[0] if place else ''}")
    elif state[:2] in ("22", "23", "54"):
        text = getattr(getattr(cause, "diag", None), "message_primary", None)
        if text is None or state.startswith("22"):  # such as 'invalid input for …: "value"'
            text = type(cause).__name__
        cause.args = (f"{text} ({state})",)
    else:
        return
    error.args = (f"({type(cause).__module__}.{type(cause).__name__}) {cause}",)


_AWAY = "The database is away or locked"
#: SQLite's primary codes: no rights, read-only, the disk, a damaged file, full, can't be opened.
_FILE_CODES = frozenset({3, 8, 10, 11, 13, 14, 23, 26})
#: PostgreSQL: who may log in, which databases there are, resources, operators, the system.
_SERVER_CLASSES = frozenset({"28", "3D", "53", "57", "58"})
#: Who may do what; a replica, or what else can only be read.
_SERVER_STATES = frozenset({"42501", "25006"})
#: MySQL and MariaDB: who may do what, which databases there are, full, read-only, out of time.
_SERVER_NUMBERS = frozenset(
    {1021, 1044, 1045, 1049, 1114, 1142, 1143, 1227, 1290, 1698, 1792, 1836, 1969, 3024}
)


def trouble_in_words(error: DBAPIError | PoolTimeout) -> str | None:
    """Return in a sentence what is wrong with the database, and not with what we asked of it.

    None if it is our SQL, or the host's: whoever wrote that needs to see where.
    """
    if not isinstance(error, DBAPIError):
        return f"{_AWAY}: no connection was to be had in time."
    said = " ".join(str(error.orig).split()) or type(error.orig).__name__
    if is_missing_table(error):
        return f"A table is missing; run 'flask engage upgrade' if it is one of ours: {said}"
    if is_passing(error):
        return f"{_AWAY}: {said}"
    return f"The database refuses: {said}" if _is_about_server(error.orig) else None


def _is_about_server(cause: BaseException | None) -> bool:
    """Tell whether a database complains of its disk, its rights or its clients, and not of SQL."""
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return (code & 0xFF) in _FILE_CODES
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if state is not None:
        return state[:2] in _SERVER_CLASSES or state in _SERVER_STATES
    number = cause.args[0] if cause is not None and cause.args else None
    if isinstance(number, int):
        return number in _SERVER_NUMBERS or 2000 <= number < 3000
    return type(cause).__name__ == "OperationalError"


#: What the database raises at us, whichever of the three it is.
DATABASE_ERRORS = (DBAPIError, PoolTimeout)
