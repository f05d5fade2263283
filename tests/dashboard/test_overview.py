"""The front page: what its figures are called, and the people behind each."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests._clock import FakeClock
    from tests.dashboard.conftest import Town


@pytest.mark.parametrize("hour", [0, 9, 23])
def test_a_number_leads_to_those_whom_it_counts(
    hour: int, town: Town, clock: FakeClock, operator: FlaskClient
) -> None:
    """Whatever the time of day: the figures go by days, and a rule of "30 days" by seconds."""
    clock.advance(days=40)
    clock.now = clock.now.replace(hour=hour, minute=30)
    midnight = clock.now.replace(hour=0, minute=0)
    moments = (
        midnight,
        midnight - timedelta(days=6),
        midnight - timedelta(days=29),
        midnight - timedelta(days=29, seconds=1),
    )
    with town.app.app_context():
        for user_id, moment in zip(town.ids, moments, strict=False):
            town.engage.seen(str(user_id), at=moment)
        town.engage.flush()
    text = operator.get("/engage/").text
    figures = re.findall(r'<dt>(Here [^<]+)</dt><dd><a href="([^"]+)">([\d,]+)</a>', text)
    assert [(words, number) for words, _address, number in figures] == [
        ("Here today", "1"),
        ("Here within 7 days", "2"),
        ("Here within 30 days", "3"),
    ]
    for words, address, number in figures:
        listed = operator.get(unescape(address)).text
        people = "person" if number == "1" else "people"
        assert f"<b data-matching>{number} {people}</b>" in listed, words


def test_no_figure_has_the_name_of_a_segment_that_counts_otherwise(
    town: Town, operator: FlaskClient
) -> None:
    text = operator.get("/engage/").text
    main = text[text.index('<main id="main"') :]
    assert "Active" not in main
    assert "“Here” goes by calendar days, today included." in unescape(main)
