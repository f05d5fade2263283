"""The columns of the list of people: which there are, which are shown, and in which order.

The address says it: one ``c`` for each column, in their order. A column is named as the order by
it is: a field of the person by its name, an attribute by ``attr:`` and its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..segments.fields import FIELDS
from ..segments.ordering import ATTRIBUTE_PREFIX
from ..segments.vocabulary import Vocabulary
from .filter_form import field_words

MOST = 20
"""Columns beside the person's; a table with more is one for a spreadsheet, see the export."""
_ATTRIBUTES_AT_FIRST = 3
_AT_FIRST = ("relationship", "email", "last_seen", "sessions", "signed_up")
_ON_SMALL_SCREENS = 2

#: Of these one mostly wants the largest or the newest first.
_DOWN = frozenset({"relationship", "last_seen", "first_seen", "signed_up", "sessions"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    key: str
    """As in the address, and as the order by it is named."""
    name: str
    """The field's or the attribute's own name."""
    heading: str
    kind: str
    """How its values are shown: ``time day number hearts tags yes text`` or ``data``."""
    is_number: bool = False
    can_sort: bool = True
    down: bool = False
    """Whether its first order is descending."""
    is_small: bool = False
    """Whether it stays where there is little room."""


def all_columns(words: Vocabulary) -> dict[str, Column]:
    """Return every column that there is, by its key: fields, then attributes."""
    found = [_of_field(name) for name in FIELDS if name != "name"]
    found += [
        Column(
            key=ATTRIBUTE_PREFIX + term.name,
            name=term.name,
            heading=term.name,
            kind="data",
            is_number=term.kinds == ("number",),
        )
        for term in words.attributes
    ]
    return {column.key: column for column in found}


def _of_field(name: str) -> Column:
    by_kind = {"t": "time", "n": "number", "b": "yes", "tags": "tags"}
    kind = {"relationship": "hearts", "signed_up": "day"}.get(
        name, by_kind.get(FIELDS[name], "text")
    )
    return Column(
        key=name,
        name=name,
        heading=field_words(name),
        kind=kind,
        is_number=kind in ("time", "day", "number"),
        can_sort=kind != "tags",
        down=name in _DOWN,
    )


def chosen_keys(
    known: Mapping[str, Column], asked: Sequence[str] | None, *, has_hearts: bool = True
) -> list[str]:
    """Return the keys of the columns that are shown, in their order.

    :param asked: what the address says; None: nothing, and the usual ones are shown.
    :param has_hearts: whether anybody has hearts yet, for the usual ones.
    """
    if asked is None:
        attributes = [key for key in known if key.startswith(ATTRIBUTE_PREFIX)]
        usual = [key for key in _AT_FIRST if has_hearts or key != "relationship"]
        return [*usual, *attributes[:_ATTRIBUTES_AT_FIRST]]
    # An attribute may also be called by its name alone, where no field has that name.
    keys = (key if key in known else ATTRIBUTE_PREFIX + key for key in asked)
    return list(dict.fromkeys(key for key in keys if key in known))[:MOST]


def moved(keys: Sequence[str], up: str | None, down: str | None) -> list[str]:
    """Return the columns with one of them a place further to the front or to the back."""
    order = list(keys)
    for key, step in ((up, -1), (down, 1)):
        if key in order:
            place = order.index(key)
            other = min(max(place + step, 0), len(order) - 1)
            order.insert(other, order.pop(place))
    return order


def laid_out(known: Mapping[str, Column], keys: Iterable[str], sort: str) -> list[Column]:
    """Return the columns of a table, and which of them stay where there is little room.

    Those are the one that orders the list and the first others; the address stands beneath the
    name there.
    """
    columns = [known[key] for key in keys]
    first = [column.key for column in columns if column.key == sort]
    first += [column.key for column in columns if column.key not in (sort, "email")]
    small = first[:_ON_SMALL_SCREENS]
    return [
        column
        if column.key not in small
        else Column(
            column.key,
            column.name,
            column.heading,
            column.kind,
            column.is_number,
            column.can_sort,
            column.down,
            is_small=True,
        )
        for column in columns
    ]
