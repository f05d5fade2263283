"""Mail over SMTP, one phase at a time, so that at each failure it is known what was taken.

``sendmail()`` of the standard library can't tell a mail that never left from one that was
taken and not confirmed. Here every phase has its own answer; see :mod:`.transport`.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from sqlalchemy.orm import Session

from .addresses import envelope_address
from .smtp_connection import Connection, PlainConnection, TlsConnection
from .transport import Deferred, Mail, Refused, TransportDown, Uncertain

MAIL_SECONDS: Final = 60.0
"""One mail from MAIL to the last answer; a server that takes longer holds up all others."""
CONNECT_SECONDS: Final = 20.0
"""From the first packet to the login."""
_GOODBYE_SECONDS: Final = 2.0
_REST: Final = (5, 15, 60, 120, 300)
"""Seconds of rest after so many failed connections in turn; then the last one."""

_CLOSING: Final = 421
"""The server says that it hangs up now; it may do so at any point."""

_CONNECTION_LOST: Final = (OSError, EOFError, smtplib.SMTPServerDisconnected)
_LINE_START_DOT: Final = re.compile(rb"(?m)^\.")
#: Enhanced codes that speak of the mailbox itself (RFC 3463): unknown, moved, disabled.
_BAD_MAILBOX: Final = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "2.1"})
_ENHANCED: Final = re.compile(r"(?<![\d.])5\.(\d{1,3}\.\d{1,3})(?!\.?\d)")
_ADDRESS: Final = re.compile(r"[^\s<>]+@[^\s<>]+")
#: What servers say of the mailbox that don't know those codes.
_MAILBOX_NAMED: Final = re.compile(
    r"(?:user|mailbox|recipient|(?<!ip )address)\b.*"
    r"(?:unknown|not found|does ?n.t exist|does not exist|no such|invalid|unavailable)"
    r"|no such (?:user|mailbox|recipient|address)|(?:unknown|invalid) (?:user|mailbox|recipient)",
    re.IGNORECASE,
)
#: What they say of us at RCPT, where many answer for MAIL and for the login that is missing.
_SENDER_NAMED: Final = re.compile(
    r"\bsender (?:address|domain|verif|reject|denied|refused|unknown|invalid)", re.IGNORECASE
)
_NOT_LET_IN: Final = re.compile(r"\brelay(?! recipient)|authenticat", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail goes, and as whom."""

    host: str
    port: int
    tls: bool
    starttls: bool
    user: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port})"  # never the password

    @classmethod
    def from_url(cls, url: str) -> Server:
        """Read ``smtp://user:password@host:port?starttls=1`` or ``smtps://…``."""
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        starttls = parse_qs(parts.query).get("starttls", ["0"])[0].lower() in ("1", "true", "yes")
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or (465 if tls else 587 if starttls else 25),
            tls=tls,
            starttls=starttls and not tls,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


