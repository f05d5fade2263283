"""The form that says what each column of a file is: shown with a guess, read with its mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..capture.limits import check_name
from ..errors import InvalidFact
from ..people.transfer.mapping import FIELDS, KINDS, WHOLE
from ..people.transfer.reading import Record
from ..store.transfer_write import Entry
from .language import gettext as _

_SAMPLES = 3
_SAMPLE_CHARACTERS = 60


@dataclass(slots=True)
class Column:
    """One column of a file, and what it is to be."""

    number: int
    heading: str
    samples: tuple[str, ...]
    meaning: str
    """A field, a type of attribute, ``attributes``, or empty: it is left out."""
    name: str
    """The attribute's."""
    problem: str = ""


def columns_of(headings: Sequence[str], sample: Iterable[Record]) -> list[Column]:
    """Return the columns of a file with some of their values; nothing is said of them yet."""
    values: dict[str, dict[str, None]] = {heading: {} for heading in headings}
    for record in sample:
        for heading, found in values.items():
            value = record.values.get(heading)
            if len(found) < _SAMPLES and value not in (None, ""):
                found[_shortened(value)] = None
    return [
        Column(number, heading, tuple(values[heading]), "", _as_name(heading))
        for number, heading in enumerate(headings)
    ]


def _shortened(value: Any) -> str:
    text = value if isinstance(value, str) else _plain(value)
    return text if len(text) <= _SAMPLE_CHARACTERS else text[: _SAMPLE_CHARACTERS - 1] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value!s:.200}"


def _as_name(heading: str) -> str:
    """Return what an attribute of this column would be called by itself."""
    kind, colon, rest = heading.removeprefix("'").partition(":")
    return (rest if colon and kind in KINDS else heading.removeprefix("'")).strip()[:64]


def show(columns: Iterable[Column], mapping: Mapping[str, str]) -> None:
    """Put a mapping into the form."""
    for column in columns:
        target = mapping.get(column.heading, "")
        kind, colon, name = target.partition(":")
        column.meaning = kind if colon else target
        column.name = name if colon else column.name


def read(columns: Sequence[Column], form: Mapping[str, str]) -> dict[str, str]:
    """Read what the form says into `columns`, with what is wrong there; return the mapping."""
    mapping: dict[str, str] = {}
    taken: dict[str, str] = {}
    for column in columns:
        column.meaning = form.get(f"is{column.number}", "")
        column.name = form.get(f"as{column.number}", "").strip()
        target = _target(column)
        if target and target in taken:
            column.problem = _("“%(other)s” is this already; choose one of them.") % {
                "other": taken[target][:80]
            }
        if target:
            taken.setdefault(target, column.heading)
        mapping[column.heading] = target
    return mapping


def _target(column: Column) -> str:
    if column.meaning in KINDS:
        try:
            column.name = check_name(column.name, "attribute")
        except InvalidFact:
            column.problem = _("An attribute's name has 1 to 64 printable characters.")
        return f"{column.meaning}:{column.name}"
    if column.meaning not in ("", WHOLE, *FIELDS):
        column.problem = _("Choose one of the meanings.")
        column.meaning = ""
    return column.meaning


def is_wrong(columns: Iterable[Column]) -> bool:
    """Tell whether something in the form has to be mended."""
    return any(column.problem for column in columns)


def stored(entry: Entry, target: str) -> Any:
    """Return what a row would give a person under one meaning; None for nothing."""
    if target == WHOLE:
        return ", ".join(f"{name}: {value}" for name, value in entry.attributes.items()) or None
    if target == "tags":
        return ", ".join(entry.tags) or None
    _kind, colon, name = target.partition(":")
    return entry.attributes.get(name) if colon else getattr(entry, target)
