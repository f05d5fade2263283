"""Messages inside the host's pages: the next one for a person, and what they did with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy.orm import Session

from ..errors import InvalidMessage
from ..store.content import ContentRow
from ..store.delivery import DeliveryRow
from ..store.delivery_inapp import (
    count_showing,
    has_waiting,
    next_waiting,
    note_event,
    note_failure,
    note_fetch,
    own_delivery,
)
from ..store.profile import profiles_by_id

if TYPE_CHECKING:
    from ..messages.content import Button, Style

KINDS: Final = ("shown", "opened", "clicked", "dismissed")
_MOST_BROKEN: Final = 20
"""Messages that can't be rendered, looked at in one go; the rest wait for the next look."""


@dataclass(frozen=True, slots=True)
class InAppItem:
    """A message rendered for one person, for the widget."""

    delivery: str
    """The delivery's public id."""
    source: str
    style: Style
    title: str | None
    html: str
    buttons: tuple[Button, ...]
    is_first: bool
    """Whether this is the first time that it leaves the house."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A report about one's own message; `is_new` if it says what was not known yet."""

    source: str
    kind: str
    is_new: bool


def is_waiting(session: Session, person_id: int, now: datetime) -> bool:
    """Tell whether :func:`next_for` may have something: one small look that writes nothing."""
    return has_waiting(session, person_id, now)


def next_for(session: Session, person_id: int, now: datetime) -> InAppItem | None:
    """Return the oldest message that `person_id` has not dealt with, or None.

    Dealt with means clicked, dismissed, or shown three times. Its delivery counts as sent
    from the first time it is returned. One that can't be rendered for this person fails, and
    the next is taken. Joins the caller's transaction, and writes in it only at these changes.
    """
    for _ in range(_MOST_BROKEN):
        found = next_waiting(session, person_id, now)
        if found is None:
            return None
        delivery, content = found
        try:
            return _item(session, delivery, content, now)
        except InvalidMessage as error:
            note_failure(session, delivery, now, reason="can't be rendered", error=str(error))
    return None


def _item(
    session: Session, delivery: DeliveryRow, content: ContentRow | None, now: datetime
) -> InAppItem:
    # Here, not above: a page asks whether something waits, and nearly always nothing does.
    from ..messages.content import InApp, message_of
    from ..messages.context import context_for
    from ..messages.render import render_in_app

    message = message_of(content) if content is not None else None
    if not isinstance(message, InApp):
        raise InvalidMessage("The message's words are missing, or are those of a mail.")
    person = profiles_by_id(session, [delivery.person_id])[delivery.person_id]
    rendered = render_in_app(message, context_for(person))
    return InAppItem(
        delivery=delivery.public_id,
        source=delivery.source,
        style=rendered.style,
        title=rendered.title,
        html=rendered.html,
        buttons=rendered.buttons,
        is_first=note_fetch(session, delivery, now),
    )


def record(
    session: Session,
    person_id: int,
    delivery_public_id: str,
    kind: str,
    now: datetime,
    button: int | None = None,
) -> bool:
    """Note what a person did with a message: ``shown``, ``opened``, ``clicked``, ``dismissed``.

    True if it is a message of theirs that they have been given; saying the same again changes
    nothing and is True too. Joins the caller's transaction.

    :param button: for a click, which of the message's buttons, counted from 0.
    """
    return record_event(session, person_id, delivery_public_id, kind, now, button) is not None


def record_event(
    session: Session,
    person_id: int,
    delivery_public_id: str,
    kind: str,
    now: datetime,
    button: int | None = None,
) -> Recorded | None:
    """Do as :func:`record`, and return what a signal about it needs; None where that is False."""
    if kind not in KINDS:
        return None
    found = own_delivery(session, person_id, delivery_public_id)
    if found is None:
        return None
    delivery, content = found
    detail = ""
    if kind == "clicked":
        label = next(_label(content, button), None)
        if label is None:
            return None
        detail = label
    is_new = note_event(session, delivery.id, kind, detail, now)
    if kind == "clicked":  # within the second that reading takes to count, too
        note_event(session, delivery.id, "opened", "", now)
    if kind == "shown":
        count_showing(session, delivery.id, now)
    return Recorded(delivery.source, kind, is_new)


def _label(content: ContentRow | None, button: int | None) -> Iterator[str]:
    """Yield how a click is kept: the button's place and label, or ``link`` for one in the text."""
    if button is None:
        yield "link"
        return
    buttons = [] if content is None else (content.options or {}).get("buttons", [])
    if 0 <= button < len(buttons):
        yield f"{button}:{buttons[button]['label']}"
