"""Facts into rows: what a batch of them does to people, sessions, activity, events, attributes.

Joins the transaction of the session it is given; whoever gave it commits. Set by set: the
number of statements doesn't grow with the number of facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from ..settings import Settings
from ..store.activity_write import add_active_days
from ..store.attribute_write import Change, Write, apply_writes
from ..store.event_write import NewEvent, add_totals, claim_keys, insert_events
from ..store.person_write import PersonState, erased_at, lock_people, save_people
from ..store.session_write import (
    RequestWindow,
    SessionState,
    drop_merged,
    find_ids,
    link_events,
    load_sessions,
    save_sessions,
)
from ..types import PropertyValue
from .facts import (
    Attributes,
    Context,
    Event,
    Fact,
    Increment,
    Personal,
    Seen,
    Total,
    Wire,
    from_wire,
)
from .sessions import Sessions, Sighting, sessionise


@dataclass(frozen=True, slots=True)
class Rules:
    """How sightings are read."""

    idle: timedelta
    longest: timedelta
    zone: tzinfo

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Take them from the settings."""
        return cls(settings.SESSION_IDLE, settings.SESSION_MAX, ZoneInfo(settings.TIMEZONE))

    def day(self, at: datetime) -> date:
        """Return the day on which `at` falls."""
        return at.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True)
class Tracked:
    """An event that has been stored."""

    user_id: str
    name: str
    properties: dict[str, PropertyValue]
    at: datetime


@dataclass(slots=True)
class Outcome:
    """What a batch has done, for those who want to hear of it once it is committed."""

    seen: list[tuple[str, datetime]] = field(default_factory=list)
    """Who was seen, and when last; each once."""
    started: list[tuple[str, datetime]] = field(default_factory=list)
    """Whose new session began, and when."""
    tracked: list[Tracked] = field(default_factory=list)
    changed: list[tuple[str, Change]] = field(default_factory=list)
    """Whose attribute has changed."""


def apply(session: Session, facts: Sequence[Fact], rules: Rules, now: datetime) -> Outcome:
    """Store `facts`, in their order."""
    outcome = apply_personal(
        session, [fact for fact in facts if not isinstance(fact, Total)], rules, now
    )
    totals = Counter((rules.day(event.at), event.name) for event in outcome.tracked)
    for fact in facts:
        if isinstance(fact, Total):
            totals[rules.day(fact.at), fact.name] += fact.count
    add_totals(session, totals)
    return outcome


def apply_personal(
    session: Session, facts: Sequence[Personal], rules: Rules, now: datetime
) -> Outcome:
    """Store `facts`, in their order, but change no row that people share.

    So the transaction can last without holding up what others do. What was tracked is still
    to be counted in the totals.
    """
    if not facts:
        return Outcome()
    erased = erased_at(session, {fact.user_id for fact in facts})
    facts = [f for f in facts if f.user_id not in erased or f.at > erased[f.user_id]]
    people = lock_people(session, {fact.user_id for fact in facts}, now)
    return _Batch(session, _of_the_living(facts, people), people, rules, now).apply()


def _of_the_living(facts: Sequence[Personal], people: dict[str, PersonState]) -> list[Personal]:
    """Drop what was said of people before they were deleted; who is seen again begins anew."""
    kept = []
    for fact in facts:
        person = people.get(fact.user_id)
        if person is None or (person.deleted_at is not None and fact.at <= person.deleted_at):
            continue
        kept.append(fact)
    for fact in kept:
        people[fact.user_id].deleted_at = None
    return kept


