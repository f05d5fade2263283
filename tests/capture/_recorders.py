"""Recorders without a Flask app: what a test of the journal and the writer needs of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask_engage._guard import Guard
from flask_engage.capture.recorder import Recorder
from flask_engage.settings import Settings
from flask_engage.store.engine import Database
from flask_engage.store.ready import Readiness


@dataclass
class FakeApp:
    """Stands for the host's app."""

    name: str = "host"
    testing: bool = True

    __hash__ = object.__hash__


class Recorders:
    """Makes recorders on one database and one journal folder, and closes them in the end."""

    def __init__(self, url: str, folder: Path, clock: Any) -> None:
        self.url = url
        self.folder = folder
        self.clock = clock
        self._made: list[tuple[Recorder, Readiness]] = []

    def __call__(
        self,
        *,
        app: FakeApp | None = None,
        ready: Any = None,
        guard: Guard | None = None,
        **settings: Any,
    ) -> Recorder:
        ready = ready or Readiness(lambda: self.url, lambda _database: True)
        recorder = Recorder(
            app=app or FakeApp(),
            settings=Settings(**settings),
            ready=ready,
            guard=guard or Guard(lambda: True),
            clock=self.clock,
            folder=lambda: self.folder,
        )
        self._made.append((recorder, ready))
        return recorder

    def close(self) -> None:
        for recorder, ready in self._made:
            recorder.close()
            ready.database().dispose()


def table(database: Database, row: Any, *columns: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table, in the order of the columns that are asked for."""
    from sqlalchemy import select

    chosen = [getattr(row, name) for name in columns]
    with database.read() as session:
        return [tuple(found) for found in session.execute(select(*chosen).order_by(*chosen))]
