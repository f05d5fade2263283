"""How people come and go: a day's chance of a visit, and what is done on one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple


@dataclass(frozen=True)
class Habit:
    """A way of using the product."""

    name: str
    share: float
    """Of all people, in parts of one."""
    chance: float
    """Of coming on a day, while the habit lasts."""
    busy: float
    """How much is done on a visit; one is ordinary."""


HABITS: tuple[Habit, ...] = (
    Habit("habitual", 0.12, 0.62, 1.2),
    Habit("casual", 0.30, 0.11, 0.9),
    Habit("fading", 0.15, 0.45, 0.8),
    Habit("gone", 0.25, 0.22, 0.7),
    Habit("new", 0.08, 0.55, 1.4),
    Habit("silent", 0.10, 0.0, 0.0),
)
_FADING_DAYS = 16
"""In so many days the visits of somebody who fades become fewer by a factor of e."""


class Life(NamedTuple):
    """One person's story. Ages are in days before the end; a larger age is longer ago."""

    habit: Habit
    joined: float
    turned: float
    """When fading began, or when the last visit was for those who are gone."""
    keenness: float

    def chance(self, age: float) -> float:
        """How likely a visit is on the day of this age."""
        usual = self.habit.chance * self.keenness
        if age >= self.turned or self.habit.name not in ("fading", "gone"):
            return usual
        if self.habit.name == "gone":
            return 0.0
        return usual * math.exp(-(self.turned - age) / _FADING_DAYS)


def draw(random: Random, days: int) -> Life:
    """A life over the last `days`. One in four joined before them; more joined lately."""
    habit = random.choices(HABITS, [habit.share for habit in HABITS])[0]
    if habit.name == "new":
        joined = random.uniform(0.05, min(12.0, days))
    elif random.random() < 0.25:
        joined = days + random.expovariate(1 / 200)
    else:
        joined = min(12.0, days / 2) + (days - min(12.0, days / 2)) * random.random() ** 1.3
    stayed = min(joined, days)
    if habit.name == "gone":
        turned = stayed - random.betavariate(1.2, 2.5) * max(stayed - 15.0, 0.0)
    else:
        turned = stayed * random.uniform(0.35, 0.9)
    return Life(habit, joined, turned, random.uniform(0.6, 1.35))


def visits(random: Random, life: Life, days: int, weekday: Callable[[int], int]) -> list[int]:
    """The days on which this person comes, as whole ages, oldest first; 0 is today.

    :param weekday: Monday is 0, for a day's age.
    """
    first = min(int(life.joined), days - 1)
    came = []
    for age in range(first, -1, -1):
        weekend = 0.4 if weekday(age) >= 5 else 1.12
        if random.random() < life.chance(age) * weekend:
            came.append(age)
    signs_up_inside = life.joined < days and life.habit.name != "silent"
    if signs_up_inside and (not came or came[0] != first):
        came.insert(0, first)  # one signs up by being there
    return came
