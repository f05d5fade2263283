"""The plugin for tests of a host, used as a host would use it."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
import pytest
from flask import Flask
from flask_engage import Email, Engage, ago, person

@pytest.fixture
def app(tmp_path):
    app = Flask("host", instance_path=str(tmp_path))
    app.config.update(TESTING=True, SECRET_KEY="a secret of sixteen bytes")
    app.engage = Engage(app, f"sqlite:///{tmp_path / 'db.sqlite3'}")
    app.engage.load_user(lambda: None)
    app.engage.auto_message(
        "come back", to=person.last_seen < ago(days=14),
        send=Email(subject="Hello {{ name | default('there') }}", body="We *miss* you."),
    )
    return app
"""

TESTS = """
from flask_engage import Identity, person
import pytest

ADA = Identity("1", email="ada@example.com")

def test_a_mail_leaves_after_two_weeks_and_only_once(
    app, engage_clock, engage_run_due, engage_outbox, assert_matches, assert_not_sent
):
    with app.app_context():
        assert app.engage.seen(ADA, at=engage_clock())
    engage_run_due()
    assert_not_sent("come back", "1")
    with pytest.raises(AssertionError, match="does not match"):
        assert_matches("come back", "1")
    engage_clock.advance(days=15)
    assert_matches("come back", "1")
    assert_matches(person.sessions == 1, "1")
    engage_run_due()
    engage_clock.advance(days=30)
    engage_run_due()
    assert [(mail.to, mail.subject) for mail in engage_outbox] == [
        ("ada@example.com", "Hello there")
    ]
    assert "We miss you." in engage_outbox[0].text.replace("*", "")
    assert "<em>miss</em>" in engage_outbox[0].html
    with pytest.raises(AssertionError, match="has sent"):
        assert_not_sent("come back", "1")

def test_a_rule_that_is_not_there_is_named(assert_matches):
    with pytest.raises(LookupError, match="'come back'"):
        assert_matches("comeback", "1")
"""


def test_the_plugin_lets_a_host_test_its_rules(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    installed = any(
        found.value == "flask_engage.testing" for found in entry_points(group="pytest11")
    )
    arguments = [] if installed else ["-p", "flask_engage.testing"]
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
    result.assert_outcomes(passed=2)
