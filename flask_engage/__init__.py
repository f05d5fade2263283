"""Know your early users, and talk to the right ones at the right moment.

Everything a host needs is here; how the house is laid out says each room's own docstring.
What a process does without that only serves requests is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import EngageError as EngageError
from .errors import InvalidFact as InvalidFact
from .errors import InvalidFilter as InvalidFilter
from .errors import InvalidMessage as InvalidMessage
from .errors import InvalidSettings as InvalidSettings
from .errors import NotReady as NotReady
from .errors import SchemaError as SchemaError
from .extension import Engage as Engage
from .signals import attribute_changed as attribute_changed
from .signals import event_tracked as event_tracked
from .signals import message_clicked as message_clicked
from .signals import message_opened as message_opened
from .signals import message_sent as message_sent
from .signals import segment_entered as segment_entered
from .signals import segment_left as segment_left
from .signals import session_started as session_started
from .signals import user_seen as user_seen
from .types import Identity as Identity
from .types import Operator as Operator
from .types import Person as Person
from .types import Profile as Profile

if TYPE_CHECKING:
    from .automation.repeat import every as every
    from .messages.content import Button as Button
    from .messages.content import Email as Email
    from .messages.content import InApp as InApp
    from .people.backfill import BackfillReport as BackfillReport
    from .segments.filter import Filter as Filter
    from .segments.words import ago as ago
    from .segments.words import attr as attr
    from .segments.words import bucket as bucket
    from .segments.words import did as did
    from .segments.words import everyone as everyone
    from .segments.words import from_now as from_now
    from .segments.words import host as host
    from .segments.words import in_segment as in_segment
    from .segments.words import person as person
    from .segments.words import prop as prop
    from .segments.words import received as received
    from .segments.words import visited as visited
else:
    # Hidden from type checkers, which would otherwise believe in any name.
    def __getattr__(name: str) -> Any:
        from importlib import import_module

        for module, names in _LATER.items():
            if name in names:
                found = getattr(import_module(f"{__name__}.{module}"), name)
                globals()[name] = found
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


_LATER = {
    "automation.repeat": ("every",),
    "messages.content": ("Button", "Email", "InApp"),
    "people.backfill": ("BackfillReport",),
    "segments.filter": ("Filter",),
    "segments.words": (
        "ago",
        "attr",
        "bucket",
        "did",
        "everyone",
        "from_now",
        "host",
        "in_segment",
        "person",
        "prop",
        "received",
        "visited",
    ),
}

__all__ = [
    "BackfillReport",
    "Button",
    "Email",
    "Engage",
    "EngageError",
    "Filter",
    "Identity",
    "InApp",
    "InvalidFact",
    "InvalidFilter",
    "InvalidMessage",
    "InvalidSettings",
    "NotReady",
    "Operator",
    "Person",
    "Profile",
    "SchemaError",
    "ago",
    "attr",
    "attribute_changed",
    "bucket",
    "did",
    "event_tracked",
    "every",
    "everyone",
    "from_now",
    "host",
    "in_segment",
    "message_clicked",
    "message_opened",
    "message_sent",
    "person",
    "prop",
    "received",
    "segment_entered",
    "segment_left",
    "session_started",
    "user_seen",
    "visited",
]
