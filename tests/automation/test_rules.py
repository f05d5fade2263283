"""Rules in code: what is refused at once, and how rows follow the code."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from flask_engage.automation.repeat import every
from flask_engage.automation.rules import AutoMessage, by_priority, sync_rules
from flask_engage.errors import InvalidMessage
from flask_engage.messages.content import Email, InApp
from flask_engage.segments.words import ago, everyone, person
from flask_engage.store.content import ContentRow
from flask_engage.store.engine import Database
from flask_engage.store.rule import RuleRow, rule_named, set_rule_status
from tests._clock import FakeClock

MAIL = Email(subject="Come back", body="We miss you.")
GONE = person.last_seen < ago(days=14)


def rule(name: str = "come back", **changes) -> AutoMessage:
    return AutoMessage(name, **{"to": GONE, "send": MAIL, **changes})


def _sync(database: Database, clock: FakeClock, *rules: AutoMessage, load=None) -> None:
    with database.write() as session:
        sync_rules(session, {one.name: one for one in rules}, clock.now, load)


def _row(database: Database, name: str = "come back") -> RuleRow:
    with database.read() as session:
        row = rule_named(session, name)
        assert row is not None
        return row


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": ""}, "1 to 128"),
        ({"name": " padded "}, "1 to 128"),
        ({"name": "a\nb"}, "1 to 128"),
        ({"name": "x" * 129}, "1 to 128"),
        ({"name": 7}, "1 to 128"),
        ({"to": "power users"}, "in_segment"),
        ({"to": None}, "expected a filter"),
        ({"send": "Hello"}, r"InApp\(…\) or Email\(…\)"),
        ({"send": {}}, "0 variants"),
        ({"send": {str(n): MAIL for n in range(11)}}, "11 variants"),
        ({"send": {"": MAIL}}, "variant ''"),
        ({"send": {"a": MAIL, "b": InApp(body="Hi")}}, "of one kind"),
        ({"repeat": timedelta(days=1)}, "every"),
        ({"on": "visit"}, "not available yet"),
        ({"on": "event:exported"}, "not available yet"),
        ({"holdout": 1.5}, "0 to 1"),
        ({"holdout": float("nan")}, "0 to 1"),
        ({"holdout": True}, "0 to 1"),
        ({"priority": "high"}, "whole number"),
    ],
)
def test_rule_that_cannot_work_is_refused_where_it_is_written(wrong, says) -> None:
    with pytest.raises(InvalidMessage, match=says):
        rule(**wrong)


def test_rule_is_frozen_and_knows_its_source_and_channel() -> None:
    two = rule(send={"warm": MAIL, "short": Email("Hi", "Hi.")})
    assert two.source == "rule:come back"
    assert two.channel == "email"
    assert list(two.variants) == ["warm", "short"]
    assert rule(send=InApp(body="Hi")).channel == "in_app"
    with pytest.raises(AttributeError):
        two.name = "other"  # type: ignore[misc]


def test_every_says_how_often() -> None:
    assert every(days=60).describe() == "every 60 days"
    assert every(hours=1).describe() == "every hour"
    assert every(timedelta(minutes=90)).describe() == "every 90 minutes"
    assert every(days=1, hours=12).to_json() == {"mode": "every", "seconds": 129_600.0}


@pytest.mark.parametrize("wrong", [{}, {"minutes": 0.5}, {"days": -3}])
def test_every_refuses_what_is_no_interval(wrong) -> None:
    with pytest.raises(InvalidMessage, match="a minute"):
        every(**wrong)
    with pytest.raises(InvalidMessage, match="unit"):
        every(60)  # type: ignore[arg-type]


def test_rules_are_ordered_by_priority_then_as_written() -> None:
    rules = [rule("a"), rule("b", priority=5), rule("c"), rule("d", priority=-1)]
    assert [one.name for one in by_priority(rules)] == ["b", "a", "c", "d"]


def test_rule_row_says_what_the_code_says(database: Database, clock: FakeClock) -> None:
    _sync(database, clock, rule(repeat=every(days=60), holdout=0.1, priority=3))
    row = _row(database)
    assert (row.origin, row.status, row.channel, row.trigger) == (
        "code",
        "live",
        "email",
        "schedule",
    )
    assert row.repeat == {"mode": "every", "seconds": 5_184_000.0}
    assert row.document == GONE.to_json()
    assert row.sentence == GONE.describe()
    assert row.options == {"variants": [""], "holdout": 0.1, "priority": 3}
    assert row.created_at == row.updated_at == clock.now


def test_rule_row_is_not_touched_while_the_code_stays_the_same(
    database: Database, clock: FakeClock
) -> None:
    _sync(database, clock, rule())
    before = clock.now
    clock.advance(hours=1)
    _sync(database, clock, rule())
    assert _row(database).updated_at == before
    with database.read() as session:
        assert len(session.scalars(select(ContentRow)).all()) == 1


def test_rule_with_new_words_and_filter_keeps_its_row(database: Database, clock: FakeClock) -> None:
    _sync(database, clock, rule())
    first = _row(database).id
    clock.advance(hours=1)
    _sync(database, clock, rule(to=everyone, send=Email("New", "Words.")))
    row = _row(database)
    assert row.id == first
    assert row.sentence == everyone.describe()
    with database.read() as session:
        versions = session.scalars(
            select(ContentRow.version)
            .where(ContentRow.source == "rule:come back")
            .order_by(ContentRow.version)
        ).all()
    assert versions == [1, 2]


def test_rule_that_vanishes_is_removed_and_comes_back_live(
    database: Database, clock: FakeClock
) -> None:
    _sync(database, clock, rule("a"), rule("b"))
    _sync(database, clock, rule("b"))
    assert (_row(database, "a").status, _row(database, "b").status) == ("removed", "live")
    _sync(database, clock)
    assert _row(database, "b").status == "removed"
    _sync(database, clock, rule("a"))
    assert _row(database, "a").status == "live"


def test_rule_that_an_operator_paused_stays_paused(database: Database, clock: FakeClock) -> None:
    _sync(database, clock, rule())
    with database.write() as session:
        assert set_rule_status(session, "come back", "paused", clock.now, "too many mails")
        assert not set_rule_status(session, "no such", "paused", clock.now)
    _sync(database, clock, rule(send=Email("Other", "Words.")))
    row = _row(database)
    assert (row.status, row.status_reason) == ("paused", "too many mails")


def test_rule_reads_the_hosts_template(database: Database, clock: FakeClock) -> None:
    source = "---\nsubject: Come back, {{ name | default('you') }}\n---\nWe miss you.\n"
    templated = rule(send=Email.template("engage/come_back.md"))
    _sync(database, clock, templated, load={"engage/come_back.md": source}.__getitem__)
    with database.read() as session:
        content = session.scalars(select(ContentRow)).one()
    assert content.subject == "Come back, {{ name | default('you') }}"
    with pytest.raises(InvalidMessage, match=r"engage/come_back\.md"):
        _sync(database, clock, templated)
