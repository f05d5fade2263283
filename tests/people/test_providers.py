"""What the host computes of its users is kept fresh, and one user's trouble stays theirs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_engage.capture.values import plain
from flask_engage.errors import InvalidFact
from flask_engage.people.host_users import HostUsers
from flask_engage.people.provider_query import QuerySource
from flask_engage.people.providers import FunctionSource
from flask_engage.people.refresh import RefreshReport, refresh
from flask_engage.people.sync import sync_users
from flask_engage.people.watch import Limits
from flask_engage.store.attribute import AttributeRow
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    handle: Mapped[str | None] = mapped_column(sa.String(50))


class Essay(Base):
    __tablename__ = "essay"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int]


@pytest.fixture
def host(migrated_url: str, database: Database) -> Iterator[sa.Engine]:
    engine = sa.create_engine(migrated_url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Author(id=number, handle=f"h{number}") for number in (1, 2, 3)])
        session.commit()
    sync_users(database, HostUsers(engine, Author), NOW)
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


def refresh_attribute(
    database: Database, users: HostUsers, name: str, function: Any, now: datetime = NOW
) -> RefreshReport:
    source = FunctionSource(name, function, users, Limits())
    report = refresh(database, source, name, lambda: now)
    assert report is not None
    return report


def refresh_query(
    database: Database, host: sa.Engine, name: str, function: Any, now: datetime = NOW
) -> RefreshReport:
    source = QuerySource(name, function, host, database, Limits())
    report = refresh(database, source, name, lambda: now)
    assert report is not None
    return report


def attributes(database: Database) -> dict[str, Any]:
    with database.read() as session:
        rows = session.execute(sa.select(PersonRow.user_id, PersonRow.attributes))
        return {str(user_id): found for user_id, found in rows}


def test_an_attribute_is_computed_for_everybody(database: Database, host: sa.Engine) -> None:
    report = refresh_attribute(
        database, HostUsers(host, Author), "has handle", lambda user: user.handle == "h2", NOW
    )
    assert (report.people, report.changed, report.failed) == (3, 3, 0)
    assert attributes(database) == {
        "1": {"b:has handle": False},
        "2": {"b:has handle": True},
        "3": {"b:has handle": False},
    }


def test_a_user_for_whom_it_raises_keeps_the_old_value(database: Database, host: sa.Engine) -> None:
    users = HostUsers(host, Author)
    refresh_attribute(database, users, "length", lambda user: len(user.handle), NOW)

    def worse(user: Author) -> int:
        if user.id == 2:
            raise LookupError("no such service")
        return 7

    report = refresh_attribute(database, users, "length", worse, NOW + timedelta(hours=1))
    assert (report.people, report.failed) == (2, 1)
    assert "no such service" in str(report)
    assert attributes(database) == {
        "1": {"n:length": 7},
        "2": {"n:length": 2},
        "3": {"n:length": 7},
    }


def test_nonsense_for_one_user_is_that_users_alone(database: Database, host: sa.Engine) -> None:
    report = refresh_attribute(
        database,
        HostUsers(host, Author),
        "odd",
        lambda user: object() if user.id == 1 else "fine",
        NOW,
    )
    assert (report.people, report.failed) == (2, 1)
    assert attributes(database)["1"] == {}


def test_changed_at_moves_only_with_the_value(database: Database, host: sa.Engine) -> None:
    users = HostUsers(host, Author)
    refresh_attribute(database, users, "plan", lambda user: "free", NOW)
    later = NOW + timedelta(hours=1)
    refresh_attribute(
        database, users, "plan", lambda user: "pro" if user.id == 1 else "free", later
    )
    with database.read() as session:
        rows = session.execute(
            sa.select(PersonRow.user_id, AttributeRow.changed_at, AttributeRow.source).join(
                PersonRow, PersonRow.id == AttributeRow.person_id
            )
        ).all()
    assert {row.user_id: row.changed_at for row in rows} == {"1": later, "2": NOW, "3": NOW}
    assert {row.source for row in rows} == {"provider:plan"}


def essays() -> Any:
    return sa.select(Essay.author_id, sa.func.count().label("essays")).group_by(Essay.author_id)


def test_one_query_serves_everybody(database: Database, host: sa.Engine) -> None:
    with Session(host) as session:
        session.add_all([Essay(author_id=1), Essay(author_id=1), Essay(author_id=3)])
        session.commit()
    report = refresh_query(database, host, "essays", essays)
    assert (report.people, report.changed) == (2, 2)
    assert attributes(database) == {"1": {"n:essays": 2}, "2": {}, "3": {"n:essays": 1}}


def test_who_drops_out_of_the_query_loses_the_value(database: Database, host: sa.Engine) -> None:
    with Session(host) as session:
        session.add_all([Essay(author_id=1), Essay(author_id=3)])
        session.commit()
        refresh_query(database, host, "essays", essays)
        session.execute(sa.delete(Essay).where(Essay.author_id == 3))
        session.commit()
    refresh_query(database, host, "essays", essays, NOW + timedelta(hours=1))
    assert attributes(database) == {"1": {"n:essays": 1}, "2": {}, "3": {}}


def test_a_query_of_one_column_says_what_is_missing(database: Database, host: sa.Engine) -> None:
    with pytest.raises(InvalidFact, match="attribute_query 'ids'"):
        refresh_query(database, host, "ids", lambda: sa.select(Author.id))


def test_a_label_may_hold_what_a_name_that_is_made_up_begins_with(
    database: Database, host: sa.Engine
) -> None:
    label = "growth in %(7 days)"
    query = sa.select(Author.id, sa.func.length(Author.handle).label(label))
    assert refresh_query(database, host, "growth", lambda: query).failed == 0
    assert attributes(database) == {key: {f"n:{label}": 2} for key in ("1", "2", "3")}


def test_a_column_without_a_name_makes_no_attribute(database: Database, host: sa.Engine) -> None:
    computed = sa.func.length(Author.handle)
    both = sa.select(sa.func.abs(Author.id), computed, computed.label("letters"))
    report = refresh_query(database, host, "letters", lambda: both)
    assert report.failed == 1
    assert "column 2 of the select has no name; give it .label('…')." in str(report)
    assert attributes(database) == {key: {"n:letters": 2} for key in ("1", "2", "3")}
    with pytest.raises(InvalidFact, match="column 2 of the select has no name"):
        refresh_query(database, host, "alone", lambda: sa.select(Author.id, computed))


def test_numbers_and_dates_of_the_database_become_plain() -> None:
    assert plain(Decimal("3")) == 3
    assert plain(Decimal("2.5")) == 2.5
    assert plain(date(2026, 3, 2)) == datetime(2026, 3, 2, tzinfo=UTC)
    assert plain(datetime(2026, 3, 2, 1)) == datetime(2026, 3, 2, 1, tzinfo=UTC)  # noqa: DTZ001
    with pytest.raises(InvalidFact):
        plain([1])


def test_a_number_that_is_none_costs_that_user_alone(database: Database, host: sa.Engine) -> None:
    report = refresh_attribute(
        database,
        HostUsers(host, Author),
        "ratio",
        lambda user: float("nan") if user.id == 1 else 0.5,
        NOW,
    )
    assert (report.people, report.failed) == (2, 1)
    assert attributes(database) == {"1": {}, "2": {"n:ratio": 0.5}, "3": {"n:ratio": 0.5}}
