"""The past of everybody: rows of Paperkite, and facts for Flask-Engage that agree with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from example_app.accounts import twitter_id
from example_app.demo import MEMBER, OPERATOR
from example_app.pictures import PICTURES
from example_app.seeding import habits, names, writing

_HOURS = (1, 0, 0, 0, 0, 1, 3, 6, 10, 14, 13, 10, 7, 8, 11, 11, 9, 7, 6, 7, 9, 9, 6, 3)
"""How likely each hour of a person's own day is."""
_KINDS = ("text", "picture", "links", "quote")
_KIND_WEIGHTS = (5, 2, 2, 1)


class Sighting(NamedTuple):
    """Somebody was here, and looked at so many pages."""

    at: datetime
    user_id: int
    hits: int


class Fact(NamedTuple):
    """Somebody did something."""

    at: datetime
    user_id: int
    name: str
    properties: dict[str, Any]
    id: str


@dataclass
class Past:
    """Rows for each of Paperkite's tables, and what happened when."""

    users: list[dict[str, Any]] = field(default_factory=list)
    newsletters: list[dict[str, Any]] = field(default_factory=list)
    sections: list[dict[str, Any]] = field(default_factory=list)
    exports: list[dict[str, Any]] = field(default_factory=list)
    invites: list[dict[str, Any]] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)


def invent(people: int, days: int, seed: int, end: datetime, password_hash: str) -> Past:
    """The past of `people` people over the `days` before `end` (aware). Same input, same past."""
    random = Random(seed)
    past = Past()
    past.users.append(
        _user(
            1,
            OPERATOR.name,
            OPERATOR.email,
            "Europe/Stockholm",
            end - timedelta(days=days + 200),
            password_hash,
            is_admin=True,
        )
    )
    for number in range(people):
        _Author(past, random, number, days, end, password_hash).live()
    past.sightings.sort()
    past.facts.sort(key=lambda fact: fact.at)
    return past


def _user(
    user_id: int,
    name: str,
    email: str,
    zone: str,
    created_at: datetime,
    password_hash: str,
    *,
    is_admin: bool = False,
) -> dict[str, Any]:
    return {
        "id": user_id,
        "name": name,
        "email": email,
        "timezone": zone,
        "created_at": created_at,
        "password_hash": password_hash,
        "is_admin": is_admin,
        "plan": "free",
        "twitter_id": None,
        "twitter_handle": None,
        "invited_by_id": None,
    }


