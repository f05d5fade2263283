"""Signals (blinker). The sender is always the Flask app; further arguments are keywords.

Signals are sent after the fact is in the database, from the process that wrote it. A
receiver that raises is logged; neither the host nor other receivers notice.
"""

from __future__ import annotations

from blinker import Namespace

_namespace = Namespace()

user_seen = _namespace.signal("user_seen")
"""Somebody was seen. ``user_id: str``, ``at: datetime``."""

session_started = _namespace.signal("session_started")
"""Somebody's new session began. ``user_id: str``, ``at: datetime``."""

event_tracked = _namespace.signal("event_tracked")
"""An event was stored. ``user_id: str``, ``name: str``, ``properties: dict``, ``at: datetime``."""

attribute_changed = _namespace.signal("attribute_changed")
"""An attribute has a new value. ``user_id: str``, ``name: str``, ``value``, ``old``."""

segment_entered = _namespace.signal("segment_entered")
"""Somebody is in a segment who was not when it was last measured. ``user_id: str | None``,
``public_id: str``, ``segment: str``, ``at: datetime``."""

segment_left = _namespace.signal("segment_left")
"""Somebody is in a segment no more. ``user_id``, ``public_id``, ``segment``, ``at``."""

message_sent = _namespace.signal("message_sent")
"""A message left for somebody. ``user_id: str``, ``source: str``, ``channel: str``."""

message_opened = _namespace.signal("message_opened")
"""Somebody opened a message. ``user_id: str``, ``source: str``, ``channel: str``."""

message_clicked = _namespace.signal("message_clicked")
"""Somebody clicked in a message. ``user_id: str``, ``source: str``, ``channel: str``."""
