"""How ages look: each unit is told from where the one before it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flask_engage.dashboard.formats import age, short_age

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)

BORDERS = [
    (MINUTE, "1 min"),
    (HOUR - SECOND, "59 min"),
    (HOUR, "1 h"),
    (2 * DAY - SECOND, "47 h"),
    (2 * DAY, "2 days"),
    (60 * DAY - SECOND, "59 days"),
    (60 * DAY, "2 months"),
    (61 * DAY, "2 months"),
    (91 * DAY, "2 months"),
    (92 * DAY, "3 months"),
    (730 * DAY - SECOND, "23 months"),
    (730 * DAY, "2 years"),
    (3 * 365 * DAY - SECOND, "2 years"),
    (3 * 365 * DAY, "3 years"),
]


@pytest.mark.parametrize(("span", "told"), BORDERS)
def test_an_age_is_told_in_the_unit_that_has_begun(span: timedelta, told: str) -> None:
    assert age(NOW - span, NOW) == f"{told} ago"
    assert age(NOW + span, NOW) == f"in {told}"
    assert short_age(NOW - span, NOW) == told


@pytest.mark.parametrize(
    ("span", "told", "short"),
    [
        (timedelta(0), "just now", "now"),
        (MINUTE - SECOND, "just now", "now"),
        (-SECOND, "in a moment", "now"),
        (-MINUTE, "in 1 min", "now"),
    ],
)
def test_what_is_younger_than_a_minute_has_no_number(
    span: timedelta, told: str, short: str
) -> None:
    assert age(NOW - span, NOW) == told
    assert short_age(NOW - span, NOW) == short


def test_what_never_was_has_a_dash() -> None:
    assert age(None, NOW) == short_age(None, NOW) == "–"


def test_ages_never_go_back_as_time_goes_on() -> None:
    """A longer absence is never told as a shorter one."""
    units = {"days": 1, "month": 30, "months": 30, "year": 365, "years": 365}
    told = []
    for days in range(2, 1500):
        number, unit = short_age(NOW - days * DAY, NOW).split()
        told.append(int(number) * units[unit])
    assert told == sorted(told)
