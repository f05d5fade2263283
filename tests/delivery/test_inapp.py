"""Messages in the host's pages: which one is next, and what is kept of what people do."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from flask_engage.delivery.inapp import is_waiting, next_for, record, record_event
from flask_engage.delivery.send import send
from flask_engage.messages.content import Button, InApp
from flask_engage.store.delivery import DeliveryEventRow
from flask_engage.store.retry import persistently
from tests._clock import START, FakeClock
from tests.delivery._world import MAIL, POPUP, add_people, deliveries, states

BUTTONS = InApp("Hi {{ name }}", "**x**", "note", [Button("Go", "/x"), Button("Later")])


def give(database, person_id, message=POPUP, **options):
    with database.write() as session:
        send(session, message, to_person_ids=[person_id], now=START, **options)


def fetch(database, person_id, now=START):
    with database.write() as session:
        return next_for(session, person_id, now)


def report(database, person_id, delivery, kind, now=START, button=None):
    # As the widget's address does it: MariaDB ends one of two that meet with a deadlock.
    return persistently(
        database, lambda session: record(session, person_id, delivery, kind, now, button)
    )


def events(database):
    with database.read() as session:
        rows = session.scalars(select(DeliveryEventRow).order_by(DeliveryEventRow.id))
        return [(row.kind, row.detail) for row in rows]


def test_message_is_given_out_rendered_for_its_person(database):
    [person_id] = add_people(database, name="Ada")
    give(database, person_id, BUTTONS)
    item = fetch(database, person_id)
    assert (item.title, item.html, item.style) == ("Hi Ada", "<p><strong>x</strong></p>", "note")
    assert item.buttons == (Button("Go", "/x"), Button("Later"))
    assert item.delivery == deliveries(database)[0].public_id
    assert item.is_first
    assert not fetch(database, person_id).is_first


def test_message_counts_as_sent_from_the_first_time_it_is_given_out(database):
    [person_id] = add_people(database)
    give(database, person_id)
    assert states(database) == {"queued": 1}
    fetch(database, person_id, START + timedelta(hours=1))
    fetch(database, person_id, START + timedelta(hours=2))
    [row] = deliveries(database)
    assert (row.state, row.sent_at) == ("sent", START + timedelta(hours=1))


def test_nobody_is_given_the_message_of_another_or_a_mail_or_one_not_due(database):
    ada, bob = add_people(database, 2)
    give(database, ada, not_before=START + timedelta(hours=1))
    give(database, bob, MAIL)
    assert fetch(database, ada) is None
    assert fetch(database, bob) is None
    assert fetch(database, ada, START + timedelta(hours=1)) is not None


def test_the_oldest_message_comes_first_and_the_next_after_it_is_dealt_with(database):
    [person_id] = add_people(database)
    for title in ("one", "two", "three"):
        give(database, person_id, InApp(title, "x", buttons=[Button("Ok")]))
    first = fetch(database, person_id)
    assert first.title == "one"
    assert report(database, person_id, first.delivery, "dismissed")
    second = fetch(database, person_id)
    assert second.title == "two"
    assert report(database, person_id, second.delivery, "clicked", button=0)
    assert fetch(database, person_id).title == "three"


def test_message_shown_three_times_without_an_answer_is_done(database):
    [person_id] = add_people(database)
    give(database, person_id)
    clock = FakeClock()
    for _ in range(3):
        item = fetch(database, person_id, clock.advance(minutes=10))
        assert item is not None
        assert report(database, person_id, item.delivery, "shown", clock())
    assert fetch(database, person_id, clock.advance(minutes=10)) is None
    assert events(database) == [("shown", "")]


def test_pages_opened_in_quick_turn_are_one_showing(database):
    [person_id] = add_people(database)
    give(database, person_id)
    clock = FakeClock()
    for _ in range(6):
        item = fetch(database, person_id, clock.advance(seconds=4))
        report(database, person_id, item.delivery, "shown", clock())
    assert fetch(database, person_id, clock()) is not None
    assert deliveries(database)[0].attempts == 1


def test_reports_are_kept_once_each_however_often_they_come(database):
    [person_id] = add_people(database)
    give(database, person_id, BUTTONS)
    delivery = fetch(database, person_id).delivery
    for kind in ("shown", "opened", "shown", "opened"):
        assert report(database, person_id, delivery, kind)
    for button in (0, 0, 1):
        assert report(database, person_id, delivery, "clicked", button=button)
    assert events(database) == [
        ("shown", ""),
        ("opened", ""),
        ("clicked", "0:Go"),
        ("clicked", "1:Later"),
    ]


def test_the_same_report_at_once_is_one_impression(database):
    [person_id] = add_people(database)
    give(database, person_id)
    delivery = fetch(database, person_id).delivery
    barrier = threading.Barrier(8)
    known = []

    def run() -> None:
        barrier.wait()
        known.append(report(database, person_id, delivery, "shown"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert known == [True] * 8
    assert events(database) == [("shown", "")]
    assert deliveries(database)[0].attempts == 1


@pytest.mark.parametrize(
    ("kind", "button"),
    [("read", None), ("", None), ("clicked", 2), ("clicked", -1), ("sent", None)],
)
def test_a_report_that_can_not_be_is_refused(database, kind, button):
    [person_id] = add_people(database)
    give(database, person_id, BUTTONS)
    delivery = fetch(database, person_id).delivery
    assert not report(database, person_id, delivery, kind, button=button)
    assert events(database) == []


def test_nobody_reports_on_the_message_of_another_or_one_never_given_out(database):
    ada, bob = add_people(database, 2)
    give(database, ada)
    unseen = deliveries(database)[0].public_id
    assert not report(database, ada, unseen, "shown")
    delivery = fetch(database, ada).delivery
    assert not report(database, bob, delivery, "dismissed")
    assert not report(database, ada, "nosuch", "shown")
    assert events(database) == []


def test_a_report_says_what_a_signal_needs(database):
    [person_id] = add_people(database)
    give(database, person_id, source="rule:hello")
    delivery = fetch(database, person_id).delivery
    for is_new in (True, False):
        with database.write() as session:
            found = record_event(session, person_id, delivery, "opened", START)
        assert (found.source, found.kind, found.is_new) == ("rule:hello", "opened", is_new)


def test_a_click_on_a_link_in_the_text_is_kept_as_such(database):
    [person_id] = add_people(database)
    give(database, person_id, InApp(body="[go](/x)"))
    delivery = fetch(database, person_id).delivery
    assert report(database, person_id, delivery, "clicked")
    assert ("clicked", "link") in events(database)


def test_whoever_clicks_at_once_has_opened_it_too(database):
    [person_id] = add_people(database)
    give(database, person_id, BUTTONS)
    delivery = fetch(database, person_id).delivery
    for kind, button in (("shown", None), ("clicked", 0), ("opened", None)):
        assert report(database, person_id, delivery, kind, button=button)
    assert events(database) == [("shown", ""), ("clicked", "0:Go"), ("opened", "")]


def test_a_message_that_can_not_be_rendered_fails_and_the_next_is_given_out(database):
    [person_id] = add_people(database, name=None)
    give(database, person_id, InApp(body="Hi {{ name }}"))
    give(database, person_id)
    item = fetch(database, person_id)
    assert "Hello there" in item.html
    first, second = deliveries(database)
    assert (first.state, second.state) == ("failed", "sent")
    assert "'name' is not known" in first.error


def test_a_look_tells_whether_anything_waits(database):
    [person_id] = add_people(database)
    with database.read() as session:
        assert not is_waiting(session, person_id, START)
    give(database, person_id)
    with database.read() as session:
        assert is_waiting(session, person_id, START)
    report(database, person_id, fetch(database, person_id).delivery, "dismissed")
    with database.read() as session:
        assert not is_waiting(session, person_id, START)
