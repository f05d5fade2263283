"""Which database holds our tables, and which one the host keeps its users on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from .errors import InvalidSettings, NotReady
from .settings import Settings

_BACKENDS = ("sqlite", "postgresql", "mysql", "mariadb")

_ACCEPTED = (
    "expected SQLite, PostgreSQL, MariaDB or MySQL, as in sqlite:///people.sqlite3 or "
    "postgresql+psycopg://user:password@host/name."
)


def own_source(app: Flask, db: Any, settings: Settings) -> Engine | URL | str:
    """Return where our tables live.

    That is ``ENGAGE_DATABASE_URL``, else what the host gave, else its Flask-SQLAlchemy, else a
    SQLite file in the instance folder.

    :raises NotReady: if that is no database that we can work with.
    """
    if settings.DATABASE_URL:
        return usable_url(settings.DATABASE_URL, "ENGAGE_DATABASE_URL")
    found = host_source(app, db)
    if found is not None:
        return found
    folder = Path(app.instance_path)
    return URL.create("sqlite", database=str(folder / "engage.sqlite3"))


def require_usable(db: Any, user_model: Any) -> None:
    """See to it that what a host gave us can be its database and its users; looks at no more.

    :raises InvalidSettings: if it can't.
    """
    # By name: to ask an extension object for its engine needs an app.
    if db is not None and not isinstance(db, (Engine, URL, str)) and "engine" not in dir(db):
        raise _unusable(db)
    if user_model is not None and not isinstance(user_model, type):
        raise InvalidSettings(
            f"user_model = {user_model!r:.100} can't be used; give the mapped class of your users, "
            "as in user_model=User."
        )


def _unusable(db: Any) -> InvalidSettings:
    # By its type alone: it may hold a URL with a password.
    return InvalidSettings(
        f"db is a {type(db).__name__}, which can't be used; give a Flask-SQLAlchemy or "
        "Flask-SQLAlchemy-Lite object, a SQLAlchemy Engine or a URL."
    )


def host_source(app: Flask, db: Any, model: type[Any] | None = None) -> Engine | URL | str | None:
    """Return where the host keeps its data, or None if it never said.

    `db` is a Flask-SQLAlchemy or Flask-SQLAlchemy-Lite object, an engine or a URL. With
    `model`, the engine that this model is bound to (Flask-SQLAlchemy's binds).
    """
    if db is None:
        db = app.extensions.get("sqlalchemy")
    if isinstance(db, (URL, str)):
        return usable_url(db, "db")
    if db is None or isinstance(db, Engine):
        return db
    with app.app_context():
        session = getattr(db, "session", None)
        if model is not None and session is not None:
            bind = session.get_bind(mapper=model)
            return bind if isinstance(bind, Engine) else bind.engine
        engine = getattr(db, "engine", None)
    if not isinstance(engine, Engine):
        raise _unusable(db)
    return engine


def host_engine(app: Flask, db: Any, model: type[Any] | None, own: Engine) -> Engine:
    """Return the engine that the host keeps its data on; ours, if it never said."""
    source = host_source(app, db, model)
    if isinstance(source, Engine):
        return source
    if source is None or make_url(source) == own.url:
        return own
    return create_engine(source)


def usable_url(source: URL | str, what: str) -> URL:
    """Return `source` as the URL of a database that we can work with here.

    :param what: how the host calls it. It may hold a password, so it is not repeated.
    :raises NotReady: if it is no URL, or is of a kind or driver that can't be used.
    """
    try:
        url = make_url(source)
        dialect = url.get_dialect()
        backend = url.get_backend_name()
        if backend not in _BACKENDS:
            raise NotReady(f"{what} is of the kind {backend!r}: {_ACCEPTED}")
        if dialect.is_async:
            raise NotReady(f"{what} names a driver for asyncio, {dialect.driver!r}: {_ACCEPTED}")
        dialect.import_dbapi()
    except NoSuchModuleError:
        raise NotReady(f"{what} is of a kind that SQLAlchemy doesn't know: {_ACCEPTED}") from None
    except (ArgumentError, ValueError):
        raise NotReady(f"{what} is no URL of a database: {_ACCEPTED}") from None
    except ImportError as error:
        driver = f" {error.name!r}" if error.name else ""
        raise NotReady(
            f"{what} needs the Python package{driver}, which is not installed: install it, or "
            "name another driver as in postgresql+psycopg://…"
        ) from error
    return url


def same_place(one: Engine, other: Engine) -> bool:
    """Tell whether two engines reach the same database, so that one query can span both."""
    return one.url == other.url


def is_single_file(source: Engine | URL | str) -> bool:
    """Tell whether `source` is SQLite, which nobody else migrates for us."""
    url = source.url if isinstance(source, Engine) else make_url(source)
    return url.get_backend_name() == "sqlite"
