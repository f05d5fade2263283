"""Facts into rows: what a batch of them does to people, sessions, activity, events, attributes.

Joins the transaction of the session it is given; whoever gave it commits. Set by set: the
number of statements doesn't grow with the number of facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy.orm import Session

from ..settings import Settings
from ..store.activity_write import add_active_days
from ..store.attribute_write import Change, Write, apply_writes
from ..store.event_write import (
    NewEvents,
    Tally,
    add_names,
    add_to,
    add_totals,
    claim_keys,
    insert_events,
)
from ..store.person_write import (
    PersonState,
    erased_at,
    forget_new,
    lock_people,
    save_people,
)
from ..store.session_write import (
    RequestWindow,
    SessionState,
    drop_merged,
    find_ids,
    link_events,
    load_sessions,
    save_sessions,
)
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
from .sessions import Sessions, sessionise


@dataclass(frozen=True, slots=True)
class Rules:
    """How sightings are read."""

    idle: timedelta
    longest: timedelta
    zone: tzinfo
    zone_name: str = "UTC"

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Take them from the settings."""
        zone = UTC if settings.TIMEZONE == "UTC" else ZoneInfo(settings.TIMEZONE)
        return cls(settings.SESSION_IDLE, settings.SESSION_MAX, zone, settings.TIMEZONE)

    def day(self, at: datetime) -> date:
        """Return the day on which `at` falls."""
        if self.zone is UTC and at.tzinfo is UTC:
            return at.date()
        return at.astimezone(self.zone).date()


@dataclass(slots=True)
class Outcome:
    """What a batch has done, for those who want to hear of it once it is committed."""

    seen: list[tuple[str, datetime]] = field(default_factory=list)
    """Who was seen, and when last; each once."""
    started: list[tuple[str, datetime]] = field(default_factory=list)
    """Whose new session began, and when."""
    tracked: list[Event] = field(default_factory=list)
    """What has been stored, each under the id of the person whose it is now."""
    tallies: dict[str, Tally] = field(default_factory=dict)
    """How often each thing of that was done, first and last, by name."""
    changed: list[tuple[str, Change]] = field(default_factory=list)
    """Whose attribute has changed."""


def apply(session: Session, facts: Sequence[Fact], rules: Rules, now: datetime) -> Outcome:
    """Store `facts`, in their order."""
    outcome = apply_personal(
        session, [fact for fact in facts if not isinstance(fact, Total)], rules, now
    )
    _count(session, outcome, [f for f in facts if isinstance(f, Total)], rules)
    return outcome


def _count(session: Session, outcome: Outcome, further: Sequence[Total], rules: Rules) -> None:
    """Count events in the rows that are everybody's: touched last, and in one order."""
    totals: Counter[tuple[date, str]] = Counter()
    names = outcome.tallies
    over_midnight = set()
    for name, tally in names.items():
        day = rules.day(tally.first_at)
        if day == rules.day(tally.last_at):
            totals[day, name] = tally.count
        else:
            over_midnight.add(name)
    if over_midnight:
        totals.update((rules.day(e.at), e.name) for e in outcome.tracked if e.name in over_midnight)
    for total in further:
        totals[rules.day(total.at), total.name] += total.count
        add_to(names, total.name, Tally(total.count, total.at, total.at))
    add_totals(session, totals)
    add_names(session, names)


def apply_personal(
    session: Session, facts: Sequence[Personal], rules: Rules, now: datetime
) -> Outcome:
    """Store `facts`, in their order, but change no row that people share.

    So the transaction can last without holding up what others do. What was tracked is still
    to be counted in the totals.
    """
    if not facts:
        return Outcome()
    people = lock_people(session, {fact.user_id for fact in facts}, now)
    # Not before the people are locked: somebody might be erased in between.
    erased = erased_at(session, people)
    if erased:
        facts = [f for f in facts if f.user_id not in erased or f.at > erased[f.user_id]]
        unsaid = {user_id for user_id in erased if user_id in people}
        unsaid -= {fact.user_id for fact in facts}
        forget_new(session, [people.pop(user_id).id for user_id in sorted(unsaid)], now)
    return _Batch(session, _of_the_living(facts, people), people, rules, now).apply()


