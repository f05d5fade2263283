"""Mail through its states, against a server that does what servers do."""

from __future__ import annotations

import base64
import email
import email.policy
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from flask_engage.delivery.outbox import OutboxTransport
from flask_engage.delivery.outgoing import deliver_due
from flask_engage.delivery.send import send
from flask_engage.delivery.smtp import SmtpTransport
from flask_engage.messages.content import Email
from flask_engage.store import delivery_claim
from flask_engage.store.delivery import DeliveryEventRow, DeliveryRow, OutboxRow
from flask_engage.store.engine import open_database
from flask_engage.store.person import PersonRow
from tests import _databases
from tests._clock import START, FakeClock
from tests.delivery._wild_smtp import wild_server
from tests.delivery._world import MAIL, add_people, deliveries, settings, states


def queue(database, count=1, message=MAIL, source=None, **person):
    ids = add_people(database, count, **person)
    with database.write() as session:
        send(session, message, to_person_ids=ids, now=START, source=source)
    return ids


def smtp(server, **options):
    # Only servers that hang wait for these; the others answer at once.
    patience = 0.5 if server.mode.startswith(("hang", "trickle")) else 10.0
    options.setdefault("mail_seconds", patience)
    options.setdefault("connect_seconds", patience)
    return SmtpTransport(server.url, "ada@example.com", **options)


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


def run(database, transport, now=START, fence=None, **options):
    return deliver_due(database, settings(), now, transport, fence, **options)


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


# --- what servers do -------------------------------------------------------------------------

#: mode → state of the mail afterwards, and how often the server has it.
ANSWERS = {
    "ok": ("sent", 1),
    "hang_banner": ("queued", 0),
    "drop_banner": ("queued", 0),
    "mail452": ("queued", 0),
    "mail550": ("queued", 0),
    "rcpt450": ("queued", 0),
    "rcpt550": ("failed", 0),
    "rcpt_policy": ("queued", 0),
    "data451": ("queued", 0),
    "data554": ("failed", 0),
    "drop_at_data": ("queued", 0),
    "drop_mid": ("unknown", 0),
    "drop_after_dot": ("unknown", 1),
    "hang_after_dot": ("unknown", 1),
    "dot451": ("queued", 0),
    "dot554": ("failed", 0),
    "garbage": ("unknown", 1),
    "trickle": ("queued", 0),
    "drop_quit": ("sent", 1),
}


@pytest.mark.parametrize(("mode", "expected"), ANSWERS.items())
def test_each_way_a_server_fails_leaves_the_state_that_is_true(database, mode, expected):
    queue(database)
    with wild_server(mode) as server:
        run(database, smtp(server))
        [row] = deliveries(database)
        assert (row.state, sum(server.bodies.values())) == expected
        if row.state == "queued":
            assert row.claimed_by is None
            assert row.claim_epoch is None
            assert row.error


@pytest.fixture
def sqlite_database(tmp_path):
    """One database is enough where it is the server that misbehaves."""
    with _databases.migrated("sqlite", tmp_path) as url:
        database = open_database(url)
        yield database
        database.dispose()


@pytest.mark.parametrize("mode", [mode for mode, (state, _) in ANSWERS.items() if state != "sent"])
def test_after_the_server_is_well_again_nothing_has_arrived_twice(sqlite_database, mode):
    database = sqlite_database
    queue(database, 2)
    clock = FakeClock()
    with wild_server(mode) as server:
        transport = smtp(server)
        run(database, transport, clock())
        server.mode = "ok"
        for _ in range(3):
            run(database, transport, clock.advance(hours=12))
        assert set(server.bodies.values()) <= {1}
        after = states(database)
        if ANSWERS[mode][0] == "queued":
            assert after == {"sent": 2}
        else:
            assert "queued" not in after
        assert after.get("unknown", 0) <= 2


def test_a_server_that_fails_before_the_recipient_burns_nobody(database):
    queue(database, 60)
    with wild_server("auth535") as server:
        transport = SmtpTransport(
            server.url.replace("smtp://", "smtp://user:secret@"), "ada@example.com"
        )
        outcome = run(database, transport)
    assert outcome.sent == outcome.failed == outcome.deferred == 0
    assert "535" in outcome.stopped
    assert "secret" not in outcome.stopped
    rows = deliveries(database)
    assert {(row.state, row.attempts, row.claimed_by) for row in rows} == {("queued", 0, None)}


def test_a_server_that_asks_for_a_login_gets_it(sqlite_database):
    queue(sqlite_database)
    with wild_server() as server:
        url = server.url.replace("smtp://", "smtp://user%40x:p%2Fw@")
        assert run(sqlite_database, SmtpTransport(url, "ada@example.com")).sent == 1
        [said] = [line for line in server.commands if line.startswith("AUTH PLAIN")]
    assert base64.b64decode(said.split()[2]) == b"\0user@x\0p/w"


def test_a_server_that_can_not_upgrade_to_tls_gets_no_mail(sqlite_database):
    queue(sqlite_database)
    with wild_server() as server:
        outcome = run(sqlite_database, SmtpTransport(f"{server.url}?starttls=1", "a@example.com"))
        assert "STARTTLS" in outcome.stopped
        assert not server.bodies


