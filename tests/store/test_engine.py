"""Our engine is our own: the host's pool, sessions and transactions stay as they are."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.pool import StaticPool

from flask_engage.store.engine import Database, open_database
from flask_engage.store.meta import MetaRow
from flask_engage.store.migrate import upgrade
from flask_engage.store.person import PersonRow

NOW = datetime(2026, 3, 2, 10, 0, 0, 123456, tzinfo=UTC)


def person(user_id: str, **values: object) -> PersonRow:
    return PersonRow(user_id=user_id, created_at=NOW, updated_at=NOW, attributes={}, **values)


def test_times_come_back_as_the_instant_that_went_in(database: Database) -> None:
    nepal = timezone(timedelta(hours=5, minutes=45))
    with database.write() as session:
        session.add(person("1", last_seen_at=NOW.astimezone(nepal)))
    with database.read() as session:
        found = session.scalars(sa.select(PersonRow.last_seen_at)).one()
    assert found == NOW
    assert found is not None
    assert found.utcoffset() == timedelta(0)


def test_naive_times_are_refused(database: Database) -> None:
    with pytest.raises(sa.exc.StatementError, match="no time zone"), database.write() as session:
        session.add(person("1", last_seen_at=datetime(2026, 3, 2)))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ada", "ada"), ("a", "a "), ("e", "é"), ("ß", "ss"), ("ı", "i"), ("\u00e9", "e\u0301")],
)
def test_text_that_differs_by_a_code_point_differs(
    database: Database, one: str, other: str
) -> None:
    with database.write() as session:
        session.add_all([person(one), person(other)])
    with database.read() as session:
        found = session.scalars(sa.select(PersonRow.user_id).where(PersonRow.user_id == one)).all()
    assert found == [one]


def test_text_sorts_by_code_point(database: Database) -> None:
    names = ["Z", "a", "É", "é", "ä", "z", "中", "😀", "ﬀ"]
    with database.write() as session:
        session.add_all([person(str(number), name=name) for number, name in enumerate(names)])
    with database.read() as session:
        found = session.scalars(sa.select(PersonRow.name).order_by(PersonRow.name)).all()
    assert found == sorted(names)


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    with suppress(ZeroDivisionError), database.write() as session:
        session.add(MetaRow(key="half", value="written"))
        session.flush()
        raise ZeroDivisionError
    with database.read() as session:
        assert session.get(MetaRow, "half") is None


def test_the_hosts_pool_is_never_borrowed_from(tmp_path: Path) -> None:
    host = sa.create_engine(f"sqlite:///{tmp_path / 'host.sqlite3'}")
    checkouts = []
    sa.event.listen(host, "checkout", lambda *_: checkouts.append(1))
    database = open_database(host)
    assert database.engine.pool is not host.pool
    upgrade(database)
    host_pool = host.pool
    assert host_pool.checkedout() == 0  # type: ignore[attr-defined]
    assert host_pool.checkedin() == 0  # type: ignore[attr-defined]
    database.dispose()


def test_the_hosts_connection_listeners_are_kept(tmp_path: Path) -> None:
    host = sa.create_engine(f"sqlite:///{tmp_path / 'host.sqlite3'}")
    sa.event.listen(
        host, "connect", lambda raw, _: raw.create_function("host_said", 0, lambda: "hello")
    )
    database = open_database(host)
    with database.read() as session:
        assert session.scalar(sa.text("SELECT host_said()")) == "hello"
    # and ours are not put on the host's connections
    with host.connect() as connection:
        assert connection.connection.dbapi_connection.isolation_level is not None  # type: ignore[union-attr]
    database.dispose()
    host.dispose()


def shared_host() -> sa.Engine:
    return sa.create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )


def test_in_memory_our_commit_does_not_commit_the_hosts_rows() -> None:
    host = shared_host()
    with host.begin() as connection:
        connection.execute(sa.text("CREATE TABLE note (text VARCHAR)"))
    database = open_database(host)
    assert database.shared
    upgrade(database)
    with host.connect() as connection:
        connection.execute(sa.text("INSERT INTO note VALUES ('pending')"))
        with database.write() as session:
            session.add(MetaRow(key="ours", value="kept?"))
        # The host changes its mind: its row goes, and ours with it, as one transaction.
        connection.rollback()
        assert connection.scalar(sa.text("SELECT count(*) FROM note")) == 0
    with database.read() as session:
        assert session.get(MetaRow, "ours") is None


def test_in_memory_our_rollback_spares_the_hosts_rows() -> None:
    host = shared_host()
    with host.begin() as connection:
        connection.execute(sa.text("CREATE TABLE note (text VARCHAR)"))
    database = open_database(host)
    upgrade(database)
    with host.connect() as connection:
        connection.execute(sa.text("INSERT INTO note VALUES ('pending')"))
        with suppress(ZeroDivisionError), database.write() as session:
            session.add(MetaRow(key="ours", value="dropped"))
            session.flush()
            raise ZeroDivisionError
        with database.read() as session:
            assert session.get(MetaRow, "ours") is None
        connection.commit()
        assert connection.scalar(sa.text("SELECT count(*) FROM note")) == 1


def test_in_memory_our_work_stands_by_itself_when_the_host_has_nothing_open() -> None:
    host = shared_host()
    database = open_database(host)
    upgrade(database)
    with database.write() as session:
        session.add(MetaRow(key="ours", value="kept"))
    with host.connect() as connection:
        assert connection.scalar(sa.text("SELECT value FROM engage_meta")) == "kept"


@given(
    st.datetimes(timezones=st.timezones(), min_value=datetime(1900, 1, 2)).filter(  # noqa: DTZ001
        lambda moment: moment.year < 2200
    )
)
def test_any_aware_time_is_stored_as_its_instant(moment: datetime) -> None:
    from sqlalchemy.dialects import sqlite

    from flask_engage.store.base import UTCDateTime

    kind, dialect = UTCDateTime(), sqlite.dialect()
    stored = kind.process_bind_param(moment, dialect)
    assert kind.process_result_value(stored, dialect) == moment.astimezone(UTC)


def test_errors_tell_nothing_of_what_is_stored(tmp_path: Path) -> None:
    host = sa.create_engine(f"sqlite:///{tmp_path}/host.db")
    for source in (host, f"sqlite:///{tmp_path}/own.db", "sqlite://"):
        with open_database(source).read() as session, pytest.raises(sa.exc.DBAPIError) as failed:
            session.execute(sa.text("SELECT * FROM missing WHERE email = :e"), {"e": "a@b.example"})
        assert "a@b.example" not in str(failed.value)
