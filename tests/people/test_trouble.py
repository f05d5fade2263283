"""A provider that hangs, lies or dies half-way costs what it must, and no more."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
import sqlalchemy as sa
import sqlalchemy.orm
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_engage.people.host_users import BATCH, HostUsers
from flask_engage.people.provider_query import QuerySource
from flask_engage.people.providers import FunctionSource, Start
from flask_engage.people.refresh import RefreshReport, Turn, refresh
from flask_engage.people.sync import sync_users
from flask_engage.people.watch import Limits, TookTooLong, left_alone
from flask_engage.store.engine import Database, engine_for_reading, open_database
from flask_engage.store.person import PersonRow
from flask_engage.store.provider import ProviderRow, provider_rows
from flask_engage.store.provider_write import Run
from tests._clock import START, FakeClock
from tests._processes import in_child

USERS = 1_200


class Base(DeclarativeBase):
    pass


class Reader(Base):
    __tablename__ = "reader"

    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[int | None]
    since: Mapped[datetime | None]


@pytest.fixture
def host(migrated_url: str, database: Database) -> Iterator[sa.Engine]:
    """An engine for reading the host's table, as the extension makes it."""
    engine = sa.create_engine(migrated_url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(
            sa.insert(Reader), [{"id": n, "books": n % 7} for n in range(1, USERS + 1)]
        )
    reading = engine_for_reading(engine, database)
    sync_users(database, HostUsers(reading, Reader), START)
    yield reading
    engine.dispose()


@pytest.fixture
def few(host: sa.Engine) -> sa.Engine:
    """The same with five users, so that each of them matters."""
    with host.execution_options(engage_read=False).begin() as connection:
        connection.execute(sa.delete(Reader).where(Reader.id > 5))
    return host


def compute(
    database: Database,
    host: sa.Engine,
    function: Callable[[Any], Any],
    *,
    limits: Limits | None = None,
    turn: Turn | None = None,
    anew: bool = True,
    clock: Callable[[], datetime] | None = None,
) -> RefreshReport | None:
    source = FunctionSource("shelf", function, HostUsers(host, Reader), limits or Limits())
    return refresh(database, source, "shelf", clock or FakeClock(), turn, anew=anew)


def ask(database: Database, host: sa.Engine, query: Any, seconds: float = 10) -> RefreshReport:
    limits = Limits(timedelta(seconds=seconds))
    source = QuerySource("counts", query, host, database, limits, page=500)
    report = refresh(database, source, "counts", FakeClock())
    assert report is not None
    return report


def values(database: Database) -> dict[str, dict[str, Any]]:
    with database.read() as session:
        rows = session.execute(sa.select(PersonRow.user_id, PersonRow.attributes))
        return {str(user_id): found for user_id, found in rows if found}


def newest(database: Database, name: str = "shelf") -> ProviderRow:
    with database.read() as session:
        return provider_rows(session)[name]


@contextmanager
def hanging() -> Iterator[threading.Event]:
    """Give what a call may wait for; let it go in the end."""
    forever = threading.Event()
    yield forever
    forever.set()


# --- one user's trouble ----------------------------------------------------------------------


def test_a_call_that_hangs_costs_its_user_alone(database: Database, few: sa.Engine) -> None:
    compute(database, few, lambda user: 1)
    limits = Limits(timedelta(seconds=0.5))
    with hanging() as forever:
        report = compute(
            database, few, lambda user: forever.wait() if user.id == 3 else 2, limits=limits
        )
        # Its thread still hangs, and holds up neither us nor the host's own writing.
        assert left_alone("shelf") == 1
        with database.write() as session:
            session.execute(sa.update(PersonRow).values(country="BR"))
    assert report is not None
    assert (report.people, report.failed, report.finished) == (4, 1, True)
    assert {user: found["n:shelf"] for user, found in values(database).items()} == {
        "1": 2,
        "2": 2,
        "3": 1,
        "4": 2,
        "5": 2,
    }
    row = newest(database)
    assert (row.error_user_id, row.error) == ("3", "it took longer than 0.5 seconds")
    assert row.seconds >= 0.5


def test_a_function_that_always_hangs_is_given_up_and_the_next_run_begins_behind(
    database: Database, few: sa.Engine
) -> None:
    limits = Limits(timedelta(seconds=0.3))
    clock = FakeClock()
    with hanging() as forever:
        with pytest.raises(TookTooLong, match="hang and can't be ended"):
            compute(database, few, lambda user: forever.wait(), limits=limits, clock=clock)
        assert left_alone("shelf") == 3
        row = newest(database)
        assert (row.failed, row.succeeded_at) == (3, None)
        assert row.finished_at is not None
    deadline = time.monotonic() + 30
    while left_alone("shelf"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    clock.advance(hours=1)
    asked: list[int] = []
    compute(database, few, lambda user: asked.append(user.id) or 1, anew=False, clock=clock)
    assert asked == [4, 5]
    asked.clear()
    clock.advance(hours=1)
    compute(database, few, lambda user: asked.append(user.id) or 1, anew=False, clock=clock)
    assert asked == [1, 2, 3, 4, 5]


class Plan(StrEnum):
    PRO = "pro"


async def later() -> int:
    await asyncio.sleep(0)
    return 1


class Shy:
    def __repr__(self) -> str:
        raise RuntimeError("not to be seen")


def _exit(_user: Any) -> Any:
    raise SystemExit(1)


NONSENSE: list[tuple[Callable[[Any], Any], str]] = [
    (lambda _user: 1, ""),
    (lambda _user: [1, 2], "a list of 2"),
    (lambda _user: float("nan"), "finite"),
    (lambda _user: "x" * 10_000_000, "1024 bytes"),
    (lambda _user: later(), "coroutine"),
    (lambda _user: (n for n in range(3)), "generator"),
    (lambda user: user, "Reader"),
    (lambda _user: Shy(), "not to be seen"),
    (lambda _user: "half \ud800", "surrogate"),
    (lambda _user: 10**40, "64 bits"),
    (lambda user: user.missing, "AttributeError"),
    (_exit, "SystemExit"),
    (lambda _user: 1, ""),
]


def test_nonsense_is_named_with_its_user(database: Database, host: sa.Engine) -> None:
    def function(user: Reader) -> Any:
        return NONSENSE[user.id % len(NONSENSE)][0](user)

    source = FunctionSource("shelf", function, HostUsers(host, Reader), Limits())
    part = next(source.parts(Start(Run("shelf", START))))
    assert len(part.failures) + len(part.values) == BATCH
    told = {failure.user_id: failure.error for failure in part.failures}
    for number in range(1, len(NONSENSE) + 1):
        reason = NONSENSE[number % len(NONSENSE)][1]
        assert (str(number) in part.values) == (not reason)
        assert reason in told.get(str(number), "")
        assert len(told.get(str(number), "")) <= 500


def test_a_statement_that_fails_for_one_user_fails_for_no_other(
    database: Database, few: sa.Engine
) -> None:
    def own_query(user: Reader) -> int:
        session = sa.orm.object_session(user)
        assert session is not None
        table = "nowhere" if user.id == 2 else "reader"
        return int(session.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0)

    report = compute(database, few, own_query)
    assert report is not None
    assert (report.people, report.failed) == (4, 1)


def test_what_a_function_changes_in_a_user_is_never_written(
    database: Database, few: sa.Engine
) -> None:
    def careless(user: Reader) -> int:
        user.books = 99
        session = sa.orm.object_session(user)
        assert session is not None
        return session.query(Reader).count()

    compute(database, few, careless)
    with Session(few) as session:
        assert 99 not in session.scalars(sa.select(Reader.books)).all()


def test_plain_kinds_and_none(database: Database, few: sa.Engine) -> None:
    given = [Plan.PRO, Decimal("2.50"), True, None, datetime(2026, 3, 2, 1)]  # noqa: DTZ001
    compute(database, few, lambda user: 7)
    compute(database, few, lambda user: given[user.id - 1])
    found = values(database)
    assert [found.get(str(n)) for n in range(1, 6)] == [
        {"s:shelf": "pro"},
        {"n:shelf": 2.5},
        {"b:shelf": True},
        None,
        {"t:shelf": "2026-03-02T01:00:00.000000+00:00"},
    ]


# --- turns, and processes that die -----------------------------------------------------------


def test_a_long_refresh_makes_room_and_goes_on(database: Database, host: sa.Engine) -> None:
    asked: list[int] = []

    def slow(user: Reader) -> int:
        asked.append(user.id)
        time.sleep(0.001)
        return 1

    turns = 0
    while True:
        turns += 1
        began = time.monotonic()
        report = compute(database, host, slow, turn=Turn(seconds=0.3), anew=False)
        assert time.monotonic() - began < 30
        assert report is not None
        if report.finished:
            break
        row = newest(database)
        assert (row.finished_at, row.held_until, row.total) == (None, None, USERS)
        assert row.done == report.people
    assert turns > 1
    assert asked == list(range(1, USERS + 1))
    row = newest(database)
    assert (row.done, row.changed, row.position is not None) == (USERS, USERS, True)


def test_another_process_goes_on_where_one_died(
    database: Database, migrated_url: str, host: sa.Engine
) -> None:
    def work(pipe: int) -> None:
        ours = open_database(migrated_url)
        theirs = engine_for_reading(sa.create_engine(migrated_url), ours)

        def function(user: Reader) -> int:
            if user.id == 700:
                os.write(pipe, b".")
                signal.pause()  # until it is killed
            return user.id

        compute(ours, theirs, function, turn=Turn(progress=lambda *_: time.sleep(1.1)), anew=False)

    pid, pipe = in_child(work)
    with closing(os.fdopen(pipe, "rb")) as reader:
        assert reader.read(1) == b"."
    clock = FakeClock()
    asked: list[int] = []

    def note(user: Reader) -> int:
        asked.append(user.id)
        return user.id

    # While it works, it is left alone.
    assert compute(database, host, note, anew=False, clock=clock) is None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    clock.advance(minutes=2)
    report = compute(database, host, note, anew=False, clock=clock)
    assert report is not None
    assert asked == list(range(501, USERS + 1))
    assert (report.people, len(values(database))) == (USERS, USERS)


def test_whoever_begins_anew_takes_the_run_from_whoever_has_it(
    database: Database, host: sa.Engine
) -> None:
    inner: list[RefreshReport | None] = []

    def between(_done: int, _total: int | None) -> None:
        if not inner:
            inner.append(compute(database, host, lambda user: 2))
            time.sleep(1.1)  # so that it has something to say

    report = compute(database, host, lambda user: 1, turn=Turn(progress=between))
    assert report is not None
    assert not report.finished
    assert inner[0] is not None
    assert inner[0].finished
    row = newest(database)
    assert (row.done, row.succeeded_at is not None) == (USERS, True)


# --- queries ---------------------------------------------------------------------------------


def test_one_bad_cell_costs_its_value_alone(database: Database, few: sa.Engine) -> None:
    ask(database, few, lambda: _query(sa.literal("fine"), sa.literal(1)))
    text = sa.case((Reader.id == 2, sa.literal("x" * 2_000)), else_=sa.literal("better"))
    report = ask(database, few, lambda: _query(text, sa.literal(2)))
    assert (report.people, report.failed) == (4, 1)
    assert "user '2'" in str(report)
    found = values(database)
    assert found["2"] == {"s:mood": "fine", "n:books": 2}
    assert found["3"] == {"s:mood": "better", "n:books": 2}


def _query(mood: Any, books: Any) -> Any:
    return sa.select(Reader.id, mood.label("mood"), books.label("books"))


def test_a_wrong_label_costs_its_column_alone(database: Database, few: sa.Engine) -> None:
    wrong = (
        Reader.books.label("n" * 65) if database.dialect == "sqlite" else Reader.books.label(" ")
    )
    report = ask(database, few, lambda: sa.select(Reader.id, wrong, sa.literal(1).label("one")))
    assert report.people == 5
    assert "expected 1 to 64 printable characters" in str(report)
    assert values(database)["1"] == {"n:one": 1}
    assert newest(database, "counts").attributes == ["one"]


def test_users_twice_nobody_and_strangers(database: Database, few: sa.Engine) -> None:
    def rows(*some: tuple[Any, int]) -> Any:
        selects = [
            sa.select(
                sa.cast(sa.literal(user) if user is not None else sa.null(), sa.Integer).label("u"),
                sa.literal(books).label("books"),
            )
            for user, books in some
        ]
        return sa.union_all(*selects)

    ask(database, few, lambda: rows((1, 1), (2, 1)))
    report = ask(database, few, lambda: rows((1, 5), (1, 6), (2, 3), (2, 3), (None, 9), (99999, 4)))
    assert (report.people, report.failed) == (2, 1)
    assert "2 rows for this user" in str(report)
    assert values(database) == {"1": {"n:books": 1}, "2": {"n:books": 3}}


def test_whom_a_query_names_no_more_loses_the_value_though_another_one_fails(
    database: Database, few: sa.Engine
) -> None:
    clock = FakeClock()

    def run(query: Any) -> None:
        source = QuerySource("counts", query, few, database, Limits())
        refresh(database, source, "counts", clock)
        clock.advance(hours=1)

    run(lambda: sa.select(Reader.id, sa.literal(1).label("books")))
    bad = sa.case((Reader.id == 2, sa.literal("x" * 2_000)), else_=sa.literal("1"))
    run(lambda: sa.select(Reader.id, bad.label("books")).where(Reader.id != 3))
    assert values(database) == {
        "1": {"s:books": "1"},
        "2": {"n:books": 1},
        "4": {"s:books": "1"},
        "5": {"s:books": "1"},
    }


def test_a_query_is_read_page_by_page(database: Database, host: sa.Engine) -> None:
    report = ask(database, host, lambda: sa.select(Reader.id, Reader.books.label("books")))
    assert report.people == USERS
    assert values(database)["1200"] == {"n:books": 1200 % 7}


def test_a_query_that_takes_too_long_is_ended(database: Database, few: sa.Engine) -> None:
    slow = {
        "postgresql": "SELECT r.id, (SELECT 1 FROM pg_sleep(60)) AS books FROM reader r",
        "mysql": "SELECT r.id, sleep(60) AS books FROM reader r",
        "sqlite": (
            "SELECT r.id, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c"
            " WHERE x < 1000000000) SELECT count(*) FROM c) AS books FROM reader r"
        ),
    }[database.dialect]
    query = sa.text(slow).columns(sa.column("id", sa.Integer), sa.column("books", sa.Integer))
    began = time.monotonic()
    with pytest.raises(TookTooLong, match="the query took longer than 1 seconds"):
        ask(database, few, lambda: query, seconds=1)
    assert time.monotonic() - began < 30
    assert left_alone("counts") == 0, "the database was to end it"
    assert "timeout=" in (newest(database, "counts").error or "")
    # And the limit has not stayed with the connection.
    assert ask(database, few, lambda: sa.select(Reader.id, Reader.books.label("n"))).people == 5
