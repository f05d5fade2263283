"""An SMTP connection on which a whole mail has a deadline, not each of its bytes.

``smtplib`` limits how long one read may take; a server that sends a byte a second holds it
for ever. Here the time that is left limits every read and write.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

_CHUNK = 4096


class _Lines:
    """The server's lines, read until a deadline."""

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._sock = sock
        self._left = left
        self._buffer = b""

    def readline(self, limit: int = -1) -> bytes:
        """Return the next line, or what there is of it when the connection ends.

        :raises TimeoutError: if the deadline passes first.
        """
        while b"\n" not in self._buffer and (limit < 0 or len(self._buffer) < limit):
            self._sock.settimeout(self._left())
            chunk = self._sock.recv(_CHUNK)
            if not chunk:
                break
            self._buffer += chunk
        end = self._buffer.find(b"\n") + 1 or len(self._buffer)
        if limit >= 0:
            end = min(end, limit)
        line, self._buffer = self._buffer[:end], self._buffer[end:]
        return line

    def close(self) -> None:
        """The socket is closed by whoever opened it."""


class _Timed:
    """What is added to smtplib's two classes of connection."""

    sock: socket.socket | None
    file: Any
    _deadline: float = float("inf")
    monotonic: Callable[[], float] = staticmethod(time.monotonic)

    def allow(self, seconds: float) -> None:
        """Let all that follows take `seconds` altogether, until the next call."""
        self._deadline = self.monotonic() + seconds

    def _time_left(self) -> float:
        left = self._deadline - self.monotonic()
        if left <= 0:
            raise TimeoutError("the mail server took too long")
        return left

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = _Lines(cast("socket.socket", self.sock), self._time_left)
        return super().getreply()  # type: ignore[misc,no-any-return]

    def send(self, s: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._time_left())
        super().send(s)  # type: ignore[misc]


class PlainConnection(_Timed, smtplib.SMTP):
    """SMTP, perhaps to be upgraded by STARTTLS."""

    def __init__(self, seconds: float, **options: Any) -> None:
        self.allow(seconds)
        super().__init__(timeout=seconds, **options)


class TlsConnection(_Timed, smtplib.SMTP_SSL):
    """SMTP under TLS from the first byte."""

    def __init__(self, seconds: float, *, context: ssl.SSLContext, **options: Any) -> None:
        self.allow(seconds)
        super().__init__(timeout=seconds, context=context, **options)


Connection = PlainConnection | TlsConnection
