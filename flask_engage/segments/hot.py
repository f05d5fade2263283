"""Which custom attributes live filters ask about, so that they get an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from .filter import AllOf, AnyOf, Attribute, Compare, Filter, InSegment, Not, OneOf

_INDEXED = ("==", "<", "<=", ">", ">=")
"""What an index answers; of the others, whoever is left is looked at one by one."""


def hot_keys(filters: Iterable[Filter], segments: Mapping[str, Filter]) -> list[str]:
    """Return the attributes with their kind (``n:score``), the most asked for first.

    :param filters: those of rules, and whatever else is asked again and again.
    :param segments: the named ones: each counts by itself, and where it is used.
    """
    found: Counter[str] = Counter()
    for wanted in (*filters, *segments.values()):
        found.update(set(_keys(wanted, segments, ())))
    return [key for key, _ in sorted(found.items(), key=lambda item: (-item[1], item[0]))]


def _keys(node: Filter, segments: Mapping[str, Filter], inside: tuple[str, ...]) -> list[str]:
    match node:
        case AllOf(parts) | AnyOf(parts):
            return [key for part in parts for key in _keys(part, segments, inside)]
        case Not(part):
            return _keys(part, segments, inside)
        case InSegment(name) if name in segments and name not in inside:
            return _keys(segments[name], segments, (*inside, name))
        case Compare(Attribute(name), operator, value) if operator in _INDEXED:
            return [f"{value.kind}:{name}"]
        case OneOf(Attribute(name), values):
            return [f"{value.kind}:{name}" for value in values]
        case _:
            return []
