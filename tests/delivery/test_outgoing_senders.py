"""Several senders at once, and senders that die: no mail leaves twice, none is forgotten."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from flask_engage.delivery.outbox import OutboxTransport
from flask_engage.delivery.smtp import SmtpTransport
from flask_engage.store import delivery_claim
from flask_engage.store.delivery import DeliveryEventRow, DeliveryRow
from flask_engage.store.person import PersonRow
from tests._clock import START
from tests.delivery._outgoing import queue, run, smtp, wait_until
from tests.delivery._wild_smtp import wild_server
from tests.delivery._world import deliveries, states


def test_two_senders_at_once_send_each_mail_once(database, smtp_server):
    queue(database, 60)
    outcomes = []
    barrier = threading.Barrier(2)

    def work() -> None:
        transport = SmtpTransport(smtp_server.url, "ada@example.com")
        barrier.wait()
        outcomes.append(run(database, transport))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(outcome.sent for outcome in outcomes) == 60
    assert len(smtp_server.bodies) == 60
    assert set(smtp_server.bodies.values()) == {1}
    assert states(database) == {"sent": 60}


class Died(BaseException):
    """A process that is no more says nothing and cleans nothing up."""


class DyingTransport(OutboxTransport):
    """Dies at a chosen point, and takes the mail or not before that."""

    remote = True

    def __init__(self, at):
        self.at = at
        self.taken = []

    def prepare(self, mail):
        if self.at == "prepare":
            raise Died

    def transmit(self, mail):
        self.taken.append(mail.message_id)
        if self.at == "transmit":
            raise Died

    def record(self, session, mail, now):
        """Nothing is kept."""


class SomeFence:
    def __init__(self, epoch, holds=True):
        self.epoch = epoch
        self.holds = holds

    def condition(self):
        from sqlalchemy import false, true

        return true() if self.holds else false()

    def still(self):
        return True


def die(database, transport, monkeypatch, **options):
    """Run a round in a process that dies: nothing of it is cleaned up."""
    from flask_engage.delivery import outgoing

    with monkeypatch.context() as patch:
        patch.setattr(outgoing._Round, "_finish", lambda self: None)
        with pytest.raises(Died):
            run(database, transport, **options)


def test_a_sender_that_dies_before_the_wire_has_its_claims_sent_by_the_next(database, monkeypatch):
    queue(database, 3)
    die(database, DyingTransport("prepare"), monkeypatch, fence=SomeFence(1))
    assert states(database) == {"claimed": 3}
    assert not run(database, OutboxTransport(), fence=SomeFence(1))  # it may yet be alive
    outcome = run(database, OutboxTransport(), fence=SomeFence(2))
    assert (outcome.recovered, outcome.sent) == (3, 3)


def test_a_sender_that_dies_on_the_wire_leaves_one_unknown_and_the_rest_is_sent(
    database, monkeypatch
):
    queue(database, 3)
    dying = DyingTransport("transmit")
    die(database, dying, monkeypatch, fence=SomeFence(1))
    assert states(database) == {"on_wire": 1, "claimed": 2}
    outcome = run(database, OutboxTransport(), fence=SomeFence(2))
    assert (outcome.unknown, outcome.sent) == (1, 2)
    assert states(database) == {"unknown": 1, "sent": 2}
    assert run(database, OutboxTransport(), START + timedelta(days=9), SomeFence(3)).sent == 0


def test_claims_without_a_lease_are_taken_back_after_ten_minutes(database, monkeypatch):
    queue(database, 2)
    die(database, DyingTransport("transmit"), monkeypatch)
    assert not run(database, OutboxTransport(), START + timedelta(minutes=9))
    outcome = run(database, OutboxTransport(), START + timedelta(minutes=11))
    assert (outcome.unknown, outcome.sent) == (1, 1)


def test_a_late_sender_may_still_say_that_its_unknown_mail_was_taken(database):
    queue(database)
    with wild_server("wait_after_dot") as server:
        outcomes = []
        sender = threading.Thread(
            target=lambda: outcomes.append(
                run(database, smtp(server, mail_seconds=20), fence=SomeFence(1))
            )
        )
        sender.start()
        assert server.at_data.wait(10)
        run(database, OutboxTransport(), fence=SomeFence(2))
        assert states(database) == {"unknown": 1}
        server.go_on.set()
        sender.join(20)
        assert states(database) == {"sent": 1}
        assert set(server.bodies.values()) == {1}


def test_nothing_is_claimed_when_the_lease_has_changed_hands(database):
    queue(database)
    assert not run(database, OutboxTransport(), fence=SomeFence(1, holds=False))
    assert states(database) == {"queued": 1}


def test_a_claim_that_was_taken_over_is_not_sent_by_its_old_holder(database):
    queue(database)
    sent_by_others = []

    class Slow(OutboxTransport):
        remote = True
        taken = 0

        def prepare(self, mail):
            # While this one hesitates, the lease changes hands and the next sends its mail.
            sent_by_others.append(run(database, OutboxTransport(), fence=SomeFence(2)).sent)

        def transmit(self, mail):
            self.taken += 1

    slow = Slow()
    assert run(database, slow, fence=SomeFence(1)).sent == 0
    assert sent_by_others == [1]
    assert slow.taken == 0
    assert states(database) == {"sent": 1}


def test_whoever_unsubscribes_before_the_wire_gets_no_mail(database):
    [person_id] = queue(database)

    class Hesitant(OutboxTransport):
        remote = True

        def prepare(self, mail):
            with database.write() as session:
                session.execute(
                    update(PersonRow).where(PersonRow.id == person_id).values(unsubscribed_at=START)
                )

        def transmit(self, mail):
            raise AssertionError("sent after unsubscribing")

    outcome = run(database, Hesitant())
    assert (outcome.sent, outcome.suppressed) == (0, 1)
    assert deliveries(database)[0].reason == "unsubscribed"


def test_unsubscribing_waits_for_a_mail_that_is_about_to_leave(database, monkeypatch):
    """Either the wish is committed first and no mail leaves, or the mark is, and it does."""
    [person_id] = queue(database)
    done = threading.Event()
    seen_before_commit = []
    threads = []

    def unsubscribe() -> None:
        with database.write() as session:
            session.get(PersonRow, person_id).unsubscribed_at = START
        done.set()

    real = delivery_claim.mark_on_wire

    def mark_then_race(*args, **kwargs):
        marked = real(*args, **kwargs)
        threads.append(threading.Thread(target=unsubscribe))
        threads[0].start()
        seen_before_commit.append(done.wait(0.3))
        return marked

    monkeypatch.setattr(delivery_claim, "mark_on_wire", mark_then_race)
    assert run(database, OutboxTransport()).sent == 1
    threads[0].join(10)
    assert seen_before_commit == [False]
    assert done.is_set()


SENDER = """
import sys
from datetime import datetime
from flask_engage.automation.lease import Fence
from flask_engage.delivery.outgoing import deliver_due
from flask_engage.delivery.smtp import SmtpTransport
from flask_engage.settings import Settings
from flask_engage.store.engine import open_database
from flask_engage.store.lease import LeaseRow

