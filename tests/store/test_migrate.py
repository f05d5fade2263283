"""The tables come into being once, whoever asks for them and however many ask at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from flask_engage.errors import SchemaError
from flask_engage.store import Base, migrate
from flask_engage.store.engine import Database, open_database
from flask_engage.store.migrate import (
    HEAD,
    VERSION_TABLE,
    SchemaState,
    _lock_name,
    schema_state,
    upgrade,
)
from tests import _databases

RACERS = 10


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.dispose()


def differences(database: Database) -> list[object]:
    """What Alembic would change to get from the database to our metadata."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: (
                    kind != "table" or (name.startswith("engage_") and name != VERSION_TABLE)
                )
            },
        )
        return list(compare_metadata(context, Base.metadata))


def test_upgrade_makes_exactly_the_tables_of_the_models(empty: Database) -> None:
    assert schema_state(empty) is SchemaState.MISSING
    assert upgrade(empty) == HEAD
    assert schema_state(empty) is SchemaState.CURRENT
    assert differences(empty) == []


def test_upgrade_again_changes_nothing(empty: Database) -> None:
    upgrade(empty)
    upgrade(empty)
    assert differences(empty) == []


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate._FOLDER))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_every_constraint_and_index_has_a_name() -> None:
    nameless = [
        f"{table.name}: {item!r}"
        for table in Base.metadata.sorted_tables
        for item in (*table.constraints, *table.indexes)
        if not item.name
    ]
    assert nameless == []


def test_tables_without_a_version_are_adopted_when_they_fit(empty: Database) -> None:
    upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(sa.text(f"DROP TABLE {VERSION_TABLE}"))
    assert schema_state(empty) is SchemaState.UNVERSIONED
    upgrade(empty)
    assert schema_state(empty) is SchemaState.CURRENT


def test_tables_without_a_version_are_refused_when_they_differ(empty: Database) -> None:
    upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(sa.text(f"DROP TABLE {VERSION_TABLE}"))
        connection.execute(sa.text("ALTER TABLE engage_person ADD COLUMN surprise INTEGER"))
    with pytest.raises(SchemaError, match="surprise"):
        upgrade(empty)


def test_an_upgrade_that_was_cut_off_goes_on_where_it_stopped(empty: Database) -> None:
    # As on MariaDB, where each step commits: some tables, an index short, no version yet.
    upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(sa.text(f"DROP TABLE {VERSION_TABLE}"))
        connection.execute(sa.text("DROP TABLE engage_delivery_event"))
        index = "ix_engage_session_visit"
        on_table = " ON engage_session" if empty.dialect == "mysql" else ""
        connection.execute(sa.text(f"DROP INDEX {index}{on_table}"))
    upgrade(empty)
    assert schema_state(empty) is SchemaState.CURRENT
    assert differences(empty) == []


def test_a_newer_schema_is_left_alone(empty: Database) -> None:
    upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    assert schema_state(empty) is SchemaState.NEWER
    with pytest.raises(SchemaError, match="Upgrade flask-engage"):
        upgrade(empty)


_RACER = """
import sys
from flask_engage.store.engine import open_database
from flask_engage.store.migrate import upgrade
sys.stdin.readline()  # all start together
print(upgrade(open_database(sys.argv[1])))
"""


def test_ten_processes_upgrading_an_empty_database_at_once_leave_one_schema(
    database_url: str,
) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(RACERS)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    results = [racer.communicate(timeout=120) for racer in racers]
    assert [out.strip() for out, _ in results] == [HEAD] * RACERS, results
    assert [racer.returncode for racer in racers] == [0] * RACERS
    database = open_database(database_url)
    assert differences(database) == []
    database.dispose()


def test_the_lock_is_given_back(empty: Database) -> None:
    upgrade(empty)
    if empty.dialect == "postgresql":
        with empty.engine.connect() as connection:
            held = connection.scalar(
                sa.text(
                    "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
                    " WHERE locktype = 'advisory' AND d.datname = current_database()"
                )
            )
        assert held == 0
    elif empty.dialect == "mysql":
        with empty.engine.connect() as connection:
            name = {"name": _lock_name(connection)}
            assert connection.scalar(sa.text("SELECT IS_FREE_LOCK(:name)"), name) == 1
            assert connection.scalar(sa.text("SELECT GET_LOCK(:name, 0)"), name) == 1
            assert connection.scalar(sa.text("SELECT IS_FREE_LOCK(:name)"), name) == 0
    else:
        with empty.write() as session:
            assert session.scalar(sa.text("SELECT 1")) == 1


def test_dialects_under_test_are_the_three_that_are_promised() -> None:
    assert set(_databases.DIALECTS) == {"sqlite", "postgresql", "mariadb"}


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_an_upgrade_waits_for_no_other_database_of_the_server(
    empty: Database, tmp_path: Path
) -> None:
    with _databases.empty("mariadb", tmp_path) as url:
        other = open_database(url)
        with other.engine.connect() as elsewhere, empty.engine.connect() as here:
            assert _lock_name(elsewhere) != _lock_name(here)
            name = {"name": _lock_name(elsewhere)}
            assert elsewhere.scalar(sa.text("SELECT GET_LOCK(:name, 0)"), name) == 1
            upgrade(empty)
        other.dispose()
    assert schema_state(empty) is SchemaState.CURRENT
