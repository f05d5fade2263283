"""Whatever the order, the batches and the writers: the rows are those of a plain reference."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from flask_engage.capture.facts import Attributes, Context, Event, Fact, Seen, encode, to_wire
from flask_engage.capture.frames import Found
from flask_engage.capture.recorder import Recorder
from flask_engage.store import Base
from flask_engage.store.activity import ActiveDayRow, ActiveGapRow, ActiveWeekRow
from flask_engage.store.attribute import AttributeRow
from flask_engage.store.engine import Database
from flask_engage.store.event import EventNameRow, EventRow, EventSummaryRow, EventTotalRow
from flask_engage.store.person import PersonRow
from flask_engage.store.session import SessionRow
from tests._clock import START
from tests.capture._recorders import Recorders, table

ZONE = "America/Sao_Paulo"
IDLE = timedelta(minutes=30)

#: Days up to two months around, and in each a stretch well below the longest session, in steps
#: of which one is not idle yet and two are: late sightings often lie between two sessions.
moments = st.builds(
    lambda day, step: START + timedelta(days=day, minutes=20 * step),
    st.one_of(st.just(0), st.integers(-2, 2), st.integers(-40, 40)),
    st.integers(0, 10),
)
users = st.sampled_from(["ada", "ben"])
requests = st.builds(
    lambda user, at, n: ("request", user, at, n), users, moments, st.integers(0, 2)
)
events = st.builds(
    lambda user, at, key: ("event", user, at, key), users, moments, st.sampled_from([None, "a"])
)
attributes = st.builds(
    lambda user, at, value: ("attribute", user, at, value),
    users,
    moments,
    st.sampled_from([1, 1.0, 2, "1", True, None]),
)
mixed = st.lists(st.one_of(requests, events, attributes), min_size=1, max_size=25)
#: One person's day, where nearly every request that comes late joins two sessions.
dense = st.lists(
    st.builds(
        lambda step: ("request", "ada", START + timedelta(minutes=20 * step), 1),
        st.integers(0, 12),
    ),
    min_size=6,
    max_size=12,
    unique=True,
)
stories = st.one_of(mixed, dense)


def _context(at: datetime) -> Context | None:
    """What a request of that moment says: sometimes nothing, sometimes which way led here."""
    n = round((at - START).total_seconds()) // 1200
    if n % 7 == 0:
        return None
    return Context(
        f"/{n}",
        f"r{n}.example" if n % 3 == 0 else None,
        f"mail{n}" if n % 4 == 0 else None,
        browser=f"Browser {n % 5}",
        country=f"C{n % 6}",
        ip=f"10.0.0.{n % 200}",
    )


def _facts(story: list[tuple[Any, ...]]) -> list[Fact]:
    facts: list[Fact] = []
    for index, (kind, user, at, more) in enumerate(story):
        if kind == "request":
            end = at + timedelta(seconds=more)
            facts += [
                Event(at + timedelta(seconds=n), user, "clicked", {"i": index}, None, True)
                for n in range(more)
            ]
            facts.append(Seen(at, user, context=_context(at), events=more, until=end))
        elif kind == "event":
            facts.append(Event(at, user, "paid", {"i": index}, more))
        else:
            facts.append(Attributes(at, user, to_wire({"plan": more})))
    return facts


class Reference:
    """What must come out, told by going through everything from the beginning."""

    def __init__(self, facts: list[Fact]) -> None:
        self.seen: dict[str, list[datetime]] = defaultdict(list)
        self.summaries: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        self.in_request: list[tuple[str, datetime]] = []
        keys = set()
        for fact in facts:
            if isinstance(fact, Seen):
                self.seen[fact.user_id].append(fact.at)
            elif isinstance(fact, Event):
                if fact.id is not None and fact.id in keys:
                    continue
                keys.add(fact.id)
                self.summaries[fact.user_id, fact.name].append(fact.at)
                if fact.in_request:
                    self.in_request.append((fact.user_id, fact.at))
        self.users = sorted({fact.user_id for fact in facts})

    def sessions(self, user: str) -> list[list[datetime]]:
        found: list[list[datetime]] = []
        for at in sorted(self.seen[user]):
            if found and at - found[-1][-1] <= IDLE:
                found[-1].append(at)
            else:
                found.append([at])
        return found

    def ways(self, user: str) -> list[tuple[datetime, str | None, str | None]]:
        """The ways that led here, in order."""
        found = [(at, context) for at in sorted(self.seen[user]) if (context := _context(at))]
        return [(at, c.referrer, c.utm_source) for at, c in found if c.referrer or c.utm_source]

    def days(self, user: str) -> list[Any]:
        return sorted({_day(at) for at in self.seen[user]})

    def gaps(self) -> dict[tuple[Any, int], int]:
        found: Counter[tuple[Any, int]] = Counter()
        for user in self.users:
            days = self.days(user)
            for former, day in zip([None, *days], days, strict=False):
                found[day, 31 if former is None else min(31, (day - former).days)] += 1
        return dict(found)


def _day(at: datetime) -> Any:
    return at.astimezone(ZoneInfo(ZONE)).date()


def _empty(database: Database) -> None:
    with database.write() as session:
        for found in reversed(Base.metadata.sorted_tables):
            session.execute(sa.delete(found))


def _check(database: Database, facts: list[Fact]) -> None:
    expected = Reference(facts)
    ids = {user: row_id for row_id, user in table(database, PersonRow, "id", "user_id")}
    assert sorted(ids) == expected.users
    for user, row_id in ids.items():
        sessions = expected.sessions(user)
        seen = sorted(expected.seen[user])
        [person] = [
            row[1:]
            for row in table(
                database, PersonRow, "id", "session_count", "first_seen_at", "last_seen_at"
            )
            if row[0] == row_id
        ]
        assert person == (len(sessions), seen[0] if seen else None, seen[-1] if seen else None)
        columns = (
            "person_id",
            "started_at",
            "last_at",
            "hits",
            "previous_seen_at",
            "previous_sessions",
        )
        before = [None, *(some[-1] for some in sessions)]
        assert [row[1:] for row in table(database, SessionRow, *columns) if row[0] == row_id] == [
            (some[0], some[-1], len(some), before[n], n) for n, some in enumerate(sessions)
        ]
        _check_contexts(database, expected, user, row_id)
    _check_events(database, expected, ids)
    days = sorted((ids[user], day) for user in ids for day in expected.days(user))
    assert table(database, ActiveDayRow, "person_id", "day") == days
    weeks = sorted({(row_id, day - timedelta(days=day.weekday())) for row_id, day in days})
    assert table(database, ActiveWeekRow, "person_id", "week") == weeks
    gaps = {(d, g): n for d, g, n in table(database, ActiveGapRow, "day", "gap", "count") if n}
    assert gaps == expected.gaps()


def _check_contexts(database: Database, expected: Reference, user: str, row_id: int) -> None:
    columns = ("landing_page", "referrer", "utm_source", "browser", "country", "ip")
    rows = table(database, SessionRow, "person_id", "started_at", *columns)
    assert [row[2:] for row in rows if row[0] == row_id] == [
        tuple(getattr(context, name) for name in ("path", *columns[1:]))
        if (context := _context(some[0]))
        else (None,) * 6
        for some in expected.sessions(user)
    ]
    ways = expected.ways(user)
    nowhere = (None, None, None)
    names = ("touched_at", "referrer", "utm_source")
    names += ("latest_touched_at", "latest_referrer", "latest_utm_source")
    [person] = [
        row[1:]
        for row in table(database, PersonRow, "id", *names, "browser", "country")
        if row[0] == row_id
    ]
    assert person[:6] == (*(ways[0] if ways else nowhere), *(ways[-1] if ways else nowhere))
    contexts = [_context(at) for at in sorted(expected.seen[user])]
    if contexts and contexts[-1]:
        assert person[6:] == (contexts[-1].browser, contexts[-1].country)
    else:  # the newest says nothing: then some other does
        said = {(context.browser, context.country) for context in contexts if context}
        assert person[6:] in (said or {(None, None)})


def _check_events(database: Database, expected: Reference, ids: dict[str, int]) -> None:
    found = {
        (person, name): (count, first, last)
        for person, name, count, first, last in table(
            database, EventSummaryRow, "person_id", "name", "count", "first_at", "last_at"
        )
    }
    assert found == {
        (ids[user], name): (len(moments), min(moments), max(moments))
        for (user, name), moments in expected.summaries.items()
    }
    by_name: dict[str, list[datetime]] = defaultdict(list)
    for (_, name), moments in expected.summaries.items():
        by_name[name] += moments
    assert table(database, EventNameRow, "name", "count", "first_at", "last_at") == [
        (name, len(by_name[name]), min(by_name[name]), max(by_name[name]))
        for name in sorted(by_name)
    ]
    totals = Counter(
        (_day(at), name) for (_, name), some in expected.summaries.items() for at in some
    )
    rows = table(database, EventTotalRow, "day", "name", "count")
    assert {(day, name): n for day, name, n in rows} == totals
    sessions = {
        row_id: (person, begin, end)
        for row_id, person, begin, end in table(
            database, SessionRow, "id", "person_id", "started_at", "last_at"
        )
    }
    for person, session_id, name, at in table(
        database, EventRow, "person_id", "session_id", "name", "occurred_at"
    ):
        if name == "paid":
            continue
        assert session_id in sessions, "an event of a request has no session"
        whose, begin, end = sessions[session_id]
        assert whose == person
        assert begin <= at <= end + timedelta(seconds=2)


class Replay:
    """All that a recorder was ever given, to be read again by somebody who knows nothing of it."""

    def __init__(self, recorder: Recorder, payloads: list[bytes], stored: int | None) -> None:
        self.name = recorder._open().name  # type: ignore[union-attr]
        self.stored = stored
        self._payloads = payloads

    @property
    def size(self) -> int:
        return len(self._payloads)

    def read(self, position: int, limit: int) -> Found:
        end = min(position + limit, self.size)
        some = [(self._payloads[n], n + 1) for n in range(position, end)]
        return Found(payloads=some, end=end)


def _run(data: st.DataObject, recorders: list[Recorder], facts: list[Fact]) -> None:
    given: dict[Recorder, list[bytes]] = {recorder: [] for recorder in recorders}
    for fact in facts:
        recorder = data.draw(st.sampled_from(recorders))
        assert recorder.append(fact)
        given[recorder].append(encode(fact))
        match data.draw(st.integers(0, 7)):
            case 0 | 1:
                data.draw(st.sampled_from(recorders)).flush()
            case 2:
                replay = Replay(recorder, given[recorder], data.draw(st.sampled_from([0, None])))
                other = data.draw(st.sampled_from(recorders))
                other._storer.writer.drain(other._ready.require(), replay)
    for recorder in recorders:
        recorder.flush()


def _go(
    data: st.DataObject, database: Database, recorders: list[Recorder], story: list[Any]
) -> None:
    _empty(database)
    for recorder in recorders:
        recorder._open().after_fork()  # a buffer of its own for each example
    # An id that two facts share is the first one's: only then the order is to matter.
    facts = _facts(story)
    seen_keys: set[str] = set()
    shuffled = data.draw(st.permutations(facts))
    facts = [
        f
        for f in shuffled
        if not (isinstance(f, Event) and f.id and (f.id in seen_keys or seen_keys.add(f.id)))
    ]
    _run(data, recorders, facts)
    _check(database, facts)


SETTINGS: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
}


def test_the_rows_are_those_of_the_reference(database: Database, recorders: Recorders) -> None:
    writers = [recorders(CAPTURE_MODE="memory", TIMEZONE=ZONE) for _ in range(2)]
    examples = 80 if database.dialect == "sqlite" else 12

    @settings(max_examples=examples, **SETTINGS)
    @given(st.data(), stories)
    def check(data: st.DataObject, story: list[Any]) -> None:
        _go(data, database, writers, story)

    check()


@pytest.mark.campaign
def test_the_rows_are_those_of_the_reference_for_long(
    database: Database, recorders: Recorders
) -> None:
    writers = [recorders(CAPTURE_MODE="memory", TIMEZONE=ZONE) for _ in range(3)]

    @settings(max_examples=3000 if database.dialect == "sqlite" else 300, **SETTINGS)
    @given(st.data(), stories)
    def check(data: st.DataObject, story: list[Any]) -> None:
        _go(data, database, writers, story)

    check()


def test_writers_at_the_same_time_give_the_rows_of_the_reference(
    database: Database, recorders: Recorders
) -> None:
    """Threads with a journal each, into which one story was dealt out at random."""
    chance = random.Random(5)
    story = [
        ("request", chance.choice(["ada", "ben"]), _moment(chance), chance.randrange(3))
        for _ in range(120)
    ] + [("event", chance.choice(["ada", "ben"]), _moment(chance), None) for _ in range(60)]
    facts = _facts(story)
    chance.shuffle(facts)
    writers = [recorders(TIMEZONE=ZONE) for _ in range(4)]
    for fact in facts:
        assert chance.choice(writers).append(fact)
    stop = threading.Event()

    def store(writer: Recorder) -> None:
        while not stop.is_set():
            with suppress(DBAPIError):  # a lock that was not to be had: again
                for source in writer._storer.sources(writer._open()):
                    writer._storer.writer.drain(writer._ready.require(), source)
                    return

    threads = [threading.Thread(target=store, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    stop.set()
    assert sum(writer._storer.writer.stored for writer in writers) == len(facts)
    _check(database, facts)


def _moment(chance: random.Random) -> datetime:
    return START + timedelta(days=chance.randint(-3, 3), minutes=20 * chance.randrange(11))


def test_the_copy_of_attributes_is_that_of_the_rows(
    database: Database, recorders: Recorders
) -> None:
    import json

    writers = [recorders(CAPTURE_MODE="memory") for _ in range(2)]

    @settings(max_examples=40 if database.dialect == "sqlite" else 8, **SETTINGS)
    @given(st.data(), st.lists(attributes, min_size=1, max_size=12))
    def check(data: st.DataObject, story: list[Any]) -> None:
        _empty(database)
        for recorder in writers:
            recorder._open().after_fork()
        facts = _facts(story)
        _run(data, writers, facts)
        rows = {
            (person, f"{kind}:{name}"): json.loads(value)
            for person, name, kind, value in table(
                database, AttributeRow, "person_id", "name", "kind", "value"
            )
        }
        copies = {
            (person, key): value
            for person, found in table(database, PersonRow, "id", "attributes")
            for key, value in found.items()
        }
        assert copies == rows

    check()
