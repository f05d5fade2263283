"""A host with one rule, to be served by gunicorn: told by its environment where its data are.

``HOST_DATABASE_URL``, ``HOST_SMTP_URL``, ``HOST_FOLDER``.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_engage import Email, Engage, ago, person

NAME = "come back"


class Base(DeclarativeBase):
    """The host's tables."""


class User(Base):
    """The host's users."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(200))
    name: Mapped[str] = mapped_column(sa.String(200))
    created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
    last_seen: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))


def create_app() -> Flask:
    """Make the host's app; each worker of gunicorn has its own."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="a secret of sixteen bytes and more",
        ENGAGE_SMTP_URL=os.environ["HOST_SMTP_URL"],
        ENGAGE_MAIL_FROM="Host <host@example.com>",
        ENGAGE_BASE_URL="http://127.0.0.1",
        ENGAGE_JOURNAL_DIR=os.environ["HOST_FOLDER"],
        ENGAGE_LAST_SEEN_COLUMN="last_seen",
    )
    engage = Engage(app, sa.create_engine(os.environ["HOST_DATABASE_URL"]), user_model=User)
    engage.auto_message(
        NAME,
        to=person.last_seen < ago(days=14),
        send=Email(
            subject="We miss you, {{ name | default('there') }}",
            body="It has been a while. [Have a look](https://example.com/).",
        ),
    )

    @app.get("/")
    def pid() -> str:
        time.sleep(0.2)  # busy, so that requests beside this one go to other workers
        return str(os.getpid())

    @app.cli.command("poke")
    def poke() -> None:
        app.test_client().get("/")
        print(sum(thread.name == "APScheduler" for thread in threading.enumerate()))

    return app
