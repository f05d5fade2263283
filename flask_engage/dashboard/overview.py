"""The front page."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from flask import Response

from .._state import current_state
from ..reports.overview import overview
from ..segments.words import person
from .chart import chart_of
from .language import gettext as _
from .pages import filter_text, page
from .rules import rules_of
from .zones import days_zone

_RULES_SHOWN = 6


def show() -> Response:
    """Show who is active, who is new, what was read, and what goes out by itself."""
    state = current_state()
    database = state.ready.require()
    with database.read() as session:
        figures = overview(session, state.settings, state.clock())
        rules = rules_of(state, session)
    days = figures.activity.days
    live = [rule for rule in rules if rule.status != "removed"]
    return page(
        "overview.html",
        figures=figures,
        series=[
            (_("that day"), [day.daily for day in days]),
            (_("in 7 days"), [day.weekly for day in days]),
            (_("in 30 days"), [day.monthly for day in days]),
        ],
        since={count: _seen_since(days[-count].day, days_zone(state)) for count in (1, 7, 30)},
        chart=chart_of(
            [day.daily for day in days],
            [day.weekly for day in days],
            [day.monthly for day in days],
        ),
        rules=live[:_RULES_SHOWN],
        more_rules=max(0, len(live) - _RULES_SHOWN),
    )


def _seen_since(day: date, zone: ZoneInfo) -> str:
    """Return the filter for whoever was here since a day began, as the figures count them."""
    return filter_text(person.last_seen >= datetime.combine(day, time(), zone))
