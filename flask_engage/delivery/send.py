"""Writing to people by hand: one row for each of them, never two for the same send."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from ..errors import InvalidMessage
from ..messages.content import Message, is_message
from ..store.content import ContentRow, content_for
from ..store.delivery_queue import Audience, enqueue, parts_of
from ..store.engine import Database

LONGEST_KEY = 150
"""Characters; with its prefix a key has to fit the column."""


def source_of(key: str | None = None) -> str:
    """Return the source of one send: the same for ever for a `key`, else a new one.

    :raises InvalidMessage: if the key is empty, too long or not printable.
    """
    if key is None:
        return f"send:{uuid.uuid4().hex}"
    text = str(key)
    if not text.strip() or len(text) > LONGEST_KEY or not text.isprintable():
        raise InvalidMessage(
            f"key {key!r}: expected 1 to {LONGEST_KEY} printable characters on one line."
        )
    return f"send:{text}"


def send(
    session: Session,
    message: Message,
    *,
    to_person_ids: Audience,
    now: datetime,
    source: str | None = None,
    created_by: str | None = None,
    not_before: datetime | None = None,
) -> int:
    """Write `message` for these people, in the caller's transaction; return how many are new.

    In-app messages are there for the person's next page; mail leaves with the next round of
    :func:`.outgoing.deliver_due`.

    :param to_person_ids: a ``select(PersonRow.id)``, or a list of such ids.
    :param source: from :func:`source_of`; whoever had a message of this source gets no other.
    :param created_by: id of the operator.
    """
    source = source or source_of()
    content = _content(session, message, source, now, created_by)
    return sum(
        enqueue(
            session,
            part,
            source=source,
            content=content,
            now=now,
            not_before=not_before,
            created_by=created_by,
        )
        for part in parts_of(session, to_person_ids)
    )


def send_in_parts(
    database: Database,
    message: Message,
    *,
    to_person_ids: Audience,
    now: datetime,
    source: str | None = None,
    created_by: str | None = None,
    not_before: datetime | None = None,
) -> int:
    """Do as :func:`send`, each part of a large audience in a transaction of its own.

    No lock is held for longer than a part takes. Cut off half-way, the same call with the
    same `source` does the rest.
    """
    source = source or source_of()
    with database.write() as session:
        content = _content(session, message, source, now, created_by)
    with database.read() as looking:
        parts = list(parts_of(looking, to_person_ids))
    count = 0
    for part in parts:
        with database.write() as session:
            count += enqueue(
                session,
                part,
                source=source,
                content=content,
                now=now,
                not_before=not_before,
                created_by=created_by,
            )
    return count


def _content(
    session: Session, message: Message, source: str, now: datetime, created_by: str | None
) -> ContentRow:
    if not is_message(message):
        raise InvalidMessage(f"{message!r} is no message; use InApp(…) or Email(…).")
    return content_for(session, source, "", message, now, created_by)