def test_a_server_that_failed_is_left_alone_for_a_while(database):
    queue(database)
    clock = FakeClock()
    with wild_server("drop_banner") as server:
        transport = smtp(server)
        assert run(database, transport, clock()).stopped
        assert "waiting" in run(database, transport, clock.advance(seconds=1)).stopped
        assert server.connections == 1
        run(database, transport, clock.advance(seconds=5))
        assert server.connections == 2
        run(database, transport, clock.advance(seconds=5))  # the rest has grown
        assert server.connections == 2
        server.mode = "ok"
        assert run(database, transport, clock.advance(seconds=15)).sent == 1


def test_a_deferred_mail_waits_longer_each_time_and_fails_after_eight_tries(database):
    queue(database)
    clock = FakeClock()
    waits = []
    with wild_server("rcpt450") as server:
        transport = smtp(server)
        for attempt in range(1, 9):
            run(database, transport, clock())
            [row] = deliveries(database)
            if row.state == "failed":
                break
            assert row.attempts == attempt
            waits.append(row.not_before - clock())
            clock.now = row.not_before
    assert len(waits) == 7
    assert row.state == "failed"
    assert "8 tries" in row.reason
    assert timedelta(seconds=48) <= waits[0] <= timedelta(seconds=72)
    assert timedelta(hours=4) < waits[-1] < timedelta(hours=8)
    assert clock() - START < timedelta(hours=48)


def test_mail_after_a_deferred_one_still_leaves(database):
    queue(database, 3)
    with wild_server("rcpt450") as server:
        outcome = run(database, smtp(server))
        assert (outcome.deferred, outcome.stopped) == (3, None)


@pytest.mark.parametrize(
    "answer",
    [
        "550 relay not permitted, authentication required",
        "554 5.7.1 Relay access denied",
        "550 5.7.1 <p0@example.org>: looks like spam",
        "550 Sender verify failed: no such user here",
        "550 5.1.8 domain of the sender not found",
    ],
)
def test_a_server_that_does_not_let_us_in_marks_nobody_as_bounced(sqlite_database, answer):
    database, clock = sqlite_database, FakeClock()
    queue(database, 3)
    with wild_server() as server:
        server.rcpt_answers["*"] = answer
        transport = smtp(server)
        outcome = run(database, transport, clock())
        assert (outcome.failed, outcome.deferred, outcome.stopped) == (0, 1, answer)
        assert [(row.state, row.attempts) for row in deliveries(database)] == [
            ("queued", 1),
            ("queued", 0),
            ("queued", 0),
        ]
        server.rcpt_answers.clear()
        assert run(database, transport, clock.advance(minutes=2)).sent == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("550 5.1.1 User unknown in relay recipient table", "bounced"),
        ("550 5.2.1 disabled", "bounced"),
        ("550 <relay@example.org>: no such user", "bounced"),
        ("550 Requested action not taken: mailbox unavailable", "bounced"),
        ("553 mailbox name does not exist", "bounced"),
        ("550 5.2.2 mailbox unavailable, quota", "refused by the mail server"),
        ("550 your IP address 5.1.1.2 is unknown", "refused by the mail server"),
        ("550 no", "refused by the mail server"),
        ("550 <no-such-user@example.org>: no", "refused by the mail server"),
    ],
)
def test_an_address_is_bad_for_ever_only_if_the_server_says_so(sqlite_database, answer, reason):
    queue(sqlite_database)
    with wild_server() as server:
        server.rcpt_answers["*"] = answer
        assert run(sqlite_database, smtp(server)).failed == 1
    [row] = deliveries(sqlite_database)
    assert (row.state, row.reason) == ("failed", reason)


@pytest.mark.parametrize("answer", ["421 4.7.0 too many for this one", "", "what a question"])
def test_one_mail_at_which_the_server_hangs_up_does_not_block_the_others(sqlite_database, answer):
    database, clock = sqlite_database, FakeClock()
    queue(database, 4)
    with wild_server() as server:
        server.rcpt_answers["p1@example.org"] = answer
        transport = smtp(server)
        outcome = run(database, transport, clock())
        assert (outcome.sent, outcome.deferred) == (1, 1)
        assert outcome.stopped
        assert run(database, transport, clock.advance(seconds=6)).sent == 2
        stuck = deliveries(database)[1]
        assert (stuck.state, stuck.attempts, stuck.claimed_by) == ("queued", 1, None)
        assert stuck.not_before > clock()
        for _ in range(8):
            run(database, transport, clock.advance(hours=12))
        assert "8 tries" in deliveries(database)[1].reason
        assert set(server.bodies.values()) == {1}


def test_a_mail_at_whose_data_the_server_hangs_up_waits_behind_the_others(sqlite_database):
    database, clock = sqlite_database, FakeClock()
    queue(database, 2)
    with wild_server("drop_at_data") as server:
        transport = smtp(server)
        run(database, transport, clock())
        run(database, transport, clock.advance(seconds=6))
    assert [(row.state, row.attempts) for row in deliveries(database)] == [("queued", 1)] * 2


# --- several senders, and senders that die ---------------------------------------------------


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
