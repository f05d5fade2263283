"""Messages: what was sent, and what each person did with it."""

from __future__ import annotations

from flask import Response, request

from .._state import current_state
from ..errors import InvalidFilter
from ..reports.messages import message_page, message_summary, recipients
from .language import gettext as _
from .pages import page

STATES = (
    "sent",
    "queued",
    "claimed",
    "on_wire",
    "failed",
    "unknown",
    "suppressed",
    "held_out",
    "cancelled",
    "expired",
)


def show_all() -> Response:
    """Show every message, the newest first."""
    state = current_state()
    after = _place(request.args.get("after"))
    with state.ready.require().read() as session:
        found = message_page(session, after=after)
    return page("messages.html", found=found, is_first=after is None)


def show(source: str) -> Response:
    """Show what became of one message."""
    state = current_state()
    wanted = request.args.get("state") or None
    if wanted is not None and wanted not in STATES:
        raise InvalidFilter(f"state: {wanted!r:.40} is none of {', '.join(STATES)}.")
    after = _place(request.args.get("after"))
    with state.ready.require().read() as session:
        summary = message_summary(session, source)
        if summary is None:
            return page(
                "problem.html",
                404,
                title=_("There is no such message"),
                text=_("Nothing was sent under this name."),
            )
        found = recipients(session, source, state=wanted, after=after)
    return page(
        "message.html",
        message=summary,
        found=found,
        state=wanted,
        states=STATES,
        is_first=after is None,
        is_done=request.args.get("done") == "sent",
    )


def _place(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidFilter(f"after: {text!r:.40} is no place in this list.")
    return int(text)
