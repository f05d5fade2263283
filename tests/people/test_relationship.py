"""The heart: what SQL makes of arbitrary histories, on three databases, is what Python makes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, null, select, text, update
from sqlalchemy.orm import Session

from flask_engage.errors import InvalidFact
from flask_engage.people.refresh import RefreshReport, Turn
from flask_engage.people.relationship import (
    Score,
    checked_formula,
    nearest_rank,
    refresh_relationship,
)
from flask_engage.people.relationship_sql import (
    Moment,
    core_events,
    measured,
    measured_among_active,
    pointed,
)
from flask_engage.people.relationship_words import Words, lend_functions
from flask_engage.reports.relationship import heart_of
from flask_engage.store.activity import ActiveDayRow
from flask_engage.store.delivery import DeliveryEventRow, DeliveryRow
from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow, EventSummaryRow
from flask_engage.store.meta import MetaRow
from flask_engage.store.person import PersonRow
from flask_engage.store.provider import ProviderRow
from flask_engage.store.relationship import Norms, RelationshipRow, kept_norms
from tests.store._plans import plan_of, rows_read

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ZONE = ZoneInfo("UTC")
TODAY = NOW.date()
FEW = Norms(12, 50, 0, NOW)


@dataclass
class Past:
    """What somebody did; times in days before now."""

    days: set[int] = field(default_factory=set)
    seen: float | None = None
    signed_up: float | None = None
    first_seen: float | None = None
    unsubscribed: bool = False
    events: list[tuple[str, float]] = field(default_factory=list)
    messages: list[tuple[str, list[tuple[str, float]]]] = field(default_factory=list)
    """State of a delivery, and what became of it."""


def ago(days: float) -> datetime:
    return NOW - timedelta(microseconds=round(days * 86_400_000_000))


def live(session: Session, past: Past) -> int:
    row = PersonRow(
        created_at=NOW,
        updated_at=NOW,
        last_seen_at=None if past.seen is None else ago(past.seen),
        signed_up_at=None if past.signed_up is None else ago(past.signed_up),
        first_seen_at=None if past.first_seen is None else ago(past.first_seen),
        unsubscribed_at=NOW if past.unsubscribed else None,
    )
    session.add(row)
    session.flush()
    session.add_all(
        ActiveDayRow(person_id=row.id, day=TODAY - timedelta(days=back)) for back in past.days
    )
    for name in {name for name, _ in past.events}:
        times = [ago(back) for other, back in past.events if other == name]
        session.add(EventSummaryRow(person_id=row.id, name=name, count=len(times),
                                    first_at=min(times), last_at=max(times)))  # fmt: skip
        session.add_all(
            EventRow(person_id=row.id, name=name, occurred_at=at, received_at=NOW) for at in times
        )
    for number, (state, outcomes) in enumerate(past.messages):
        delivery = DeliveryRow(
            person_id=row.id, source="s", occurrence=str(number), channel="inapp", state=state,
            not_before=NOW, created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        session.add(delivery)
        session.flush()
        session.add_all(
            DeliveryEventRow(delivery_id=delivery.id, kind=kind, detail=str(n), occurred_at=ago(at))
            for n, (kind, at) in enumerate(outcomes)
        )
    session.flush()
    return row.id


# --- the reference ---------------------------------------------------------------------------


def half_life(past: Past) -> float:
    days = sorted(day for day in past.days if 0 <= day < 180)
    gaps = [later - former for former, later in pairwise(days)]
    return min(30.0, max(2.0, statistics.median(gaps))) if gaps else 7.0


def counts(past: Past) -> dict[str, int]:
    sent = [outcomes for state, outcomes in past.messages if state == "sent"]

    def having(kind: str, within: float = math.inf) -> int:
        return sum(any(k == kind and 0 <= at < within for k, at in one) for one in sent)

    return {
        "l28": sum(0 <= day < 28 for day in past.days),
        "l14": sum(0 <= day < 14 for day in past.days),
        "e28": sum(0 <= at < 28 for _, at in past.events),
        "delivered": len(sent) - having("bounced"),
        "clicks": having("clicked"),
        "replies": having("replied"),
        "dismissals": having("dismissed", 30),
    }


def points(past: Past, days: int = 12, events: int = 50) -> dict[str, float]:
    n = counts(past)
    recency = 0.0 if past.seen is None else 2 ** (-max(0.0, past.seen) / half_life(past))
    answered = (n["replies"] + 0.5 * n["clicks"] + 1) / (n["delivered"] + 4)
    return {
        "recency": 35 * recency,
        "frequency": 30 * min(1.0, n["l28"] / days),
        "depth": 15 * min(1.0, math.log(1 + n["e28"]) / math.log(1 + events)),
        "reply": 20 * min(1.0, answered),
    }


def hearts_for(past: Past, score: float) -> int | None:
    born = past.first_seen if past.signed_up is None else past.signed_up
    if born is not None and born < 7:
        return None
    found = math.ceil(round(score, 6) / 20)
    capped = past.unsubscribed or counts(past)["dismissals"] >= 2
    return min(2, found) if capped else found


def trend_of(past: Past) -> int:
    n = counts(past)
    before = n["l28"] - n["l14"]
    moved = (n["l14"] - before) / (n["l14"] + before + 1)
    return (moved > 0.3 + 1e-9) - (moved < -0.3 - 1e-9)


# --- the database ----------------------------------------------------------------------------


def empty(session: Session) -> None:
    for table in (DeliveryEventRow, DeliveryRow, EventRow, EventSummaryRow, ActiveDayRow,
                  RelationshipRow, PersonRow, ProviderRow):  # fmt: skip
        session.execute(delete(table))
    session.execute(delete(MetaRow).where(MetaRow.key == "relationship"))


def compute(database: Database, now: datetime = NOW, **score: Any) -> RefreshReport:
    report = refresh_relationship(database, Score(ZONE, **score), lambda: now)
    assert report is not None
    return report


def hearts(database: Database) -> dict[int, RelationshipRow]:
    with database.read() as session:
        return {row.person_id: row for row in session.scalars(select(RelationshipRow))}


@pytest.fixture
def people(database: Database) -> Callable[..., list[int]]:
    def add(*pasts: Past) -> list[int]:
        with database.write() as session:
            return [live(session, past) for past in pasts]

    return add


# Whole milliseconds, and none on the very edge of a window: that is for tests of its own.
times = st.integers(-3, 40).flatmap(
    lambda day: st.integers(1, 86_399).map(lambda second: day + second / 86_400)
)
outcomes = st.tuples(
    st.sampled_from(["clicked", "replied", "bounced", "dismissed", "shown"]), times
)
pasts = st.builds(
    Past,
    days=st.sets(st.one_of(st.integers(-2, 40), st.integers(0, 250)), max_size=12),
    seen=st.none() | times | st.floats(0, 3000),
    signed_up=st.none() | times,
    first_seen=st.none() | times,
    unsubscribed=st.booleans(),
    events=st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), times), max_size=8),
    messages=st.lists(
        st.tuples(st.sampled_from(["sent", "sent", "queued", "failed"]),
                  st.lists(outcomes, max_size=4)),
        max_size=4,
    ),
)  # fmt: skip


@settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(given_pasts=st.lists(pasts, min_size=1, max_size=6))
def test_sql_gives_what_python_gives(database: Database, given_pasts: list[Past]) -> None:
    with database.write() as session:
        empty(session)
        whose = {live(session, past): past for past in given_pasts}
    moment = Moment(NOW, TODAY)
    words = Words(database.dialect)
    with database.read() as session:
        lend_functions(session)
        found = pointed(moment, FEW, None, words)
        exact = session.execute(select(found), {"low": min(whose), "high": max(whose)}).all()
    assert {row.id for row in exact} == set(whose)
    for row in exact:
        past = whose[row.id]
        for name, value in points(past).items():
            assert getattr(row, name) == pytest.approx(value, abs=1e-6), name
        assert row.half_life == pytest.approx(half_life(past))
        assert {name: getattr(row, name) for name in counts(past)} == counts(past)
    compute(database)
    kept = hearts(database)
    assert set(kept) == set(whose)
    for person_id, past in whose.items():
        row, parts = kept[person_id], points(past)
        for name, value in parts.items():
            assert getattr(row, name) == pytest.approx(value, abs=0.005 + 1e-6)
        assert row.score == pytest.approx(sum(getattr(row, name) for name in parts), abs=1e-9)
        assert row.hearts == hearts_for(past, row.score)
        assert row.trend == trend_of(past)
    assert compute(database).changed == 0


def test_the_usual_is_measured_among_those_who_are_active(
    database: Database, people: Callable[..., list[int]]
) -> None:
    active = [Past(days=set(range(n)), events=[("a", 1.0)] * n) for n in range(1, 28)] * 2
    people(*active, *[Past(days={100}, events=[("a", 2.0)] * 90)] * 20)
    compute(database)
    with database.read() as session:
        norms = kept_norms(session)
    lengths = sorted(len(past.days) for past in active)
    assert norms is not None
    assert norms.active == len(active)
    assert norms.days == lengths[math.ceil(0.9 * len(lengths)) - 1]
    assert norms.events == lengths[math.ceil(0.95 * len(lengths)) - 1]


def test_few_people_are_measured_by_what_is_usual_elsewhere(
    database: Database, people: Callable[..., list[int]]
) -> None:
    people(*[Past(days={1}) for _ in range(29)])
    compute(database)
    with database.read() as session:
        norms = kept_norms(session)
    assert norms is not None
    assert (norms.days, norms.events, norms.active) == (12, 50, 29)


def test_only_core_events_count(database: Database, people: Callable[..., list[int]]) -> None:
    (one,) = people(Past(events=[("page", 1.0)] * 5 + [("export", 2.0)] * 2))
    compute(database, core=["export"])
    assert hearts(database)[one].e28 == 2
    compute(database)
    assert hearts(database)[one].e28 == 7
    compute(database, core=[])
    assert hearts(database)[one].e28 == 0


def test_only_what_changed_is_written(database: Database, people: Callable[..., list[int]]) -> None:
    fresh, lost, never = people(
        Past(days={0, 1, 2}, seen=0.1, signed_up=90), Past(seen=400, signed_up=500), Past()
    )
    assert compute(database).changed == 3
    before = hearts(database)
    assert compute(database).changed == 0
    # What decays, decays; who has nothing left to lose stays as they are.
    assert compute(database, NOW + timedelta(days=1)).changed == 1
    after = hearts(database)
    assert after[fresh].recency < before[fresh].recency
    assert after[lost].computed_at == before[lost].computed_at
    assert after[never].computed_at == before[never].computed_at


def test_a_heart_remembers_what_it_was(
    database: Database, people: Callable[..., list[int]]
) -> None:
    (one,) = people(Past(days=set(range(20)), seen=0.0, signed_up=90))
    compute(database)
    first = hearts(database)[one]
    assert (first.hearts, first.previous_hearts) == (4, None)
    later = NOW + timedelta(days=60)
    compute(database, later)
    row = hearts(database)[one]
    assert (row.hearts, row.previous_hearts, row.hearts_at) == (1, 4, later)
    assert first.hearts_at is not None
    assert first.hearts_at < later
    compute(database, later + timedelta(days=5))
    assert hearts(database)[one].hearts_at == later


def test_the_new_have_no_hearts_yet(database: Database, people: Callable[..., list[int]]) -> None:
    new, young, old = people(
        Past(signed_up=6.9), Past(signed_up=7.1), Past(signed_up=30, first_seen=1)
    )
    compute(database)
    found = {key: row.hearts for key, row in hearts(database).items()}
    assert found == {new: None, young: 1, old: 1}


def test_hearts_are_one_to_five(database: Database, people: Callable[..., list[int]]) -> None:
    unanswered: list[Any] = [("sent", [("shown", 2.0)])] * 6
    answered: list[Any] = [("sent", [("replied", 2.0)])] * 6
    everything = Past(days=set(range(28)), seen=0.0, events=[("a", 1.0)] * 60, messages=answered)
    steps = {
        1: [
            *(Past(), Past(seen=200.0, messages=unanswered), Past(days={40}, seen=95.0)),
            *(Past(seen=80.0), Past(days={20}), Past(messages=answered)),
        ],
        2: [Past(days={0}, seen=0.0, messages=unanswered), Past(days=set(range(14, 28)))],
        5: [everything],
    }
    expected = {}
    for count, pasts in steps.items():
        expected.update(dict.fromkeys(people(*pasts), count))
    compute(database)
    assert {key: row.hearts for key, row in hearts(database).items()} == expected


def test_who_is_kept_at_two_hearts_is_told_from_who_has_less(
    database: Database, people: Callable[..., list[int]]
) -> None:
    good = Past(days=set(range(28)), seen=0.0, unsubscribed=True)
    poor = Past(seen=0.0, unsubscribed=True)
    whose = people(good, poor, Past(unsubscribed=True))
    compute(database)
    with database.read() as session:
        reasons = [heart_of(session, one) for one in whose]
    found = [(one.row.hearts, one.is_capped) for one in reasons if one is not None]
    assert found == [(2, True), (2, False), (1, False)]


def test_who_is_gone_has_no_heart(database: Database, people: Callable[..., list[int]]) -> None:
    one, other = people(Past(), Past())
    compute(database)
    with database.write() as session:
        session.execute(update(PersonRow).where(PersonRow.id == one).values(deleted_at=NOW))
    assert compute(database).people == 1
    assert set(hearts(database)) == {other}


def test_a_run_goes_on_where_it_was_cut(
    database: Database, people: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pasts = [Past(days=set(range(n % 20)), seen=float(n)) for n in range(50)]
    people(*pasts)
    compute(database)
    whole = {key: row.score for key, row in hearts(database).items()}
    with database.write() as session:
        session.execute(delete(RelationshipRow))
        session.execute(delete(ProviderRow))
    monkeypatch.setattr("flask_engage.people.relationship.PEOPLE", 10)
    turns = 0
    while True:
        turns += 1
        # Each turn is over at once; the clock goes on, and the run's moment does not.
        now = NOW + timedelta(hours=turns - 1)
        report = refresh_relationship(
            database, Score(ZONE), lambda now=now: now, Turn(seconds=0.0), anew=False
        )
        assert report is not None
        if report.finished:
            break
    assert turns > 9
    # The moments differ by a microsecond, which may be the one that rounds a part up.
    assert {key: row.score for key, row in hearts(database).items()} == pytest.approx(
        whole, abs=0.011
    )
    assert (report.people, report.changed) == (50, 50)


def test_a_run_that_another_process_has_is_left_to_it(
    database: Database, people: Callable[..., list[int]]
) -> None:
    people(Past())
    with database.write() as session:
        from flask_engage.people.relationship import RUN
        from flask_engage.store.provider_write import take_run

        assert take_run(session, RUN, NOW, anew=False)
    assert refresh_relationship(database, Score(ZONE), lambda: NOW, anew=False) is None


# --- the host's own formula ------------------------------------------------------------------


def test_a_host_has_a_formula_of_its_own(
    database: Database, people: Callable[..., list[int]]
) -> None:
    eager, idle, wild = people(
        Past(days={0, 1, 2, 3}, seen=0.5), Past(), Past(events=[("a", 1.0)] * 500)
    )

    def formula(parts: Any) -> Any:
        return parts.l28 * 10 + parts.ln(parts.e28 + 1) * 30 + parts.exp(-1.0)

    compute(database, formula=checked_formula(formula))
    found = {key: row.score for key, row in hearts(database).items()}
    assert found == {
        eager: pytest.approx(40.37, abs=0.006),
        idle: pytest.approx(0.37, abs=0.006),
        wild: 100.0,
    }
    assert hearts(database)[eager].hearts == 3
    with database.read() as session:
        norms = kept_norms(session)
    assert norms is not None
    assert norms.own_formula


@pytest.mark.parametrize("power", [710, -710, 1e6, -1e6, 1e300, -1e300, 0.5])
def test_no_power_is_too_much(
    database: Database, people: Callable[..., list[int]], power: float
) -> None:
    one, other = people(Past(seen=1.0), Past())
    given = [
        lambda parts: parts.exp(power),
        lambda parts: parts.exp(parts.days_since_seen * power),
    ]
    for formula in given:
        compute(database, formula=checked_formula(formula))
        found = {key: row.score for key, row in hearts(database).items()}
        assert set(found) == {one, other}
    # Who was never seen has nothing to raise e to; that counts as 0.
    much = math.exp(max(-700.0, min(700.0, power)))
    assert found == {one: pytest.approx(min(100.0, much), abs=0.005), other: 0.0}


def test_powers_are_the_same_on_every_database(database: Database) -> None:
    words = Words(database.dialect)
    powers = [710.0, -710.0, 1e6, -1e6, 700.0, -700.0, 1.0]
    with database.read() as session:
        lend_functions(session)
        bounds = [words.exp_of_any(words.double(power)) for power in powers]
        found = session.execute(
            select(*bounds, words.exp_of_any(words.double(null())), words.ln(words.double(null())))
        ).one()
    expected = [math.exp(max(-700.0, min(700.0, power))) for power in powers]
    assert list(found[:-2]) == pytest.approx(expected, rel=1e-12)
    assert list(found[-2:]) == [None, None]


def test_a_formula_of_the_hosts_gives_hearts_from_its_first_point_on(
    database: Database, people: Callable[..., list[int]]
) -> None:
    people(Past())
    for score, count in ((0, 0), (0.01, 1), (5, 1), (20, 1), (20.01, 2), (100, 5)):
        compute(database, formula=checked_formula(lambda _parts, score=score: score))
        (row,) = hearts(database).values()
        assert (row.score, row.hearts) == (score, count)


def test_nothing_and_less_than_nothing_are_zero(
    database: Database, people: Callable[..., list[int]]
) -> None:
    one, other = people(Past(), Past(seen=3.0))
    compute(database, formula=checked_formula(lambda parts: -parts.days_since_seen))
    assert {key: row.score for key, row in hearts(database).items()} == {one: 0.0, other: 0.0}


def test_a_formula_that_is_no_sql_is_an_error_that_names_it(
    database: Database, people: Callable[..., list[int]]
) -> None:
    people(Past())

    def my_formula(_parts: Any) -> Any:
        return "80"

    with pytest.raises(InvalidFact, match="my_formula gave '80'"):
        compute(database, formula=checked_formula(my_formula))


# --- how it is read --------------------------------------------------------------------------


def test_events_are_looked_up_by_person_name_and_time(
    database: Database, people: Callable[..., list[int]]
) -> None:
    people(*[Past(events=[("a", float(n % 40)), ("b", 1.0)]) for n in range(300)])
    query = select(core_events(Moment(NOW, TODAY), None))
    compiled = query.compile(
        database.engine, compile_kwargs={"literal_binds": False, "render_postcompile": True}
    )
    with database.engine.connect() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("ANALYZE engage_event"))
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        words = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
        parameters = compiled.construct_params({"low": 1, "high": 10**6})
        processors = compiled._bind_processors
        values = {k: processors[k](v) if k in processors else v for k, v in parameters.items()}
        if compiled.positional:
            given: Any = tuple(values[name] for name in compiled.positiontup or ())
        else:
            given = values
        rows = connection.exec_driver_sql(words + str(compiled), given).all()
    plan = "\n".join(str(row) for row in rows)
    assert "ix_engage_event_person" in plan
    if database.dialect == "sqlite":
        assert (
            "COVERING INDEX ix_engage_event_person (person_id=? AND name=? AND occurred_at>?"
            in (plan)
        )


def test_a_range_reads_its_own_people_and_each_message_once(
    database: Database, people: Callable[..., list[int]]
) -> None:
    low, *_, high = people(*[Past(days={1}, messages=[("sent", [("clicked", 2.0)])])] * 600)[
        200:240
    ]
    moment, words = Moment(NOW, TODAY), Words(database.dialect)
    among = measured_among_active(moment, None).params(low=low, high=high)
    everybody = select(measured(moment, None, words)).params(low=low, high=high)
    with database.engine.connect() as connection, Session(connection) as session:
        for table in ("person", "active_day", "delivery", "delivery_event"):
            word = "ANALYZE TABLE" if database.dialect == "mysql" else "ANALYZE"
            session.execute(text(f"{word} engage_{table}"))
        plan = plan_of(session, everybody).splitlines()
        assert sum("engage_delivery_event" in step for step in plan) == 1
        if database.dialect == "postgresql":
            assert rows_read(session, among) < 5 * 40


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 90, 0), ([3], 90, 3), (range(1, 11), 90, 9), (range(1, 21), 95, 19), ([1, 1, 9], 90, 9)],
)
def test_a_rank_is_a_value_that_somebody_has(
    values: list[int], percent: int, expected: int
) -> None:
    assert nearest_rank({v: list(values).count(v) for v in values}, percent) == expected
