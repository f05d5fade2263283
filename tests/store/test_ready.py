"""The database is used when it fits, and its state is said once when it doesn't."""

from __future__ import annotations

import logging
import threading

import pytest

from flask_engage.errors import NotReady
from flask_engage.store.engine import Database
from flask_engage.store.ready import Readiness


def ready(url: str, timezone: str, *, upgrades: bool = False) -> Readiness:
    return Readiness(lambda: url, lambda _database: upgrades, timezone)


def test_the_zone_of_the_first_use_holds(database: Database, migrated_url: str) -> None:
    assert ready(migrated_url, "Europe/Berlin").require()
    assert ready(migrated_url, "Europe/Berlin").require()
    with pytest.raises(NotReady, match=r"'Asia/Tokyo'.*'Europe/Berlin'"):
        ready(migrated_url, "Asia/Tokyo").require()


def test_missing_tables_are_said_once_and_asked_about_rarely(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = ready(database_url, "UTC")
    with caplog.at_level(logging.WARNING, "flask_engage"):
        for _ in range(5):
            with pytest.raises(NotReady, match="flask engage upgrade"):
                found.require()
    assert len(caplog.records) == 1


def test_tables_are_made_at_first_use_where_that_is_allowed(database_url: str) -> None:
    database = ready(database_url, "UTC", upgrades=True).require()
    assert ready(database_url, "UTC").require().dialect == database.dialect


def test_the_database_is_at_hand_while_it_is_still_being_asked(
    database: Database, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request's first fact needs to know which database it is, not that it answers."""
    found = ready(migrated_url, "UTC")
    asked, answered = threading.Event(), threading.Event()

    def ask(_database: Database) -> None:
        asked.set()
        assert answered.wait(30)

    monkeypatch.setattr(found, "_check", ask)
    asking = threading.Thread(target=found.require, daemon=True)
    asking.start()
    assert asked.wait(30)
    meanwhile: list[Database] = []
    request = threading.Thread(target=lambda: meanwhile.append(found.database()), daemon=True)
    request.start()
    request.join(20)
    in_time = not request.is_alive()
    answered.set()
    asking.join(30)
    assert in_time
    assert meanwhile == [found.database()]
