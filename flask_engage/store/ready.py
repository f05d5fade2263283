"""When the database can be used: found, reachable, with tables that fit this code.

Start-up needs no database. The first use looks for it, migrates it where that is allowed,
and remembers a failure for a while, so that a database that is away costs one look every
few seconds and one warning, not one per request.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from ..errors import NotReady, SchemaError
from .engine import Database, open_database
from .meta import keep_timezone, timezone_of, zone_problem
from .migrate import SchemaState, schema_state, upgrade

_log = logging.getLogger("flask_engage")

RETRY_SECONDS = 5.0
"""After a failure nobody asks the database again for this long."""

_ADVICE = {
    SchemaState.MISSING: "The engage_ tables are missing; run 'flask engage upgrade'.",
    SchemaState.OLDER: "The engage_ tables are from an older version; run 'flask engage upgrade'.",
    SchemaState.UNVERSIONED: "The engage_ tables have no version; run 'flask engage upgrade'.",
    SchemaState.NEWER: "The engage_ tables are from a newer version of flask_engage; this "
    "process keeps its journal for it and stores nothing.",
}


class Readiness:
    """Finds our database at first use and says whether it can be used."""

    def __init__(
        self,
        source: Callable[[], Engine | URL | str],
        auto_upgrade: Callable[[Database], bool],
        timezone: str | None = None,
    ) -> None:
        self._source = source
        self._auto_upgrade = auto_upgrade
        self._timezone = timezone
        self._lock = threading.Lock()
        self._finding = threading.Lock()
        """Never held while the database is talked to: a request may be waiting for it."""
        self._database: Database | None = None
        self._ready = False
        self._failed_at: float | None = None
        self._problem: str | None = None

    def database(self) -> Database:
        """Return the database without looking whether it answers or has our tables.

        Waits for nothing, also while another thread waits for an answer in :meth:`require`.

        :raises NotReady: if there is no such database that we could work with.
        """
        if self._database is not None:
            return self._database
        with self._finding:
            if self._database is None:
                try:
                    self._database = open_database(self._source())
                except OSError as error:
                    raise NotReady(f"The database's folder can't be made: {error}.") from error
            return self._database

    def require(self) -> Database:
        """Return the database, ready for use; migrates it first where that is allowed.

        :raises NotReady: if it is away or its tables don't fit; the message says what to do.
        """
        if self._ready and self._database is not None:
            return self._database
        with self._lock:
            if self._ready and self._database is not None:
                return self._database
            now = time.monotonic()
            if self._failed_at is not None and now - self._failed_at < RETRY_SECONDS:
                raise NotReady(self._problem or "The database is away.")
            try:
                database = self.database()
                self._check(database)
                self._check_timezone(database)
            except (SQLAlchemyError, SchemaError, NotReady, OSError) as error:
                self._note(error)
                raise NotReady(str(self._problem)) from error
            self._ready, self._failed_at, self._problem = True, None, None
            return database

    def forget(self) -> None:
        """Look again at the next use, for example after an upgrade or an error.

        The problem is kept until the database is found ready, so that it is warned of once.
        """
        with self._lock:
            self._ready, self._failed_at = False, None

    def note_missing(self) -> None:
        """Take note, in a request, that our tables are not there; waits for nobody."""
        self._note(NotReady(_ADVICE[SchemaState.MISSING]))
        self._ready, self._failed_at = False, None

    def after_fork(self) -> None:
        """Leave the parent's connections alone in a forked child."""
        self._lock = threading.Lock()
        self._finding = threading.Lock()
        if self._database is not None and not self._database.shared:
            self._database.engine.dispose(close=False)

    @property
    def is_ready(self) -> bool:
        """Whether the database was found ready, without looking again."""
        return self._ready

    @property
    def problem(self) -> str | None:
        """What keeps the database from being used, if anything is known to."""
        return self._problem

    def _check(self, database: Database) -> None:
        state = schema_state(database)
        if state is SchemaState.CURRENT:
            return
        if state is not SchemaState.NEWER and self._auto_upgrade(database):
            upgrade(database)
            return
        raise NotReady(_ADVICE[state])

    def _check_timezone(self, database: Database) -> None:
        """Refuse to cut days in another zone than those that are counted already."""
        if self._timezone is None:
            return
        with database.read() as session:
            kept = timezone_of(session)
        if kept is None:
            with database.write() as session:
                kept = keep_timezone(session, self._timezone)
        problem = zone_problem(kept, self._timezone)
        if problem is not None:
            raise NotReady(problem)

    def _note(self, error: Exception) -> None:
        problem = (
            str(error)
            if isinstance(error, (NotReady, SchemaError))
            else (f"The database is away ({type(error).__name__}).")
        )
        if problem != self._problem:
            _log.warning("flask_engage is idle: %s The host is not affected.", problem)
        self._problem, self._failed_at = problem, time.monotonic()
