"""SQLite connections that the host shares with everybody: in memory, or a StaticPool.

There is one connection for the whole process, so a commit of ours would commit the host's
pending rows and a rollback would drop them. Here our work runs in a savepoint while the
host has a transaction open, and in a transaction of its own otherwise.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, SingletonThreadPool, StaticPool

_SAVEPOINT = "engage_shared"


class _SharedConnection:
    """The host's DBAPI connection with an end of transaction that spares the host's work."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._in_savepoint = False
        self._in_own = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def begin(self) -> None:
        """Start our unit of work: a savepoint in the host's transaction, else our own."""
        if self._raw.in_transaction:
            self._raw.execute(f"SAVEPOINT {_SAVEPOINT}")
            self._in_savepoint = True
        else:
            self._raw.execute("BEGIN IMMEDIATE")
            self._in_own = True

    def commit(self) -> None:
        """Keep our work; the host's transaction stays open."""
        if self._in_savepoint:
            self._in_savepoint = False
            self._raw.execute(f"RELEASE {_SAVEPOINT}")
        elif self._in_own:
            self._in_own = False
            self._raw.commit()

    def rollback(self) -> None:
        """Drop our work; the host's stays."""
        if self._in_savepoint:
            self._in_savepoint = False
            self._raw.execute(f"ROLLBACK TO {_SAVEPOINT}")
            self._raw.execute(f"RELEASE {_SAVEPOINT}")
        elif self._in_own:
            self._in_own = False
            self._raw.rollback()

    def close(self) -> None:
        """Leave the connection open: it is the host's."""


def is_shared(engine: Engine) -> bool:
    """Tell whether `engine` has one connection for everybody (SQLite only)."""
    if engine.dialect.name != "sqlite":
        return False
    return isinstance(engine.pool, (StaticPool, SingletonThreadPool)) or engine.url.database in (
        None,
        "",
        ":memory:",
    )


def shared_engine(host: Engine) -> Engine:
    """Return an engine of ours over the host's one connection, which it never closes."""

    def connect() -> Any:
        # Not host.raw_connection(): giving that back would roll the host's work back.
        return _SharedConnection(host.pool._do_get().dbapi_connection)

    engine = create_engine(host.url, pool=NullPool(connect), hide_parameters=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.connection.dbapi_connection.begin()  # type: ignore[union-attr]

    return engine
