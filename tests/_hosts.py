"""Small hosts in the three styles that flask_engage promises to live in.

Each is the same product (accounts, a page, an action, a login) over Flask-SQLAlchemy,
Flask-SQLAlchemy-Lite or a bare SQLAlchemy engine, so that one test proves all three.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import Flask, abort, redirect, request
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

if TYPE_CHECKING:
    from flask_engage import Engage

STYLES = ("flask-sqlalchemy", "flask-sqlalchemy-lite", "engine")

PAGE = (
    "<!doctype html><html lang='en'><head><title>Host</title></head>"
    "<body><h1>Hello</h1></body></html>"
)

SIGNED_UP = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)


@dataclass
class Host:
    """One host: where its data live, and how to make an app of it."""

    style: str
    url: str
    db: Any
    """What `Engage.init_app` is given."""
    User: type[Any]
    """The mapped user model: id, email, name, created_at, is_admin."""
    metadata: sa.MetaData
    attach: Callable[[Flask], None]
    """Binds the database to an app, before the app is used."""
    sessions: Callable[[], AbstractContextManager[Session]]
    """Opens a session on the host's data, inside of an app context."""
    engine_of: Callable[[Flask], sa.Engine]
    _apps: list[Flask] = field(default_factory=list)

    def create_app(self, engage: Engage | None = None, **config: Any) -> Flask:
        """Make an app of this host; with `engage`, attach it.

        `config` goes into ``app.config`` first. Tables of the host are made; ours are not.
        """
        app = Flask("host")
        app.config.update(SECRET_KEY="a secret of sixteen bytes and more", TESTING=True)
        app.config.update(ENGAGE_SCHEDULER="off")
        app.config.update(config)
        self.attach(app)
        _add_login(app, self)
        _add_routes(app)
        with app.app_context():
            self.metadata.create_all(self.engine_of(app))
        if engage is not None:
            engage.init_app(app, self.db, user_model=self.User)
        self._apps.append(app)
        return app

    def add_user(self, app: Flask, email: str = "ada@example.com", **values: Any) -> int:
        """Put a user into the host's table and return its id."""
        values.setdefault("name", email.partition("@")[0].title())
        values.setdefault("created_at", SIGNED_UP)
        with app.app_context(), self.sessions() as session:
            user = self.User(email=email, **values)
            session.add(user)
            session.commit()
            return int(user.id)

    def dispose(self) -> None:
        """Close the pools of all apps of this host, and ours beside them."""
        for app in self._apps:
            if state := app.extensions.get("engage"):
                state.ready.database().dispose()
            with app.app_context():
                self.engine_of(app).dispose()


def make_host(style: str, url: str) -> Host:
    """Make a host of `style`, one of :data:`STYLES`, with its data at `url`."""
    return {
        "flask-sqlalchemy": _flask_sqlalchemy,
        "flask-sqlalchemy-lite": _flask_sqlalchemy_lite,
        "engine": _bare_engine,
    }[style](url)


def _user_columns(base: type[Any]) -> type[Any]:
    class User(UserMixin, base):  # type: ignore[misc]
        __tablename__ = "user"

        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(sa.String(200), unique=True)
        name: Mapped[str | None] = mapped_column(sa.String(200))
        created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
        is_admin: Mapped[bool] = mapped_column(default=False)

    return User


def _flask_sqlalchemy(url: str) -> Host:
    from flask_sqlalchemy import SQLAlchemy

    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base)

    def attach(app: Flask) -> None:
        app.config["SQLALCHEMY_DATABASE_URI"] = url
        db.init_app(app)

    return Host(
        style="flask-sqlalchemy",
        url=url,
        db=db,
        User=_user_columns(db.Model),
        metadata=db.metadata,
        attach=attach,
        sessions=lambda: _closing(db.session),
        engine_of=lambda app: db.engine,
    )


def _flask_sqlalchemy_lite(url: str) -> Host:
    from flask_sqlalchemy_lite import SQLAlchemy

    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy()

    def attach(app: Flask) -> None:
        app.config["SQLALCHEMY_ENGINES"] = {"default": url}
        db.init_app(app)

    return Host(
        style="flask-sqlalchemy-lite",
        url=url,
        db=db,
        User=_user_columns(Base),
        metadata=Base.metadata,
        attach=attach,
        sessions=lambda: _closing(db.session),
        engine_of=lambda app: db.engine,
    )


def _bare_engine(url: str) -> Host:
    class Base(DeclarativeBase):
        pass

    engine = sa.create_engine(url)
    return Host(
        style="engine",
        url=url,
        db=engine,
        User=_user_columns(Base),
        metadata=Base.metadata,
        attach=lambda app: None,
        sessions=lambda: Session(engine, expire_on_commit=False),
        engine_of=lambda app: engine,
    )


@contextmanager
def _closing(session: Any) -> Any:
    """Give the extension's session of this app context; the extension closes it."""
    yield session


def _add_login(app: Flask, host: Host) -> None:
    login = LoginManager(app)

    @login.user_loader
    def load_user(user_id: str) -> Any:
        with host.sessions() as session:
            return session.get(host.User, int(user_id))

    @app.route("/login/<int:user_id>", methods=["GET", "POST"])
    def log_in(user_id: int) -> Any:
        with host.sessions() as session:
            user = session.get(host.User, user_id)
        if user is None:
            abort(404)
        login_user(user, remember="remember" in request.args)
        return redirect("/")

    @app.get("/logout")
    def log_out() -> Any:
        logout_user()
        return redirect("/")


def _add_routes(app: Flask) -> None:
    @app.get("/")
    def page() -> str:
        return PAGE

    @app.get("/me")
    def me() -> dict[str, Any]:
        return {"id": current_user.get_id() if current_user.is_authenticated else None}

    @app.post("/exports")
    def export() -> dict[str, bool]:
        return {"exported": True}

    @app.get("/missing")
    def missing() -> str:
        abort(404)

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("the host's own error")