class _Batch:
    """One batch on its way into the tables."""

    def __init__(
        self,
        session: Session,
        facts: Sequence[Personal],
        people: dict[str, PersonState],
        rules: Rules,
        now: datetime,
    ) -> None:
        self.session = session
        self.facts = facts
        self.people = people
        self.by_id = {person.id: person for person in people.values()}
        self.rules = rules
        self.now = now
        self.seen: dict[int, list[Seen]] = {}
        self.events: list[Event] = []
        self.writes: list[Write] = []
        self.sessions: dict[int, Sessions] = {}
        self.outcome = Outcome()

    def apply(self) -> Outcome:
        for fact in self.facts:
            self._sort(fact)
        self._read_sessions()
        self._note_sightings()
        add_active_days(
            self.session,
            {
                person_id: {self.rules.day(seen.at) for seen in some}
                for person_id, some in self.seen.items()
            },
        )
        self._store_events()
        self._link_requests()
        save_people(self.session, self.by_id, self.now)
        for change in apply_writes(self.session, self.writes, self.now):
            self.outcome.changed.append((self.by_id[change.person_id].user_id, change))
        return self.outcome

    def _sort(self, fact: Personal) -> None:
        person_id = self.people[fact.user_id].id
        if isinstance(fact, Seen):
            self.seen.setdefault(person_id, []).append(fact)
            if fact.attributes:
                self._set(person_id, fact.attributes, "page", fact.at)
        elif isinstance(fact, Event):
            self.events.append(fact)
        elif isinstance(fact, Attributes):
            self._set(person_id, fact.values, fact.source, fact.at)
        elif isinstance(fact, Increment):
            self.writes.append(Write(person_id, fact.name, None, fact.source, fact.at, by=fact.by))

    def _set(self, person_id: int, values: dict[str, Wire], source: str, at: datetime) -> None:
        self.writes += [
            Write(person_id, name, value, source, at) for name, value in from_wire(values).items()
        ]

    # --- sightings -----------------------------------------------------------------------------

    def _read_sessions(self) -> None:
        """Read the sessions that sightings may change and events may belong to."""
        moments = [seen.at for some in self.seen.values() for seen in some]
        whose = set(self.seen)
        for event in self.events:
            if event.in_request:
                moments.append(event.at)
                whose.add(self.people[event.user_id].id)
        if not moments:
            return
        since = min(moments) - self.rules.idle - self.rules.longest
        known = load_sessions(self.session, whose, since)
        self.sessions = {person_id: Sessions(known.get(person_id, []), {}) for person_id in whose}

    def _note_sightings(self) -> None:
        for person_id, some in self.seen.items():
            self._note(self.by_id[person_id], some)
        save_sessions(
            self.session, {person_id: self.sessions[person_id].sessions for person_id in self.seen}
        )

    def _note(self, person: PersonState, some: list[Seen]) -> None:
        known = self.sessions[person.id].sessions
        after = sessionise(
            known,
            [Sighting(seen.at, seen.hits, seen.context) for seen in some],
            count=person.session_count,
            last_seen_at=person.last_seen_at,
            idle=self.rules.idle,
            longest=self.rules.longest,
        )
        person.session_count += len(after.sessions) - len(known)
        self.sessions[person.id] = after
        self.outcome.started += [
            (person.user_id, started.started_at) for started in after.sessions if started.id is None
        ]
        for seen in some:
            _describe(person, seen)
        self.outcome.seen.append((person.user_id, max(seen.at for seen in some)))

    # --- events --------------------------------------------------------------------------------

    def _store_events(self) -> None:
        events = self._without_repeats()
        self._give_ids()
        stored = []
        for event in events:
            person = self.people[event.user_id]
            around = (
                self.sessions[person.id].around(event.at, self.rules.idle)
                if event.in_request
                else None
            )
            stored.append(
                NewEvent(
                    person.id,
                    event.name,
                    event.properties,
                    event.at,
                    self.rules.day(event.at),
                    around.id if around else None,
                )
            )
            self.outcome.tracked.append(
                Tracked(person.user_id, event.name, event.properties, event.at)
            )
        insert_events(self.session, stored, self.now)

    def _without_repeats(self) -> list[Event]:
        """Return the events whose ids are new; of those with the same id the first."""
        fresh = claim_keys(
            self.session, {(event.name, event.id) for event in self.events if event.id is not None}
        )
        kept = []
        for event in self.events:
            if event.id is not None:
                if (event.name, event.id) not in fresh:
                    continue
                fresh.discard((event.name, event.id))
            kept.append(event)
        return kept

    def _give_ids(self) -> None:
        """Find the ids of new sessions, where some event needs one; then let merged ones go."""
        needed = {self.people[event.user_id].id for event in self.events if event.in_request}
        needed |= {
            person_id for person_id, some in self.seen.items() if any(seen.events for seen in some)
        }
        needed |= {person_id for person_id in self.seen if self.sessions[person_id].merged}
        find_ids(
            self.session, {person_id: self.sessions[person_id].sessions for person_id in needed}
        )
        drop_merged(
            self.session,
            [
                (person_id, former, kept.id)
                for person_id in self.seen
                for former, kept in self.sessions[person_id].merged.items()
                if kept.id is not None
            ],
        )

    def _link_requests(self) -> None:
        """Put events into the session of a request whose sighting came in a later batch."""
        windows = []
        for person_id, some in self.seen.items():
            for seen in some:
                end = seen.until or seen.at
                # Also where as many events came along: with two requests at a time nobody can
                # tell whether they are this one's.
                if not seen.events:
                    continue
                around: SessionState | None = self.sessions[person_id].around(seen.at, timedelta(0))
                if around is not None and around.id is not None:
                    windows.append(RequestWindow(person_id, seen.at, end, around.id))
        link_events(self.session, windows)


def _describe(person: PersonState, seen: Seen) -> None:
    """Say of a person what a sighting says."""
    newest = person.last_seen_at is None or seen.at >= person.last_seen_at
    oldest = person.first_seen_at is None or seen.at < person.first_seen_at
    if newest:
        person.last_seen_at = seen.at
        person.email = seen.email or person.email
        person.name = seen.name or person.name
        person.gone_at = None
    else:
        person.email = person.email or seen.email
        person.name = person.name or seen.name
    person.kind = "user"
    person.signed_up_at = seen.signed_up_at or person.signed_up_at
    if oldest:
        person.first_seen_at = seen.at
    if seen.context is not None:
        if newest:
            _take_browser(person, seen.context)
        _take_origin(person, seen.context, oldest=oldest)


def _take_browser(person: PersonState, context: Context) -> None:
    person.browser = context.browser or person.browser
    person.os = context.os or person.os
    person.device = context.device or person.device
    person.language = context.language or person.language


def _take_origin(person: PersonState, context: Context, *, oldest: bool) -> None:
    """Keep the way that led here first; a later one never replaces it."""
    new = (context.referrer, context.utm_source, context.utm_medium, context.utm_campaign)
    held = (person.referrer, person.utm_source, person.utm_medium, person.utm_campaign)
    if any(new) and (oldest or not any(held)):
        person.referrer, person.utm_source, person.utm_medium, person.utm_campaign = new
