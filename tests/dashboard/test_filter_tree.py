"""Taking a filter apart and putting it together again."""

from __future__ import annotations

import pytest

from flask_engage import did, everyone, person
from flask_engage.dashboard.filter_tree import (
    added,
    negated,
    part_at,
    path_text,
    read_path,
    replaced,
    switched,
)
from flask_engage.errors import InvalidFilter

A, B, C = person.sessions >= 3, did("exported"), person.email.is_set()
WHOLE = A & ~(B | C)


def test_a_part_is_found_by_its_path() -> None:
    assert part_at(WHOLE, (0,)) == A
    assert part_at(WHOLE, (1, 1)) == C
    assert part_at(A, ()) == A


@pytest.mark.parametrize("path", [(2,), (0, 0), (1, 2), (1, 0, 0)])
def test_a_path_to_nothing_is_an_error(path: tuple[int, ...]) -> None:
    with pytest.raises(InvalidFilter, match="at: "):
        part_at(WHOLE, path)


@pytest.mark.parametrize("text", ["x", "1.", "-1", "1.x", "1" * 50, ".".join("1" * 30), "²"])
def test_what_is_no_path_is_an_error(text: str) -> None:
    with pytest.raises(InvalidFilter, match="at: "):
        read_path(text)


def test_a_path_is_read_as_it_is_written() -> None:
    assert read_path(path_text((1, 0, 2))) == (1, 0, 2)
    assert read_path("") == ()


def test_a_part_is_replaced_where_it_stands() -> None:
    assert replaced(WHOLE, (1, 0), A) == A & ~(A | C)
    assert replaced(WHOLE, (), B) == B


def test_the_last_part_but_one_leaves_no_group_behind() -> None:
    assert replaced(WHOLE, (1, 0), None) == A & ~C
    assert replaced(WHOLE, (1,), None) == A
    assert replaced(A, (), None) is None


def test_a_condition_is_added_beside_the_others() -> None:
    assert added(everyone, A) == A
    assert added(A, B) == A & B
    assert added(A | B, C) == A | B | C
    assert added(~(A | B), C) == ~(A | B) & C


def test_a_part_is_turned_into_its_opposite_and_back() -> None:
    once = negated(WHOLE, (1, 0))
    assert once == A & ~(~B | C)
    assert negated(once, (1, 0)) == WHOLE
    assert negated(WHOLE, (1,)) == A & (B | C)


def test_all_and_any_are_exchanged() -> None:
    assert switched(A & B, ()) == A | B
    assert switched(WHOLE, (1,)) == A & ~(B & C)
    with pytest.raises(InvalidFilter, match="no group"):
        switched(A, ())