class _Author:
    """One person on the way through their days."""

    def __init__(
        self, past: Past, random: Random, number: int, days: int, end: datetime, password_hash: str
    ) -> None:
        self.past, self.random, self.days, self.end = past, random, days, end
        self.id = number + 2
        named = names.draw(random, number)
        self.life = habits.draw(random, days)
        if number == 0:  # the account of the demonstration is somebody who uses it
            named = names.Named(MEMBER.name, "", "Europe/Lisbon")
            self.life = habits.Life(habits.HABITS[0], days * 0.8, 0.0, 1.2)
        email = MEMBER.email if number == 0 else f"{named.mailbox}@mail.example"
        self.zone = ZoneInfo(named.zone)
        self.row = _user(
            self.id,
            named.name,
            email,
            named.zone,
            self._moment(int(self.life.joined)),
            password_hash,
        )
        self.newsletter: dict[str, Any] | None = None
        self.count = 0
        self.done = 0

    def live(self) -> None:
        """Go through the days; leave rows and facts behind."""
        self.past.users.append(self.row)
        if self.life.joined < self.days:
            self._fact("signed up", self.row["created_at"], {"invited": False})
        monday = self.end.weekday()
        for age in habits.visits(self.random, self.life, self.days, lambda age: (monday - age) % 7):
            for at in self._moments(age):
                self._visit(at)

    def _moments(self, age: int) -> Iterator[datetime]:
        """One visit a day, at times two; the very first is the moment of signing up."""
        first = self._moment(age)
        if first <= self.row["created_at"] or age == int(self.life.joined):
            first = self.row["created_at"]
        yield first
        second = first + timedelta(hours=self.random.uniform(1.5, 7))
        if self.random.random() < 0.12 * self.life.habit.busy and second < self.end:
            yield second

    def _moment(self, age: int) -> datetime:
        """The latest moment that is `age` days before the end and at a likely hour for them."""
        latest = (self.end - timedelta(days=age)).astimezone(self.zone)
        hour = self.random.choices(range(24), _HOURS)[0]
        at = latest.replace(
            hour=hour,
            minute=self.random.randrange(60),
            second=self.random.randrange(60),
            microsecond=0,
        )
        if at > latest:
            at -= timedelta(days=1)
        return at.astimezone(UTC)

    def _visit(self, at: datetime) -> None:
        random, busy = self.random, self.life.habit.busy
        started = at
        if self.newsletter is None or random.random() < 0.1 * busy:
            at = self._write(self._begin(at))
        for _ in range(min(6, int(random.expovariate(1 / (0.9 * busy))))):
            at = self._write(at)
        if self.newsletter and self.newsletter["parts"] > 1 and random.random() < 0.2 * busy:
            at = self._export(at)
        if random.random() < 0.035 * busy:
            at = self._invite(at)
        if self.row["twitter_id"] is None and random.random() < 0.025:
            at = self._connect(at)
        if self.row["plan"] == "free" and random.random() < 0.012 * busy:
            at = self._upgrade(at)
        minutes = (at - started).total_seconds() / 60
        self.past.sightings.append(Sighting(started, self.id, random.randint(1, 3)))
        if minutes > 5:  # a session that is worth its length
            self.past.sightings.append(Sighting(at, self.id, 1 + int(minutes)))

    def _begin(self, at: datetime) -> datetime:
        self.count += 1
        self.newsletter = {
            "id": len(self.past.newsletters) + 1,
            "owner_id": self.id,
            "parts": 0,
            "title": writing.title(self.random, self.count),
            "intro": self.random.choice(writing.INTROS),
            "created_at": at,
            "updated_at": at,
        }
        self.past.newsletters.append(self.newsletter)
        return self._fact("created newsletter", at, {})

    def _write(self, at: datetime) -> datetime:
        letter = self.newsletter
        assert letter is not None  # a visit begins with one
        kind = self.random.choices(_KINDS, _KIND_WEIGHTS)[0]
        letter["parts"] += 1
        letter["updated_at"] = at
        after = self._fact("created section", at, {"kind": kind})
        if self.random.random() < 0.04:
            return self._fact("deleted section", after, {})
        self.past.sections.append(
            {
                "newsletter_id": letter["id"],
                "kind": kind,
                "position": letter["parts"],
                "heading": self.random.choice(writing.HEADINGS) if kind != "quote" else "",
                "body": writing.body(self.random, kind),
                "created_at": at,
                "picture": self.random.choice(list(PICTURES)) if kind == "picture" else None,
            }
        )
        return after

    def _export(self, at: datetime) -> datetime:
        assert self.newsletter is not None
        self.past.exports.append({"newsletter_id": self.newsletter["id"], "created_at": at})
        return self._fact("exported", at, {"bytes": 2_000 + 900 * self.newsletter["parts"]})

    def _invite(self, at: datetime) -> datetime:
        number = len(self.past.invites) + 1
        joined = at + timedelta(days=self.random.expovariate(1 / 3))
        accepted = self.random.random() < 0.5 and joined < self.end
        self.past.invites.append(
            {
                "id": number,
                "inviter_id": self.id,
                "email": f"teammate{number}@team.example",
                "token": f"seed-{number:038d}",
                "created_at": at,
                "accepted_at": joined if accepted else None,
            }
        )
        if accepted:
            self._fact("teammate joined", joined, {}, f"invite-{number}")
        return self._fact("sent invite", at, {"domain": "team.example"}, f"invite-{number}")

    def _connect(self, at: datetime) -> datetime:
        handle = f"kite_{self.id}"
        self.row |= {"twitter_handle": handle, "twitter_id": twitter_id(handle)}
        return self._fact("connected twitter", at, {})

    def _upgrade(self, at: datetime) -> datetime:
        plan = self.random.choice(("studio", "studio", "press"))
        self.row["plan"] = plan
        return self._fact("changed plan", at, {"from": "free", "to": plan})

    def _fact(
        self, name: str, at: datetime, properties: dict[str, Any], fact_id: str | None = None
    ) -> datetime:
        """Note it, and return when the person is ready for the next thing."""
        self.done += 1
        key = fact_id or f"seed-{self.id}-{self.done}"
        at = min(at, self.end)
        self.past.facts.append(Fact(at, self.id, name, properties, key))
        return min(at + timedelta(seconds=self.random.randint(20, 200)), self.end)
