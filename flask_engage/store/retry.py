"""Doing a unit of work again that only came at a bad moment."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from .engine import Database
from .trouble import is_passing

T = TypeVar("T")

_TRIES = 5
_PAUSE_SECONDS = 0.2


def persistently(database: Database, work: Callable[[Session], T]) -> T:
    """Run `work` in a transaction, again after a deadlock, a lock or a twin's unique key.

    `work` must do all of its writing in the session that it is given.

    :raises sqlalchemy.exc.SQLAlchemyError: if it fails for another reason, or every time.
    """
    for left in reversed(range(_TRIES)):
        try:
            with database.write() as session:
                return work(session)
        except (DBAPIError, PoolTimeout) as error:
            if not left or not (is_passing(error) or isinstance(error, IntegrityError)):
                raise
        # Two that met will not meet again at the same pace.
        time.sleep(_PAUSE_SECONDS * random.random())  # noqa: S311  (no secret)
    raise AssertionError("unreachable")
