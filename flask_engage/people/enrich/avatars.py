"""Pictures of people: fetched by a job, checked by their first bytes, kept by us."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from ...errors import EngageError
from ...store.engine import Database
from ...store.enrichment_write import (
    due_avatars,
    keep_avatar,
    note_outcome,
    note_sent,
)
from ...store.retry import persistently
from ..refresh import Turn
from .outbound import Failed, Outbound, Refused
from .work import wait_after

MOST_BYTES: Final = 200 * 1024
_MOST_TRIES: Final = 5
_BATCH: Final = 5


def kind_of_picture(content: bytes) -> str | None:
    """Return the type of a picture by its first bytes, if it is one of the four that we show."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def fetch_avatars(database: Database, outbound: Outbound, now: datetime, turn: Turn) -> int:
    """Fetch the pictures that are due, or as many as `turn` allows; return how many came."""
    came = 0
    while not turn.is_over() and turn.may_go_on():
        with database.read() as session:
            due = due_avatars(session, now, _BATCH)
        for person_id, provider, url, attempts in due:
            if turn.is_over() or not turn.may_go_on():
                return came
            came += _fetch(database, outbound, (person_id, provider, url, attempts), now)
        if not due:
            break
    return came


def _fetch(
    database: Database, outbound: Outbound, row: tuple[int, str, str, int], now: datetime
) -> bool:
    person_id, provider, url, attempts = row
    log_id = persistently(
        database,
        lambda session: note_sent(session, person_id, provider, ("picture's address",), now),
    )
    values: dict[str, object] = {"content": None, "content_type": None, "fetched_at": now}
    outcome = "unknown"
    if log_id is None:
        values["next_at"] = None
    else:
        try:
            content = _content(outbound, url)
        except EngageError as error:
            final = isinstance(error, Refused) or attempts + 1 >= _MOST_TRIES
            outcome = "refused" if isinstance(error, Refused) else "failed"
            # The picture from before stays where this one can't be had for now.
            values = {
                "attempts": attempts + 1,
                "next_at": None if final else now + wait_after(attempts + 1),
                "error": str(error)[:255],
            }
        else:
            kind = None if content is None else kind_of_picture(content)
            values |= {"next_at": None, "error": None, "attempts": 0}
            if kind is not None:
                outcome = "found"
                values |= {"content": content, "content_type": kind}
            elif content is not None:
                values["error"] = "it is no PNG, JPEG, WebP or GIF"

    def write(session: Session) -> None:
        keep_avatar(session, person_id, url, values)
        if log_id is not None:
            note_outcome(session, log_id, outcome)

    persistently(database, write)
    return outcome == "found"


def _content(outbound: Outbound, url: str) -> bytes | None:
    """Return the picture at `url`; None if there is none.

    :raises Refused: if the address leads where nobody should be asked.
    :raises Failed: without an answer of a size that we take.
    """
    reply = outbound.ask(url, guarded=True, most_bytes=MOST_BYTES)
    if reply.status == 200:
        return reply.body
    if 300 <= reply.status < 500 and reply.status != 429:
        return None
    raise Failed(f"the answer was {reply.status}")
