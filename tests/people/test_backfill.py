"""Years of the host's history become events, each row once, however it is interrupted."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flask_engage.errors import InvalidFact
from flask_engage.store.activity import ActiveDayRow
from flask_engage.store.backfill import BackfillRow
from flask_engage.store.engine import Database, open_database
from flask_engage.store.event import EventKeyRow, EventRow, EventSummaryRow, EventTotalRow
from flask_engage.store.person import PersonRow, TombstoneRow
from flask_engage.store.person_write import tombstone_of
from flask_engage.store.session import SessionRow
from tests._processes import in_child
from tests.people._shop import NOW, Purchase, bring_in, kept, orders, sell, shop, summed_up


@pytest.fixture
def host(migrated_url: str) -> Iterator[sa.Engine]:
    with shop(migrated_url) as engine:
        yield engine


def some_orders(count: int, seed: int = 1) -> list[tuple[int, datetime, int]]:
    """Return orders of three years, of which many fall on the same moment."""
    chance = random.Random(seed)
    return [
        (
            chance.randrange(1, 40),
            NOW - timedelta(days=chance.randrange(1000), hours=chance.randrange(3)),
            chance.randrange(3),
        )
        for _ in range(count)
    ]


def count(database: Database, row: Any) -> int:
    with database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(row)) or 0


def expect(database: Database, rows: list[tuple[int, datetime, int]]) -> None:
    assert kept(database) == summed_up((user_id, at) for user_id, at, _ in rows)
    assert count(database, EventRow) == len(rows)


class Interrupted(Exception):
    """Stands for whatever ends a run."""


def _stop_at(limit: int) -> Any:
    def stop(done: int, _total: int) -> None:
        if done >= limit:
            raise Interrupted

    return stop


def test_each_row_is_one_event_however_often_it_is_run(database: Database, host: sa.Engine) -> None:
    rows = some_orders(2_500)
    sell(host, rows)
    told: list[tuple[int, int]] = []
    first = bring_in(database, host, page=900, progress=lambda *now: told.append(now))
    assert (first.read, first.stored, first.already, first.refused) == (2_500, 2_500, 0, 0)
    assert told[-1] == (2_500, 2_500)
    second = bring_in(database, host)
    assert (second.stored, second.already) == (0, 2_500)
    expect(database, rows)

    older = [(41, NOW - timedelta(days=2_000 + n), 1) for n in range(30)]
    sell(host, older)
    third = bring_in(database, host)
    assert (third.stored, third.already) == (30, 2_500)
    expect(database, rows + older)
    assert str(third) == "2,530 rows read, 30 stored, 2,500 there already"


def test_rows_that_say_the_same_are_as_many_events(database: Database, host: sa.Engine) -> None:
    sell(host, [(1, NOW - timedelta(days=1), 5)] * 30)
    assert bring_in(database, host, page=7).stored == 30
    sell(host, [(1, NOW - timedelta(days=1), 5)] * 3)
    again = bring_in(database, host, page=8)
    assert (again.stored, again.already) == (3, 30)


def test_a_process_killed_half_way_has_lost_and_doubled_nothing(
    database: Database, migrated_url: str, host: sa.Engine
) -> None:
    rows = some_orders(12_000)
    sell(host, rows)
    kills = 0
    for batches in (2, 3):

        def work(pipe: int, batches: int = batches) -> None:
            seen: list[int] = []

            def stop(done: int, _total: int) -> None:
                seen.append(done)
                if len(seen) == batches:
                    os.write(pipe, b".")
                    signal.pause()  # until it is killed

            ours, theirs = open_database(migrated_url), sa.create_engine(migrated_url)
            bring_in(ours, theirs, page=1_500, progress=stop)

        pid, pipe = in_child(work)
        assert os.read(pipe, 1) == b"."
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pipe)
        kills += 1
    report = bring_in(database, host, page=1_500)
    assert kills == 2
    assert 0 < report.stored < 12_000
    assert report.read < 12_000, "it began with the first row, though nothing had changed"
    expect(database, rows)


def test_a_run_that_goes_on_finds_what_came_in_before_its_place(
    database: Database, host: sa.Engine
) -> None:
    rows = some_orders(500)
    sell(host, rows)
    with pytest.raises(Interrupted):
        bring_in(database, host, page=100, progress=_stop_at(400))
    late = [(77, NOW - timedelta(days=1_500), 1)]
    sell(host, late)
    assert bring_in(database, host, page=100).read == 501
    expect(database, rows + late)


def test_two_that_run_at_once_store_each_row_once(
    database: Database, migrated_url: str, host: sa.Engine
) -> None:
    rows = some_orders(4_000)
    sell(host, rows)
    stored: list[int] = []

    def run() -> None:
        ours = open_database(migrated_url)
        stored.append(bring_in(ours, host, page=2_000).stored)
        ours.dispose()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sum(stored) == 4_000
    expect(database, rows)


def test_a_bad_row_is_named_and_the_others_go_on(database: Database, host: sa.Engine) -> None:
    yesterday = NOW - timedelta(days=1)
    sell(
        host,
        [
            (1, yesterday, 1),
            (None, yesterday, 1),
            (2, None, 1),
            (3, NOW + timedelta(days=30), 1),
            (4, yesterday, 7),
        ],
    )
    named = sa.case((Purchase.amount == 7, sa.literal("n" * 65)), else_=sa.literal("ordered"))
    report = bring_in(database, host, sa.select(Purchase.user_id, Purchase.at, named))
    assert (report.read, report.stored, report.refused) == (5, 1, 4)
    assert report.last_error is not None
    assert "user 3" in report.last_error
    assert "expected a moment that has come" in str(report)


def test_an_erased_person_stays_erased(database: Database, host: sa.Engine) -> None:
    with database.write() as session:
        session.add(TombstoneRow(hash=tombstone_of("1"), erased_at=NOW))
    sell(host, [(1, NOW - timedelta(days=1), 1), (2, NOW - timedelta(days=1), 1)])
    report = bring_in(database, host)
    assert (report.read, report.stored, report.already, report.refused) == (2, 1, 0, 0)
    assert "1 of people who were erased" in str(report)
    with database.read() as session:
        assert session.scalars(sa.select(PersonRow.user_id)).all() == ["2"]


def test_history_can_be_sightings_too(database: Database, host: sa.Engine) -> None:
    days = [NOW - timedelta(days=9), NOW - timedelta(days=9, minutes=-5), NOW - timedelta(days=2)]
    sell(host, [(1, at, 1) for at in days])
    bring_in(database, host, seen=True)
    bring_in(database, host, seen=True)
    with database.read() as session:
        person = session.scalars(sa.select(PersonRow)).one()
    assert (person.first_seen_at, person.last_seen_at) == (days[0], days[2])
    assert person.session_count == 2
    assert (count(database, SessionRow), count(database, ActiveDayRow)) == (2, 2)


def test_without_it_nobody_was_seen(database: Database, host: sa.Engine) -> None:
    sell(host, [(1, NOW - timedelta(days=9), 1)])
    bring_in(database, host)
    with database.read() as session:
        person = session.scalars(sa.select(PersonRow)).one()
    assert (person.last_seen_at, person.session_count) == (None, 0)


def test_further_columns_are_properties_and_a_date_is_a_day_of_the_hosts_zone(
    database: Database, host: sa.Engine
) -> None:
    sell(host, [(1, datetime.fromisoformat("2026-02-01T12:00:00+00:00"), 40)])
    query = sa.select(
        Purchase.user_id,
        Purchase.day,
        sa.literal("ordered"),
        Purchase.amount.label("amount in euro"),
        Purchase.at.label("paid at"),
        sa.null().label("coupon"),
    )
    bring_in(database, host, query)
    with database.read() as session:
        event = session.scalars(sa.select(EventRow)).one()
    assert event.occurred_at.isoformat() == "2026-02-01T03:00:00+00:00"
    assert event.properties == {
        "amount in euro": 40,
        "paid at": "2026-02-01T12:00:00+00:00",
        "coupon": None,
    }


def test_a_time_that_cannot_be_read_costs_its_row_alone(
    database: Database, host: sa.Engine
) -> None:
    sell(host, [(n, NOW - timedelta(days=n), 1) for n in (1, 2, 3)])
    if host.dialect.name != "sqlite":
        return  # their columns hold nothing but times
    with host.begin() as connection:
        connection.execute(sa.text("UPDATE purchase SET at = 'next week' WHERE user_id = 2"))
    report = bring_in(database, host)
    assert (report.stored, report.refused) == (2, 1)
    assert "user 2" in str(report)


def test_the_book_says_what_came_of_it(database: Database, host: sa.Engine) -> None:
    sell(host, [(1, NOW - timedelta(days=1), 1), (None, NOW - timedelta(days=1), 1)])
    bring_in(database, host)
    bring_in(database, host)
    with database.read() as session:
        row = session.scalars(sa.select(BackfillRow)).one()
    assert (row.key, row.read, row.stored, row.refused) == ("orders", 2, 1, 1)
    assert (row.position, row.finished_at) == (None, NOW)


def test_what_is_no_such_select_says_what_is_missing(database: Database, host: sa.Engine) -> None:
    with pytest.raises(InvalidFact, match="2 columns; at least 3"):
        bring_in(database, host, sa.select(Purchase.user_id, Purchase.at))
    with pytest.raises(InvalidFact, match="text"):
        bring_in(database, host, sa.text("select 1"))
    assert bring_in(database, host, orders().where(sa.false())).read == 0


def _one_without_a_name(kind: str) -> Any:
    """Return a select whose fifth column is computed and has no label, or none that it keeps."""
    computed = sa.func.abs(Purchase.amount)
    query = orders().add_columns(computed)
    if kind == "subquery":
        return sa.select(query.subquery())
    if kind == "union":
        return sa.union_all(query, query)
    if kind == "label(None)":
        return orders().add_columns(computed.label(None))
    return query


@pytest.mark.parametrize("kind", ["select", "subquery", "union", "label(None)"])
def test_a_property_without_a_name_is_refused_before_anything_is_stored(
    database: Database, host: sa.Engine, kind: str
) -> None:
    sell(host, [(1, NOW - timedelta(days=1), 5)])
    with pytest.raises(InvalidFact, match=r"^column 5 of the select has no name; give it .label"):
        bring_in(database, host, _one_without_a_name(kind))
    assert count(database, EventRow) == count(database, BackfillRow) == 0


def test_the_user_the_moment_and_the_name_need_no_label(
    database: Database, host: sa.Engine
) -> None:
    sell(host, [(1, NOW - timedelta(days=1), 5)])
    query = sa.select(
        sa.func.coalesce(Purchase.user_id, 0),
        sa.func.coalesce(Purchase.at, None),
        sa.func.lower("ORDERED"),
        sa.func.abs(Purchase.amount).label("amount"),
    )
    assert bring_in(database, host, query).stored == 1
    with database.read() as session:
        assert session.scalars(sa.select(EventRow.properties)).one() == {"amount": 5}


#: Few users, moments and amounts: most stories have rows that are equal, or of one moment.
one_row = st.tuples(
    st.integers(1, 3),
    st.sampled_from([NOW - timedelta(days=days, hours=3) for days in (1, 2, 90)]),
    st.integers(0, 1),
)


def test_any_history_in_any_parts_gives_what_a_plain_count_gives(
    database: Database, host: sa.Engine
) -> None:
    examples = 15 if database.dialect == "sqlite" else 6

    @settings(
        max_examples=examples,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(
            st.tuples(
                st.lists(one_row, min_size=1, max_size=12),
                st.integers(1, 5),  # rows to a page
                st.none() | st.integers(1, 8),  # where it is interrupted
            ),
            min_size=1,
            max_size=4,
        )
    )
    def check(story: list[tuple[list[tuple[int, datetime, int]], int, int | None]]) -> None:
        with database.write() as session:
            for table in (EventRow, EventKeyRow, EventSummaryRow, EventTotalRow, BackfillRow):
                session.execute(sa.delete(table))
        with host.begin() as connection:
            connection.execute(sa.delete(Purchase))
        everything: list[tuple[int, datetime, int]] = []
        for rows, page, limit in story:
            sell(host, rows)
            everything += rows
            with suppress(Interrupted):
                bring_in(database, host, page=page, progress=limit and _stop_at(limit))
        bring_in(database, host)
        expect(database, everything)

    check()
