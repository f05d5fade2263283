"""Why a heart is what it is, in words."""

from __future__ import annotations

from math import ceil, floor

from ..people.relationship_sql import HABIT_DAYS
from ..reports.relationship import Heart
from .formats import number
from .language import gettext as _
from .language import ngettext

_LONG_AWAY = 14
"""Days; who stays away for longer, and three times as long as usual, has no such habit now."""


def seen_words(heart: Heart) -> str:
    """Return when somebody was here, and how often they are if that was measured."""
    away, coming = heart.days_since_seen, heart.coming
    if away is None:
        return _("Never seen")
    seen = _("Seen less than a day ago")
    if away:
        seen = ngettext("Seen %(n)s day ago", "Seen %(n)s days ago", away) % {"n": number(away)}
    if coming.gap is not None:
        often = (
            _("used to be here %(often)s")
            if _is_over(away, coming.gap)
            else _("usually here %(often)s")
        )
        return f"{seen}; {often % {'often': _every(coming.gap)}}"
    if not coming.days:
        return seen
    few = ngettext(
        "here on %(n)s day of the last %(all)s, too few for a habit",
        "here on %(n)s days of the last %(all)s, too few for a habit",
        coming.days,
    )
    return f"{seen}; {few % {'n': coming.days, 'all': HABIT_DAYS}}"


def fading_words(heart: Heart) -> str:
    """Return how the points for being here fade; empty where there are none."""
    if heart.days_since_seen is None or not heart.points:
        return ""
    days = heart.row.half_life
    return _("Half of these points are gone after %(n)s days away.") % {"n": number(days)}


def _is_over(away: int, gap: float) -> bool:
    return away > max(_LONG_AWAY, 3 * gap)


def _every(gap: float) -> str:
    """Return a number of days, or the two that it lies between."""
    low, high = floor(gap), ceil(gap)
    if low != high:
        return _("every %(low)s to %(high)s days") % {"low": low, "high": high}
    return ngettext("every day", "every %(n)s days", low) % {"n": low}
