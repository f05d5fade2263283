"""Fixtures for all tests. What is of size lives in the modules beside this one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests import _databases, _hosts
from tests._clock import FakeClock
from tests._services import CHROMIUM, unavailable

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from playwright.sync_api import Browser

    from flask_engage import Engage
    from flask_engage.store.engine import Database
    from tests._hosts import Host
    from tests._smtp import MailServer

# Machines that run tests are busy: no example fails for having been slow.
hypothesis.settings.register_profile("engage", deadline=None, print_blob=True)
hypothesis.settings.load_profile("engage")

# --- a skip is a failure where everything is supposed to be there ---------------------------

_NO_SKIPS = os.environ.get("ENGAGE_TEST_NO_SKIPS") == "1"


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skipped report into a failed one that names the test and the reason."""
    if not (_NO_SKIPS and report.outcome == "skipped") or hasattr(report, "wasxfail"):
        return
    where = report.longrepr
    reason = where[2] if isinstance(where, tuple) else str(where)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} was skipped, and no skip is allowed here: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    report = yield
    _forbid_skip(report)
    return report


@pytest.fixture(autouse=True)
def _our_log_is_heard() -> None:
    """Undo what a host's logging configuration may have done in a test before this one.

    Flask-Migrate's ``env.py`` reads a logging configuration, which silences all other loggers.
    """
    for name, logger in logging.root.manager.loggerDict.items():
        if name.split(".")[0] == "flask_engage" and isinstance(logger, logging.Logger):
            logger.disabled = False


# --- databases -------------------------------------------------------------------------------


@pytest.fixture(params=_databases.DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database of the test's own: SQLite, PostgreSQL, MariaDB in turn."""
    with _databases.empty(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=_databases.DIALECTS)
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database with our tables, otherwise empty: the three in turn."""
    with _databases.migrated(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """Our access to a database with our tables: the three in turn."""
    from flask_engage.store.engine import open_database

    database = open_database(migrated_url)
    yield database
    database.dispose()


# --- hosts -----------------------------------------------------------------------------------


@pytest.fixture(params=_hosts.STYLES)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """A host on SQLite, in each of the styles in turn; see :class:`tests._hosts.Host`."""
    host = _hosts.make_host(request.param, f"sqlite:///{tmp_path / 'host.sqlite3'}")
    yield host
    host.dispose()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still: ``.now``, ``.advance(days=14)``, and callable."""
    return FakeClock()


@pytest.fixture
def engage(clock: FakeClock) -> Engage:
    """An `Engage` on the test's `clock`; its operators are the host's users with ``is_admin``."""
    from flask_login import current_user

    from flask_engage import Engage

    engage = Engage(clock=clock)

    @engage.operator
    def operator() -> bool:
        return bool(current_user.is_authenticated and current_user.is_admin)

    return engage


@pytest.fixture
def app_host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """The host behind `app`: the test's own `host`, or one on its database, or on SQLite.

    Our tables are there, unless the test asked for `host` or `database_url`.

    A test that asks for `host` too runs once for each style of host; one that asks for
    `database_url`, `migrated_url` or `database` runs on the three databases.
    """
    if "host" in request.fixturenames:
        yield request.getfixturevalue("host")
        return
    for name in ("migrated_url", "database_url"):
        if name in request.fixturenames:
            url = request.getfixturevalue(name)
            break
    else:
        with _databases.migrated("sqlite", tmp_path) as url:
            pass  # a copy that goes with tmp_path
    host = _hosts.make_host("flask-sqlalchemy", url)
    yield host
    host.dispose()


@pytest.fixture
def app(app_host: Host, engage: Engage, tmp_path: Path) -> Flask:
    """A host app with `engage` attached; nothing runs by itself but what a test starts."""
    return app_host.create_app(engage, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"))


@pytest.fixture
def make_person(app: Flask, app_host: Host) -> Callable[..., int]:
    """Makes a user of the host and a person of it: ``make_person(email=..., name=...)``.

    Returns the host's user id. The person is as old as ``created_at`` says and not seen yet.
    """

    def make(email: str = "ada@example.com", **values: Any) -> int:
        user_id = app_host.add_user(app, email, **values)
        result = app.test_cli_runner().invoke(args=["engage", "sync"])
        assert result.exit_code == 0, result.output
        return user_id

    return make


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser's requests, not logged in; ``client.get("/login/1")`` logs user 1 in."""
    return app.test_client()


@pytest.fixture
def operator(app: Flask, app_host: Host) -> FlaskClient:
    """A browser's requests of a logged-in operator."""
    user_id = app_host.add_user(app, "operator@example.com", name="Olga", is_admin=True)
    client = app.test_client()
    assert client.get(f"/login/{user_id}").status_code == 302
    return client


# --- what stands around us -------------------------------------------------------------------


@pytest.fixture
def smtp_server() -> Iterator[MailServer]:
    """A real SMTP server that counts bodies per Message-ID and mails per recipient."""
    from tests._smtp import MailServer

    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, driven by Playwright; mark the test with ``pytest.mark.browser``."""
    if not CHROMIUM.exists():
        unavailable(f"Chromium ({CHROMIUM})", start="apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # ms; nothing here is about speed, and machines are busy
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()
