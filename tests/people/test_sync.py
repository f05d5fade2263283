"""Everybody whom the host has is a person from the first day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_engage.people.host_users import HostUsers
from flask_engage.people.refresh import Turn
from flask_engage.people.sync import refresh_people, sync_users
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from flask_engage.types import Identity

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
JOINED = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)


class Base(DeclarativeBase):
    pass


class Member(Base):
    """A host's user, told apart from anything of ours by its names."""

    __tablename__ = "member"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str | None] = mapped_column(sa.String(200))
    name: Mapped[str | None] = mapped_column(sa.String(200))
    created_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    was_here: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    is_staff: Mapped[bool] = mapped_column(default=False)


@pytest.fixture
def host(migrated_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(migrated_url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


def add(host: sa.Engine, **values: Any) -> int:
    with Session(host) as session:
        member = Member(**values)
        session.add(member)
        session.commit()
        return member.id


def people(database: Database) -> dict[str, PersonRow]:
    with database.read() as session:
        return {str(row.user_id): row for row in session.scalars(sa.select(PersonRow))}


def test_every_user_becomes_a_person_with_the_date_of_sign_up(
    database: Database, host: sa.Engine
) -> None:
    ids = [add(host, email=f"u{n}@example.com", name=f"U{n}", created_at=JOINED) for n in range(7)]
    report = sync_users(database, HostUsers(host, Member), NOW)
    found = people(database)
    assert (report.users, report.gone) == (7, 0)
    assert set(found) == {str(number) for number in ids}
    first = found[str(ids[0])]
    assert (first.email, first.name, first.signed_up_at) == ("u0@example.com", "U0", JOINED)
    assert (first.last_seen_at, first.session_count) == (None, 0)


def test_batches_leave_nobody_out(database: Database, host: sa.Engine) -> None:
    with Session(host) as session:
        session.add_all([Member(email=f"u{n}@example.com") for n in range(1203)])
        session.commit()
    assert sync_users(database, HostUsers(host, Member), NOW).users == 1203
    assert len(people(database)) == 1203


def test_a_second_run_follows_new_addresses_and_changes_nothing_else(
    database: Database, host: sa.Engine
) -> None:
    number = add(host, email="old@example.com", name="Ada", created_at=JOINED)
    users = HostUsers(host, Member)
    sync_users(database, users, NOW)
    before = people(database)[str(number)]
    with Session(host) as session:
        session.execute(sa.update(Member).values(email="new@example.com"))
        session.commit()
    sync_users(database, users, NOW + timedelta(days=1))
    after = people(database)[str(number)]
    assert after.email == "new@example.com"
    assert (after.id, after.public_id, after.created_at) == (
        before.id,
        before.public_id,
        before.created_at,
    )
    assert after.updated_at == NOW + timedelta(days=1)
    sync_users(database, users, NOW + timedelta(days=2))
    assert people(database)[str(number)].updated_at == NOW + timedelta(days=1)


def test_a_user_who_is_gone_is_marked_and_comes_back_unmarked(
    database: Database, host: sa.Engine
) -> None:
    stays, goes = add(host, email="a@example.com"), add(host, email="b@example.com")
    users = HostUsers(host, Member)
    sync_users(database, users, NOW)
    with Session(host) as session:
        session.execute(sa.delete(Member).where(Member.id == goes))
        session.commit()
    assert sync_users(database, users, NOW + timedelta(days=1)).gone == 1
    found = people(database)
    assert found[str(stays)].gone_at is None
    assert found[str(goes)].gone_at == NOW + timedelta(days=1)
    add(host, id=goes, email="b@example.com")
    sync_users(database, users, NOW + timedelta(days=2))
    assert people(database)[str(goes)].gone_at is None


def test_the_hosts_own_last_seen_is_taken_unless_we_know_later(
    database: Database, host: sa.Engine
) -> None:
    number = add(host, email="a@example.com", was_here=NOW - timedelta(days=3))
    users = HostUsers(host, Member, last_seen_column="was_here")
    sync_users(database, users, NOW)
    assert people(database)[str(number)].last_seen_at == NOW - timedelta(days=3)
    with database.write() as session:
        session.execute(sa.update(PersonRow).values(last_seen_at=NOW - timedelta(days=1)))
    sync_users(database, users, NOW)
    assert people(database)[str(number)].last_seen_at == NOW - timedelta(days=1)


def identify(member: Member) -> Identity | None:
    if member.is_staff:
        return None
    return Identity(member.id, email=member.email, attributes={"domain": "example.com"})


def test_identify_decides_who_is_recorded_and_what_is_known(
    database: Database, host: sa.Engine
) -> None:
    add(host, email="staff@example.com", is_staff=True)
    user = add(host, email="a@example.com")
    report = sync_users(database, HostUsers(host, Member, identify=identify), NOW)
    found = people(database)
    assert report.users == 1
    assert list(found) == [str(user)]
    assert found[str(user)].attributes == {"s:domain": "example.com"}


def test_before_mail_leaves_addresses_and_existence_are_read_again(
    database: Database, host: sa.Engine
) -> None:
    moved, gone = add(host, email="old@example.com"), add(host, email="gone@example.com")
    users = HostUsers(host, Member, identify=identify)
    sync_users(database, users, NOW)
    with Session(host) as session:
        session.execute(sa.update(Member).where(Member.id == moved).values(email="new@example.com"))
        session.execute(sa.delete(Member).where(Member.id == gone))
        session.commit()
    refresh_people(database, users, [row.id for row in people(database).values()], NOW)
    found = people(database)
    assert found[str(moved)].email == "new@example.com"
    assert found[str(gone)].gone_at == NOW


def test_nobody_is_marked_as_gone_where_ids_are_not_keys(
    database: Database, host: sa.Engine
) -> None:
    add(host, email="a@example.com")
    users = HostUsers(host, Member, identify=lambda member: Identity(f"acct-{member.id}"))
    assert not users.ids_are_keys()
    sync_users(database, users, NOW)
    refresh_people(database, users, [row.id for row in people(database).values()], NOW)
    assert people(database)["acct-1"].gone_at is None


def test_one_user_whom_identify_cannot_name_costs_no_other_user(
    database: Database, host: sa.Engine
) -> None:
    fine, broken = add(host, email="a@example.com"), add(host, email=None)

    def fragile(member: Member) -> Identity:
        assert member.email is not None
        return Identity(member.id, email=member.email, attributes={"ratio": float("nan"), "n": 1})

    users = HostUsers(host, Member, identify=fragile)
    assert sync_users(database, users, NOW).users == 1
    found = people(database)
    assert found[str(fine)].attributes == {"n:n": 1}
    refresh_people(database, users, [found[str(fine)].id], NOW)
    assert str(broken) not in found


def test_nobody_is_marked_as_gone_while_only_staff_can_be_looked_at(
    database: Database, host: sa.Engine
) -> None:
    for _ in range(25):
        add(host, email="staff@example.com", is_staff=True)
    add(host, email="a@example.com")

    def staff_is_left_out(member: Member) -> Identity | None:
        return None if member.is_staff else Identity(f"acct-{member.id}")

    users = HostUsers(host, Member, identify=staff_is_left_out)
    assert not users.ids_are_keys()
    assert sync_users(database, users, NOW).gone == 0


class Opaque(sa.types.UserDefinedType[str]):
    """A key type of the host's own, of which SQLAlchemy knows no Python type."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "VARCHAR(40)"


class Guest(Base):
    __tablename__ = "guest"

    id: Mapped[str] = mapped_column(Opaque(), primary_key=True)


def test_users_with_a_key_type_of_the_hosts_own_are_not_taken_for_gone(
    database: Database, host: sa.Engine
) -> None:
    with Session(host) as session:
        session.add(Guest(id="g-1"))
        session.commit()
    assert sync_users(database, HostUsers(host, Guest), NOW).gone == 0
    assert people(database)["g-1"].gone_at is None


def test_a_long_sync_makes_room_and_goes_on(database: Database, host: sa.Engine) -> None:
    with Session(host) as session:
        session.add_all([Member(email=f"u{n}@example.com") for n in range(1203)])
        session.commit()
    users = HostUsers(host, Member)
    sync_users(database, users, NOW)
    with Session(host) as session:
        session.execute(sa.delete(Member).where(Member.email.in_(["u7@example.com"])))
        session.commit()
    told: list[tuple[int, int | None]] = []
    turns = 0
    while True:
        turns += 1
        turn = Turn(seconds=0, progress=lambda *now: told.append(now))
        report = sync_users(database, users, NOW + timedelta(days=1), turn, anew=False)
        if report.finished:
            break
    assert turns > 6  # three steps for those who are there, three for those who may be gone
    assert (report.users, report.gone) == (1202, 1)
    assert told[-1] == (1202, 1202)
    assert [row.user_id for row in people(database).values() if row.gone_at is not None] == ["8"]
