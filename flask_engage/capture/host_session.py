"""Facts in the host's own transaction: they commit, or roll back, with the host's work."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from .._clock import Clock
from .._guard import Guard
from .announce import Announcer
from .apply import Outcome, Rules, apply
from .facts import Fact


def write_in_host_session(
    host_session: Any,
    fact: Fact,
    rules: Rules,
    clock: Clock,
    announce: Announcer,
    guard: Guard,
) -> bool:
    """Store `fact` inside a savepoint of the host's transaction; tell whether that worked.

    `host_session` is a ``Session`` or a ``scoped_session``. What the host has pending is not
    flushed, and if we fail its work is as it was.
    """
    done: list[Outcome] = []
    with guard.guarded("recording in the host's transaction"):
        done.append(_write(host_session.connection(), fact, rules, clock))
        _announce_after_commit(host_session, done[0], announce)
    return bool(done)


def _write(connection: Connection, fact: Fact, rules: Rules, clock: Clock) -> Outcome:
    _begin(connection)
    with (
        connection.begin_nested(),
        Session(
            connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as session,
        session.begin(),
    ):
        return apply(session, [fact], rules, clock())


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


def _announce_after_commit(host_session: Any, outcome: Outcome, announce: Announcer) -> None:
    session: Session = getattr(host_session, "registry", lambda: host_session)()

    def committed(_session: Session) -> None:
        forget()
        announce(outcome)

    def rolled_back(_session: Session, previous: Any) -> None:
        if previous.nested is False and previous.parent is None:
            forget()

    def forget() -> None:
        event.remove(session, "after_commit", committed)
        event.remove(session, "after_soft_rollback", rolled_back)

    event.listen(session, "after_commit", committed)
    event.listen(session, "after_soft_rollback", rolled_back)
