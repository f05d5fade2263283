"""``flask engage …`` says in a line what is wrong; only faults in code show where they are."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from flask_engage import Engage, NotReady
from flask_engage._state import state_of
from flask_engage.store.person import PersonRow
from tests import _databases
from tests._hosts import make_host
from tests._services import free_port

Shell = Callable[..., Any]
Making = Callable[..., Shell]


@pytest.fixture
def making(tmp_path: Path) -> Iterator[Making]:
    """Makes an app of one host with these settings, and its shell."""
    with _databases.migrated("sqlite", tmp_path) as url:
        host = make_host("flask-sqlalchemy", url)

    def make(engage: Engage | None = None, **config: Any) -> Shell:
        engage = engage or Engage()
        engage.operator(lambda: False)
        app: Flask = host.create_app(
            engage, **{"ENGAGE_JOURNAL_DIR": str(tmp_path / "journal"), **config}
        )
        return lambda *words: app.test_cli_runner().invoke(args=["engage", *words])

    yield make
    for app in host._apps:
        with app.app_context(), suppress(NotReady):
            host.engine_of(app).dispose()
            state_of(app).ready.database().dispose()


@pytest.fixture
def people_file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("user_id,email\n1,ada@example.com\n")
    return path


def commands(file: Path) -> list[tuple[str, ...]]:
    return [
        ("upgrade",),
        ("sync",),
        ("rebuild-activity",),
        ("run-once",),
        ("worker",),
        ("refresh",),
        ("refresh", "relationship"),
        ("refresh", "segments"),
        ("people",),
        ("check",),
        ("send", "--to", "1", "--body", "Hello"),
        ("import", str(file)),
        ("export",),
        ("export-person", "--user", "1"),
        ("erase-person", "--user", "1", "--yes"),
    ]


def assert_one_line(result: Any, *said: str) -> None:
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    [line] = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert result.output.rstrip().endswith(line), "it is the last word"
    assert "Traceback" not in result.output
    for words in said:
        assert words in line


BAD_URLS = {
    "no URL": ("nonsense", "ENGAGE_DATABASE_URL is no URL of a database"),
    "no number for a port": (
        "postgresql://ada:hunter2@db:port/x",
        "ENGAGE_DATABASE_URL is no URL of a database",
    ),
    "unknown": ("orakel://ada:hunter2@db/x", "of a kind that SQLAlchemy doesn't know"),
    "not ours": ("oracle://ada:hunter2@db/x", "of the kind 'oracle': expected SQLite, Postgre"),
    "asyncio": ("sqlite+aiosqlite:///x.sqlite3", "a driver for asyncio, 'aiosqlite'"),
    "no driver": ("postgresql+psycopg2://ada:hunter2@db/x", "the Python package 'psycopg2'"),
    "no folder": ("sqlite:////proc/nowhere/x.sqlite3", "The database's folder can't be made"),
}


@pytest.mark.parametrize("wrong", BAD_URLS)
def test_a_database_that_can_not_be_used_is_told_by_every_command(
    wrong: str, making: Making, people_file: Path
) -> None:
    url, said = BAD_URLS[wrong]
    shell = making(ENGAGE_DATABASE_URL=url)
    for words in commands(people_file):
        result = shell(*words)
        assert_one_line(result, said)
        assert "hunter2" not in result.output
    result = shell("doctor")
    assert result.exit_code == 1
    assert "database: none that can be used" in result.output
    assert f"→ {said}" in result.output or said in result.output
    assert "hunter2" not in result.output


def test_a_database_that_is_away_is_told_by_every_command(
    making: Making, people_file: Path
) -> None:
    away = f"postgresql+psycopg://nobody:hunter2@127.0.0.1:{free_port()}/nowhere"
    shell = making(ENGAGE_DATABASE_URL=away)
    for words in commands(people_file):
        if words != ("worker",):  # it waits for the database
            result = shell(*words)
            assert_one_line(result, "The database is away")
            assert "hunter2" not in result.output


def test_missing_tables_are_told_by_every_command(
    making: Making, people_file: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    shell = making(ENGAGE_DATABASE_URL=url, ENGAGE_AUTO_UPGRADE=False)
    for words in commands(people_file):
        if words not in (("upgrade",), ("worker",)):
            assert_one_line(shell(*words), "missing", "run 'flask engage upgrade'")
    assert shell("upgrade").exit_code == 0
    assert shell("people").output == "0 people: Everyone\n"


def test_a_fault_in_code_shows_where_it_is(making: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = making()

    def wrong(*_: Any) -> None:
        raise TypeError("a fault of ours")

    monkeypatch.setattr("flask_engage.cli.rebuild_activity", wrong)
    assert isinstance(shell("rebuild-activity").exception, TypeError)

    def wrong_sql(database: Any, *_: Any) -> None:
        with database.read() as session:
            session.execute(sa.text("SELEKT 1"))

    monkeypatch.setattr("flask_engage.cli.rebuild_activity", wrong_sql)
    assert isinstance(shell("rebuild-activity").exception, sa.exc.OperationalError)

    def no_such_column(database: Any, *_: Any) -> None:
        with database.read() as session:
            session.execute(sa.select(sa.column("nothing")).select_from(PersonRow))

    monkeypatch.setattr("flask_engage.cli.rebuild_activity", no_such_column)
    assert isinstance(shell("rebuild-activity").exception, sa.exc.OperationalError)


def test_a_provider_that_raises_is_named_with_its_line(making: Making) -> None:
    engage = Engage()
    shell = making(engage)

    @engage.attribute_query("broken")
    def broken() -> Any:
        return {}["plan"]

    @engage.attribute_query("typo")
    def typo() -> Any:
        return sa.select(sa.column("id"), sa.column("plan")).select_from(sa.table("usr"))

    @engage.relationship
    def score(parts: Any) -> Any:
        return parts.recency / parts.nothing_of_the_kind

    line = broken.__code__.co_firstlineno + 2
    where = f"({__file__}, line {line})"
    assert_one_line(shell("refresh", "broken"), "broken() raised KeyError: 'plan'", where)
    assert_one_line(shell("refresh", "typo"), "The query can't be run", "no such table: usr")
    assert_one_line(shell("refresh", "relationship"), "score() raised AttributeError")
    assert_one_line(shell("refresh", "brokn"), "Did you mean 'broken'?")
    assert_one_line(shell("refresh", "enrichment"), "Nobody is asked")


def test_a_provider_with_a_decorator_is_named_and_no_other_that_has_it(making: Making) -> None:
    engage = Engage()
    shell = making(engage)

    def counted(function: Any) -> Any:
        @functools.wraps(function)
        def counting() -> Any:
            return function()

        return counting

    @engage.attribute_query("broken")
    @counted
    def broken() -> Any:
        return {}["plan"]

    @engage.attribute_query("whole")
    @counted
    def whole() -> Any:
        return sa.select(sa.literal("1"), sa.literal(1).label("one"))

    assert_one_line(shell("refresh", "broken"), "broken() raised KeyError: 'plan'")


# --- what is written where ----------------------------------------------------------------------


def test_no_name_is_not_everybody(making: Making) -> None:
    shell = making()
    for command in ("people", "export"):
        assert_one_line(shell(command, "--segment", ""), "name of a segment")
        result = shell(command, "--filter", "")
        assert result.exit_code == 2
        assert "--filter is no JSON" in result.output
        assert shell(command, "--filter", "", "--segment", "").exit_code == 2


def test_a_typo_leaves_the_file_of_the_last_export_as_it_is(making: Making, tmp_path: Path) -> None:
    shell, out = making(), tmp_path / "people.csv"
    assert shell("export", "--out", str(out)).exit_code == 0
    before = out.read_bytes()
    assert before.startswith(b"user_id,")
    assert_one_line(shell("export", "--segment", "typo", "--out", str(out)), "typo")
    assert_one_line(shell("export", "--column", "typo", "--out", str(out)), "typo")
    assert out.read_bytes() == before


@pytest.mark.parametrize("place", ["missing/people.csv", "file/people.csv"])
def test_a_place_that_can_not_be_written_to_is_named_with_its_option(
    place: str, making: Making, tmp_path: Path, people_file: Path
) -> None:
    shell = making()
    (tmp_path / "file").write_text("in the way")
    out = str(tmp_path / place)
    assert_one_line(shell("export", "--out", out), f"--out {out}: the file can't be written")
    shell("import", str(people_file))
    written = shell("export-person", "--user", "1", "--out", out)
    assert_one_line(written, f"--out {out}: the file can't be written")


def test_a_report_that_can_not_be_written_keeps_the_import_from_beginning(
    making: Making, tmp_path: Path, people_file: Path
) -> None:
    shell = making()
    report = str(tmp_path / "missing" / "report.csv")
    refused = shell("import", str(people_file), "--report", report)
    assert_one_line(refused, f"--report {report}: the file can't be written")
    assert shell("people").output.startswith("0 people")
    if os.geteuid() != 0:
        (tmp_path / "closed.csv").touch(0o400)
        refused = shell("import", str(people_file), "--report", str(tmp_path / "closed.csv"))
        assert_one_line(refused, "you may not write there")
    good = tmp_path / "report.csv"
    assert shell("import", str(people_file), "--report", str(good)).exit_code == 0
    assert not good.exists(), "nothing was wrong with any row"


def test_a_column_is_taken_for_the_attribute_that_people_have(
    making: Making, tmp_path: Path
) -> None:
    shell = making()
    for number, heading in enumerate(["number:seat count", "Seat Count"]):
        (tmp_path / "people.csv").write_text(f"user_id,{heading}\n1,{number}\n")
        result = shell("import", str(tmp_path / "people.csv"))
        assert f"{heading}\t→ number:seat count" in result.output
    assert shell("export", "--column", "seat count").output.splitlines()[0] == "number:seat count"


# --- what is set up ----------------------------------------------------------------------------


def test_a_changed_time_zone_is_told_until_days_are_cut_anew(
    making: Making, tmp_path: Path
) -> None:
    assert making()("people").exit_code == 0
    shell = making(ENGAGE_TIMEZONE="Asia/Tokyo")
    told = shell("doctor")
    assert told.exit_code == 1
    assert "→ ENGAGE_TIMEZONE is 'Asia/Tokyo', but the days in the database are cut in 'UTC'" in (
        told.output
    )
    assert "run 'flask engage rebuild-activity'" in told.output
    assert shell("rebuild-activity").exit_code == 0
    assert shell("doctor").exit_code == 0


def test_what_is_switched_off_sends_nothing_and_runs_no_job(
    making: Making, people_file: Path
) -> None:
    shell = making(ENGAGE_ENABLED=False)
    for words in commands(people_file):
        if words[0] in ("send", "run-once", "worker"):
            assert_one_line(shell(*words), "ENGAGE_ENABLED is False")
    assert "ENGAGE_ENABLED is False" in shell("doctor").output
    assert shell("import", str(people_file)).exit_code == 0
    assert shell("erase-person", "--user", "1", "--yes").exit_code == 0


def test_the_doctor_names_a_column_that_the_users_do_not_have(making: Making) -> None:
    told = making(ENGAGE_LAST_SEEN_COLUMN="create_at")("doctor")
    assert told.exit_code == 1
    assert "ENGAGE_LAST_SEEN_COLUMN is 'create_at', which User doesn't have" in told.output
    assert "did you mean 'created_at'?" in told.output
    assert making(ENGAGE_LAST_SEEN_COLUMN="created_at")("doctor").exit_code == 0


@pytest.mark.parametrize(
    ("setting", "value"), [("ENRICH_GRAVATAR", True), ("ENRICH_FULLCONTACT_KEY", "a key")]
)
def test_the_doctor_names_the_extra_that_a_setting_needs(
    setting: str, value: Any, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = making(**{f"ENGAGE_{setting}": value})
    assert shell("doctor").exit_code == 0
    monkeypatch.setitem(sys.modules, "urllib3", None)
    told = shell("doctor")
    assert told.exit_code == 1
    assert f'ENGAGE_{setting} needs an extra: pip install "flask-engage[enrich]".' in told.output
