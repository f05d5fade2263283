"""Which way out mail takes, by the settings."""

from __future__ import annotations

from ..settings import Settings
from .mime import sender_of
from .outbox import OutboxTransport
from .smtp import SmtpTransport
from .transport import Transport


def make_transport(settings: Settings) -> Transport:
    """Return the transport in force. Keep it: it remembers a server that failed, and rests."""
    if settings.mail_transport == "smtp" and settings.SMTP_URL is not None:
        return SmtpTransport(settings.SMTP_URL, sender_of(settings)[1])
    return OutboxTransport()
