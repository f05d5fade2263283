"""Dealing people into shares: even, always the same, and the same in SQL as in Python."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from sqlalchemy import select

from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from flask_engage.store.share import PRIME, below, share, share_of
from tests.automation.conftest import person

SALTS = ["variant/rule:come back", "holdout/rule:come back", "variant/rule:b", "", "ä" * 50]


@pytest.mark.parametrize("salt", SALTS)
def test_share_deals_neighbouring_people_evenly(salt: str) -> None:
    people = 20_000
    for shares in (2, 3, 7):
        dealt = Counter(share_of(i, salt) * shares // PRIME for i in range(1, people + 1))
        expected = people / shares
        chance = sum((count - expected) ** 2 / expected for count in dealt.values())
        assert len(dealt) == shares
        assert chance < 30, "far beyond what chance does to even shares"


def test_share_of_one_salt_tells_nothing_of_another() -> None:
    people = 20_000
    both = Counter(
        (share_of(i, SALTS[0]) < below(0.5), share_of(i, SALTS[1]) < below(0.5))
        for i in range(1, people + 1)
    )
    assert len(both) == 4
    assert all(abs(count - people / 4) < 400 for count in both.values())


def test_share_has_no_runs_of_neighbours() -> None:
    sides = [share_of(i, SALTS[0]) < below(0.5) for i in range(1, 20_001)]
    changes = sum(a != b for a, b in itertools.pairwise(sides))
    assert abs(changes - 10_000) < 400


def test_share_is_stable_for_ever() -> None:
    # These numbers are in databases out there: another function would deal everybody anew.
    dealt = [share_of(i, "variant/rule:x") for i in (1, 2, 12_345, 2**40)]
    assert dealt == [1330803827, 138044654, 1025875993, 1606329209]


def test_share_is_the_same_in_sql(database: Database) -> None:
    ids = [1, 2, 3, 1000, PRIME - 1, PRIME, PRIME + 1, 2**40 + 7, 2**62 + 11]
    with database.write() as session:
        for number in ids:
            session.add(PersonRow(**{**person(number), "id": number}))
        session.flush()
        for salt in SALTS:
            rows = session.execute(select(PersonRow.id, share(PersonRow.id.expression, salt)))
            dealt = {number: int(drawn) for number, drawn in rows}
            assert dealt == {number: share_of(number, salt) for number in ids}
