"""What can be told of segments and rules before they are at work: ``flask engage check``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import _operations
from ._language import gettext as _
from .errors import EngageError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ._state import EngageState
    from .automation.rules import AutoMessage
    from .segments.filter import Filter
    from .segments.unknown import Unknown


@dataclass(slots=True)
class Checked:
    """What was looked at, and what was found."""

    segments: int = 0
    rules: int = 0
    wrong: list[str] = field(default_factory=list)
    """What can't work."""
    doubtful: list[str] = field(default_factory=list)
    """What works, and most likely isn't what was meant."""


def check(state: EngageState) -> Checked:
    """Look at every segment and every rule of `state`.

    :raises NotReady: with the database away, or without our tables in it.
    """
    from .segments.saved import unreadable_segments

    found = Checked()
    segments = _operations.segments_of(state)
    rules = state.registry.rules
    with state.ready.require().read() as session:
        for name, problem in unreadable_segments(session).items():
            found.wrong.append(f"segment {name!r}: {problem}")
        for name, filter in segments.items():
            found.segments += 1
            _check_filter(state, session, f"segment {name!r}", filter, found)
        for rule in rules.values():
            found.rules += 1
            what = f"rule {rule.name!r}"
            _check_filter(state, session, what, rule.to, found)
            found.wrong += [f"{what}: {problem}" for problem in _words_of(state, rule)]
    return found


def _check_filter(
    state: EngageState, session: Session, what: str, filter: Filter, found: Checked
) -> None:
    from .segments.unknown import unknown_names

    try:
        _operations.check_filter(state, filter)
    except EngageError as error:
        found.wrong.append(f"{what}: {error}")
        return
    for unknown in unknown_names(session, filter, state.registry.rules):
        found.doubtful.append(f"{what}: {told(unknown, state)}")


def told(unknown: Unknown, state: EngageState) -> str:
    """Return in words that nobody has a name, and what to do about it."""
    words = {
        "attribute": _("nobody has the attribute “%(name)s” yet"),
        "event": _("nobody has done “%(name)s” yet"),
        "message": _("nobody was ever meant to get a message “%(name)s”"),
    }
    said = words[unknown.sort] % {"name": unknown.name}
    if unknown.sort == "attribute" and unknown.name in state.registry.providers:
        return said + _("; “flask engage refresh” computes it.")
    if unknown.near:
        return said + _("; did you mean “%(near)s”?") % {"near": unknown.near}
    return said + "."


def _words_of(state: EngageState, rule: AutoMessage) -> Iterator[str]:
    """Yield what is wrong with templates that a rule reads from the host."""
    from .messages.content import resolved

    for variant, words in rule.variants.items():
        try:
            resolved(words, lambda name: _operations.host_template(state, name))
        except EngageError as error:
            yield f"{variant}: {error}" if variant else str(error)
