"""The host's own migrations don't know of our tables, in whatever order things are attached."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from flask_engage import Engage


def host_app(url: str, tmp_path: Path, order: str) -> tuple[Flask, SQLAlchemy]:
    app = Flask("host", instance_path=str(tmp_path / "instance"))
    app.config.update(SECRET_KEY="a secret of sixteen bytes", SQLALCHEMY_DATABASE_URI=url)
    db = SQLAlchemy(app)

    class Note(db.Model):  # type: ignore[name-defined]
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(80), index=True)

    folder = str(tmp_path / "migrations")
    if order == "migrate first":
        Migrate(app, db, directory=folder)
    Engage(app, db)
    if order == "engage first":
        Migrate(app, db, directory=folder)
    return app, db


def run(app: Flask, *arguments: str) -> str:
    result = app.test_cli_runner().invoke(args=list(arguments))
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


# Said by the env.py that Flask-Migrate writes.
@pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")
@pytest.mark.parametrize("order", ["migrate first", "engage first"])
def test_autogenerate_is_empty_before_and_after_our_upgrade(
    database_url: str, tmp_path: Path, order: str
) -> None:
    app, db = host_app(database_url, tmp_path, order)
    run(app, "db", "init")
    run(app, "db", "migrate", "-m", "first")
    run(app, "db", "upgrade")
    run(app, "db", "migrate", "-m", "before ours")
    run(app, "engage", "upgrade")
    with app.app_context():
        assert sa.inspect(db.engine).has_table("engage_person")
        # an index that we make at run time
        with db.engine.begin() as connection:
            connection.execute(sa.text("CREATE INDEX ix_engage_later ON engage_person (city)"))
    run(app, "db", "migrate", "-m", "after ours")
    # Flask-Migrate writes no file where nothing has changed: there is the first one only.
    versions = list((tmp_path / "migrations" / "versions").glob("*.py"))
    assert len(versions) == 1
    assert "engage_" not in versions[0].read_text()
    with app.app_context():
        db.engine.dispose()


def test_the_hosts_own_include_name_is_still_asked(tmp_path: Path) -> None:
    from flask_engage._migrate_guard import include_name, protect_host_migrations

    app = Flask("host")
    asked: list[str | None] = []

    def theirs(name: str | None, kind: str, parents: object) -> bool:
        asked.append(name)
        return name != "legacy"

    Migrate(app, SQLAlchemy(), include_name=theirs)
    protect_host_migrations(app)
    both = app.extensions["migrate"].configure_args["include_name"]
    assert both("note", "table", {})
    assert not both("legacy", "table", {})
    assert not both("engage_person", "table", {})
    assert asked == ["note", "legacy"]
    assert not include_name("ix_engage_later", "index", {"table_name": "engage_person"})
