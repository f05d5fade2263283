"""Whole filters as the builder shows them: taken apart into forms and put together again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_engage import (
    Filter,
    attr,
    did,
    everyone,
    person,
    visited,
)
from flask_engage.dashboard.filter_back import form_of
from flask_engage.dashboard.filter_chips import Chip, bar_of
from flask_engage.dashboard.filter_form import read_condition
from flask_engage.dashboard.filter_python import python_of
from flask_engage.dashboard.filter_tree import (
    DEEPEST,
    added_at,
    grouped,
    levels,
    part_at,
    read_path,
)
from flask_engage.errors import InvalidFilter
from flask_engage.segments.filter import AllOf, AnyOf, Everyone, Not, all_of, any_of
from tests.dashboard._conditions import EVERY_KIND
from tests.segments import _strategies

ZONES = [ZoneInfo("UTC"), ZoneInfo("America/St_Johns"), ZoneInfo("Asia/Kathmandu")]


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("what", EVERY_KIND)
def test_every_kind_of_condition_has_a_form_that_says_it(what: str, zone: ZoneInfo) -> None:
    form = form_of(EVERY_KIND[what], zone)
    assert form is not None
    assert read_condition(form, {}, zone) == EVERY_KIND[what]


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_day_begins_in_the_zone_of_the_app(zone: ZoneInfo) -> None:
    day = person.signed_up >= datetime(2026, 3, 1, tzinfo=zone)
    form = form_of(day, zone)
    assert form is not None
    assert form["value"] == "2026-03-01"
    moment = person.signed_up < datetime(2026, 3, 1, 7, 30, 5, 250, tzinfo=UTC)
    form = form_of(moment, zone)
    assert form is not None
    assert read_condition(form, {}, zone) == moment


def test_a_moment_that_reads_the_same_as_another_gets_no_form() -> None:
    """When clocks are set back, a form could only say the first of two."""
    berlin = ZoneInfo("Europe/Berlin")
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert form_of(person.signed_up < second - timedelta(hours=1), berlin) is not None
    assert form_of(person.signed_up < second, berlin) is None


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_the_calendar_are_shown_everywhere(year: int, zone: ZoneInfo) -> None:
    end = datetime(1, 1, 1, tzinfo=UTC) if year == 1 else datetime(9999, 12, 31, 23, tzinfo=UTC)
    bar = bar_of(person.signed_up < end, lambda _other: "", "", zone)
    assert str(year) in bar.sentence


def _again(chip: Chip, whole: Filter, zone: ZoneInfo) -> Filter:
    """Return the filter that the builder shows as `chip`, put together from its forms."""
    if chip.group:
        parts = tuple(_again(one, whole, zone) for one in chip.group)
        made = all_of(parts) if chip.is_all else any_of(parts)
        return Not(made) if chip.is_negated else made
    if chip.form is None:
        return part_at(whole, read_path(chip.path))
    return read_condition(chip.form, {}, zone)


@given(_strategies.filters(), st.sampled_from(ZONES))
def test_the_tree_that_is_shown_gives_back_the_same_filter(wanted: Filter, zone: ZoneInfo) -> None:
    bar = bar_of(wanted, lambda _other: "", "", zone)
    assert bar.sentence == wanted.describe(zone)
    if isinstance(wanted, Everyone):
        assert bar.is_everyone
        return
    parts = tuple(_again(chip, wanted, zone) for chip in bar.chips)
    assert (all_of(parts) if bar.is_all else any_of(parts)) == wanted


@given(_strategies.filters())
def test_the_links_of_each_part_do_what_they_say(wanted: Filter) -> None:
    found: list[Filter | None] = []

    def link(other: Filter | None) -> str:
        found.append(other)
        return str(len(found) - 1)

    def check(chip: Chip) -> None:
        path = read_path(chip.path)
        part = part_at(wanted, path)
        assert chip.negate is not None
        negated = found[int(chip.negate)]
        assert negated is not None
        if not path:
            assert negated == ~part
        for inner in chip.group:
            check(inner)

    for chip in bar_of(wanted, link, "").chips:
        check(chip)
    for other in found:
        if other is not None:
            assert Filter.from_json(other.to_json()) == other


@given(_strategies.filters())
def test_the_python_that_is_shown_makes_the_same_filter(wanted: Filter) -> None:
    made: dict[str, Any] = {}
    exec(python_of(wanted), made)  # what a host would paste, with its imports
    assert made["wanted"] == wanted


def test_the_python_of_a_hostile_text_is_that_text_and_nothing_else() -> None:
    text = '"+__import__("os").abort()+"\n\\\u202e\x00🎉'
    made: dict[str, Any] = {}
    source = python_of((attr("plan") == text) & ~did("a b").where(**{"x\ty": text}))
    exec(source, made)
    assert made["wanted"] == (attr("plan") == text) & ~did("a b").where(**{"x\ty": text})
    assert "\u202e" not in source


# --- groups ---------------------------------------------------------------------------------

A, B, C, D = person.sessions >= 3, did("exported"), person.email.is_set(), visited()


def test_a_condition_is_put_beside_another_as_a_group() -> None:
    assert added_at(A & B, (1,), C, False) == A & (B | C)
    assert added_at(A, (), C, False) == A | C
    assert added_at(A & ~(B | C), (1,), D, True) == A & ~(B | C | D)


def test_chosen_conditions_become_a_group() -> None:
    assert grouped(A & B & C, [(0,), (2,)], False) == (A | C) & B
    assert grouped(A & B & C, [(2,), (1,)], False) == A & (B | C)
    assert grouped(A | ~(B & C & D), [(1, 0), (1, 1)], False) == A | ~((B | C) & D)
    assert grouped(A & B, [(0,), (1,)], False) == A | B


@pytest.mark.parametrize(
    "paths", [[], [(0,)], [(0,), (0,)], [(0,), (1, 0)], [(), (0,)], [(7,), (8,)]]
)
def test_what_can_be_no_group_is_told(paths: list[tuple[int, ...]]) -> None:
    with pytest.raises(InvalidFilter, match=r"^(pick|at): "):
        grouped(A & (B | C), paths, True)


def test_groups_are_made_to_a_depth_and_no_further() -> None:
    wanted = A & B
    path: tuple[int, ...] = (1,)
    for level in range(1, DEEPEST):
        wanted = added_at(wanted, path, C if level % 2 else D, bool(level % 2 == 0))
        path = (*path, 1)
    assert levels(wanted) == DEEPEST
    with pytest.raises(InvalidFilter, match="segment"):
        added_at(wanted, path, A, DEEPEST % 2 == 0)


def test_everybody_within_a_group_is_shown_without_a_form() -> None:
    assert form_of(everyone) is None
    assert isinstance(A & everyone, AllOf)
    assert isinstance(A | everyone, AnyOf)
