"""The shell's way: people out, in again elsewhere, and one person's whole story."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flask_engage.store.base import Base
from tests._clock import FakeClock

if TYPE_CHECKING:
    from flask import Flask

    from flask_engage import Engage

NAME = '=cmd|"x" <b>Zoë</b>\n💜'


@pytest.fixture
def shop(app: Flask, engage: Engage, clock: FakeClock) -> list[str]:
    """Three people; gives their ids."""
    ids = [f"-user,{n}" for n in range(3)]
    with app.app_context():
        for user_id in ids:
            engage.seen(user_id, at=clock())
            engage.track("exported", {"kind": NAME}, user=user_id, at=clock())
            engage.set_attributes({"plan": NAME, "score": -5}, user=user_id)
        engage.flush()
    return ids


def run(app: Flask, *words: str) -> str:
    done = app.test_cli_runner().invoke(args=["engage", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_everything_about_one_person_and_nobody_else(app: Flask, shop: list[str]) -> None:
    told = json.loads(run(app, "export-person", "--user", shop[1]))
    assert told["person"]["user_id"] == shop[1]
    assert {one["name"]: one["value"] for one in told["attributes"]} == {"plan": NAME, "score": -5}
    assert [one["properties"] for one in told["events"]] == [{"kind": NAME}]
    assert len(told["sessions"]) == 1
    assert {one["source"] for one in told["attributes"]} <= {"api", "page"}
    pointing = {
        table.name
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == "engage_person" and table.name != "engage_person"
    }
    assert len(told) == len(pointing) + 4  # format, exported_at, person, mails_kept_here


def test_a_file_of_people_goes_out_and_changes_nothing_when_it_comes_in(
    app: Flask, shop: list[str], tmp_path: Path
) -> None:
    for kind in ("csv", "jsonl"):
        out = tmp_path / f"people.{kind}"
        run(app, "export", "--format", kind, "--out", str(out))
        assert "3 as they were, 0 refused" in run(app, "import", str(out))
        again = tmp_path / f"again.{kind}"
        run(app, "export", "--format", kind, "--out", str(again))
        assert out.read_bytes() == again.read_bytes()


def test_a_dry_run_and_a_report(app: Flask, shop: list[str], tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"Nr;Mail\n{shop[0]};\n99;no address\n")
    words = ("import", str(path), "--map", "Nr=user_id", "--map", "Mail=email")
    said = run(app, *words, "--dry-run")
    assert said.splitlines() == [
        "row 1\tuser_id",
        "row 2\trefused\tMail: this is no email address",
    ]
    report = tmp_path / "report.csv"
    assert "1 as they were, 1 refused" in run(app, *words, "--report", str(report))
    assert "2,Mail,this is no email address,write one address" in report.read_text()


def test_an_erased_person_is_gone_for_the_shell_too(app: Flask, shop: list[str]) -> None:
    assert "Erased: 1 person" in run(app, "erase-person", "--user", shop[0], "--yes")
    done = app.test_cli_runner().invoke(args=["engage", "export-person", "--user", shop[0]])
    assert done.exit_code == 1
    assert "There is no person" in done.output
    assert shop[0] not in run(app, "export")
