"""The filter bar: a filter as chips, each with the links that change it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidFilter
from ..segments.filter import AllOf, Everyone, Filter, Not
from .filter_form import form_of
from .filter_tree import Path, group_of, negated, path_text, replaced, switched

LONGEST_FILTER = 16_384
"""Characters of a filter in an address; servers refuse longer ones anyway."""

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


def read_filter_text(text: str | None, segments: Any) -> Filter:
    """Return the filter that stands in an address; everybody if there is none.

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
    return Filter.from_json(document, segments)


def bar_of(wanted: Filter, link: Link, text: str) -> Bar:
    """Return `wanted` as the bar shows it."""
    if isinstance(wanted, Everyone):
        return Bar(wanted.describe())
    group = None if isinstance(wanted, Not) else group_of(wanted)
    if group is None:
        chips: tuple[Chip, ...] = (_chip(wanted, wanted, (), "where", link),)
        return Bar(wanted.describe(), chips, True, None, text, False)
    is_all = isinstance(group, AllOf)
    chips = tuple(
        _chip(wanted, part, (number,), _join(number, is_all), link)
        for number, part in enumerate(group.parts)
    )
    return Bar(wanted.describe(), chips, is_all, link(switched(wanted, ())), text, False)


def _chip(root: Filter, node: Filter, path: Path, join: str, link: Link) -> Chip:
    group = group_of(node)
    is_negated = isinstance(node, Not)
    common: dict[str, Any] = {
        "path": path_text(path),
        "join": join,
        "remove": link(replaced(root, path, None)),
        "negate": link(negated(root, path)),
        "is_negated": is_negated,
    }
    if group is None:
        return Chip(text=_clause(node), form=form_of(node), **common)
    is_all = isinstance(group, AllOf)
    return Chip(
        text="",
        group=tuple(
            _chip(root, part, (*path, number), _join(number, is_all), link)
            for number, part in enumerate(group.parts)
        ),
        is_all=is_all,
        switch=link(switched(root, path)),
        **common,
    )


def _join(number: int, is_all: bool) -> str:
    if number == 0:
        return "where"
    return "and" if is_all else "or"


def _clause(node: Filter) -> str:
    return node.describe().removeprefix("People ")
