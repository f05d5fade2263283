"""Evaluating rules: who gets a delivery, how often, and what a broken rule does to others."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select, update

from flask_engage._guard import Guard
from flask_engage.automation import evaluate as evaluating
from flask_engage.automation.evaluate import evaluate, evaluate_rules, still_matching
from flask_engage.automation.lease import Fence, Lease, LeaseLost
from flask_engage.automation.repeat import Once, every
from flask_engage.automation.rules import AutoMessage
from flask_engage.errors import InvalidFilter
from flask_engage.messages.content import Email, InApp
from flask_engage.segments.compile import CompileContext
from flask_engage.segments.words import ago, everyone, in_segment, person
from flask_engage.store.content import ContentRow
from flask_engage.store.delivery import DeliveryRow
from flask_engage.store.engine import Database
from flask_engage.store.lease import LeaseRow
from flask_engage.store.person import PersonRow
from flask_engage.store.rule import rule_named, set_rule_status
from flask_engage.store.share import below, share_of
from tests._clock import FakeClock

MAIL = Email(subject="Come back", body="We miss you.")
GONE = person.last_seen < ago(days=14)


def rule(name: str = "come back", **changes) -> AutoMessage:
    return AutoMessage(name, **{"to": GONE, "send": MAIL, **changes})


def _deliveries(database: Database, source: str = "rule:come back") -> list[DeliveryRow]:
    with database.read() as session:
        return list(
            session.scalars(
                select(DeliveryRow)
                .where(DeliveryRow.source == source)
                .order_by(DeliveryRow.person_id, DeliveryRow.id)
            )
        )


def _set(database: Database, ids: list[int], **values) -> None:
    with database.write() as session:
        session.execute(update(PersonRow).where(PersonRow.id.in_(ids)).values(**values))


def _set_deliveries(database: Database, **values) -> None:
    with database.write() as session:
        session.execute(update(DeliveryRow).values(**values))


# --- who -------------------------------------------------------------------------------------


def test_rule_reaches_those_who_match_and_can_be_reached(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    now = clock.now
    matching = add_people(3)
    add_people(1, last_seen_at=now)
    add_people(1, last_seen_at=None)
    add_people(1, email=None)
    add_people(1, email="")
    add_people(1, unsubscribed_at=now)
    add_people(1, gone_at=now)
    add_people(1, deleted_at=now)
    add_people(1, merged_into=matching[0])
    assert evaluate(database, rule(), now, context) == 3
    rows = _deliveries(database)
    assert [row.person_id for row in rows] == matching
    for row in rows:
        assert (row.state, row.channel, row.occurrence, row.variant) == ("queued", "email", "1", "")
        assert row.not_before == row.created_at == row.updated_at == now
        assert row.attempts == 0
    assert len({row.public_id for row in rows}) == 3
    assert all(len(row.public_id) >= 24 for row in rows)


def test_rule_with_an_in_app_message_reaches_users_without_an_address(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    ids = add_people(1, email=None) + add_people(1, unsubscribed_at=clock.now)
    add_people(1, user_id=None, kind="lead")  # who can't log in sees no page
    in_app = rule(send=InApp(title="Hi", body="Hello"))
    assert evaluate(database, in_app, clock.now, context) == 2
    assert [(row.person_id, row.channel) for row in _deliveries(database)] == [
        (ids[0], "in_app"),
        (ids[1], "in_app"),
    ]


def test_rule_is_evaluated_in_ranges_of_people(
    database: Database, context: CompileContext, add_people, clock: FakeClock, monkeypatch
) -> None:
    monkeypatch.setattr(evaluating, "RANGE", 3)
    ids = add_people(10)
    _set(database, ids[2:6], last_seen_at=clock.now)
    assert evaluate(database, rule(), clock.now, context) == 6
    assert [row.person_id for row in _deliveries(database)] == ids[:2] + ids[6:]


def test_rule_without_anybody_writes_nothing(
    database: Database, context: CompileContext, clock: FakeClock
) -> None:
    assert evaluate(database, rule(), clock.now, context) == 0


# --- how often -------------------------------------------------------------------------------


def test_rule_sends_once_for_ever_whatever_becomes_of_it(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    add_people(3)
    assert evaluate(database, rule(), clock.now, context) == 3
    assert evaluate(database, rule(), clock.now, context) == 0
    for state in ("sent", "failed", "suppressed", "held_out", "unknown"):
        _set_deliveries(database, state=state, sent_at=clock.now)
        clock.advance(days=365)
        assert evaluate(database, rule(), clock.now, context) == 0


def test_rule_with_other_words_or_filter_does_not_send_again(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    add_people(2)
    evaluate(database, rule(), clock.now, context)
    edited = rule(to=everyone, send={"a": Email("New", "x"), "b": Email("Newer", "y")})
    assert evaluate(database, edited, clock.now, context) == 0
    late = add_people(1)
    assert evaluate(database, edited, clock.now, context) == 1
    with database.read() as session:
        words = session.scalars(
            select(ContentRow.subject)
            .join(DeliveryRow, DeliveryRow.content_id == ContentRow.id)
            .where(DeliveryRow.person_id == late[0])
        ).one()
    assert words in ("New", "Newer")


def test_rule_under_another_name_is_another_rule(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    add_people(2)
    assert evaluate(database, rule("a"), clock.now, context) == 2
    assert evaluate(database, rule("b"), clock.now, context) == 2


def test_rule_reaches_those_who_match_later(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    add_people(1)
    late = add_people(1, last_seen_at=clock.now)
    assert evaluate(database, rule(), clock.now, context) == 1
    clock.advance(days=15)
    assert evaluate(database, rule(), clock.now, context) == 1
    assert _deliveries(database)[-1].person_id == late[0]


def test_rule_sends_every_so_often_to_those_who_still_match(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    again = rule(repeat=every(days=10))
    stays, leaves = add_people(2)
    assert evaluate(database, again, clock.now, context) == 2
    clock.advance(hours=1)
    _set_deliveries(database, state="sent", sent_at=clock.now)
    clock.advance(days=9, hours=23)
    assert evaluate(database, again, clock.now, context) == 0
    _set(database, [leaves], last_seen_at=clock.now)
    clock.advance(hours=1)
    assert evaluate(database, again, clock.now, context) == 1
    assert [(row.person_id, row.occurrence) for row in _deliveries(database)] == [
        (stays, "1"),
        (stays, "2"),
        (leaves, "1"),
    ]
    clock.advance(days=30)
    assert evaluate(database, again, clock.now, context) == 1, "the second waits in the queue"
    _set_deliveries(database, state="sent", sent_at=clock.now)
    clock.advance(days=10)
    assert evaluate(database, again, clock.now, context) == 2
    assert [row.occurrence for row in _deliveries(database)] == ["1", "2", "3", "1", "2", "3"]


def test_rule_that_sends_every_so_often_sends_no_second_while_the_first_waits(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    add_people(1)
    again = rule(repeat=every(days=1))
    assert evaluate(database, again, clock.now, context) == 1
    for state in ("queued", "claimed", "on_wire"):
        _set_deliveries(database, state=state)
        clock.advance(days=5)
        assert evaluate(database, again, clock.now, context) == 0


def test_rule_that_becomes_repeated_counts_what_was_sent_before(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    add_people(1)
    assert evaluate(database, rule(), clock.now, context) == 1
    _set_deliveries(database, state="sent", sent_at=clock.now)
    clock.advance(days=61)
    assert evaluate(database, rule(repeat=every(days=60)), clock.now, context) == 1
    assert [row.occurrence for row in _deliveries(database)] == ["1", "2"]
    clock.advance(days=61)
    assert evaluate(database, rule(), clock.now, context) == 0, "once again: they have had it"


# --- shares ----------------------------------------------------------------------------------


def test_rule_splits_people_evenly_between_variants_and_always_alike(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    ids = add_people(600)
    two = rule(send={"warm": Email("Warm", "x"), "short": Email("Short", "y")})
    assert evaluate(database, two, clock.now, context) == 600
    rows = _deliveries(database)
    dealt = Counter(row.variant for row in rows)
    assert set(dealt) == {"warm", "short"}
    assert abs(dealt["warm"] - 300) < 75
    for row in rows:
        warm = share_of(row.person_id, "variant/rule:come back") < below(0.5)
        assert row.variant == ("warm" if warm else "short")
    with database.read() as session:
        words = dict(session.execute(select(ContentRow.id, ContentRow.subject)).all())
    assert {(row.variant, words[row.content_id]) for row in rows} == {
        ("warm", "Warm"),
        ("short", "Short"),
    }
    assert len(ids) == len(rows)


def test_rule_holds_a_share_out_with_a_row_and_without_a_message(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    ids = add_people(600)
    held = {i for i in ids if share_of(i, "holdout/rule:come back") < below(0.25)}
    assert evaluate(database, rule(holdout=0.25), clock.now, context) == 600
    rows = _deliveries(database)
    assert {row.person_id for row in rows if row.state == "held_out"} == held
    assert {row.state for row in rows} == {"queued", "held_out"}
    assert 90 < len(held) < 210
    assert evaluate(database, rule(), clock.now, context) == 0, "held out is for ever, too"


@pytest.mark.parametrize(
    ("share", "states"), [(0, {"queued"}), (1, {"held_out"}), (1.0, {"held_out"})]
)
def test_rule_holds_out_nobody_or_everybody(
    database: Database, context: CompileContext, add_people, clock: FakeClock, share, states
) -> None:
    add_people(20)
    evaluate(database, rule(holdout=share), clock.now, context)
    assert {row.state for row in _deliveries(database)} == states


# --- whether ---------------------------------------------------------------------------------


def test_rule_that_is_paused_writes_nothing_until_it_is_live_again(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    evaluate(database, rule(), clock.now, context)
    add_people(2)
    with database.write() as session:
        set_rule_status(session, "come back", "paused", clock.now, "by an operator")
    assert evaluate(database, rule(), clock.now, context) == 0
    with database.write() as session:
        set_rule_status(session, "come back", "live", clock.now)
    assert evaluate(database, rule(), clock.now, context) == 2


def test_rule_that_raises_is_paused_after_five_times_and_others_go_on(
    database: Database, context: CompileContext, guard: Guard, add_people, clock: FakeClock
) -> None:
    add_people(2)
    broken = rule("broken", to=in_segment("there is none"), priority=9)
    rules = {one.name: one for one in (broken, rule("sound"))}
    for round_ in range(1, 7):
        written = evaluate_rules(database, rules, clock.now, context, guard)
        assert written == {
            "sound": 2 if round_ == 1 else 0,
            **({"broken": 0} if round_ > 5 else {}),
        }
        with database.read() as session:
            row = rule_named(session, "broken")
            assert row is not None
            assert row.failures == min(round_, 5)
            assert row.status == ("live" if round_ < 5 else "paused")
            assert row.last_error is not None
            assert "there is none" in row.last_error
    assert row.status_reason is not None
    assert "there is none" in row.status_reason
    assert guard.counts == {"the rule 'broken'": 5}


def test_rule_that_recovers_starts_to_count_anew(
    database: Database, context: CompileContext, guard: Guard, clock: FakeClock
) -> None:
    broken = {"a": rule("a", to=in_segment("missing"))}
    for _ in range(4):
        evaluate_rules(database, broken, clock.now, context, guard)
    evaluate_rules(database, {"a": rule("a")}, clock.now, context, guard)
    with database.read() as session:
        row = rule_named(session, "a")
        assert row is not None
        assert (row.failures, row.last_error, row.status) == (0, None, "live")
        assert row.evaluated_at == clock.now


def test_rule_whose_template_is_missing_is_counted_as_failed(
    database: Database, context: CompileContext, guard: Guard, clock: FakeClock
) -> None:
    rules = {"t": rule("t", send=Email.template("no/such.md"))}
    assert evaluate_rules(database, rules, clock.now, context, guard) == {}
    with database.read() as session:
        row = rule_named(session, "t")
        assert row is not None
        assert row.failures == 1


def test_rule_that_raises_is_raised_again_where_the_developer_sees_it(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    add_people(1)
    rules = {"bad": rule("bad", to=in_segment("missing")), "good": rule("good")}
    with pytest.raises(InvalidFilter, match="missing"):
        evaluate_rules(database, rules, clock.now, context, Guard(lambda: True))
    assert len(_deliveries(database, "rule:good")) == 1


# --- under a lease ---------------------------------------------------------------------------


def test_rule_is_evaluated_under_the_lease(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    add_people(2)
    fence = Lease(lambda: database).acquire()
    assert evaluate(database, rule(), clock.now, context, fence) == 2


def test_rule_writes_nothing_once_the_lease_changed_hands(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    add_people(2)
    Lease(lambda: database).acquire()
    with database.write() as session:
        session.execute(update(LeaseRow).values(epoch=LeaseRow.epoch + 1))
    with pytest.raises(LeaseLost):
        evaluate(database, rule(), clock.now, context, Fence(1))
    assert _deliveries(database) == []
    stopped = Fence(2, still=lambda: False)
    with pytest.raises(LeaseLost):
        evaluate(database, rule(), clock.now, context, stopped)
    assert _deliveries(database) == []


# --- asked again by delivery -------------------------------------------------------------------


def test_still_matching_asks_the_filter_again(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    stays, returns, deleted = add_people(3)
    _set(database, [returns], last_seen_at=clock.now)
    _set(database, [deleted], deleted_at=clock.now)
    evaluate(database, rule(), clock.now, context)
    ask = still_matching({"come back": rule()}, context)
    ids = [stays, returns, deleted]
    with database.read() as session:
        assert ask(session, "rule:come back", ids, clock.now) == {stays}
        assert ask(session, "rule:come back", [], clock.now) == set()
        assert ask(session, "rule:unknown", ids, clock.now) == set()
        assert ask(session, "send:launch", ids, clock.now) == set(ids)
    with database.write() as session:
        set_rule_status(session, "come back", "paused", clock.now)
    with database.read() as session:
        assert ask(session, "rule:come back", ids, clock.now) == set()


def test_still_matching_takes_any_number_of_people(
    database: Database, context: CompileContext, add_people, clock: FakeClock
) -> None:
    ids = add_people(1100)
    evaluate(database, rule(), clock.now, context)
    ask = still_matching({"come back": rule()}, context)
    with database.read() as session:
        assert ask(session, "rule:come back", ids, clock.now) == set(ids)
        assert session.scalar(select(func.count()).select_from(DeliveryRow)) == 1100


def test_rule_is_evaluated_on_a_database_in_memory(clock: FakeClock) -> None:
    from flask_engage.store.engine import open_database
    from flask_engage.store.migrate import upgrade
    from tests.automation.conftest import person as person_row

    database = open_database("sqlite://")
    upgrade(database)
    with database.write() as session:
        session.add(PersonRow(**person_row(1)))
    written = evaluate(
        database, rule(), clock.now + timedelta(days=1), CompileContext(dialect="sqlite")
    )
    assert written == 1
    database.dispose()


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("repeat", [Once(), every(days=1)])
def test_rule_is_not_evaluated_by_comparing_everybody_with_every_delivery(
    database: Database, context: CompileContext, add_people, clock: FakeClock, repeat
) -> None:
    """A first send to 100,000 on PostgreSQL took minutes, until the statistics caught up."""
    add_people(300)
    evaluate(database, rule(repeat=repeat), clock.now, context)
    statements: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute", retval=True)
    def explain(connection, cursor, statement, parameters, execution, many):
        if not statement.startswith("INSERT INTO engage_delivery"):
            return statement, parameters
        cursor.execute(f"EXPLAIN {statement}", parameters)
        statements.append("\n".join(line for (line,) in cursor.fetchall()))
        return statement, parameters

    evaluate(database, rule(repeat=repeat), clock.now, context)
    (plan,) = statements
    assert "Join" not in plan, plan
    assert "uq_engage_delivery_once" in plan, plan
