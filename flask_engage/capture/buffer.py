"""What one request has told us so far, kept on ``g._engage`` until it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from werkzeug.wrappers import Request

from .facts import Wire


@dataclass(slots=True)
class Who:
    """Somebody, as the host knows them."""

    user_id: str
    email: str | None = None
    name: str | None = None
    signed_up_at: datetime | None = None
    attributes: dict[str, Wire] | None = None


class RequestBuffer:
    """One request's. An outer app context may outlive a request, so it knows whose it is."""

    __slots__ = ("events", "first_at", "globals", "is_resolved", "login", "request", "seen", "who")

    def __init__(self, request: Request, here: object) -> None:
        self.request = request
        self.globals = here
        """Flask's ``g`` of the request."""
        self.is_resolved = False
        self.who: Who | None = None
        """Who is logged in and to be recorded, once that is resolved."""
        self.login: object = None
        """What Flask-Login held when that was resolved."""
        self.first_at: datetime | None = None
        """When the first event of this request was tracked."""
        self.events = 0
        self.seen = False
        """The answer counts as a sighting of `who`."""
