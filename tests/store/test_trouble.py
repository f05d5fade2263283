"""Which errors of a real database count as passing: what waits for others is tried again."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from flask_engage.store.engine import Database, open_database
from flask_engage.store.trouble import is_passing, trouble_in_words

#: The second row is not there before somebody gives the lock back. Its name is the whole
#: server's.
LOCK = "CONCAT(DATABASE(), '.counted')"
SLOW = f"INSERT INTO counted (n) SELECT IF(seq = 1, 1, GET_LOCK({LOCK}, 30)) FROM seq_1_to_2"


#: How long to wait for a lock, as briefly as each can be told.
PATIENCE = {
    "sqlite": "PRAGMA busy_timeout = 50",
    "postgresql": "SET lock_timeout = '50ms'",
    "mysql": "SET innodb_lock_wait_timeout = 1",
}


def test_a_wait_for_a_lock_that_runs_out_is_worth_another_try(database: Database) -> None:
    words = "UPDATE counted SET n = n + 1"
    with database.engine.begin() as first:
        first.exec_driver_sql("CREATE TABLE counted (n INT)")
        first.exec_driver_sql("INSERT INTO counted VALUES (1)")
    with database.engine.connect() as rival, database.engine.connect() as here:
        here.exec_driver_sql(PATIENCE[database.dialect])
        here.commit()
        rival.exec_driver_sql(words)
        with pytest.raises(sa.exc.OperationalError) as raised:
            here.exec_driver_sql(words)
        assert is_passing(raised.value)
        here.rollback()
        rival.rollback()
        here.exec_driver_sql(words)
        here.invalidate()  # with the patience that it was given
        with pytest.raises(sa.exc.DBAPIError) as refused:
            rival.exec_driver_sql("UPDATE counted SET nobody = 1")
        assert not is_passing(refused.value)


@pytest.mark.parametrize("migrated_url", ["mariadb"], indirect=True)
def test_a_counter_of_ids_that_somebody_holds_is_worth_another_try(database: Database) -> None:
    # InnoDB's answer is 1467 then, although it is the wait for a lock (1205) that ran out.
    def insert_slowly() -> None:
        with database.engine.begin() as connection:
            connection.exec_driver_sql(SLOW)

    with database.engine.connect() as here:
        here.exec_driver_sql("CREATE TABLE counted (id BIGINT AUTO_INCREMENT PRIMARY KEY, n INT)")
        here.exec_driver_sql(f"SELECT GET_LOCK({LOCK}, 30)")
        slow = threading.Thread(target=insert_slowly)
        slow.start()
        _wait_until_somebody_waits(here)
        here.exec_driver_sql("SET innodb_lock_wait_timeout = 1")
        with pytest.raises(sa.exc.OperationalError, match="1467") as raised:
            here.exec_driver_sql("INSERT INTO counted (n) SELECT seq FROM seq_1_to_2")
        here.exec_driver_sql(f"SELECT RELEASE_LOCK({LOCK})")
        slow.join(30)
        assert is_passing(raised.value)
        here.invalidate()  # with the short patience that it was given


def _wait_until_somebody_waits(connection: sa.Connection) -> None:
    deadline = time.monotonic() + 30
    waiting = sa.text(
        "SELECT COUNT(*) FROM information_schema.processlist"
        " WHERE db = DATABASE() AND state = 'User lock'"
    )
    while not connection.scalar(waiting):
        assert time.monotonic() < deadline, "nobody waits"


def test_what_is_wrong_with_a_database_is_told_and_wrong_sql_is_not(database: Database) -> None:
    def told(words: str) -> str | None:
        with database.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError) as raised:
            connection.exec_driver_sql(words)
        return trouble_in_words(raised.value)

    missing = told("SELECT 1 FROM engage_nothing")
    assert missing is not None
    assert "run 'flask engage upgrade'" in missing
    for wrong in (
        "SELEKT 1",
        "SELECT nothing FROM engage_person",
        "SELECT nothing(1)",
        "INSERT INTO engage_person (nothing) VALUES (1)",
        "INSERT INTO engage_meta VALUES (1)",
    ):
        assert told(wrong) is None, wrong


#: How to make a connection one that can only read.
READ_ONLY = {
    "sqlite": "PRAGMA query_only = 1",
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}


def test_a_database_that_can_only_be_read_is_told(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.exec_driver_sql(READ_ONLY[database.dialect])
        connection.commit()
        with pytest.raises(sa.exc.DBAPIError) as raised:
            connection.exec_driver_sql("DELETE FROM engage_meta")
        connection.invalidate()
    assert "The database refuses: " in (trouble_in_words(raised.value) or "")


def test_a_database_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.sqlite3").write_bytes(b"this is a letter " * 100)
    for path in (tmp_path / "no.sqlite3", tmp_path):
        database = open_database(f"sqlite:///{path}")
        with pytest.raises(sa.exc.DBAPIError) as raised, database.read() as session:
            session.execute(sa.text("SELECT 1 FROM sqlite_master"))
        assert "The database refuses: " in (trouble_in_words(raised.value) or "")
        database.dispose()