class SmtpTransport:
    """Hands mail to one server over one connection, kept for a batch."""

    name: Final = "smtp"
    remote: Final = True

    def __init__(
        self,
        url: str,
        sender: str,
        *,
        mail_seconds: float = MAIL_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        tls_context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._server = Server.from_url(url)
        self._sender = envelope_address(sender) or sender
        self._mail_seconds = mail_seconds
        self._connect_seconds = connect_seconds
        self._tls_context = tls_context
        self._local = threading.local()
        self._failures = 0
        self._rest_until: datetime | None = None

    @property
    def _connection(self) -> Connection | None:
        """The connection of this thread: the scheduler's and a caller's don't share one."""
        found: Connection | None = getattr(self._local, "connection", None)
        return found

    @_connection.setter
    def _connection(self, connection: Connection | None) -> None:
        self._local.connection = connection

    def resting(self, now: datetime) -> bool:
        """Tell whether the server failed so lately that asking again is pointless."""
        return self._rest_until is not None and now < self._rest_until

    def prepare(self, mail: Mail) -> None:
        """Connect if need be, and name sender and recipient."""
        is_used = self._connection is not None
        try:
            self._address(mail)
        except TransportDown:
            if not is_used or self._connection is not None:
                raise
            # Servers close a connection after so many mails, or so long: that is no failure.
            self._address(mail)

    def _address(self, mail: Mail) -> None:
        connection = self._open()
        connection.allow(self._mail_seconds)
        self._say(connection, f"MAIL FROM:<{self._sender}>", self._sender_refused)
        self._say(connection, f"RCPT TO:<{mail.recipient}>", _recipient_refused)

    def abandon(self) -> None:
        """Take back what `prepare` said; the connection stays."""
        if self._connection is None:
            return
        try:
            self._connection.docmd("RSET")
        except (*_CONNECTION_LOST, smtplib.SMTPException):
            self._drop()

    def transmit(self, mail: Mail) -> None:
        """Say DATA, hand the mail over and wait for the answer."""
        connection = self._connection
        if connection is None:
            raise TransportDown("the connection was closed before the mail was handed over")
        # Until 354 nothing of the mail has left: whatever goes wrong, it was not taken.
        self._say(connection, "DATA", _data_refused, expected=354)
        try:
            connection.send(_LINE_START_DOT.sub(b"..", mail.content) + b".\r\n")
            code, reply = connection.getreply()
        except (*_CONNECTION_LOST, smtplib.SMTPException) as error:
            self._drop()
            raise Uncertain(f"no answer to the mail: {_spoken(error)}") from error
        said = _said(code, reply)
        if 200 <= code < 300:
            self._failures = 0  # whatever stops this round, the server is not down
            return
        if 400 <= code < 500:
            if code == _CLOSING:
                self._drop()
            raise Deferred(said)
        if 500 <= code < 600:
            raise Refused(said)
        self._drop()
        raise Uncertain(f"the answer to the mail was not understood: {said}")

    def record(self, session: Session, mail: Mail, now: datetime) -> None:
        """Nothing besides the delivery itself."""

    def close(self, now: datetime, *, failed: bool) -> None:
        """Say goodbye; after a failure rest for a while, longer each time."""
        if failed:
            seconds = _REST[min(self._failures, len(_REST) - 1)]
            self._failures += 1
            self._rest_until = now + timedelta(seconds=seconds)
            self._drop()
            return
        self._rest_until = None
        if self._connection is None:
            return
        self._failures = 0
        # Every mail has had its answer: nothing depends on the goodbye.
        with suppress(*_CONNECTION_LOST, smtplib.SMTPException):
            self._connection.allow(_GOODBYE_SECONDS)
            self._connection.docmd("QUIT")
        self._drop()

    def _open(self) -> Connection:
        if self._connection is not None:
            return self._connection
        try:
            self._connection = self._connect()
            self._log_in(self._connection)
        except (*_CONNECTION_LOST, smtplib.SMTPException, ValueError) as error:
            self._drop()
            raise TransportDown(f"{self._server!r}: {_spoken(error)}") from error
        return self._connection

    def _connect(self) -> Connection:
        server = self._server
        if server.tls:
            return TlsConnection(
                self._connect_seconds,
                host=server.host,
                port=server.port,
                context=self._tls_context(),
            )
        return PlainConnection(self._connect_seconds, host=server.host, port=server.port)

    def _log_in(self, connection: Connection) -> None:
        connection.ehlo_or_helo_if_needed()
        if self._server.starttls:
            connection.starttls(context=self._tls_context())
            connection.ehlo_or_helo_if_needed()
        if self._server.user is not None:
            connection.login(self._server.user, self._server.password or "")

    def _say(
        self,
        connection: Connection,
        command: str,
        refused: Callable[[int, str], Exception],
        *,
        expected: int | None = None,
    ) -> None:
        """Say one command before the mail itself.

        :raises Deferred: on 4xx. :raises TransportDown: if the connection fails or ends.
        """
        try:
            code, reply = connection.docmd(command)
        except (*_CONNECTION_LOST, smtplib.SMTPException, ValueError) as error:
            self._drop()
            raise TransportDown(f"{self._server!r}: {_spoken(error)}", about_mail=True) from error
        said = _said(code, reply)
        if code == _CLOSING:
            self._drop()
            raise TransportDown(said, about_mail=True)
        if code == expected or (expected is None and 200 <= code < 300):
            return
        if 400 <= code < 500:
            self.abandon()
            raise Deferred(said)
        if 500 <= code < 600:
            self.abandon()
            raise refused(code, said)
        self._drop()
        raise TransportDown(
            f"{self._server!r} gave an answer that is none: {said}", about_mail=True
        )

    def _sender_refused(self, _code: int, said: str) -> Exception:
        return TransportDown(f"the sender {self._sender} was refused: {said}")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _recipient_refused(code: int, said: str) -> Exception:
    """Tell an address that is wrong for ever from a server that does not let us in."""
    text = _ADDRESS.sub("", said)  # what people call themselves is no answer of the server's
    enhanced = _ENHANCED.search(text)
    status = enhanced[1] if enhanced else ""
    if _SENDER_NAMED.search(text) or status in ("1.7", "1.8"):
        return TransportDown(said, about_mail=True)
    if status in _BAD_MAILBOX:
        return Refused(said, bad_address=True)
    # A policy may be against this one recipient, or against all that we send: nobody can tell.
    if status.startswith("7.") or _NOT_LET_IN.search(text):
        return TransportDown(said, about_mail=True)
    named = code in (550, 551, 553) and bool(_MAILBOX_NAMED.search(text))
    return Refused(said, bad_address=named and not status)


def _data_refused(_code: int, said: str) -> Exception:
    return Refused(said)


def _said(code: int, reply: bytes) -> str:
    text = reply.decode("utf-8", "replace")
    return f"{code} {' '.join(text.split())}"[:500]


def _spoken(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        said = reply if isinstance(reply, bytes) else str(reply).encode()
        return _said(error.smtp_code, said)
    return f"{type(error).__name__}: {error}"[:500]
