"""What the columns of a file probably are, from what stands under their headings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...capture.limits import check_name
from ...errors import InvalidFact
from .mapping import guess
from .reading import Record

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")
"""Neither a telephone number nor a postal code, which begin with a plus or with a zero."""
_DAY = re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9](?:[T ][0-2][0-9]:[0-5][0-9].{0,20})?")
_WORDS = frozenset({"true", "false", "yes", "no"})


def guess_from(
    columns: tuple[str, ...], sample: Iterable[Record], known: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return what `columns` probably mean; an attribute's type by its values in some rows.

    :param known: the attributes that people have, with their kinds; of just one, they keep it.
    """
    rows = [record.values for record in sample if not record.problem]
    found = guess(columns, known)
    for column, target in found.items():
        kind, colon, name = target.partition(":")
        if not colon:
            continue
        if kind == "text" and column != target and len(known.get(name, ())) != 1:
            kind = _kind_of([row.get(column) for row in rows])
        found[column] = f"{kind}:{name}" if _may_be(name) else ""
    return found


def _may_be(name: str) -> bool:
    try:
        check_name(name, "attribute")
    except InvalidFact:
        return False
    return True


def _kind_of(values: Sequence[Any]) -> str:
    there = [value for value in values if value not in (None, "")]
    texts = [value.strip() for value in there if isinstance(value, str)]
    if not there or len(texts) not in (0, len(there)):
        return "text"
    if not texts:  # of JSON, where values have a type
        if all(isinstance(value, bool) for value in there):
            return "boolean"
        numbers = all(type(value) in (int, float) for value in there)
        return "number" if numbers else "text"
    if all(_NUMBER.fullmatch(text) for text in texts):
        return "number"
    if all(text.casefold() in _WORDS for text in texts):
        return "boolean"
    return "date" if all(_DAY.fullmatch(text) for text in texts) else "text"
