"""Looking without pushing: a query that we cause must not flush what the host has pending.

The host may be in the middle of its work when it tracks something, with objects in its session
that are not complete yet. SQLAlchemy flushes those before any query, and a flush that fails
takes the host's transaction with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session, object_session

from .._state import EngageState


@contextmanager
def unflushed(state: EngageState, user: Any = None) -> Iterator[None]:
    """Run the block without flushing the session of `user`, or else the host's current one."""
    session = _current_session(state) if user is None else object_session(user)
    if session is None:
        yield
        return
    before, session.autoflush = session.autoflush, False
    try:
        yield
    finally:
        session.autoflush = before


def _current_session(state: EngageState) -> Session | None:
    """Return the session of Flask-SQLAlchemy or Flask-SQLAlchemy-Lite in this context, if any."""
    db = state.host_db
    if db is None:
        db = state.app.extensions.get("sqlalchemy")
    session = getattr(db, "session", None)
    registry = getattr(session, "registry", None)
    if registry is not None:
        session = registry() if registry.has() else None
    return session if isinstance(session, Session) else None
