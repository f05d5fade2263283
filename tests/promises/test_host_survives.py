"""Whatever fails of ours, the host answers as if we were not there, and one line says so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_engage import Engage
from flask_engage.store.migrate import upgrade
from tests._clock import FakeClock
from tests._databases import empty
from tests._hosts import PAGE, Host, make_host
from tests._services import free_port


def broken(*_args: Any, **_kwargs: Any) -> Any:
    raise RuntimeError("broken on purpose")


def break_identify(engage: Engage, app: Flask) -> None:
    engage.identify(broken)


def break_load_user(engage: Engage, app: Flask) -> None:
    engage.load_user(broken)


def break_recorder(engage: Engage, app: Flask) -> None:
    app.extensions["engage"].recorder._open = broken


FAULTS: dict[str, Callable[[Engage, Flask], None]] = {
    "identify": break_identify,
    "load_user": break_load_user,
    "the recorder": break_recorder,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "ENGAGE_EXCLUDE": {"ENGAGE_EXCLUDE": broken},
    "ENGAGE_CSP_NONCE": {"ENGAGE_CSP_NONCE": broken},
}


@pytest.fixture
def warnings_of(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, logger="flask_engage")
    return lambda: [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("flask_engage") and record.levelno >= logging.WARNING
    ]


@pytest.fixture
def plain_host(tmp_path: Path) -> Any:
    host = make_host("flask-sqlalchemy", f"sqlite:///{tmp_path / 'host.sqlite3'}")
    yield host
    host.dispose()


def visit(app: Flask, host: Host) -> None:
    """Log in and look at a page three times, as if nothing were wrong."""
    user_id = host.add_user(app)
    client = app.test_client()
    assert client.get(f"/login/{user_id}").status_code == 302
    for _ in range(3):
        answer = client.get("/", headers={"User-Agent": "Mozilla/5.0 Firefox/128.0"})
        assert answer.status_code == 200
        without_tag = answer.text.partition("<script")[0]
        assert PAGE.startswith(without_tag)
        assert client.get("/me").json == {"id": str(user_id)}


@pytest.mark.parametrize("fault", [*FAULTS, *SETTINGS])
def test_a_fault_of_ours_is_logged_once_and_the_page_is_served(
    fault: str,
    plain_host: Host,
    tmp_path: Path,
    warnings_of: Callable[[], list[str]],
) -> None:
    engage = Engage()
    app = plain_host.create_app(
        engage,
        ENGAGE_RAISE_ERRORS=False,
        ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        **SETTINGS.get(fault, {}),
    )
    if fault in FAULTS:
        FAULTS[fault](engage, app)
    visit(app, plain_host)
    said = warnings_of()
    assert len(said) == 1, said
    assert "host is not affected" in said[0]


def test_an_operator_function_that_fails_lets_nobody_in(
    plain_host: Host, tmp_path: Path, warnings_of: Callable[[], list[str]]
) -> None:
    engage = Engage()
    engage.operator(broken)
    app = plain_host.create_app(
        engage, ENGAGE_RAISE_ERRORS=False, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal")
    )
    user_id = plain_host.add_user(app, is_admin=True)
    client = app.test_client()
    client.get(f"/login/{user_id}")
    assert client.get("/engage/").status_code == 404
    assert len(warnings_of()) == 1


def test_a_fault_is_raised_to_the_developer_in_testing(plain_host: Host, tmp_path: Path) -> None:
    engage = Engage()
    app = plain_host.create_app(engage, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"))
    engage.identify(broken)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        visit(app, plain_host)


def test_a_database_that_is_down_is_warned_of_once(
    plain_host: Host, tmp_path: Path, warnings_of: Callable[[], list[str]]
) -> None:
    nowhere = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nowhere"
    engage = Engage()
    app = plain_host.create_app(
        engage, ENGAGE_DATABASE_URL=nowhere, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal")
    )
    visit(app, plain_host)
    with app.app_context():
        for _ in range(3):
            assert engage.flush() == 0
    assert len(warnings_of()) == 1, warnings_of()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mariadb"])
def test_missing_tables_are_warned_of_once_and_nothing_is_lost(
    dialect: str,
    plain_host: Host,
    clock: FakeClock,
    tmp_path: Path,
    warnings_of: Callable[[], list[str]],
) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    with empty(dialect, ours) as url:
        engage = Engage(clock=clock)
        app = plain_host.create_app(
            engage,
            ENGAGE_DATABASE_URL=url,
            ENGAGE_AUTO_UPGRADE=False,
            ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        )
        visit(app, plain_host)
        with app.app_context():
            assert engage.flush() == 0
            assert engage.flush() == 0
            assert len(warnings_of()) == 1, warnings_of()
            assert "flask engage upgrade" in warnings_of()[0]

            state = app.extensions["engage"]
            upgrade(state.ready.database())
            state.ready.forget()
            assert engage.flush() > 0
            assert [person.email for person in engage.people()] == ["ada@example.com"]
            state.ready.database().dispose()
