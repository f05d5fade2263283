"""The filter bar: a filter as chips, each with the links that change it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from .._state import current_state
from ..errors import InvalidFilter
from ..segments.filter import AllOf, Everyone, Filter, Not
from ..segments.host import check_asked_before
from .filter_back import form_of
from .filter_tree import DEEPEST, Path, group_of, negated, path_text, replaced, switched

LONGEST_FILTER = 16_384
"""Characters of a filter in an address; servers refuse longer ones anyway."""

_UTC = ZoneInfo("UTC")

Link = Callable[[Filter | None], str | None]
"""Gives the address of the list for a filter; None if it has no JSON form."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One condition, or one group of them."""

    path: str
    text: str
    """The condition in English."""
    join: str
    """``where``, ``and`` or ``or``: how it hangs on what stands above."""
    remove: str | None
    negate: str | None
    is_negated: bool
    form: dict[str, str] | None = None
    """What a form to change it is filled with; none if no form can say it."""
    group: tuple[Chip, ...] = ()
    is_all: bool = True
    switch: str | None = None
    """Of a group: the address with all and any exchanged."""
    beside: str | None = None
    """``all`` or ``any``: how a condition that is put beside this one joins it; none: too deep."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The whole filter, ready to be shown."""

    sentence: str
    chips: tuple[Chip, ...] = ()
    is_all: bool = True
    switch: str | None = None
    text: str = ""
    """The filter as it stands in the address; empty for everybody."""
    is_everyone: bool = True
    can_group: bool = False
    """Whether there are conditions to choose that can be put into a group of their own."""


def read_filter_text(text: str | None, segments: Mapping[str, Filter]) -> Filter:
    """Return the filter that stands in an address; everybody if there is none.

    Of the host's columns it may ask only about those that the app's code asks about as well.

    :raises InvalidFilter: naming the place in the document.
    """
    if not text or not text.strip():
        return Everyone()
    if len(text) > LONGEST_FILTER:
        raise InvalidFilter(f"filter: it has more than {LONGEST_FILTER:,} characters.")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidFilter(
            f"filter: it is no JSON ({error}); remove it from the address, or write it as "
            '{"version":1,"filter":{"person":"sessions","op":">=","value":3}}.'
        ) from None
    except RecursionError:
        raise InvalidFilter("filter: it is nested too deeply.") from None
    found = Filter.from_json(document, segments)
    code = current_state().registry
    rules = (rule.to for rule in code.rules.values())
    # Not what operators saved: who saves a segment would give the leave for the next question.
    check_asked_before(found, [*code.segments.values(), *rules])
    return found


def bar_of(wanted: Filter, link: Link, text: str, zone: ZoneInfo = _UTC) -> Bar:
    """Return `wanted` as the bar shows it.

    :param zone: in which days begin, here and in the forms.
    """
    if isinstance(wanted, Everyone):
        return Bar(wanted.describe(zone))
    maker = _Maker(wanted, link, zone)
    sentence = wanted.describe(zone)
    group = None if isinstance(wanted, Not) else group_of(wanted)
    if group is None:
        return Bar(sentence, (maker.chip(wanted, (), "where", True),), True, None, text, False)
    is_all = isinstance(group, AllOf)
    return Bar(
        sentence,
        maker.chips(group.parts, (), is_all),
        is_all,
        link(switched(wanted, ())),
        text,
        False,
        len(group.parts) > 2 or any(group_of(part) is not None for part in group.parts),
    )


def fixed_bar(wanted: Filter, zone: ZoneInfo = _UTC) -> Bar:
    """Return `wanted` as a bar to be read: what asks about the host's tables is code's to change.

    :param zone: in which fixed dates are said.
    """
    return bar_of(wanted, lambda _wanted: None, "", zone)


@dataclass(frozen=True, slots=True)
class _Maker:
    root: Filter
    link: Link
    zone: ZoneInfo

    def chips(self, parts: tuple[Filter, ...], path: Path, is_all: bool) -> tuple[Chip, ...]:
        return tuple(
            self.chip(part, (*path, number), _join(number, is_all), is_all)
            for number, part in enumerate(parts)
        )

    def chip(self, node: Filter, path: Path, join: str, in_all: bool) -> Chip:
        group = group_of(node)
        common: dict[str, Any] = {
            "path": path_text(path),
            "join": join,
            "remove": self.link(replaced(self.root, path, None)),
            "negate": self.link(negated(self.root, path)),
            "is_negated": isinstance(node, Not),
        }
        if group is None:
            text = node.describe(self.zone).removeprefix("People ")
            beside = ("any" if in_all else "all") if len(path) < DEEPEST else None
            return Chip(text=text, form=form_of(node, self.zone), beside=beside, **common)
        is_all = isinstance(group, AllOf)
        return Chip(
            text="",
            group=self.chips(group.parts, path, is_all),
            is_all=is_all,
            switch=self.link(switched(self.root, path)),
            beside="all" if is_all else "any",
            **common,
        )


def _join(number: int, is_all: bool) -> str:
    if number == 0:
        return "where"
    return "and" if is_all else "or"
