"""How the databases go about it: by an index, not through everybody or everything.

Each statement that is really sent is explained, on a crowd that is large enough for the planner
to care, with its statistics gathered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from flask_engage.segments import listing
from flask_engage.segments.compile import CompileContext
from flask_engage.segments.filter import Filter
from flask_engage.segments.hot import hot_keys
from flask_engage.segments.listing import SET
from flask_engage.segments.membership import measure_segments
from flask_engage.segments.people import People
from flask_engage.segments.words import ago, attr, did, everyone, visited
from flask_engage.store.engine import Database, open_database
from flask_engage.store.hot_index import index_name, keep_hot
from flask_engage.store.migrate import upgrade
from tests import _databases
from tests.benchmarks._crowd import NOW, fill
from tests.benchmarks.segments import FILTERS, HOT, NOBODY

PEOPLE, EVENTS = 12_000, 60_000
SUMMED = {
    "often": did("exported").at_least(5),
    "once": did("exported"),
    "never": did("exported").exactly(0),
    "first": did("exported").first < ago(days=3),
    "last": did("exported").last.is_set(),
    "or": ~did("exported") | (attr("plan") == "pro"),
}
"""What the sums of each person answer."""
ASKED = {
    **FILTERS,
    "~windowed": ~did("exported").at_least(2).within(days=7),
    "windowed last": did("exported").within(days=7).last < ago(days=3),
    "or windowed": did("exported").at_least(2).within(days=7) | did("paid").within(days=1),
    "visits": visited().within(days=2),
}
SORTS = {
    "last_seen": "ix_engage_person_last_seen",
    "signed_up": "ix_engage_person_signed_up",
    "email": "ix_engage_person_email",
    "name": "ix_engage_person_name",
    "sessions": "ix_engage_person_sessions",
    "relationship": "ix_engage_relationship_hearts",
    "attr:score": index_name("n:score"),
    "attr:invites sent": index_name("n:invites sent"),
    "attr:plan": index_name("s:plan"),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Database]:
    """Access to a crowd, with the indexes that a job would have made."""
    folder: Path = tmp_path_factory.mktemp("crowd")
    with _databases.empty(request.param, folder) as url:
        database = open_database(url)
        upgrade(database)
        fill(database, PEOPLE, EVENTS)
        keep_hot(database, hot_keys(HOT, {}))
        yield database
        database.dispose()


@contextmanager
def _plans(database: Database) -> Iterator[list[str]]:
    """Give the plans of the statements of the block, each after the statement itself."""
    found: list[str] = []
    words = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "

    def explain(_connection: Any, cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if not statement.startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
            return
        asking = cursor.connection.cursor()
        asking.execute(words + statement, given)
        found.append("\n".join([statement, "---", *(str(row[-1]) for row in asking.fetchall())]))

    event.listen(database.engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", explain)


def _goes_through(plan: str, table: str) -> bool:
    """Tell whether a table is read from end to end, be it along an index."""
    plan = plan.partition("---")[2]
    through = rf"^SCAN {table}\b|Seq Scan on {table}\b"
    return re.search(through, plan, re.MULTILINE) is not None


def _reads(plan: str, table: str) -> bool:
    return re.search(rf"\b{table}\b(?!\.)", plan.partition("---")[2]) is not None


def _people(database: Database, wanted: Filter) -> People:
    return People(database, wanted, CompileContext(database.dialect), lambda: NOW)


@pytest.mark.parametrize("name", SUMMED)
def test_what_the_sums_answer_is_not_asked_of_events(crowd: Database, name: str) -> None:
    people = _people(crowd, SUMMED[name])
    with _plans(crowd) as plans:
        people.count()
        people.page()
    assert any(_reads(plan, "engage_event_summary") for plan in plans)
    for plan in plans:
        assert not _reads(plan, "engage_event"), plan


@pytest.mark.parametrize(
    "wanted", [FILTERS["mobile"], visited().at_least(2).within(days=7)], ids=["device", "any"]
)
def test_recent_visits_are_counted_from_an_index_alone(crowd: Database, wanted: Filter) -> None:
    people = _people(crowd, wanted)
    with _plans(crowd) as plans:
        people.count()
    words = "COVERING INDEX" if crowd.dialect == "sqlite" else "Index Only Scan using"
    asked = [plan for plan in plans if _reads(plan, "engage_session")]
    assert asked
    for plan in asked:
        assert f"{words} ix_engage_session_visit" in plan, plan


@pytest.mark.parametrize("name", ASKED)
def test_no_condition_goes_through_all_events(crowd: Database, name: str) -> None:
    people = _people(crowd, ASKED[name])
    with _plans(crowd) as plans:
        people.count()
        for sort in ("last_seen", "email", "attr:score"):
            follows = people.page(sort=sort, limit=2).next
            if follows:
                people.page(sort=sort, limit=2, after=follows)
    assert plans
    for plan in plans:
        assert not _goes_through(plan, "engage_event"), plan


def test_counting_in_a_window_stays_within_the_index(crowd: Database) -> None:
    """SQLite looked up each of the events to learn whose it is: six times as long."""
    if crowd.dialect != "sqlite":
        return
    with _plans(crowd) as plans:
        _people(crowd, did("exported").at_least(3).within(days=30)).count()
    assert "engage_event USING COVERING INDEX ix_engage_event_person" in plans[-1], plans[-1]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", SORTS)
def test_a_page_in_a_usual_order_is_read_along_its_index(
    crowd: Database, sort: str, descending: bool
) -> None:
    people = _people(crowd, everyone)
    with _plans(crowd) as plans:
        first = people.page(sort=sort, descending=descending, limit=20)
        people.page(sort=sort, descending=descending, limit=20, after=first.next)
        for back in (False, True):
            people.beside(first.places[9], back=back, sort=sort, descending=descending)
    chosen = [plan for plan in plans if "AS chosen" in plan]
    assert len(chosen) == 4
    for plan in chosen:
        assert SORTS[sort] in plan.partition("---")[2], plan
        assert not re.search(r"SCAN engage_person$|Seq Scan", plan, re.MULTILINE), plan


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("name", NOBODY)
def test_those_found_as_a_set_are_not_looked_for_along_an_order(
    crowd: Database, name: str, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planner believes that somebody matches, and went past a million to meet them."""

    monkeypatch.setattr("flask_engage.segments.people.TRIES", ((SET, 60.0),))
    with _plans(crowd) as plans:
        for few in (-1, listing.FEW):  # as if they were many, and as few as they are
            monkeypatch.setattr(listing, "FEW", few)
            assert _people(crowd, NOBODY[name]).page(sort=sort, limit=20).people == ()
    chosen = [plan for plan in plans if "AS chosen" in plan or "WITH met" in plan]
    assert len(chosen) >= 4
    for plan in chosen:
        along = rf"{SORTS[sort]}\b(?![^\n]*\n[^\n]*IS NULL)"  # few have no value: that may be read
        assert not re.search(along, plan.partition("---")[2]), plan
        for table in ("engage_person", "engage_relationship"):
            assert not _goes_through(plan, table), plan


