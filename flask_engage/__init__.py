"""Know your early users, and talk to the right ones at the right moment.

Everything a host needs is here; how the house is laid out says each room's own docstring.
"""

from __future__ import annotations

from .automation.repeat import every as every
from .errors import EngageError as EngageError
from .errors import InvalidFact as InvalidFact
from .errors import InvalidFilter as InvalidFilter
from .errors import InvalidMessage as InvalidMessage
from .errors import InvalidSettings as InvalidSettings
from .errors import NotReady as NotReady
from .errors import SchemaError as SchemaError
from .extension import Engage as Engage
from .messages.content import Button as Button
from .messages.content import Email as Email
from .messages.content import InApp as InApp
from .segments.filter import Filter as Filter
from .segments.words import ago as ago
from .segments.words import attr as attr
from .segments.words import did as did
from .segments.words import everyone as everyone
from .segments.words import from_now as from_now
from .segments.words import host as host
from .segments.words import in_segment as in_segment
from .segments.words import person as person
from .segments.words import prop as prop
from .segments.words import received as received
from .signals import attribute_changed as attribute_changed
from .signals import event_tracked as event_tracked
from .signals import message_clicked as message_clicked
from .signals import message_opened as message_opened
from .signals import message_sent as message_sent
from .signals import session_started as session_started
from .signals import user_seen as user_seen
from .types import Identity as Identity
from .types import Operator as Operator
from .types import Person as Person

__all__ = [
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
    "SchemaError",
    "ago",
    "attr",
    "attribute_changed",
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
    "session_started",
    "user_seen",
]
