"""The reasons of a heart: a habit is told where one was measured, and only there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, update

from flask_engage.store.activity import ActiveDayRow
from flask_engage.store.person import PersonRow
from tests.dashboard._person import address, person_id

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests._clock import FakeClock
    from tests.dashboard.conftest import Town


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ([0], "Seen less than a day ago; here on 1 day of the last 180, too few for a habit"),
        ([1, 3], "Seen 1 day ago; here on 2 days of the last 180, too few for a habit"),
        ([0, 1, 2, 3], "less than a day ago; here on 4 days of the last 180, too few for a habit"),
        (list(range(20)), "Seen less than a day ago; usually here every day"),
        (list(range(20, 40)), "Seen 20 days ago; used to be here every day"),
        ([3, 5, 7, 9, 11, 13], "Seen 3 days ago; usually here every 2 days"),
        ([2, 3, 4, 6, 8], "Seen 2 days ago; usually here every 1 to 2 days"),
        # Longer than the score's half-life may be.
        ([10, 50, 90, 130, 170], "Seen 10 days ago; usually here every 40 days"),
        ([200], "Seen 200 days ago"),
    ],
)
def test_how_often_somebody_is_here_is_what_was_measured(
    days: list[int],
    told: str,
    town: Town,
    clock: FakeClock,
    operator: FlaskClient,
    write: Callable[[], Any],
) -> None:
    text = _reason(town, clock, operator, write, days)
    assert f"{told}<" in text
    assert ("usually" in told) is ("usually here" in text)


def test_the_half_life_is_called_what_it_is(
    town: Town, clock: FakeClock, operator: FlaskClient, write: Callable[[], Any]
) -> None:
    once = _reason(town, clock, operator, write, [0])
    assert "Half of these points are gone after 7 days away." in once
    daily = _reason(town, clock, operator, write, list(range(20)))
    assert "Half of these points are gone after 2 days away." in daily


def test_of_somebody_who_was_never_here_no_more_is_told(
    town: Town, clock: FakeClock, operator: FlaskClient, write: Callable[[], Any]
) -> None:
    text = _reason(town, clock, operator, write, [])
    assert "Never seen<" in text
    assert "Half of these points" not in text


def _reason(
    town: Town,
    clock: FakeClock,
    operator: FlaskClient,
    write: Callable[[], Any],
    days: list[int],
) -> str:
    """Return the page of somebody who was here so many days ago, once hearts are computed."""
    with write() as session:
        whose = person_id(session, town)
        session.execute(delete(ActiveDayRow).where(ActiveDayRow.person_id == whose))
        today = clock.now.date()
        session.add_all(
            ActiveDayRow(person_id=whose, day=today - timedelta(days=back)) for back in days
        )
        seen = clock.now - timedelta(days=min(days)) if days else None
        session.execute(update(PersonRow).where(PersonRow.id == whose).values(last_seen_at=seen))
    with town.app.app_context():
        town.engage.refresh("relationship")
    return unescape(operator.get(address(town)).text)
