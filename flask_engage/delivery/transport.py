"""What a way out for mail has to do, and how it says what went wrong.

A mail leaves in two steps, because only between them can anybody say that it has not left
yet: `prepare` brings the server to the point of taking it, then the delivery is marked as on
the wire, and `transmit` hands it over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from ..errors import EngageError


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one recipient, ready to leave."""

    message_id: str
    recipient: str
    """The bare address."""
    subject: str
    content: bytes
    """The whole mail (RFC 5322), lines ending in CR LF."""


class MailProblem(EngageError):
    """A mail did not leave as it should; the kinds say what that means."""


class Deferred(MailProblem):
    """The server does not take this mail now; it may later. It was not taken."""


class Refused(MailProblem):
    """The server will never take this mail. It was not taken."""

    def __init__(self, reply: str, *, bad_address: bool = False) -> None:
        super().__init__(reply)
        self.bad_address = bad_address
        """Whether it is the address that is wrong, for any mail."""


class TransportDown(MailProblem):
    """No mail can leave now: no connection, no login, or the sender is refused. None was taken."""

    def __init__(self, reply: str, *, about_mail: bool = False) -> None:
        super().__init__(reply)
        self.about_mail = about_mail
        """Whether it came up over one mail, so that it may be that mail's doing."""


class Uncertain(MailProblem):
    """The mail was handed over, and no answer came that anybody could understand."""


class Transport(Protocol):
    """A way out for mail. Several threads may use it, each for a round of its own."""

    @property
    def name(self) -> str:
        """``smtp`` or ``outbox``."""

    @property
    def remote(self) -> bool:
        """Whether mail leaves this process and its database, so that it can be lost."""

    def resting(self, now: datetime) -> bool:
        """Tell whether it failed just now and wants to be left alone for a while."""

    def prepare(self, mail: Mail) -> None:
        """Bring the other side to the point of taking `mail`.

        :raises Deferred: :raises Refused: :raises TransportDown:
        """

    def abandon(self) -> None:
        """Drop what was prepared."""

    def transmit(self, mail: Mail) -> None:
        """Hand `mail` over; returning means that it was taken.

        :raises Deferred: :raises Refused: :raises TransportDown: :raises Uncertain:
        """

    def record(self, session: Session, mail: Mail, now: datetime) -> None:
        """Write what belongs into the transaction that marks the mail as sent."""

    def close(self, now: datetime, *, failed: bool) -> None:
        """Let go of the connection after a batch; `failed` if it ended in `TransportDown`."""