database = open_database(sys.argv[1])
now = datetime.fromisoformat(sys.argv[3])
with database.write() as session:
    session.merge(LeaseRow(name="scheduler", holder="x", epoch=1, expires_at=now))
settings = Settings.from_config({"ENGAGE_MAIL_FROM": "ada@example.com"})
deliver_due(database, settings, now, SmtpTransport(sys.argv[2], "ada@example.com"), Fence(1))
"""


def test_a_sender_killed_in_the_middle_of_a_mail_leaves_that_one_unknown(database):
    queue(database, 5)
    url = database.engine.url.render_as_string(hide_password=False)
    with wild_server("wait_after_dot") as server:
        sender = subprocess.Popen(
            [sys.executable, "-c", SENDER, url, server.url, START.isoformat()]
        )
        assert server.at_data.wait(20)
        wait_until(lambda: server.bodies)
        sender.kill()
        sender.wait(10)
        server.mode = "ok"
        server.go_on.set()
        outcome = run(database, smtp(server), fence=SomeFence(2))
        assert (outcome.unknown, outcome.sent) == (1, 4)
        assert states(database) == {"unknown": 1, "sent": 4}
        assert len(server.bodies) == 5
        assert set(server.bodies.values()) == {1}


def test_a_failing_database_after_the_wire_does_not_lose_that_a_mail_was_taken(
    database, monkeypatch
):
    from sqlalchemy.exc import OperationalError

    queue(database)
    real = delivery_claim.mark_sent
    calls = []

    def fail_once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("UPDATE", {}, Exception("locked"))
        return real(*args, **kwargs)

    monkeypatch.setattr(delivery_claim, "mark_sent", fail_once)
    with wild_server() as server:
        with pytest.raises(OperationalError):
            run(database, smtp(server))
        assert states(database) == {"sent": 1}
        assert set(server.bodies.values()) == {1}


def test_a_bounce_is_kept_as_something_that_became_of_the_mail(database):
    queue(database)
    with wild_server("rcpt550") as server:
        run(database, smtp(server))
    with database.read() as session:
        [event] = session.scalars(select(DeliveryEventRow)).all()
        [row] = session.scalars(select(DeliveryRow)).all()
    assert (event.kind, row.reason) == ("bounced", "bounced")
    assert "example.org" not in event.detail
