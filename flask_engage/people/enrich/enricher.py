"""What an enricher is, and what asking one can come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from ...errors import EngageError
from ...types import Identity, Profile

FIELDS: Final = ("id", "email", "name")
"""What an enricher may be told of somebody."""


class LookAgain(EngageError):
    """They look it up and know it later; not a failure."""

    def __init__(self, after: timedelta | None = None) -> None:
        super().__init__("they are still looking it up")
        self.after = after


class Pause(EngageError):
    """Nobody may be asked about for a while, whoever it is."""

    def __init__(self, why: str, after: timedelta | None = None) -> None:
        super().__init__(why)
        self.after = after


@dataclass(frozen=True, slots=True)
class Enricher:
    """Somebody to be asked about people."""

    name: str
    ask: Callable[[Identity, float], Profile | None]
    """Given what it may know and how many seconds it has: what it knows. Raises
    :class:`LookAgain`, :class:`Pause`, or anything else for a failure."""
    sends: tuple[str, ...]
    """The only fields of :data:`FIELDS` that it is given."""
    told: tuple[str, ...]
    """What the log says of that, such as “email as SHA-256”."""
    expiry: timedelta
    """How long an answer holds."""
    per_hour: int
    """Requests, at most."""
    timeout: timedelta = timedelta(seconds=10)
    context: Callable[[], Any] | None = None
    """Makes what a host's function needs around it."""


@dataclass(frozen=True, slots=True)
class LocalEnricher:
    """Somebody in our own house: asked about many at once, and nothing leaves."""

    name: str
    ask: Callable[[dict[int, str]], dict[int, Profile]]
    """Given what it wants to know by person: what it knows."""
    wants: str
    """``email``, or ``address`` of the newest session."""
    expiry: timedelta


AnyEnricher = Enricher | LocalEnricher
