"""How values look to people: numbers, times, names, sizes."""

from __future__ import annotations

import unicodedata
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from .language import gettext as _
from .language import ngettext

DASH = "–"
"""Stands for "not set"; a zero is a 0."""
_TINTS = 6
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_MONTH, _YEAR = 60, 730
"""Days from which ages are told in months and in years."""


def number(value: float | None) -> str:
    """Return a number with thousands separators; a dash for none."""
    if value is None:
        return DASH
    if value != int(value):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return f"{int(value):,}"


def counted(count: Any) -> str:
    """Return a :class:`~flask_engage.segments.counting.Count` of people in words."""
    if count.is_exact:
        return ngettext("%(n)s person", "%(n)s people", count.number) % {"n": number(count.number)}
    if not count.number:
        return _("too many to count quickly")
    return _("more than %(n)s people") % {"n": number(count.number)}


def share(part: int, whole: int) -> str:
    """Return `part` as a percentage of `whole`; a dash if there is nothing to be part of."""
    return f"{100 * part / whole:.1f} %" if whole else DASH


def size(count: int) -> str:
    """Return a number of bytes as people say it."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def length(span: timedelta) -> str:
    """Return a duration in its two largest units, such as ``2 h 5 min``."""
    seconds = int(span.total_seconds())
    if seconds < 60:
        return _("%(n)s s") % {"n": seconds}
    minutes = seconds // 60
    if minutes < 60:
        return _("%(n)s min") % {"n": minutes}
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        text = _("%(n)s h") % {"n": hours}
        return text + (f" {minutes} min" if minutes else "")
    days, hours = divmod(hours, 24)
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": days} + (
        f" {hours} h" if hours else ""
    )


def took(span: timedelta) -> str:
    """Return how long work took, such as ``12 ms``, ``3.4 s`` or ``2 h 5 min``."""
    seconds = span.total_seconds()
    if seconds < 1:
        return _("%(n)s ms") % {"n": round(1000 * seconds)}
    return _("%(n)s s") % {"n": f"{seconds:.1f}"} if seconds < 10 else length(span)


def age(moment: datetime | None, now: datetime) -> str:
    """Return how long ago `moment` was, or how long it is until then, in one unit."""
    if moment is None:
        return DASH
    span = now - moment
    if timedelta(minutes=-1) < span < timedelta(0):
        return _("in a moment")
    if span < timedelta(0):
        return _("in %(age)s") % {"age": _unit(-span)}
    return _("just now") if span < timedelta(minutes=1) else _("%(age)s ago") % {"age": _unit(span)}


def short_age(moment: datetime | None, now: datetime) -> str:
    """Return how old something is, in one unit, without a word around it."""
    if moment is None:
        return DASH
    span = max(now - moment, timedelta(0))
    return _("now") if span < timedelta(minutes=1) else _unit(span)


def _unit(span: timedelta) -> str:
    minutes, days = int(span.total_seconds()) // 60, span.days
    if minutes < 60:
        return _("%(n)s min") % {"n": minutes}
    if days < 2:
        return _("%(n)s h") % {"n": minutes // 60}
    if days < _MONTH:
        return ngettext("%(n)s day", "%(n)s days", days) % {"n": days}
    if days < _YEAR:
        # 60 days are a little less than two twelfths of a year: after 59 days comes no month.
        months = max(2, days * 12 // 365)
        return ngettext("%(n)s month", "%(n)s months", months) % {"n": months}
    years = days // 365
    return ngettext("%(n)s year", "%(n)s years", years) % {"n": years}


def local(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return a moment in `zone`; in UTC where no calendar has it there, as at the end of 9999.

    Many an app says by such a date that something never ends.
    """
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.astimezone(UTC)


def day(moment: Any, zone: ZoneInfo) -> str:
    """Return a date such as ``3 Sep 2024``; a dash for none."""
    if moment is None:
        return DASH
    at = local(moment, zone) if isinstance(moment, datetime) else moment
    return f"{at.day} {_(_MONTHS[at.month - 1])} {at.year}"


def month(first: Any) -> str:
    """Return a month such as ``Sep 2024``."""
    return f"{month_name(first.month)} {first.year}"


def month_name(number: int) -> str:
    """Return the short name of a month, from 1."""
    return _(_MONTHS[number - 1])


def long_day(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return a date with its weekday, or what it is called these days: ``Today``."""
    date, today = local(moment, zone).date(), now.astimezone(zone).date()
    if date == today:
        return _("Today")
    if date == today - timedelta(days=1):
        return _("Yesterday")
    return f"{_(_WEEKDAYS[date.weekday()])}, {day(date, zone)}"


def days_later(moment: Any, days: int) -> Any:
    """Return a date or time so many days later; none stays none."""
    return moment + timedelta(days=days) if moment is not None and days else moment


def exact(moment: datetime | None, zone: ZoneInfo) -> str:
    """Return date and time with the zone; a dash for none."""
    if moment is None:
        return DASH
    at = local(moment, zone)
    return f"{day(moment, zone)}, {at:%H:%M:%S} {at.tzname()}"


def clock(moment: datetime, zone: ZoneInfo) -> str:
    """Return the time of day."""
    return f"{local(moment, zone):%H:%M}"


def value(content: Any, zone: ZoneInfo) -> str:
    """Return an attribute's or property's value as text."""
    match content:
        case None:
            return DASH
        case bool():
            return _("yes") if content else _("no")
        case int() | float():
            return number(content)
        case datetime():
            return (
                exact(content, zone) if content.tzinfo else exact(content.replace(tzinfo=UTC), zone)
            )
        case _:
            return str(content)


def typed(content: Any) -> str:
    """Return a property's value as one types it into a filter."""
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, float) and content.is_integer():
        return str(int(content))
    return "null" if content is None else str(content)


def display_name(name: str | None, email: str | None, user_id: str | None = None) -> str:
    """Return what to call somebody; there is always something."""
    for text in (name, email, user_id):
        if text and text.strip():
            return text
    return _("Somebody")


def initials(name: str) -> str:
    """Return one or two characters for somebody's picture, of any script."""
    words = [word for word in name.replace("@", " ").split() if _first_letter(word)]
    letters = [_first_letter(word) for word in words]
    if not letters:
        return "?"
    found = letters[0] if len(letters) == 1 or _is_wide(letters[0]) else letters[0] + letters[-1]
    return found.upper()


def _first_letter(word: str) -> str:
    for index, sign in enumerate(word):
        if unicodedata.category(sign)[0] in "LN":
            end = index + 1
            # A mark that combines belongs to its letter, or नी would be shown as न.
            while end < len(word) and end < index + 4 and unicodedata.category(word[end])[0] == "M":
                end += 1
            return word[index:end]
    return ""


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter[0]) in "WF"


def tint(public_id: str) -> int:
    """Return which of the tints (1 to 6) somebody's picture has, always the same."""
    return zlib.crc32(public_id.encode("utf-8", "replace")) % _TINTS + 1
