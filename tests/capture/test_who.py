"""What we know of somebody by what the host says, and whom we ask the host about."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_login import UserMixin
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_engage import Engage, Identity, InvalidFact
from flask_engage._state import state_of
from tests.capture._requests import people


@pytest.fixture
def bare(engage: Engage, tmp_path: Path) -> Any:
    """An app that knows of no Flask-Login."""
    app = Flask("bare", static_folder=str(tmp_path))
    app.config.update(SECRET_KEY="a secret of sixteen bytes", TESTING=True)
    app.config.update(ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"))
    app.add_url_rule("/", "page", lambda: "page")
    engage.init_app(app, f"sqlite:///{tmp_path / 'e.sqlite3'}")
    yield app
    state_of(app).ready.database().dispose()


@pytest.mark.parametrize(
    "signed_up_at",
    [
        datetime(2026, 3, 1, 8, 30),  # noqa: DTZ001  (as many hosts keep it)
        datetime(2026, 3, 1, 8, 30, tzinfo=UTC),
        datetime(2026, 3, 1, 5, 30, tzinfo=timezone(timedelta(hours=-3))),
    ],
)
def test_a_time_of_the_hosts_without_a_zone_is_taken_for_utc(
    bare: Flask, engage: Engage, signed_up_at: datetime
) -> None:
    engage.load_user(lambda: Identity("7", signed_up_at=signed_up_at))
    bare.test_client(use_cookies=False).get("/", headers={"Cookie": "token=7"})
    found = [("7", datetime(2026, 3, 1, 8, 30, tzinfo=UTC))]
    assert people(bare, "user_id", "signed_up_at") == found


def test_the_hosts_own_login_is_asked_once_on_each_request_that_may_count(
    bare: Flask, engage: Engage, tmp_path: Path
) -> None:
    asked: list[str] = []

    def load_user() -> None:
        asked.append("once more")

    engage.load_user(load_user)
    (tmp_path / "style.css").write_text("")
    client = bare.test_client()
    client.get("/")  # without any cookie
    assert len(asked) == 1
    for path, headers in (
        ("/static/style.css", {}),
        ("/missing", {}),
        ("/", {"Sec-Purpose": "prefetch"}),
        ("/", {"User-Agent": "curl/8.5.0"}),
    ):
        client.get(path, headers=headers)
    client.head("/")
    assert len(asked) == 1
    assert people(bare) == []


class Newcomer(UserMixin):
    """Somebody whose row isn't there yet."""

    id = None


class Account(DeclarativeBase):
    """The host's tables."""


class Customer(Account, UserMixin):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.mark.parametrize(
    ("make", "says"),
    [(Newcomer, "has no id"), (lambda: Customer(name="Ada"), "no primary key yet; flush")],
)
def test_who_has_no_id_yet_is_nobody_and_not_a_person_called_none(
    bare: Flask, engage: Engage, make: Any, says: str
) -> None:
    with bare.app_context(), pytest.raises(InvalidFact, match=says):
        engage.track("signed up", user=make())
    assert people(bare, "user_id") == []


def test_a_bad_attribute_from_identify_costs_itself_only(bare: Flask, engage: Engage) -> None:
    state = state_of(bare)
    state.guard._raise_errors = lambda: False
    engage.load_user(
        lambda: Identity(
            "7",
            attributes={
                "plan": "free",
                "tags": ["a", "list"],
                "balance": Decimal("2.5"),
                "since": date(2026, 3, 1),
                "": 1,
                "never": datetime.min.replace(tzinfo=timezone(timedelta(hours=3))),
            },
        )
    )
    bare.test_client(use_cookies=False).get("/", headers={"Cookie": "token=7"})
    [(attributes,)] = people(bare, "attributes")
    assert attributes == {
        "s:plan": "free",
        "n:balance": 2.5,
        "t:since": attributes["t:since"],
    }
    assert str(attributes["t:since"]).startswith("2026-03-01")
    assert state.guard.counts == {"an attribute from identify()": 3}
