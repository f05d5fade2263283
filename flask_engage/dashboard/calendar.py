"""A person's year and week as drawings: the server computes the places, the page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..reports.habits import Day, Habit, Year
from .formats import DASH, month_name
from .language import gettext as _

CELL: Final = 9
STEP: Final = 11
LEFT: Final = 30
TOP: Final = 15
#: Edge of the mark within a day's square: levels are told by size, too.
SIZES: Final = (0, 4, 6, 7.5, 9)
_ROOM: Final = 3
"""Columns that the name of a month needs."""


WEEK_STARTS: Final = {"monday": 0, "saturday": 5, "sunday": 6}
"""The days with which weeks begin, as weekdays from Monday."""


def week_from(start: int) -> tuple[int, ...]:
    """Return the weekdays in the order of a week that begins with `start`."""
    return tuple((start + step) % 7 for step in range(7))


def weekdays() -> tuple[str, ...]:
    """Return the short names of the days, from Monday."""
    return (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))


def long_weekdays() -> tuple[str, ...]:
    """Return the names of the days, from Monday."""
    return (
        _("Monday"),
        _("Tuesday"),
        _("Wednesday"),
        _("Thursday"),
        _("Friday"),
        _("Saturday"),
        _("Sunday"),
    )


@dataclass(frozen=True, slots=True)
class Mark:
    """One day on which somebody was here."""

    day: Day
    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True)
class YearDrawing:
    """The squares of a year: a column is a week, a row a weekday."""

    ground: str
    """The path of all squares."""
    marks: tuple[Mark, ...]
    months: tuple[tuple[int, str], ...]
    """Where the name of which month stands."""
    rows: tuple[tuple[int, str], ...]
    width: int
    height: int


def year_drawing(year: Year) -> YearDrawing:
    """Return the drawing of `year`."""
    ground, marks, months = [], [], []
    free, columns = 0, -(-len(year.days) // 7)
    for number, day in enumerate(year.days):
        column, row = divmod(number, 7)
        x, y = LEFT + column * STEP, TOP + row * STEP
        ground.append(f"M{x} {y}h{CELL}v{CELL}h-{CELL}z")
        if day.level:
            size = SIZES[day.level]
            inset = (CELL - size) / 2
            marks.append(Mark(day, x + inset, y + inset, size))
        if row == 0 and day.date.day <= 7 and free <= column <= columns - _ROOM:
            months.append((x, month_name(day.date.month)))
            free = column + _ROOM
    names, week = weekdays(), week_from(year.days[0].date.weekday())
    rows = tuple((TOP + row * STEP + CELL - 1, names[week[row]]) for row in (0, 2, 4))
    return YearDrawing(
        "".join(ground),
        tuple(marks),
        tuple(months),
        rows,
        LEFT + columns * STEP,
        TOP + 7 * STEP,
    )


def habit_words(habit: Habit, week_start: int = 0) -> str:
    """Return when somebody mostly comes, as a sentence; empty if it is too early to tell."""
    if not habit.weekdays:
        return ""
    begin, end = habit.span
    if begin == end:
        return _("Mostly %(days)s, at any hour.") % {"days": _days(habit.weekdays, week_start)}
    return _("Mostly %(days)s, from %(begin)s to %(end)s.") % {
        "days": _days(habit.weekdays, week_start),
        "begin": f"{begin:02}:00",
        "end": f"{end:02}:00",
    }


def _days(numbers: tuple[int, ...], week_start: int) -> str:
    names = long_weekdays()
    if len(numbers) == len(names):
        return _("every day")
    if numbers == (5, 6):
        return _("at weekends")
    week = week_from(week_start)
    places = sorted(week.index(number) for number in numbers)
    told = [names[week[place]] for place in places]
    if len(told) > 2 and places[-1] - places[0] == len(places) - 1:
        return _("%(first)s to %(last)s") % {"first": told[0], "last": told[-1]}
    return ", ".join(told) or DASH
