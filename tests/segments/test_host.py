"""Conditions on the host's own tables."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_engage.errors import InvalidFilter
from flask_engage.segments.compile import CompileContext, validate
from flask_engage.segments.filter import Filter
from flask_engage.segments.people import People
from flask_engage.segments.words import ago, everyone, host, in_segment, person
from flask_engage.store.engine import Database
from tests.segments._world import NOW, Somebody, add_people


class Base(DeclarativeBase):
    pass


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Account(Base):
    __tablename__ = "test_host_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_name: Mapped[str | None] = mapped_column("plan", sa.String(50))
    seats: Mapped[int | None]
    is_admin: Mapped[bool] = mapped_column(default=False)
    level: Mapped[Level | None] = mapped_column(sa.Enum(Level, native_enum=False))
    naive: Mapped[datetime | None] = mapped_column(sa.DateTime())
    aware: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    token: Mapped[uuid.UUID | None]
    born: Mapped[date | None]
    price: Mapped[float | None]


class Project(Base):
    __tablename__ = "test_host_project"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int]
    title: Mapped[str] = mapped_column(sa.String(50))


class KeyedByText(Base):
    __tablename__ = "test_host_by_text"

    id: Mapped[str] = mapped_column(sa.String(50), primary_key=True)


class KeyedByUuid(Base):
    __tablename__ = "test_host_by_uuid"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


class KeyedByTwo(Base):
    __tablename__ = "test_host_by_two"

    a: Mapped[int] = mapped_column(primary_key=True)
    b: Mapped[int] = mapped_column(primary_key=True)


YESTERDAY = NOW - timedelta(days=1)

ACCOUNTS = [
    Account(
        id=1,
        plan_name="trial",
        seats=3,
        naive=YESTERDAY.replace(tzinfo=None),
        born=date(2026, 2, 28),
    ),
    Account(
        id=2,
        plan_name="Trial",
        seats=None,
        is_admin=True,
        aware=YESTERDAY,
        born=date(2026, 3, 1),
    ),
    Account(id=3, plan_name=None, seats=0, level=Level.HIGH),
    Account(id=4, plan_name="pro", seats=9),
]


@pytest.fixture
def people(database: Database) -> Iterator[Callable[[Filter], set[str]]]:
    """Returns the ids of those who match: accounts 1 to 4, and a lead called ``lead``."""
    Base.metadata.create_all(database.engine)
    rows = [
        {column.key: getattr(account, column.key) for column in sa.inspect(Account).column_attrs}
        for account in ACCOUNTS
    ]
    with Session(database.engine) as session:
        session.add_all(Account(**row) for row in rows)
        session.add_all([Project(owner_id=1, title="a"), Project(owner_id=4, title="b")])
        add_people(session, [Somebody({"user_id": str(number)}) for number in range(1, 5)])
        add_people(session, [Somebody({"user_id": None, "kind": "lead", "name": "lead"})])
        session.commit()

    def matching(wanted: Filter) -> set[str]:
        context = CompileContext(database.dialect, user_model=Account)
        found, others = (
            {one.user_id or "lead" for one in People(database, one, context, lambda: NOW)}
            for one in (wanted, ~wanted)
        )
        assert found | others == {"1", "2", "3", "4", "lead"}
        assert not found & others
        return found

    yield matching
    Base.metadata.drop_all(database.engine)


CONDITIONS: list[tuple[Any, set[str]]] = [
    (Account.plan_name == "trial", {"1"}),
    (Account.plan_name != "trial", {"2", "3", "4", "lead"}),
    (Account.plan_name > "pro", {"1"}),
    (Account.seats >= 3, {"1", "4"}),
    (Account.seats == 0, {"3"}),
    (Account.is_admin == True, {"2"}),  # noqa: E712
    (Account.is_admin != True, {"1", "3", "4", "lead"}),  # noqa: E712
    (Account.is_admin, {"2"}),
    (Account.level == Level.HIGH, {"3"}),
    (Account.plan_name.is_(None), {"3"}),
    (Account.plan_name.in_(["pro", "basic"]), {"4"}),
    (Account.seats > 2.5, {"1", "4"}),
    (Account.seats == 0.5, set()),
    (Account.naive < ago(hours=23), {"1"}),
    (Account.naive > ago(hours=23), set()),
    (Account.aware < ago(hours=23), {"2"}),
    (Account.aware == YESTERDAY, {"2"}),
    (Account.naive == YESTERDAY.replace(tzinfo=None), {"1"}),
    (sa.exists().where(Project.owner_id == Account.id), {"1", "4"}),
    (sa.exists().where(Project.owner_id == Account.id, Project.title == "b"), {"4"}),
    ((Account.seats > 1) & (Account.plan_name == "pro"), {"4"}),
    (sa.func.length(Account.plan_name) == 3, {"4"}),
    (sa.true(), {"1", "2", "3", "4"}),
]


def test_host_conditions_select_the_users_whose_row_meets_them(
    people: Callable[[Filter], set[str]],
) -> None:
    for condition, expected in CONDITIONS:
        wanted = host(condition)
        assert people(wanted) == expected, wanted.describe()
        assert people(wanted & (person.user_id == "4")) == expected & {"4"}


def test_a_column_and_a_literal_survive_json_and_anything_else_needs_a_name(
    people: Callable[[Filter], set[str]],
) -> None:
    serialised = 0
    for condition, expected in CONDITIONS:
        wanted = host(condition)
        try:
            document = wanted.to_json()
        except InvalidFilter as error:
            assert "in_segment" in str(error)  # noqa: PT017
            continue
        serialised += 1
        again = Filter.from_json(document)
        assert again == wanted
        assert people(again) == expected
    assert serialised == 14
    assert host(Account.plan_name == "trial").to_json()["filter"] == {
        "host": "plan_name",
        "model": "Account",
        "op": "==",
        "value": "trial",
    }


def test_a_host_document_may_leave_the_model_out(people: Callable[[Filter], set[str]]) -> None:
    node = {"host": "seats", "op": ">", "value": 1}
    assert people(Filter.from_json({"version": 1, "filter": node})) == {"1", "4"}


@pytest.mark.parametrize(
    ("operator", "literal", "expected"),
    [
        ("<", True, {"1", "3", "4"}),
        ("<=", True, {"1", "2", "3", "4"}),
        (">", False, {"2"}),
        (">=", True, {"2"}),
        (">", True, set()),
    ],
)
def test_a_boolean_of_the_host_has_an_order_as_ours_have(
    people: Callable[[Filter], set[str]], operator: str, literal: bool, expected: set[str]
) -> None:
    node = {"host": "is_admin", "op": operator, "value": literal}
    assert people(Filter.from_json({"version": 1, "filter": node})) == expected


def test_a_day_of_the_host_is_the_moment_at_which_it_begins(
    people: Callable[[Filter], set[str]],
) -> None:
    assert people(host(Account.born < ago(days=2))) == {"1"}
    assert people(host(Account.born > ago(days=2))) == {"2"}
    node = {"host": "born", "op": "<=", "value": {"time": "2026-02-28T00:00:00+00:00"}}
    assert people(Filter.from_json({"version": 1, "filter": node})) == {"1"}


@pytest.mark.parametrize(
    ("column", "literal", "message"),
    [
        ("plan_name", 0, "'plan_name' is a text, and 0 is a number"),
        ("plan_name", {"ago": 60}, "'plan_name' is a text, and .* is a time"),
        ("seats", "many", "'seats' is a number, and 'many' is a text"),
        ("price", True, "'price' is a number, and True is a boolean"),
        ("is_admin", "", "'is_admin' is a boolean, and '' is a text"),
        ("is_admin", 1, "'is_admin' is a boolean, and 1 is a number"),
        ("naive", "yesterday", "'naive' is a time, and 'yesterday' is a text"),
        ("level", "HIGH", "'level' can only be compared in Python"),
        ("token", "6f1c0a53", "'token' can only be compared in Python"),
    ],
)
@pytest.mark.parametrize("operator", ["==", "!="])
def test_a_column_of_another_kind_is_an_error_before_a_database_is_asked(
    column: str, literal: Any, message: str, operator: str
) -> None:
    node = {"host": column, "op": operator, "value": literal}
    wanted = Filter.from_json({"version": 1, "filter": node})
    with pytest.raises(InvalidFilter, match=message):
        validate(wanted, CompileContext("postgresql", user_model=Account))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (host(Project.title == "a"), "column of Project, and user_model is Account"),
        (
            Filter.from_json(
                {"version": 1, "filter": {"host": "plan", "op": "==", "value": "trial"}}
            ),
            "Account has no column 'plan': did you mean 'plan_name'",
        ),
    ],
)
def test_a_column_that_the_user_model_lacks_is_an_error(wanted: Filter, message: str) -> None:
    with pytest.raises(InvalidFilter, match=message):
        validate(wanted, CompileContext("sqlite", user_model=Account))


def test_host_is_refused_where_the_hosts_tables_are_out_of_reach() -> None:
    wanted = everyone & ~in_segment("trial")
    segments = {"trial": host(Account.plan_name == "trial")}
    with pytest.raises(InvalidFilter, match="needs user_model"):
        validate(wanted, CompileContext("sqlite", segments))
    away = CompileContext("sqlite", segments, user_model=Account, host_in_same_database=False)
    with pytest.raises(InvalidFilter, match="another database"):
        validate(wanted, away)
    with pytest.raises(InvalidFilter, match="key of one column"):
        validate(host(KeyedByTwo.a == 1), CompileContext("sqlite", user_model=KeyedByTwo))


@pytest.mark.parametrize("condition", [True, "plan = 'trial'", None, person.country == "DE"])
def test_host_takes_a_condition_of_sqlalchemy(condition: Any) -> None:
    with pytest.raises(InvalidFilter, match="SQLAlchemy condition"):
        host(condition)


def test_keys_of_any_type_meet_the_ids_we_keep(database: Database) -> None:
    Base.metadata.create_all(database.engine)
    key = uuid.UUID("6f1c0a53-9a0b-4d55-8d9e-0a3b5c7d9e1f")
    try:
        with Session(database.engine) as session:
            session.add_all([KeyedByUuid(id=key), KeyedByText(id="Ada")])
            ids = [str(key), "Ada", "ada", "7"]
            add_people(session, [Somebody({"user_id": user_id}) for user_id in ids])
            session.commit()
        for model, expected in ((KeyedByUuid, str(key)), (KeyedByText, "Ada")):
            context = CompileContext(database.dialect, user_model=model)
            found = People(database, host(sa.true()), context, lambda: NOW)
            assert [one.user_id for one in found] == [expected]
            assert found.contains(expected)
            assert found.contains(model(id=key if model is KeyedByUuid else expected))
            assert not found.contains("ada")
    finally:
        Base.metadata.drop_all(database.engine)


def test_two_conditions_that_read_the_same_are_the_same() -> None:
    assert host(Account.plan_name.in_(["a"])) == host(Account.plan_name.in_(["a"]))
    assert host(Account.plan_name.in_(["a"])) != host(Account.plan_name.in_(["b"]))
    assert host(Account.seats > 1) == host(Account.seats > 1)
    assert host(Account.aware > datetime(2026, 1, 1, tzinfo=UTC)).describe() == (
        "People whose account's “aware” (“Account”) is after 1 January 2026 UTC"
    )


def test_a_condition_of_many_lines_is_said_on_one() -> None:
    listed = sa.exists().where(Project.owner_id == Account.id, Project.title == "a\n  b")
    said = host(listed).describe()
    assert "FROM test_host_project, test_host_account WHERE" in said
    assert "\\u{a}" in said, "a line break in a literal stays, and is spelled out"
    assert host(listed) != host(
        sa.exists().where(Project.owner_id == Account.id, Project.title == "a b")
    )
