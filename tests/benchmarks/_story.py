"""Facts as a product makes them: people come in visits, do a few things, and look at pages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flask_engage.capture.facts import Context, Event, Personal, Seen

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
NAMES = (
    "opened board",
    "created card",
    "moved card",
    "commented",
    "searched",
    "invited teammate",
    "exported",
    "attached file",
    "changed plan",
    "archived board",
)
WEIGHTS = (25, 20, 16, 12, 10, 6, 4, 4, 2, 1)
VISITORS = 120
"""Visits that go on at the same time."""
BROWSER = Context("/boards", None, None, None, None, "Chrome", "Linux", "desktop", "en", "BR")


def story(
    seed: int, people: int, *, begin: datetime = START, sightings: float = 0.25
) -> Iterator[Personal]:
    """Give facts without end, in the order of their times.

    :param sightings: sightings for each event: pages are looked at where nothing is tracked,
        and not every event comes with a page.
    """
    chance = random.Random(seed)
    at = begin
    visits = [_visit(chance, people) for _ in range(VISITORS)]
    number = 0
    while True:
        at += timedelta(milliseconds=chance.randint(20, 400))
        slot = chance.randrange(VISITORS)
        user_id, left = visits[slot]
        visits[slot] = (user_id, left - 1) if left > 1 else _visit(chance, people)
        name = chance.choices(NAMES, WEIGHTS)[0]
        number += 1
        properties = {"board": chance.randrange(500), "source": "web", "first": number % 3 == 0}
        yield Event(at, user_id, name, properties, None, True)
        if chance.random() < sightings:
            yield sighting(at, user_id, events=1)


def sighting(at: datetime, user_id: str, events: int = 0) -> Seen:
    """Return a request of somebody's, which took five milliseconds."""
    mail, name, end = f"{user_id}@example.com", f"Somebody {user_id}", timedelta(milliseconds=5)
    return Seen(at, user_id, 1, BROWSER, mail, name, None, None, events, at + end)


def _visit(chance: random.Random, people: int) -> tuple[str, int]:
    return str(chance.randrange(people)), chance.randint(3, 15)
