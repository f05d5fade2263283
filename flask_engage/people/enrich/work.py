"""Asking enrichers about people: some at a time, as fast as they allow, later where it failed.

What it comes to is in the rows, so it may be cut anywhere. One leader works at a time (the
scheduler's lease), and how much was sent of late is counted in the log: so the limit of an
enricher holds over all processes, also after another one has taken over.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy.orm import Session

from ..._clock import Clock
from ...errors import InvalidFact
from ...store.attribute_write import Change, write_attributes
from ...store.engine import Database
from ...store.enrichment import Due, due_people, profiles_found, sent_since
from ...store.enrichment_write import (
    SEED,
    Answer,
    Asked,
    TurnNote,
    enriched_names,
    fill_places,
    last_addresses,
    note_answers,
    note_outcome,
    note_sent,
    note_turn,
    people_to_ask,
    seed,
    want_avatars,
)
from ...store.provider import provider_rows
from ...store.retry import persistently
from ...store.trouble import is_passing
from ...types import Identity
from ..refresh import Tell, Turn
from ..watch import Limits, TookTooLong, within
from .enricher import AnyEnricher, Enricher, LocalEnricher, LookAgain, Pause
from .outbound import TooSlow
from .profiles import PLACES, attributes_in, clean, merged

_HOUR: Final = timedelta(hours=1)
_FIRST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(days=1)
_MOST_TRIES: Final = 8
_GIVEN_UP: Final = timedelta(days=7)
_NOTHING_TO_SEND: Final = timedelta(days=1)
_BATCH: Final = 20
_LOCAL_BATCH: Final = 200
_IN_A_ROW: Final = 3
"""After so many failures it is them, not the people: then all wait."""
_SPREAD: Final = 0.2


def _draw() -> float:
    return secrets.randbelow(2**20) / 2**20


def wait_after(attempts: int, draw: Callable[[], float] = _draw) -> timedelta:
    """Return how long to wait after so many failures: twice as long each time, with a spread."""
    wait: timedelta = min(_FIRST_WAIT * (1 << min(attempts - 1, 20)), _LONGEST_WAIT)
    return wait * (1 + _SPREAD * (2 * draw() - 1))


def name_in_book(enricher: str) -> str:
    """Return under which name an enricher stands among the providers of custom data."""
    return f"enrichment:{enricher}"


@dataclass(slots=True)
class EnrichmentReport:
    """What a turn did."""

    asked: int = 0
    found: int = 0
    failed: int = 0
    changed: int = 0
    paused_until: datetime | None = None
    error: str | None = None

    def __str__(self) -> str:
        text = f"{self.asked} asked about, {self.found} found, {self.changed} values changed"
        text += f", {self.failed} failed" if self.failed else ""
        text += f": {self.error}" if self.error else ""
        until = self.paused_until
        return f"{text}; waits until {until:%Y-%m-%d %H:%M} UTC" if until else text


@dataclass(frozen=True, slots=True)
class Enriching:
    """The enrichers of one app and what they work on."""

    database: Database
    enrichers: Sequence[AnyEnricher]
    """Who is believed more comes first."""
    clock: Clock
    draw: Callable[[], float] = _draw
    in_threads: bool = True
    """Whether calls are watched from outside; not with a database in memory."""

    def turn(self, enricher: AnyEnricher, turn: Turn) -> EnrichmentReport | None:
        """Ask `enricher` about those who are due, or as many as `turn` allows.

        None: there was nobody. Raises nothing of the enricher's.
        """
        return _Asking(self, enricher, turn).go()


@dataclass(slots=True)
class _Asking:
    """One turn of one enricher."""

    of: Enriching
    enricher: AnyEnricher
    turn: Turn
    report: EnrichmentReport = field(default_factory=EnrichmentReport)
    in_a_row: int = 0
    troubles: int = 0
    attributes: set[str] = field(default_factory=set)

    def go(self) -> EnrichmentReport | None:
        """Work until the turn is over."""
        began, now, name = time.monotonic(), self.of.clock(), self.enricher.name
        book = name_in_book(name)
        with self.of.database.read() as session:
            row = provider_rows(session, [book]).get(book)
            paused: dict[str, Any] = json.loads(row.position) if row and row.position else {}
        if paused and datetime.fromisoformat(paused["until"]) > now:
            return None
        self.troubles = int(paused.get("troubles", 0))
        while not self._is_over():
            if persistently(self.of.database, partial(seed, provider=name, now=now)) < SEED:
                break
        work = self._local if isinstance(self.enricher, LocalEnricher) else self._remote
        work()
        if not self.report.asked and self.report.paused_until is None:
            return None
        until = self.report.paused_until
        note = TurnNote(
            now,
            self.report.asked - self.report.failed,
            self.report.changed,
            self.report.failed,
            time.monotonic() - began,
            self.report.error,
            None if until is None else {"until": until.isoformat(), "troubles": self.troubles},
        )
        persistently(
            self.of.database,
            lambda session: note_turn(session, book, note, self.attributes),
        )
        return self.report

    def _is_over(self) -> bool:
        return (
            self.turn.is_over() or not self.turn.may_go_on() or self.report.paused_until is not None
        )

    # --- what has to leave the house ---------------------------------------------------------

    def _remote(self) -> None:
        enricher = self.enricher
        assert isinstance(enricher, Enricher)
        while not self._is_over():
            now = self.of.clock()
            with self.of.database.read() as session:
                left = enricher.per_hour - sent_since(session, enricher.name, now - _HOUR)
                due = due_people(session, enricher.name, now, _BATCH)
                people = people_to_ask(session, [one.person_id for one in due])
            if not due:
                return
            quiet = [self._skipped(one, now) for one in due if not self._may(people, one)]
            self._write(quiet)
            for one in due:
                if not self._may(people, one):
                    continue
                if left <= 0 or self._is_over():
                    return
                left -= 1
                self._ask(enricher, people[one.person_id], one)

    def _may(self, people: Mapping[int, Asked], due: Due) -> bool:
        """Tell whether there is anything to send of somebody who lives."""
        enricher = self.enricher
        assert isinstance(enricher, Enricher)
        who = people.get(due.person_id)
        if who is None:
            return False
        values = {"id": who.user_id, "email": who.email, "name": who.name}
        return all(values[name] for name in enricher.sends)

    def _skipped(self, due: Due, now: datetime) -> Answer:
        return Answer(due.person_id, "skipped", now + _NOTHING_TO_SEND)

    def _ask(self, enricher: Enricher, who: Asked, due: Due) -> None:
        now = self.of.clock()
        log_id = persistently(
            self.of.database,
            lambda session: note_sent(session, who.person_id, enricher.name, enricher.told, now),
        )
        if log_id is None:
            return  # erased in this moment
        self.report.asked += 1
        answer = self._answer(enricher, who, due, now)
        self._write([answer], log_id)

    def _answer(self, enricher: Enricher, who: Asked, due: Due, now: datetime) -> Answer:
        identity = Identity(
            (who.user_id or "") if "id" in enricher.sends else "",
            email=who.email if "email" in enricher.sends else None,
            name=who.name if "name" in enricher.sends else None,
        )
        seconds = enricher.timeout.total_seconds()
        limits = Limits(
            enricher.timeout if self.of.in_threads else None, enricher.context or nullcontext
        )
        try:
            found = within(
                lambda: enricher.ask(identity, seconds), limits, name_in_book(enricher.name)
            )
            kept = clean(found)
        except LookAgain as later:
            wait = later.after or wait_after(due.attempts + 1, self.of.draw)
            return self._later(due, now + wait, str(later), state="pending")
        except Pause as pause:
            self._pause(str(pause), now + (pause.after or self._wait()))
            assert self.report.paused_until is not None
            # Nothing is wrong with this person: no try of theirs is used up.
            return Answer(
                who.person_id, "pending", self.report.paused_until, due.attempts, str(pause)
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001  (theirs: one person's trouble)
            return self._failed(due, now, error)
        self.in_a_row = self.troubles = 0
        return self._known(who.person_id, kept, now + enricher.expiry)

    def _known(self, person_id: int, kept: dict[str, Any] | None, until: datetime) -> Answer:
        if kept is None:
            return Answer(person_id, "unknown", until)
        self.report.found += 1
        return Answer(person_id, "found", until, profile=kept)

    def _failed(self, due: Due, now: datetime, error: BaseException) -> Answer:
        self.report.failed += 1
        self.in_a_row += 1
        said = _said(error)
        self.report.error = said
        if isinstance(error, (TookTooLong, TooSlow)) or self.in_a_row >= _IN_A_ROW:
            self._pause(said, now + self._wait())
        return self._later(due, now + wait_after(due.attempts + 1, self.of.draw), said)

    def _later(self, due: Due, at: datetime, said: str, *, state: str = "failed") -> Answer:
        attempts = due.attempts + 1
        if attempts >= _MOST_TRIES:
            return Answer(due.person_id, "failed", self.of.clock() + _GIVEN_UP, 0, said)
        return Answer(due.person_id, state, at, attempts, said)

    def _wait(self) -> timedelta:
        return wait_after(self.troubles + 1, self.of.draw)

    def _pause(self, why: str, until: datetime) -> None:
        self.troubles += 1
        self.report.error, self.report.paused_until = why, until

    # --- what our own house knows ------------------------------------------------------------

    def _local(self) -> None:
        enricher = self.enricher
        assert isinstance(enricher, LocalEnricher)
        while not self._is_over():
            now = self.of.clock()
            with self.of.database.read() as session:
                due = due_people(session, enricher.name, now, _LOCAL_BATCH)
                ids = [one.person_id for one in due]
                people = people_to_ask(session, ids)
                if enricher.wants == "address":
                    asked = last_addresses(session, list(people))
                else:
                    asked = {key: one.email for key, one in people.items() if one.email}
            if not due:
                return
            try:
                found = {key: clean(one) for key, one in enricher.ask(asked).items()}
            except (Exception, SystemExit) as error:  # noqa: BLE001  (a file that is no such file)
                self._pause(_said(error), now + self._wait())
                return
            self.report.asked += len(asked)
            self._write(
                [
                    self._known(one.person_id, found.get(one.person_id), now + enricher.expiry)
                    if one.person_id in asked
                    else self._skipped(one, now)
                    for one in due
                ]
            )
            self.troubles = 0

    # --- what becomes of it ------------------------------------------------------------------

    def _write(self, answers: Sequence[Answer], log_id: int | None = None) -> None:
        if not answers:
            return

        def write(session: Session) -> list[tuple[str, Change]]:
            if log_id is not None:
                note_outcome(session, log_id, answers[0].state)
            note_answers(session, self.enricher.name, answers, self.of.clock())
            final = [one.person_id for one in answers if one.is_final]
            changes = apply_profiles(session, final, self.order, self.of.clock())
            whose = people_to_ask(session, {one.person_id for one in changes})
            return [
                (str(whose[one.person_id].user_id), one)
                for one in changes
                if one.person_id in whose and whose[one.person_id].user_id
            ]

        changes = persistently(self.of.database, write)
        self.report.changed += len(changes)
        self.attributes.update(change.name for _, change in changes)
        tell: Tell | None = self.turn.tell
        if tell is not None and changes:
            tell(changes)

    @property
    def order(self) -> list[str]:
        """Whose word counts, the most believed first."""
        return [one.name for one in self.of.enrichers]


def apply_profiles(
    session: Session, person_ids: Sequence[int], order: Sequence[str], now: datetime
) -> list[Change]:
    """Let all that was found of people become attributes, fields and pictures of theirs."""
    if not person_ids:
        return []
    rows = profiles_found(session, person_ids)
    held = enriched_names(session, person_ids)
    changes: list[Change] = []
    values: dict[str, dict[int, dict[str, Any]]] = {}
    places: dict[int, dict[str, str | None]] = {}
    avatars: dict[int, tuple[str, str] | None] = {}
    for person_id in person_ids:
        found = {name: row.profile or {} for name, row in rows.get(person_id, {}).items()}
        believed = merged(found, order)
        known = attributes_in(believed)
        for name, (provider, value) in known.items():
            values.setdefault(provider, {}).setdefault(person_id, {})[name] = value
        # What nobody says any more goes; higher sources keep theirs in any case.
        for name in held.get(person_id, set()) - known.keys():
            values.setdefault("", {}).setdefault(person_id, {})[name] = None
        places[person_id] = {name: believed[name][1] for name in PLACES if name in believed}
        avatars[person_id] = believed.get("avatar_url")
    for provider, some in values.items():
        changes += write_attributes(session, some, source=f"enrichment:{provider}", now=now)
    fill_places(session, {key: place for key, place in places.items() if place}, now)
    want_avatars(session, avatars, now)
    return changes


def _said(error: BaseException) -> str:
    if is_passing(error):
        return "a database is away"
    if isinstance(error, (InvalidFact, TookTooLong)) or type(error).__module__.startswith(
        "flask_engage."
    ):
        return str(error)[:255]
    # Its words may hold what was sent.
    return type(error).__name__
