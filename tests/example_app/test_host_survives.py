"""Whatever becomes of Flask-Engage, Paperkite answers, and one warning says what is wrong."""

from __future__ import annotations

import logging

import pytest
from flask import Flask

from example_app import engagement
from example_app.models import Invite, Section, User, db
from tests._services import free_port
from tests.example_app.conftest import MakePaperkite, Visitor


def tour(app: Flask) -> None:
    """Use every part of the product once, and see that each page answers as it should."""
    ada = Visitor(app)
    assert ada.get("/") == 200
    ada.log_in("ada@letters.example")
    assert ada.post("/newsletters/", title="Sunday letter") == 200
    letter = ada.path
    assert ada.post(f"{letter}/sections/", kind="text") == 200
    assert ada.post(ada.path, heading="News", body="All is well.") == 200
    assert ada.get(f"{letter}/preview") == 200
    ada.get(letter)
    assert "All is well." in ada.download(f"{letter}/export").text
    assert ada.get("/team/") == 200
    assert ada.post("/team/", email="cy@letters.example") == 200
    assert ada.get("/settings") == 200
    assert ada.post("/settings/plan", plan="press") == 200
    assert ada.post("/settings/twitter", handle="ada_l") == 200
    assert ada.post("/settings/twitter/disconnect") == 200
    with app.app_context():
        assert db.session.query(Section).one().heading == "News"
        assert db.session.query(Invite).one().email == "cy@letters.example"
        assert db.session.query(User).filter_by(email="ada@letters.example").one().plan == "press"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What Flask-Engage has complained of."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("flask_engage") and record.levelno >= logging.WARNING
    ]


def test_host_answers_while_our_tables_are_missing(make_paperkite: MakePaperkite, caplog):
    app = make_paperkite(ENGAGE_AUTO_UPGRADE=False)
    tour(app)
    with app.app_context():
        engagement.engage.flush()
    _expect_warnings(caplog, "is idle: The engage_ tables are missing")


def test_host_answers_while_our_database_is_down(make_paperkite: MakePaperkite, caplog):
    url = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/engage"
    app = make_paperkite(ENGAGE_DATABASE_URL=url)
    tour(app)
    with app.app_context():
        engagement.engage.flush()
    _expect_warnings(caplog, "is idle: The database is away", "the host's transaction")


def test_host_answers_while_identify_raises(make_paperkite: MakePaperkite, caplog, monkeypatch):
    monkeypatch.setattr(engagement.engage._registry, "identify", _broken)
    tour(_with_tables(make_paperkite(ENGAGE_RAISE_ERRORS=False)))
    # Three places of ours met the fault; it is one fault, and said once.
    assert len(warnings_of(caplog)) == 1


def test_host_answers_while_operator_raises(make_paperkite: MakePaperkite, caplog, monkeypatch):
    monkeypatch.setattr(engagement.engage._registry, "operator", _broken)
    app = _with_tables(make_paperkite(ENGAGE_RAISE_ERRORS=False))
    tour(app)
    ada = Visitor(app).log_in("ada@letters.example")
    assert [ada.get("/engage/") for _ in range(3)] == [404, 404, 404]
    assert len(warnings_of(caplog)) == 1


def test_host_answers_while_our_journal_is_broken(
    make_paperkite: MakePaperkite, caplog, monkeypatch
):
    monkeypatch.setattr("flask_engage.capture.journal.Journal.append", _broken)
    tour(_with_tables(make_paperkite(ENGAGE_RAISE_ERRORS=False)))
    _expect_warnings(caplog, "recording failed")


def _with_tables(app: Flask) -> Flask:
    assert app.test_cli_runner().invoke(args=["engage", "upgrade"]).exit_code == 0
    return app


def _broken(*_: object) -> None:
    raise ZeroDivisionError("a bug")


def _expect_warnings(caplog: pytest.LogCaptureFixture, *parts: str) -> None:
    """One for each place in which something failed, however often it did."""
    complaints = warnings_of(caplog)
    for part in parts:
        assert sum(part in line for line in complaints) == 1, complaints
    assert len(complaints) == len(parts), complaints
