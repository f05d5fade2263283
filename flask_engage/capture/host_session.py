"""Facts in the host's own transaction: they commit, or roll back, with the host's work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, SessionTransaction

from .._clock import Clock
from .._guard import Guard
from ..store.base import is_mysql
from ..store.trouble import is_missing_table
from .apply import Outcome, Rules, apply_personal
from .facts import Personal


def write_in_host_session(
    host_session: Any,
    fact: Personal,
    rules: Rules,
    clock: Clock,
    committed: Callable[[Outcome], None],
    guard: Guard,
    missing: Callable[[Engine], bool],
) -> bool:
    """Store `fact` inside a savepoint of the host's transaction; tell whether that worked.

    `host_session` is a ``Session`` or a ``scoped_session``. What the host has pending is not
    flushed, and if we fail its work is as it was. Rows that people share are not touched, so
    that nobody has to wait for the host's commit; `committed` is called after it. `missing`
    is told if our tables are not there; True says that it has told whom it concerns.

    :raises sqlalchemy.exc.DBAPIError: if the database has ended the host's transaction, which
        MariaDB and MySQL do at a deadlock: the host would go on without its earlier rows.
    """
    done: list[Outcome] = []
    ended: list[DBAPIError] = []
    with guard.guarded("recording in the host's transaction"):
        connection = host_session.connection()
        try:
            done.append(_write(connection, fact, rules, clock))
        except DBAPIError as error:
            if is_missing_table(error) and missing(connection.engine):
                return False  # said once, as everywhere else
            ended += _ends_transaction(error, is_mysql(connection.dialect))
            raise
        _announce_after_commit(host_session, done[0], committed)
    if ended:
        raise ended[0]
    return bool(done)


#: A deadlock, and a savepoint that went with the transaction it was in.
_MYSQL_ENDS = (1213, 1305)


def _ends_transaction(error: BaseException, on_mysql: bool) -> list[DBAPIError]:
    """Return those of `error` and what led to it after which no transaction is left.

    The first of them in time comes first: the deadlock, not the savepoint that is missing.
    """
    found: list[DBAPIError] = []
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DBAPIError):
            number = cause.orig.args[0] if cause.orig is not None and cause.orig.args else None
            if cause.connection_invalidated or (on_mysql and number in _MYSQL_ENDS):
                found.insert(0, cause)
        cause = cause.__context__
    return found


def _write(connection: Connection, fact: Personal, rules: Rules, clock: Clock) -> Outcome:
    _begin(connection)
    with (
        connection.begin_nested(),
        Session(
            connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as session,
        session.begin(),
    ):
        return apply_personal(session, [fact], rules, clock())


def _begin(connection: Connection) -> None:
    """Open the transaction on SQLite, whose driver waits with it until the first write.

    A savepoint outside of a transaction is one: its end would commit what the host may
    still roll back.
    """
    if connection.dialect.name != "sqlite":
        return
    raw: Any = connection.connection.dbapi_connection
    if not raw.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@dataclass(slots=True)
class _Waiting:
    """What is to be told once the host's transaction has committed."""

    transaction: SessionTransaction | None
    """The one it is part of: a savepoint of the host's, or the outermost."""
    outcome: Outcome
    committed: Callable[[Outcome], None]


_KEY = "engage_waiting"


def _announce_after_commit(
    host_session: Any, outcome: Outcome, committed: Callable[[Outcome], None]
) -> None:
    session: Session = getattr(host_session, "registry", lambda: host_session)()
    if _KEY not in session.info:
        session.info[_KEY] = []
        # Once a session, for good: a listener can't be removed while it is being called.
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_soft_rollback", _rolled_back)
        event.listen(session, "after_transaction_end", _ended)
    transaction = session.get_nested_transaction() or session.get_transaction()
    _waiting(session).append(_Waiting(transaction, outcome, committed))


def _waiting(session: Session) -> list[_Waiting]:
    found: list[_Waiting] = session.info[_KEY]
    return found


def _committed(session: Session) -> None:
    savepoint = session.get_nested_transaction()
    if savepoint is not None:  # released: it stands or falls with what is around it
        for item in _waiting(session):
            if item.transaction is savepoint:
                item.transaction = savepoint.parent
        return
    done = _waiting(session).copy()
    _waiting(session).clear()
    for item in done:
        item.committed(item.outcome)


def _rolled_back(session: Session, previous: SessionTransaction) -> None:
    _waiting(session)[:] = [i for i in _waiting(session) if i.transaction is not previous]


def _ended(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        _waiting(session).clear()  # also where the host closed it with neither word
