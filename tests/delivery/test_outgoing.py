"""Mail on its way out: what leaves, when, and to whom none goes."""

from __future__ import annotations

import email
import email.policy
from datetime import timedelta

import pytest
from sqlalchemy import select

from flask_engage.delivery.outbox import OutboxTransport
from flask_engage.delivery.outgoing import deliver_due
from flask_engage.delivery.send import send
from flask_engage.delivery.smtp import SmtpTransport
from flask_engage.messages.content import Email
from flask_engage.store.delivery import OutboxRow
from flask_engage.store.person import PersonRow
from tests._clock import START
from tests.delivery._outgoing import queue, run, smtp
from tests.delivery._wild_smtp import wild_server
from tests.delivery._world import MAIL, add_people, deliveries, settings, states

# --- the ordinary way ------------------------------------------------------------------------


def test_due_mail_is_sent_to_each_person_in_a_mail_of_their_own(database, smtp_server):
    queue(database, 3)
    outcome = deliver_due(
        database, settings(), START, SmtpTransport(smtp_server.url, "ada@example.com")
    )
    assert (outcome.sent, outcome.failed, outcome.stopped) == (3, 0, None)
    assert states(database) == {"sent": 3}
    assert all(row.sent_at == START and row.attempts == 1 for row in deliveries(database))
    assert sorted(smtp_server.recipients) == [f"p{n}@example.org" for n in range(3)]
    assert {mail["Subject"] for mail in smtp_server.mails} == {
        f"Hello Person {n}" for n in range(3)
    }
    assert {m["Message-ID"] for m in smtp_server.mails} == {
        row.message_id for row in deliveries(database)
    }
    assert [mail.user_id for mail in outcome.mails] == ["u0", "u1", "u2"]


def test_mail_not_due_yet_is_left_alone(database):
    ids = add_people(database)
    with database.write() as session:
        send(session, MAIL, to_person_ids=ids, now=START, not_before=START + timedelta(hours=1))
    assert not run(database, OutboxTransport())
    assert run(database, OutboxTransport(), START + timedelta(hours=1)).sent == 1


def test_outbox_keeps_the_mail_in_the_transaction_that_marks_it_sent(database):
    queue(database, 2)
    assert run(database, OutboxTransport()).sent == 2
    with database.read() as session:
        rows = session.scalars(select(OutboxRow).order_by(OutboxRow.id)).all()
    assert [row.recipient for row in rows] == ["p0@example.org", "p1@example.org"]
    mail = email.message_from_string(rows[0].source, policy=email.policy.default)
    assert mail["To"] == "p0@example.org"
    assert "Come back, Person 0." in mail.get_body(("plain",)).get_content()


def test_sending_twice_sends_nothing_twice(database, smtp_server):
    queue(database, 2)
    transport = SmtpTransport(smtp_server.url, "ada@example.com")
    assert run(database, transport).sent == 2
    assert run(database, transport).sent == 0
    assert len(smtp_server.mails) == 2


def test_a_round_sends_no_more_than_its_limit(database):
    queue(database, 5)
    assert run(database, OutboxTransport(), limit=3).sent == 3
    assert states(database) == {"sent": 3, "queued": 2}


def test_one_connection_serves_a_batch(database):
    queue(database, 5)
    with wild_server() as server:
        assert run(database, smtp(server)).sent == 5
        assert server.connections == 1


def test_a_server_that_hangs_up_after_each_mail_is_called_again(database):
    queue(database, 4)
    with wild_server("drop_after_each") as server:
        outcome = run(database, smtp(server))
        assert (outcome.sent, outcome.stopped) == (4, None)
        assert server.connections == 4
        assert set(server.bodies.values()) == {1}


# --- who gets none ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ({"unsubscribed_at": START}, "unsubscribed"),
        ({"gone_at": START}, "gone"),
        ({"email": None}, "no address"),
        ({"email": "a@localhost"}, "invalid address"),
        ({"email": "a@b.example>,<x@y.example"}, "invalid address"),
    ],
)
def test_mail_is_suppressed_for_whom_it_must_or_can_not_reach(database, person, reason):
    queue(database, **person)
    queue(database)
    outcome = run(database, OutboxTransport())
    assert (outcome.sent, outcome.suppressed) == (1, 1)
    assert [(row.state, row.reason) for row in deliveries(database)] == [
        ("suppressed", reason),
        ("sent", None),
    ]


def test_mail_to_a_person_deleted_since_is_suppressed(database):
    [person_id] = queue(database)
    with database.write() as session:
        session.get(PersonRow, person_id).deleted_at = START
    assert run(database, OutboxTransport()).suppressed == 1
    assert deliveries(database)[0].reason == "deleted"


def test_staging_guard_lets_mail_through_to_its_own_only(database):
    queue(database, 3)
    queue(database, 1, email="Boss@Corp.example")
    guard = settings(MAIL_ONLY_TO=["p1@example.org", "@corp.example"])
    outcome = deliver_due(database, guard, START, OutboxTransport())
    assert (outcome.sent, outcome.suppressed) == (2, 2)


def test_mail_of_a_rule_is_withdrawn_from_whom_no_longer_matches(database):
    ids = queue(database, 3, source="rule:come back")
    queue(database, 1)
    asked = []

    def still_matches(session, source, person_ids, now):
        asked.append((source, set(person_ids)))
        return {ids[1]}

    outcome = run(database, OutboxTransport(), still_matches=still_matches)
    assert (outcome.sent, outcome.withdrawn) == (2, 2)
    assert asked == [("rule:come back", set(ids))]
    assert states(database) == {"sent": 2}  # no row stands against matching again


def test_addresses_are_refreshed_between_claim_and_sending(database):
    ids = queue(database, 2)

    def refresh(person_ids):
        assert sorted(person_ids) == ids
        with database.write() as session:
            session.get(PersonRow, ids[0]).email = "new@example.org"
            session.get(PersonRow, ids[1]).gone_at = START

    outcome = run(database, OutboxTransport(), refresh_addresses=refresh)
    assert (outcome.sent, outcome.suppressed) == (1, 1)
    with database.read() as session:
        assert session.scalars(select(OutboxRow.recipient)).all() == ["new@example.org"]


def test_a_mail_that_can_not_be_rendered_fails_alone_and_says_why(database):
    message = Email("Hi {{ name }}", "Plan: {{ attrs['plan'] | default('none') }}")
    queue(database, 1, message=message, name="  ")
    queue(database, 1, message=message)
    outcome = run(database, OutboxTransport())
    assert (outcome.sent, outcome.failed) == (1, 1)
    failed = deliveries(database)[0]
    assert (failed.state, failed.reason) == ("failed", "can't be rendered")
    assert "'name' is not known of this person" in failed.error


def test_a_bounced_address_gets_no_more_mail_and_a_new_one_does(database):
    [person_id] = queue(database)
    with wild_server("rcpt550") as server:
        assert run(database, smtp(server)).failed == 1
    with database.write() as session:
        send(session, MAIL, to_person_ids=[person_id], now=START)
    assert run(database, OutboxTransport()).suppressed == 1
    assert deliveries(database)[1].reason == "bounced"
    with database.write() as session:
        session.get(PersonRow, person_id).email = "other@example.org"
        send(session, MAIL, to_person_ids=[person_id], now=START)
    assert run(database, OutboxTransport()).sent == 1
