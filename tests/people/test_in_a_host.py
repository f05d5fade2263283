"""Custom data and history as a host has them: decorators, the shell, jobs beside other work."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, current_app

from flask_engage import Engage, attribute_changed
from flask_engage._custom_data import refresh_job, summaries
from flask_engage._state import state_of
from flask_engage.automation.lease import Fence
from flask_engage.errors import InvalidFact
from flask_engage.store.event import EventSummaryRow
from tests._clock import START, FakeClock
from tests._hosts import Host, make_host
from tests._processes import environment


def shell(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["engage", *words])


@pytest.fixture
def readers(app: Flask, app_host: Host) -> Flask:
    for number in range(3):
        app_host.add_user(app, f"reader{number}@example.com")
    assert shell(app, "sync").exit_code == 0
    return app


def attrs(app: Flask, engage: Engage, name: str) -> dict[str, Any]:
    with app.app_context():
        return {str(person.user_id): person.attrs.get(name) for person in engage.people()}


def test_a_function_is_called_within_the_app_and_told_to_listeners(
    readers: Flask, engage: Engage, app_host: Host
) -> None:
    @engage.attribute("host")
    def host_of(user: Any) -> str:
        with app_host.sessions() as session:  # the host's own session works in there, too
            assert session.get(app_host.User, user.id).email == user.email
        return current_app.name

    heard: list[tuple[str, Any]] = []

    def hear(sender: Flask, user_id: str, name: str, value: Any, old: Any) -> None:
        heard.append((user_id, value))

    with attribute_changed.connected_to(hear, sender=readers), readers.app_context():
        assert engage.refresh("host") == "3 people, 3 changed"
        assert engage.refresh("host") == "3 people, 0 changed"
    assert sorted(heard) == [("1", "host"), ("2", "host"), ("3", "host")]


def test_the_shell_refreshes_lists_and_helps(
    readers: Flask, engage: Engage, app_host: Host
) -> None:
    assert "Nothing is registered" in shell(readers, "refresh").output

    @engage.attribute("letters in name")
    def letters(user: Any) -> int:
        return 1 // (user.id - 2)

    @engage.attribute_query(every=timedelta(minutes=5))
    def numbers() -> Any:
        return sa.select(app_host.User.id, (app_host.User.id * 2).label("twice"))

    done = shell(readers, "refresh", "letters in name")
    assert done.exit_code == 0
    assert done.output.strip().endswith(
        "letters in name: 2 people, 2 changed, 1 failed: "
        "user '2': ZeroDivisionError: integer division or modulo by zero"
    )
    assert "numbers: 3 people, 3 changed" in shell(readers, "refresh", "numbers").output
    assert shell(readers, "refresh", "twice").output == "twice: 3 people, 0 changed\n"
    unknown = shell(readers, "refresh", "letters in nmae")
    assert unknown.exit_code == 1
    assert "Did you mean 'letters in name'?" in unknown.output
    listed = shell(readers, "refresh").output
    assert "numbers (gives twice)" in listed
    assert "ZeroDivisionError" in listed


def test_what_can_never_work_is_refused_where_it_is_written(engage: Engage) -> None:
    async def waits(_user: Any) -> int:
        return 1

    with pytest.raises(InvalidFact, match="waits is async"):
        engage.attribute("waits")(waits)
    with pytest.raises(InvalidFact, match="timeout"):
        engage.attribute("slow", timeout=timedelta(0))(len)
    with pytest.raises(InvalidFact, match="64 printable"):
        engage.attribute_query("n" * 65)
    with pytest.raises(InvalidFact, match="attribute_query name <function"):

        @engage.attribute_query
        def without_parentheses() -> None: ...


def test_two_that_give_the_same_attribute_do_not_overwrite_each_other(
    readers: Flask, engage: Engage, app_host: Host
) -> None:
    def of_all(**columns: Any) -> Any:
        labelled = [sa.literal(value).label(name) for name, value in columns.items()]
        return sa.select(app_host.User.id, *labelled)

    engage.attribute_query("billing")(lambda: of_all(plan="billed", seats=3, country="NO"))
    engage.attribute_query("crm")(lambda: of_all(country="SE", city="Umeå"))
    engage.attribute_query("copy")(lambda: of_all(plan="copied"))
    engage.attribute("plan")(lambda user: "pro")

    taken = "the attribute 'plan' is given by @engage.attribute('plan') already; label this"
    for _ in range(2):
        assert shell(readers, "refresh", "plan").exit_code == 0
        told = shell(readers, "refresh", "billing")
        assert told.exit_code == 0
        assert taken in told.output
        assert (
            "'country' is given by the query 'billing' already"
            in shell(readers, "refresh", "crm").output
        )
        nothing_left = shell(readers, "refresh", "copy")
        assert nothing_left.exit_code == 1
        assert taken in nothing_left.output
        for name, value in (("plan", "pro"), ("seats", 3), ("country", "NO"), ("city", "Umeå")):
            assert attrs(readers, engage, name) == {"1": value, "2": value, "3": value}
    found = {one.name: one for one in summaries(state_of(readers))}
    assert found["billing"].attributes == ("seats", "country")
    assert taken in (found["billing"].error or "")
    assert found["copy"].state == "failed"


def test_refreshes_that_are_due_share_a_turn_and_leave_the_others_theirs(
    readers: Flask, engage: Engage, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    @engage.attribute("slow", every=timedelta(hours=1))
    def slow(user: Any) -> int:
        time.sleep(0.4)
        return user.id

    @engage.attribute("broken", every=timedelta(hours=1))
    def broken(user: Any) -> int:
        raise RuntimeError("no such service")

    @engage.attribute_query("wrong", every=timedelta(hours=1))
    def wrong() -> Any:
        return sa.select(sa.column("nothing"), sa.column("more")).select_from(sa.table("nowhere"))

    monkeypatch.setattr("flask_engage._custom_data.TURN_SECONDS", 0.6)
    state = state_of(readers)
    fence = Fence(1)
    with pytest.raises(sa.exc.DBAPIError, match="nowhere"):
        refresh_job(state, fence, clock())
    found = {one.name: one for one in summaries(state)}
    assert found["slow"].state == "resting"
    assert found["slow"].share_done is not None
    assert (found["broken"].state, found["broken"].failed) == ("fine", 3)
    assert found["broken"].error_user_id == "3"
    assert found["wrong"].state == "failed"
    assert found["wrong"].next_due == START + timedelta(minutes=5)

    while "so far" in (refresh_job(state, fence, clock()) or ""):
        pass
    assert attrs(readers, engage, "slow") == {"1": 1, "2": 2, "3": 3}
    assert refresh_job(state, fence, clock()) is None
    assert {one.name: one.next_due for one in summaries(state)} == {
        "broken": START + timedelta(hours=1),
        "slow": START + timedelta(hours=1),
        "wrong": START + timedelta(minutes=5),
    }


def test_a_cron_job_refreshes_all_the_way(readers: Flask, engage: Engage, clock: FakeClock) -> None:
    @engage.attribute("number", every=timedelta(hours=1))
    def number(user: Any) -> int:
        return user.id

    with readers.app_context():
        assert engage.run_due()["custom data"] == "number: 3 people, 3 changed"
        assert engage.run_due()["custom data"] == "done"
        clock.advance(hours=1)
        assert engage.run_due()["custom data"] == "number: 3 people, 0 changed"


@pytest.mark.parametrize("style", ["flask-sqlalchemy", "engine"])
def test_history_comes_from_the_hosts_database_into_ours(
    style: str, tmp_path: Path, clock: FakeClock
) -> None:
    """Ours apart from the host's; and in its very file, where looking must not lock out writing."""
    for ours in (f"sqlite:///{tmp_path / f'{style}-ours.sqlite3'}", None):
        host = make_host(style, f"sqlite:///{tmp_path / f'{style}-{bool(ours)}.sqlite3'}")
        engage = Engage(clock=clock)
        config = {"ENGAGE_DATABASE_URL": ours} if ours else {}
        app = host.create_app(engage, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"), **config)
        for number in range(30):
            host.add_user(app, f"u{number}@example.com")
        assert shell(app, "upgrade").exit_code == 0
        with app.app_context():
            query = sa.select(host.User.id, host.User.created_at, sa.literal("signed up"))
            report = engage.backfill(query, key="sign-ups")
            assert (report.stored, report.last_error) == (30, None)
            assert engage.backfill(query, key="sign-ups").already == 30
            with state_of(app).ready.require().read() as session:
                assert session.scalars(sa.select(EventSummaryRow.count)).all() == [1] * 30
        host.dispose()


_SCRIPT = """
import sys
import sqlalchemy as sa
from flask import Flask
from flask_engage import Engage

app = Flask("host")
app.config.update(ENGAGE_DATABASE_URL=sys.argv[1], SECRET_KEY="a secret of sixteen bytes")
engage = Engage(app)
rows = sa.union_all(*[
    sa.select(sa.literal(n), sa.literal("2026-01-01 10:00:00").cast(sa.String), sa.literal("x"))
    for n in range(3)
]).subquery()
with app.app_context():
    at = sa.type_coerce(rows.c[1], sa.DateTime)
    print(engage.backfill(sa.select(rows.c[0], at, rows.c[2]), key="k"))
"""


def test_a_bar_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    script = tmp_path / "history.py"
    script.write_text(_SCRIPT)
    told = {}
    for name in ("terminal", "file"):
        url = f"sqlite:///{tmp_path / name}.sqlite3"
        screen, terminal = pty.openpty()
        with (tmp_path / f"{name}.err").open("w+b") as file:
            done = subprocess.run(
                [sys.executable, script, url],
                cwd=tmp_path,
                env=environment(FLASK_DEBUG="1", TERM="xterm"),
                stdout=subprocess.PIPE,
                stderr=terminal if name == "terminal" else file,
                check=True,
                timeout=120,
            )
            told[name] = bytes(file.seek(0) or file.read())
        os.close(terminal)
        if name == "terminal":
            told[name] = os.read(screen, 65536)
        os.close(screen)
        assert b"3 rows read, 3 stored" in done.stdout
    assert b"100%" in told["terminal"]
    assert b"%" not in told["file"]
