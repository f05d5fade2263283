"""`flask --app example_app seed`, with Flask-Engage and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, inspect, select

from example_app import create_app, demo
from example_app.models import Newsletter, Section, User, db
from tests.example_app.conftest import Visitor


@pytest.fixture(params=[True, False], ids=["attached", "detached"])
def empty(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch) -> Flask:
    """Paperkite with an empty database: not even tables."""
    monkeypatch.setenv("PAPERKITE_INSTANCE", str(tmp_path / "instance"))
    return create_app({"TESTING": True, "ENGAGE_SCHEDULER": "off", "EXAMPLE_ENGAGE": request.param})


def _seed(app: Flask, *more: str) -> str:
    words = ["seed", "--people", "40", "--days", "30", *more]
    result = app.test_cli_runner().invoke(args=words)
    assert result.exit_code == 0, result.output
    return result.output


def _count(app: Flask, model: type) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_empty_database_says_what_to_do(empty):
    visitor = Visitor(empty)
    assert visitor.get("/login") == 503
    assert "flask --app example_app seed" in visitor.page


def test_seed_fills_an_empty_database(empty):
    output = _seed(empty)
    assert "40 people with 30 days behind them" in output
    assert demo.OPERATOR.email in output
    assert demo.PASSWORD in output
    assert _count(empty, User) == 41
    assert _count(empty, Newsletter) > 10
    assert _count(empty, Section) > 40


def test_seeded_accounts_can_log_in(empty):
    _seed(empty)
    for account in (demo.OPERATOR, demo.MEMBER):
        visitor = Visitor(empty)
        visitor.get("/login")
        assert account.name in visitor.page
        visitor.log_in(account.email, demo.PASSWORD)


def test_seeding_twice_changes_nothing(empty):
    _seed(empty)
    sections = _count(empty, Section)
    assert "nothing changed" in _seed(empty, "--seed", "2")
    assert (_count(empty, User), _count(empty, Section)) == (41, sections)


def test_reset_starts_over(empty):
    _seed(empty)
    assert "20 people" in _seed(empty, "--reset", "--people", "20")
    assert _count(empty, User) == 21
    with empty.app_context():
        ours = [name for name in inspect(db.engine).get_table_names() if "engage" in name]
    assert bool(ours) is empty.config["EXAMPLE_ENGAGE"]


def test_demo_accounts_says_where_to_look(empty):
    result = empty.test_cli_runner().invoke(args=["demo-accounts", "--port", "8123"])
    assert "http://127.0.0.1:8123/engage/" in result.output
    assert demo.MEMBER.email in result.output
