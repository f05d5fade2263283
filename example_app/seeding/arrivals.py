"""How people come in, and with what: made up for each of them, the same every time."""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import NamedTuple


class Machine(NamedTuple):
    """What somebody sits at."""

    browser: str
    os: str
    device: str


class Arrival(NamedTuple):
    """One visit's way in."""

    path: str
    referrer: str | None
    source: str | None
    medium: str | None
    campaign: str | None
    machine: Machine
    language: str
    country: str


_MACHINES = (
    (Machine("Chrome", "Windows", "desktop"), 34),
    (Machine("Safari", "macOS", "desktop"), 17),
    (Machine("Chrome", "macOS", "desktop"), 14),
    (Machine("Firefox", "Linux", "desktop"), 7),
    (Machine("Edge", "Windows", "desktop"), 9),
    (Machine("Safari", "iPadOS", "tablet"), 4),
    (Machine("Chrome", "Android", "phone"), 8),
    (Machine("Safari", "iOS", "phone"), 7),
)
_PHONE = Machine("Safari", "iOS", "phone")
_PLACES = (("en", "GB"), ("en", "US"), ("pt", "PT"), ("sv", "SE"), ("de", "DE"), ("fr", "FR"))
_WAYS = (
    # referrer, source, medium, campaign; most come straight from a bookmark
    ((None, None, None, None), 66),
    (("duckduckgo.com", None, None, None), 9),
    (("www.google.com", None, None, None), 12),
    (("news.ycombinator.com", None, None, None), 3),
    (("mastodon.social", None, None, None), 3),
    ((None, "letter", "email", "autumn-fold"), 5),
    (("www.google.com", "google", "cpc", "newsletter builder"), 2),
)
_PATHS = ("/newsletters/", "/newsletters/", "/newsletters/", "/", "/team/", "/settings/")


def arrive(user_id: int, at: datetime) -> Arrival:
    """Make up how this person came in at this moment; their machine is mostly the same one."""
    own = Random(user_id)
    machine = own.choices([one for one, _ in _MACHINES], [share for _, share in _MACHINES])[0]
    language, country = own.choice(_PLACES)
    visit = Random(f"{user_id} {at:%Y-%m-%d %H:%M}")
    way = visit.choices([one for one, _ in _WAYS], [share for _, share in _WAYS])[0]
    if visit.random() < 0.12:
        machine = _PHONE
    return Arrival(visit.choice(_PATHS), *way, machine, language, country)
