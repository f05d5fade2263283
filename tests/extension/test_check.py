"""``flask engage check``: what is wrong with segments and rules is told before anybody is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_engage import (
    Email,
    Engage,
    InApp,
    attr,
    did,
    everyone,
    host,
    in_segment,
    person,
    received,
    visited,
)
from flask_engage._state import state_of
from flask_engage.store.segment import add_segment
from tests._clock import START
from tests._hosts import Host


def check(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["engage", "check", *words])


@pytest.fixture
def told(app: Flask, engage: Engage, app_host: Host) -> Flask:
    """An app in whose database somebody has an attribute and has done something."""
    app_host.add_user(app, "ada@example.com")
    with app.app_context():
        engage.sync()
        engage.track("exported", user=1)
        engage.set_attributes({"invites sent": 3}, user=1)
        engage.flush()
    return app


def test_what_is_right_is_counted(told: Flask, engage: Engage) -> None:
    engage.segment("exporters", did("exported") & (attr("invites sent") > 2) & visited())
    engage.auto_message("hello", to=in_segment("exporters"), send=InApp(body="Hello"))
    engage.auto_message("again", to=~received("hello"), send=InApp(body="Hello"))
    done = check(told, "--strict")
    assert done.exit_code == 0, done.output
    assert done.output.endswith("and 2 rules checked: 0 errors, 0 warnings.\n")
    assert "warning" not in done.output.partition("checked")[0]


@pytest.mark.parametrize(
    ("wanted", "warning"),
    [
        (did("exportd"), "nobody has done “exportd” yet; did you mean “exported”?"),
        (did("dug a hole"), "nobody has done “dug a hole” yet."),
        (did("exportd").last.is_set(), "nobody has done “exportd” yet"),
        (~(everyone & did("exportd").where(kind="csv")), "nobody has done “exportd” yet"),
        (attr("invite sent") == 3, "nobody has the attribute “invite sent” yet; did you mean"),
        (attr("invite sent").in_([1]), "nobody has the attribute “invite sent” yet"),
        (attr("invite sent").unchanged_for(days=1), "nobody has the attribute “invite sent” yet"),
        (~attr("invite sent").is_set(), "nobody has the attribute “invite sent” yet"),
        (attr("letters") > 1, "“letters” yet; “flask engage refresh” computes it"),
        (received("helo"), "a message “helo”; did you mean “hello”?"),
    ],
)
def test_a_name_that_nobody_has_is_a_warning(
    told: Flask, engage: Engage, wanted: Any, warning: str
) -> None:
    engage.attribute("letters")(lambda user: len(user.name))
    engage.auto_message("hello", to=wanted, send=InApp(body="Hello"))
    engage.segment("those", wanted)
    done = check(told)
    assert done.exit_code == 0, done.output
    for what in ("rule 'hello'", "segment 'those'"):
        line = next(one for one in done.output.splitlines() if what in one)
        assert line.startswith(f"warning: {what}: ")
        assert warning in line
    assert "0 errors, 2 warnings." in done.output
    assert check(told, "--strict").exit_code == 1


def test_what_can_not_work_is_an_error(told: Flask, engage: Engage, app_host: Host) -> None:
    engage.segment("of a friend", everyone)
    engage._registry.segments["round"] = in_segment("round")
    engage._registry.segments["misnamed"] = in_segment("of a freind")
    by_name = host(app_host.User.name == 5)  # a text is no number
    engage._registry.segments["of a kind"] = by_name
    engage.auto_message("by mail", to=person.email.is_set(), send=Email.template("no/such.md"))
    with state_of(told).ready.require().write() as session:
        add_segment(session, "of tomorrow", {"version": 9, "filter": {}}, "7", START)
    done = check(told)
    assert done.exit_code == 1
    errors = [line for line in done.output.splitlines() if line.startswith("error: ")]
    for what, why in {
        "segment 'round'": "round → round",
        "segment 'misnamed'": "did you mean 'of a friend'?",
        "rule 'by mail'": "There is no template 'no/such.md'",
        "segment 'of tomorrow'": "version: 9 is unknown",
        "segment 'of a kind'": "'name' is a text",
    }.items():
        assert any(what in line and why in line for line in errors), (what, done.output)


def test_without_tables_it_says_what_to_do(tmp_path: Path) -> None:
    app = Flask("bare")
    app.config.update(
        ENGAGE_DATABASE_URL=f"sqlite:///{tmp_path / 'own.db'}",
        ENGAGE_AUTO_UPGRADE=False,
        ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
    )
    Engage(app)
    done = check(app)
    assert done.exit_code == 1
    assert "flask engage upgrade" in done.output
