"""What one request has told us so far, kept on ``g._engage`` until it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from werkzeug.wrappers import Request

from .facts import Wire


class Who(msgspec.Struct, gc=False):
    """Somebody, as the host knows them."""

    user_id: str
    email: str | None = None
    name: str | None = None
    signed_up_at: datetime | None = None
    attributes: dict[str, Wire] | None = None


class RequestBuffer(msgspec.Struct, eq=False):
    """One request's. An outer app context may outlive a request, so it knows whose it is."""

    request: Request
    held: dict[str, Any]
    """What Flask's ``g`` of the request holds."""
    is_resolved: bool = False
    who: Who | None = None
    """Who is logged in and to be recorded, once that is resolved."""
    login: object = None
    """What Flask-Login held when that was resolved."""
    is_program: bool = False
    """It was no browser that logged `who` in."""
    refuses: bool | None = None
    """Nothing of this request is to be recorded; None while nobody has asked."""
    first_at: datetime | None = None
    """When the first event of this request was tracked."""
    events: int = 0
    in_host_session: bool = False
    """Some of them are stored by the host's transaction, perhaps before the session is."""
    unanswered: list[Callable[[], None]] | None = None
    """Records what was decorated as tracked and has been done, while no answer has told of it.

    What is still there in the end was done when the answer was on its way already."""
    seen: bool = False
    """The answer counts as a sighting of `who`."""
