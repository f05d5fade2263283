"""The people whom the command palette finds while somebody types.

Pages and segments it knows from the page that it opens over.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Response, jsonify, request

from .. import _operations
from .._state import current_state
from ..segments.words import everyone
from ..types import Person
from .formats import display_name, initials, tint
from .pages import to

_PEOPLE: Final = 8
_SECONDS: Final = 1.0
"""Nobody waits longer for a list that changes with the next letter."""
_LONGEST: Final = 200


def find() -> Response:
    """Return the people whom the text ``q`` names, as JSON, as far as the time goes."""
    text = request.args.get("q", "").strip()[:_LONGEST]
    if not text:
        return jsonify(people=[], complete=True)
    found = _operations.people(current_state(), everyone).find(
        text, limit=_PEOPLE, seconds=_SECONDS
    )
    return jsonify(people=[_shown(one) for one in found.people], complete=found.is_complete)


def _shown(person: Person) -> dict[str, Any]:
    name = display_name(person.name, person.email, person.user_id)
    return {
        "label": name,
        "more": person.email or person.user_id or "",
        "href": to("person", public_id=person.public_id),
        "initials": initials(name),
        "tint": tint(person.public_id),
    }