def test_an_order_without_an_index_carries_no_whole_rows_along(crowd: Database) -> None:
    with _plans(crowd) as plans:
        _people(crowd, everyone).page(sort="first_seen", limit=20)
    (plan,) = (plan for plan in plans if "AS chosen" in plan)
    inner = plan.partition("(SELECT ")[2].partition("FROM")[0]
    assert inner.strip() == "engage_person.id AS id"


def test_kinds_that_nobody_has_are_not_looked_for(crowd: Database) -> None:
    """Each took a walk through everybody: numbers came last after texts, times and booleans."""
    with _plans(crowd) as plans:
        page = _people(crowd, everyone).page(sort="attr:score", limit=20)
        _people(crowd, everyone).page(sort="attr:nobody's", limit=20)
    assert len([plan for plan in plans if "AS chosen" in plan]) == 2
    assert [one.attrs["score"] for one in page.people[:1]] != []
    for plan in plans:
        if "min(engage_attribute.kind)" in plan:
            assert "ix_engage_attribute_kind" in plan.partition("---")[2], plan


@pytest.mark.parametrize("name", ["active", "export, no invite", "clicked welcome"])
def test_measuring_a_segment_reads_its_range_by_index(crowd: Database, name: str) -> None:
    segments = {"measured": FILTERS[name]}
    context = CompileContext(crowd.dialect, segments=segments)
    for turn in range(2):  # the second one compares with members that are there
        with _plans(crowd) as plans:
            one_range = iter([True])
            measure_segments(
                crowd,
                context,
                segments,
                NOW + timedelta(minutes=turn),
                may_go_on=lambda left=one_range: next(left, False),  # type: ignore[misc]
            )
            done = measure_segments(crowd, context, segments, NOW + timedelta(minutes=turn))
        assert (done.errors, done.finished) == ({}, True)
        if turn == 0:
            _gather_statistics(crowd)
    ranged = [plan for plan in plans if plan.startswith(("INSERT", "DELETE"))]
    assert any("INSERT INTO engage_segment_member" in plan for plan in ranged)
    for plan in ranged:
        for table in ("engage_event", "engage_person", "engage_delivery", "engage_event_summary"):
            assert not _goes_through(plan, table), plan
    with crowd.write() as session:
        for table in ("change", "member", "watch"):
            session.execute(text(f"DELETE FROM engage_segment_{table}"))


def _gather_statistics(database: Database) -> None:
    with database.engine.begin() as connection:
        for table in ("engage_segment_member", "engage_segment_change", "engage_segment_watch"):
            connection.exec_driver_sql(f"ANALYZE {table}")


def test_an_index_of_another_make_is_replaced(crowd: Database) -> None:
    keys = hot_keys(HOT, {})
    former = "ix_engage_hot_0000000000000000"
    with crowd.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE INDEX {former} ON engage_person (last_seen_at)")
    found = keep_hot(crowd, keys)
    assert (found.created, found.dropped) == ((), (former,))


def test_people_who_were_merged_have_an_index_that_nobody_else_is_in(crowd: Database) -> None:
    """A benchmark made it of everybody, and SQLite then took it for each of its plans."""
    table = "sqlite_master" if crowd.dialect == "sqlite" else "pg_indexes"
    column = "sql" if crowd.dialect == "sqlite" else "indexdef"
    name = "name" if crowd.dialect == "sqlite" else "indexname"
    with crowd.read() as session:
        made = session.scalar(
            text(f"SELECT {column} FROM {table} WHERE {name} = 'ix_engage_person_merged_into'")
        )
    assert "WHERE" in str(made)