def _of_the_living(facts: Sequence[Personal], people: dict[str, PersonState]) -> list[Personal]:
    """Drop what was said of people before they were deleted; who is seen again begins anew."""
    if all(person.deleted_at is None for person in people.values()) and all(
        fact.user_id in people for fact in facts
    ):
        return list(facts)
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
        self.told: list[Seen] = []
        """Sightings with an id, which may have been stored before."""
        self.events: list[Event] = []
        self.writes: list[Write] = []
        self.sessions: dict[int, Sessions] = {}
        self.outcome = Outcome()

    def apply(self) -> Outcome:
        for fact in self.facts:
            self._sort(fact)
        self._see_told()
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
        if isinstance(fact, Event):
            self.events.append(fact)
            return
        person_id = self.people[fact.user_id].id
        if isinstance(fact, Seen):
            if fact.id is None:
                self._see(person_id, fact)
            else:
                self.told.append(fact)
        elif isinstance(fact, Attributes):
            self._set(person_id, fact.values, fact.source, fact.at)
        elif isinstance(fact, Increment):
            self.writes.append(Write(person_id, fact.name, None, fact.source, fact.at, by=fact.by))

    def _see(self, person_id: int, seen: Seen) -> None:
        self.seen.setdefault(person_id, []).append(seen)
        if seen.attributes:
            self._set(person_id, seen.attributes, "page", seen.at)

    def _see_told(self) -> None:
        """Take those sightings with an id that are new."""
        # No event is without a name, so these ids are nobody else's.
        fresh = claim_keys(self.session, {("", seen.id) for seen in self.told if seen.id})
        for seen in self.told:
            key = ("", seen.id or "")
            if key in fresh:
                fresh.discard(key)
                self._see(self.people[seen.user_id].id, seen)

    def _set(self, person_id: int, values: dict[str, Wire], source: str, at: datetime) -> None:
        self.writes += [
            Write(person_id, name, value, source, at) for name, value in from_wire(values).items()
        ]

    # --- sightings -----------------------------------------------------------------------------

    def _read_sessions(self) -> None:
        """Read the sessions that sightings may change and events may belong to."""
        moments = [seen.at for some in self.seen.values() for seen in some]
        moments += [event.at for event in self.events if event.in_request]
        whose = self._in_requests() | self.seen.keys()
        if not moments:
            return
        # What ended so long before the first of these moments can't be part of what they change.
        ended = min(moments) - self.rules.idle
        known = load_sessions(self.session, whose, ended - self.rules.longest, ended)
        self.sessions = {person_id: Sessions(known.get(person_id, []), {}) for person_id in whose}

    def _in_requests(self) -> set[int]:
        """Return who has events that belong to a session."""
        user_ids = {event.user_id for event in self.events if event.in_request}
        return {self.people[user_id].id for user_id in user_ids}

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
            some,
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
        people, sessions, idle = self.people, self.sessions, self.rules.idle
        person_ids = [people[event.user_id].id for event in events]
        session_ids: list[int | None] = []
        for person_id, event in zip(person_ids, events, strict=True):
            around = sessions[person_id].around(event.at, idle) if event.in_request else None
            session_ids.append(around.id if around else None)
        self.outcome.tallies = insert_events(
            self.session,
            NewEvents(
                person_ids,
                session_ids,
                [event.name for event in events],
                [event.properties for event in events],
                [event.at for event in events],
                [self.now] * len(events),
            ),
        )
        self.outcome.tracked = self._under_their_names(events)

    def _under_their_names(self, events: list[Event]) -> list[Event]:
        """Return the events with the ids that are their people's now, whoever was merged."""
        people = self.people
        if all(user_id == person.user_id for user_id, person in people.items()):
            return events
        return [
            msgspec.structs.replace(event, user_id=people[event.user_id].user_id)
            for event in events
        ]

    def _without_repeats(self) -> list[Event]:
        """Return the events whose ids are new; of those with the same id the first."""
        if all(event.id is None for event in self.events):
            return self.events
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
        needed = self._in_requests() | {
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
    """Say of a person what a sighting says.

    The newest sighting holds; what it leaves out, others may say.
    """
    former = person.last_seen_at
    first_seen_at = person.first_seen_at
    newest = former is None or seen.at >= former
    if newest:
        person.last_seen_at = seen.at
        person.email = seen.email or person.email
        person.name = seen.name or person.name
        person.signed_up_at = seen.signed_up_at or person.signed_up_at
        person.gone_at = None
    else:
        person.email = person.email or seen.email
        person.name = person.name or seen.name
        person.signed_up_at = person.signed_up_at or seen.signed_up_at
    person.kind = "user"
    if first_seen_at is None or seen.at < first_seen_at:
        person.first_seen_at = seen.at
    if seen.context is not None:
        _take_browser(person, seen.context, newest=newest)
        _take_origin(person, seen.context, seen.at, first_seen_at)


def _take_browser(person: PersonState, context: Context, *, newest: bool) -> None:
    if newest:
        person.browser = context.browser or person.browser
        person.os = context.os or person.os
        person.device = context.device or person.device
        person.language = context.language or person.language
        person.country = context.country or person.country
    else:
        person.browser = person.browser or context.browser
        person.os = person.os or context.os
        person.device = person.device or context.device
        person.language = person.language or context.language
        person.country = person.country or context.country


_Origin = tuple[str | None, str | None, str | None, str | None]


def _take_origin(
    person: PersonState, context: Context, at: datetime, first_seen_at: datetime | None
) -> None:
    """Keep the way that led here first, and the one that did so last."""
    new = (context.referrer, context.utm_source, context.utm_medium, context.utm_campaign)
    if not any(new):
        return
    first = (person.referrer, person.utm_source, person.utm_medium, person.utm_campaign)
    # Rows of an older version don't say when that was; it was not before they were first seen.
    since = person.touched_at or first_seen_at
    if not any(first) or (since is not None and _order(at, new) < _order(since, first)):
        person.referrer, person.utm_source, person.utm_medium, person.utm_campaign = new
        person.touched_at = at
    last = (
        person.latest_referrer,
        person.latest_utm_source,
        person.latest_utm_medium,
        person.latest_utm_campaign,
    )
    if person.latest_touched_at is None or _order(at, new) > _order(person.latest_touched_at, last):
        (
            person.latest_referrer,
            person.latest_utm_source,
            person.latest_utm_medium,
            person.latest_utm_campaign,
        ) = new
        person.latest_touched_at = at


def _order(at: datetime, origin: _Origin) -> tuple[datetime, list[str]]:
    """Return what decides between two ways, also of the same moment."""
    return at, [text or "" for text in origin]
