"""The segments that everybody has from the start."""

from __future__ import annotations

from .filter import Filter
from .values import ago
from .words import person


def built_in_segments() -> dict[str, Filter]:
    """Return the built-in segments by name, in the order in which they are shown.

    A host's segment of the same name takes its place.
    """
    return {
        "New": person.signed_up >= ago(days=1),
        "Active": person.last_seen >= ago(days=30),
        "Slipping away": (person.last_seen < ago(days=30)) & (person.last_seen >= ago(days=60)),
        "Lost": person.last_seen < ago(days=60),
        "Never returned": (person.sessions == 1) & (person.first_seen < ago(days=3)),
    }
