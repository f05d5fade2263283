"""What a template may know of a person: plain values by name, and nothing else."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from ..types import Person

_SCALARS: Final = (str, int, float, bool, datetime)
_PRIVATE: Final = frozenset({"public_id"})
"""Left out: links are signed with it, so it does not belong into anybody's text."""

NAMES: Final = frozenset(item.name for item in fields(Person)) - _PRIVATE
"""Every name that a template can ask for; ``attrs`` holds the custom attributes."""


def context_for(person: Person) -> dict[str, Any]:
    """Return the words for `person`: fields by name, ``attrs`` by attribute, ``tags``.

    What is missing, ``None`` or blank is left out, so that ``default`` applies to it and its
    bare use fails.
    """
    context: dict[str, Any] = {
        name: value
        for name in NAMES
        if isinstance(value := getattr(person, name), _SCALARS) and not _is_blank(value)
    }
    context["attrs"] = {
        name: value
        for name, value in person.attrs.items()
        if isinstance(value, _SCALARS) and not _is_blank(value)
    }
    context["tags"] = tuple(str(tag) for tag in person.tags)
    return context


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()
