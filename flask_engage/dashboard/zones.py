"""In which time zone an operator reads and writes times, and in which one days are cut."""

from __future__ import annotations

import re
from datetime import date
from zoneinfo import ZoneInfo

from flask import request

from .._state import EngageState

COOKIE = "engage_zone"
"""Set by the dashboard's script to the zone of the browser it runs in."""
_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")


def viewer_zone(state: EngageState) -> ZoneInfo:
    """Return the zone of whoever looks at the dashboard; ``ENGAGE_TIMEZONE`` until it is known.

    What it may be is what a browser calls it, an IANA zone; anything else is as if it were unknown.
    """
    name = request.cookies.get(COOKIE, "")
    if _NAME.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            pass  # a zone of a newer calendar than ours, or none at all
    return days_zone(state)


def days_zone(state: EngageState) -> ZoneInfo:
    """Return the zone in which days are cut, the same for all: ``ENGAGE_TIMEZONE``."""
    return ZoneInfo(state.settings.TIMEZONE)


def today(state: EngageState) -> date:
    """Return the day that it is where days are cut."""
    return state.clock().astimezone(days_zone(state)).date()
