"""From a rendered mail to the bytes that leave."""

from __future__ import annotations

import email.policy
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Final

from ..messages.markdown import one_line
from ..messages.render import RenderedEmail
from ..settings import Settings
from .addresses import envelope_address
from .tokens import make_unsubscribe_token
from .transport import Mail

_POLICY: Final = email.policy.SMTP.clone(max_line_length=78)
FALLBACK_SENDER: Final = "Outbox <outbox@engage.invalid>"
"""Where no sender is set and mail stays in the house."""


def sender_of(settings: Settings) -> tuple[str, str]:
    """Return name and address of the sender."""
    return parseaddr(settings.MAIL_FROM or FALLBACK_SENDER)


def message_id_of(delivery_public_id: str, settings: Settings) -> str:
    """Return the Message-ID of a delivery: the same at each try, so a copy can be told."""
    return f"<{delivery_public_id}@{sender_of(settings)[1].rpartition('@')[2]}>"


def unsubscribe_url(
    settings: Settings, secret_keys: Sequence[str | bytes], person_public_id: str
) -> str | None:
    """Return where this person ends mail, or None without ``ENGAGE_BASE_URL`` or a secret key."""
    if settings.BASE_URL is None or not secret_keys:
        return None
    token = make_unsubscribe_token(secret_keys, person_public_id)
    return f"{settings.BASE_URL}{settings.URL_PREFIX}/t/u/{token}"


def build_mail(
    rendered: RenderedEmail,
    *,
    recipient: str,
    message_id: str,
    settings: Settings,
    now: datetime,
    unsubscribe: str | None = None,
) -> Mail:
    """Return the mail to `recipient` (an address that has passed `envelope_address`).

    :raises ValueError: if the sender's or the recipient's address can't stand in a header.
    """
    name, address = sender_of(settings)
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(one_line(name), addr_spec=envelope_address(address) or address)
    message["To"] = Address(addr_spec=recipient)
    message["Subject"] = one_line(rendered.subject)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    if unsubscribe is not None:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    # Quoted-printable passes every server, and every proxy that counts the length of lines.
    message.set_content(rendered.text, cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    return Mail(message_id, recipient, str(message["Subject"]), message.as_bytes())
