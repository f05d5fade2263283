"""What can go wrong for a caller of ours, each also the built-in that it is a kind of."""

from __future__ import annotations


class EngageError(Exception):
    """Anything that flask_engage raises on purpose."""


class InvalidSettings(EngageError, ValueError):
    """One or more ``ENGAGE_*`` settings are wrong; the message lists all of them."""


class InvalidFilter(EngageError, ValueError):
    """A filter names an unknown field or segment, or its document is malformed."""


class InvalidFact(EngageError, ValueError):
    """An event, attribute or sighting has a name or value outside of the limits."""


class InvalidMessage(EngageError, ValueError):
    """A message, its template or its recipients can't be used as written."""


class NotReady(EngageError, RuntimeError):
    """The extension isn't attached to this application, or its tables are missing."""


class SchemaError(EngageError, RuntimeError):
    """The tables in the database aren't what this version expects."""
