"""The front page."""

from __future__ import annotations

from flask import Response

from .._state import current_state
from ..reports.overview import overview
from .chart import chart_of
from .language import gettext as _
from .pages import page
from .rules import rules_of

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
        chart=chart_of(
            [day.daily for day in days],
            [day.weekly for day in days],
            [day.monthly for day in days],
        ),
        rules=live[:_RULES_SHOWN],
        more_rules=max(0, len(live) - _RULES_SHOWN),
    )
