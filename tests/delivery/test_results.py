"""What senders get to see of their messages."""

from __future__ import annotations

from datetime import timedelta

from flask_engage.delivery.inapp import next_for, record
from flask_engage.delivery.outbox import OutboxTransport
from flask_engage.delivery.outgoing import deliver_due
from flask_engage.delivery.send import send, source_of
from flask_engage.messages.content import Button, Email, InApp
from flask_engage.store.delivery_results import (
    SourceResults,
    deliveries_of_person,
    deliveries_of_source,
    results_of,
    send_of,
    sends,
    sent_and_opened_since,
)
from tests._clock import START
from tests.delivery._world import MAIL, add_people, settings

POPUP = InApp("Hi", "x", buttons=[Button("Go", "/x"), Button("Later")])


def put(database, message, ids, source, now=START):
    with database.write() as session:
        send(session, message, to_person_ids=ids, now=now, source=source, created_by="7")


def act(database, person_id, *reports):
    with database.write() as session:
        item = next_for(session, person_id, START)
        for kind, button in reports:
            assert record(session, person_id, item.delivery, kind, START, button)


def test_results_count_people_by_state_and_by_what_they_did(database):
    ids = add_people(database, 4)
    add_people(database, 1, unsubscribed_at=START)
    put(database, POPUP, ids, "send:a")
    put(database, MAIL, [*ids, ids[-1] + 1], "send:b")
    act(database, ids[0], ("shown", None), ("opened", None), ("clicked", 0), ("clicked", 1))
    act(database, ids[1], ("shown", None), ("dismissed", None))
    deliver_due(database, settings(), START, OutboxTransport())
    with database.read() as session:
        found = results_of(session, ["send:a", "send:b", "send:none"])
        since = sent_and_opened_since(session, START)
        later = sent_and_opened_since(session, START + timedelta(seconds=1))
    assert found["send:a"] == SourceResults(
        "send:a", waiting=2, sent=2, shown=2, opened=1, clicked=1, dismissed=1
    )
    assert found["send:b"] == SourceResults("send:b", sent=4, suppressed=1)
    assert found["send:b"].people == 5
    assert found["send:none"] == SourceResults("send:none")
    assert (since, later) == ((6, 1), (0, 0))


def test_results_lead_to_the_people_behind_a_number(database):
    ids = add_people(database, 3)
    put(database, POPUP, ids, "send:a")
    act(database, ids[1], ("opened", None), ("clicked", 1))
    with database.read() as session:
        everyone = deliveries_of_source(session, "send:a")
        clicked = deliveries_of_source(session, "send:a", kind="clicked")
        waiting = deliveries_of_source(session, "send:a", state="waiting")
    assert [line.person_name for line in everyone] == ["Person 2", "Person 1", "Person 0"]
    assert [line.person_email for line in clicked] == ["p1@example.org"]
    assert clicked[0].clicks == ("Later",)
    assert clicked[0].events == {"opened": START, "clicked": START}
    assert (clicked[0].heading, clicked[0].state, clicked[0].sent_at) == ("Hi", "sent", START)
    assert len(waiting) == 2


def test_lists_are_read_page_by_page(database):
    ids = add_people(database, 5)
    put(database, POPUP, ids, "send:a")
    seen, before = [], None
    with database.read() as session:
        while page := deliveries_of_source(session, "send:a", before=before, limit=2):
            seen += [line.person_name for line in page]
            before = page[-1].id
    assert seen == [f"Person {number}" for number in (4, 3, 2, 1, 0)]


def test_a_person_has_the_list_of_what_they_were_sent(database):
    ada, bob = add_people(database, 2)
    put(database, POPUP, [ada, bob], "send:a")
    put(database, MAIL, [ada], "rule:come back")
    with database.read() as session:
        lines = deliveries_of_person(session, ada)
    assert [(line.source, line.channel) for line in lines] == [
        ("rule:come back", "email"),
        ("send:a", "in_app"),
    ]


def test_sends_are_listed_newest_first_with_their_latest_words(database):
    [person_id] = add_people(database)
    source = source_of("news")
    put(database, MAIL, [person_id], source)
    put(database, POPUP, [person_id], "send:b")
    put(database, MAIL, [person_id], "rule:r")
    put(database, Email("Newer", "words"), [person_id], source)
    with database.read() as session:
        lines = sends(session)
        assert [(line.source, line.heading) for line in lines] == [
            ("send:b", "Hi"),
            (source, "Newer"),
        ]
        assert lines[0].created_by == "7"
        assert lines[0].options["buttons"][0]["label"] == "Go"
        assert [line.source for line in sends(session, before=lines[0].id)] == [source]
        assert send_of(session, "send:b") == lines[0]
        assert send_of(session, "send:none") is None
