"""Sessions: the same whatever the order in which sightings arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flask_engage.capture.sessions import Sessions, Sighting, sessionise
from flask_engage.store.session_write import SessionState

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=24)


def minutes(*numbers: float) -> list[Sighting]:
    return [Sighting(START + timedelta(minutes=n)) for n in numbers]


def run(*batches: list[Sighting], longest: timedelta = LONGEST) -> list[SessionState]:
    """Run batches one after the other, as the writer does, each session getting an id."""
    known: list[SessionState] = []
    last: datetime | None = None
    next_id = 1
    for batch in batches:
        after: Sessions = sessionise(
            known, batch, count=len(known), last_seen_at=last, idle=IDLE, longest=longest
        )
        known = after.sessions
        for session in known:
            if session.id is None:
                session.id = next_id
                next_id += 1
            session.original = session.values()
        last = max([last or START - timedelta(days=999), *(s.at for s in batch)])
    return known


def shape(sessions: list[SessionState]) -> list[tuple[float, float, int]]:
    def number(at: datetime) -> float:
        return (at - START) / timedelta(minutes=1)

    return [(number(s.started_at), number(s.last_at), s.hits) for s in sessions]


def test_half_an_hour_is_not_idle_yet() -> None:
    assert shape(run(minutes(0, 30))) == [(0, 30, 2)]
    assert shape(run(minutes(0, 30.01))) == [(0, 0, 1), (30.01, 30.01, 1)]


def test_a_day_without_a_break_is_two_sessions() -> None:
    assert shape(run(minutes(*range(0, 1451, 10)))) == [(0, 1440, 145), (1450, 1450, 1)]


def test_a_late_sighting_joins_two_sessions() -> None:
    assert shape(run(minutes(0), minutes(50), minutes(25))) == [(0, 50, 3)]


def test_a_late_sighting_makes_a_session_between_two() -> None:
    sessions = run(minutes(0), minutes(300), minutes(100))
    assert shape(sessions) == [(0, 0, 1), (100, 100, 1), (300, 300, 1)]
    assert [s.previous_sessions for s in sessions] == [0, 1, 2]
    assert [s.previous_seen_at for s in sessions] == [
        None,
        sessions[0].last_at,
        sessions[1].last_at,
    ]


def test_a_session_remembers_what_was_before_it() -> None:
    sessions = run(minutes(0, 10), minutes(100), minutes(105))
    assert sessions[1].previous_seen_at == START + timedelta(minutes=10)
    assert sessions[1].previous_sessions == 1


def test_joining_sessions_that_are_stored_keeps_one_row() -> None:
    known = run(minutes(0), minutes(50))
    after = sessionise(
        known, minutes(25), count=2, last_seen_at=known[1].last_at, idle=IDLE, longest=LONGEST
    )
    assert [s.id for s in after.sessions] == [1]
    assert {former: kept.id for former, kept in after.merged.items()} == {2: 1}


def test_no_session_grows_beyond_the_longest_whatever_the_order() -> None:
    sessions = run(minutes(*range(0, 3000, 20)), minutes(*range(10, 3000, 20)))
    assert all(s.last_at - s.started_at <= LONGEST for s in sessions)
    assert sum(s.hits for s in sessions) == 300


moments = st.lists(st.integers(0, 1440), min_size=1, max_size=30)


@given(st.data(), moments)
def test_the_order_and_the_batches_do_not_matter(data: st.DataObject, numbers: list[int]) -> None:
    in_order = run(minutes(*sorted(numbers)))
    shuffled = data.draw(st.permutations(numbers))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(numbers)), max_size=5)))
    batches = [
        minutes(*shuffled[begin:end]) for begin, end in zip([0, *cuts], [*cuts, None], strict=True)
    ]
    sessions = run(*(batch for batch in batches if batch))
    assert shape(sessions) == shape(in_order)
    for other, one in zip(sessions, in_order, strict=True):
        assert other.previous_seen_at == one.previous_seen_at
        assert other.previous_sessions == one.previous_sessions


@given(st.lists(st.integers(0, 6000), min_size=1, max_size=60), st.data())
def test_in_order_the_definition_holds(numbers: list[int], data: st.DataObject) -> None:
    numbers.sort()
    cuts = sorted(data.draw(st.sets(st.integers(1, len(numbers)), max_size=5)))
    batches = [
        minutes(*numbers[begin:end]) for begin, end in zip([0, *cuts], [*cuts, None], strict=True)
    ]
    expected: list[list[int]] = []
    for n in numbers:
        if expected and n - expected[-1][-1] <= 30 and n - expected[-1][0] <= 1440:
            expected[-1].append(n)
        else:
            expected.append([n])
    assert shape(run(*(batch for batch in batches if batch))) == [
        (some[0], some[-1], len(some)) for some in expected
    ]


@given(
    st.lists(st.integers(1, 30), min_size=150, max_size=220),
    st.lists(st.integers(0, 3000), max_size=12),
)
def test_activity_without_a_break_is_cut_each_day_however_it_is_batched(
    steps: list[int], cuts: list[int]
) -> None:
    """In order, by whatever batches: the first sighting more than a day after a session's first."""
    moments = [sum(steps[:n]) for n in range(len(steps) + 1)]
    expected: list[list[int]] = []
    for moment in moments:
        if expected and moment - expected[-1][0] <= LONGEST / timedelta(minutes=1):
            expected[-1].append(moment)
        else:
            expected.append([moment])
    bounds = [-1, *sorted(cuts), moments[-1]]
    batches = [minutes(*(m for m in moments if low < m <= high)) for low, high in pairwise(bounds)]
    assert shape(run(*(batch for batch in batches if batch))) == [
        (some[0], some[-1], len(some)) for some in expected
    ]


@given(st.permutations(range(0, 2600, 25)), st.integers(1, 9))
def test_late_sightings_of_activity_without_a_break(order: list[int], size: int) -> None:
    """Where the cut falls then depends on the order: what lies inside a session is not kept.

    But nothing is counted twice or lost, no session is longer than a day or reaches into another.
    """
    found = shape(run(*(minutes(*order[n : n + size]) for n in range(0, len(order), size))))
    assert sum(hits for _, _, hits in found) == len(order)
    assert (found[0][0], found[-1][1]) == (min(order), max(order))
    assert all(end - begin <= 24 * 60 for begin, end, _ in found)
    assert all(former[1] < latter[0] for former, latter in pairwise(found))
