"""Mail through its states, against a server that does what servers do."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from flask_engage.delivery.smtp import SmtpTransport
from flask_engage.store.engine import open_database
from tests import _databases
from tests._clock import START, FakeClock
from tests.delivery._outgoing import queue, run, smtp
from tests.delivery._wild_smtp import wild_server
from tests.delivery._world import deliveries, states

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
