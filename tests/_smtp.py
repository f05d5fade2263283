"""A real SMTP server for tests, which counts what it accepted."""

from __future__ import annotations

import email
import email.policy
import threading
import time
from collections import Counter
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class _AnyPort(Controller):
    """Listens on a port that the system chooses, so that parallel runs do not meet."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()


class MailServer:
    """Accepts every mail on a loopback port and keeps it.

    Set :attr:`refuse` to ``{"address": "550 no such user"}`` to turn recipients away.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        """Accepted mails, in order."""
        self.bodies: Counter[str] = Counter()
        """How often each Message-ID was accepted; more than once is a mail sent twice."""
        self.recipients: Counter[str] = Counter()
        """How many mails each address got."""
        self.refuse: dict[str, str] = {}
        self._changed = threading.Condition()
        self._controller = _AnyPort(self, hostname="127.0.0.1", port=0, ready_timeout=10)

    @property
    def url(self) -> str:
        """What ``ENGAGE_SMTP_URL`` takes."""
        return f"smtp://127.0.0.1:{self._controller.port}"

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def wait_for(self, count: int, *, seconds: float = 20) -> None:
        """Return once `count` mails have been accepted; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while len(self.mails) < count:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(
                        f"{len(self.mails)} of {count} mails arrived in {seconds} s"
                    )
                self._changed.wait(left)

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content).encode()
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        with self._changed:
            self.mails.append(mail)
            self.bodies[str(mail["Message-ID"])] += 1
            self.recipients.update(envelope.rcpt_tos)
            self._changed.notify_all()
        return "250 OK"
