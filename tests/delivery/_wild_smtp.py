"""An SMTP server that misbehaves on demand, and counts what it has really accepted."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MODES = (
    "ok",
    "hang_banner",
    "drop_banner",
    "auth535",
    "mail452",
    "mail550",
    "rcpt450",
    "rcpt550",
    "rcpt_policy",
    "data451",
    "data554",
    "drop_at_data",
    "drop_mid",
    "drop_after_dot",
    "hang_after_dot",
    "dot451",
    "dot554",
    "garbage",
    "trickle",
    "drop_quit",
    "drop_after_each",
)


class WildServer:
    """Listens on a loopback port; :attr:`mode` may be changed at any time."""

    def __init__(self, mode: str = "ok") -> None:
        self.mode = mode
        self.rcpt_answers: dict[str, str] = {}
        """What to answer at RCPT to single addresses; after a 421 it hangs up, after "" at once."""
        self.bodies: Counter[str] = Counter()
        """How often a mail of each Message-ID was accepted: the truth about doubles."""
        self.contents: list[bytes] = []
        self.recipients: list[str] = []
        self.commands: list[str] = []
        self.connections = 0
        self.at_data = threading.Event()
        """Set when a body begins to come in."""
        self.go_on = threading.Event()
        """Until it is set, mode ``wait_after_dot`` holds its answer back."""
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._stop.set()
        self.go_on.set()
        self._socket.close()
        for thread in (self._accepting, *self._threads):
            thread.join(5)

    def _accept(self) -> None:
        self._socket.settimeout(0.1)
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as lines:
            connection.settimeout(10)
            self._talk(connection, lines)

    def _talk(self, connection: socket.socket, lines) -> None:  # noqa: C901
        def say(text: str) -> None:
            connection.sendall(text.encode() + b"\r\n")

        if self.mode == "drop_banner":
            return
        if self.mode == "hang_banner":
            self._stop.wait(10)
            return
        say("220 wild ESMTP")
        recipient = ""
        for raw in lines:
            line = raw.decode("ascii", "replace").strip()
            self.commands.append(line)
            verb = line.split(" ", 1)[0].split(":", 1)[0].upper()
            if verb == "EHLO":
                say("250-wild")
                say("250 AUTH PLAIN LOGIN")
            elif verb == "AUTH":
                say("535 5.7.8 no" if self.mode == "auth535" else "235 fine")
            elif verb == "MAIL":
                if self.mode == "trickle":
                    for sign in "250 take your time, I have plenty of it\r\n":
                        connection.sendall(sign.encode())
                        if self._stop.wait(0.1):
                            return
                else:
                    say(
                        {"mail452": "452 full", "mail550": "550 5.7.1 not you"}.get(
                            self.mode, "250 ok"
                        )
                    )
            elif verb == "RCPT":
                recipient = re.sub(r".*<(.*)>.*", r"\1", line)
                answer = self.rcpt_answers.get(recipient, self.rcpt_answers.get("*"))
                if answer is not None:
                    if answer:
                        say(answer)
                    if answer[:3] in ("", "421"):
                        return
                    continue
                say(
                    {
                        "rcpt450": "450 4.2.1 later",
                        "rcpt550": "550 5.1.1 no such user",
                        "rcpt_policy": "550 5.7.1 looks like spam",
                    }.get(self.mode, "250 ok")
                )
            elif verb == "DATA":
                if self.mode == "drop_at_data":
                    return
                if self.mode in ("data554", "data451"):
                    say(f"{self.mode[-3:]} no thanks")
                    continue
                say("354 go on")
                self.at_data.set()
                if not self._take(lines, recipient, say):
                    return
            elif verb == "QUIT":
                if self.mode != "drop_quit":
                    say("221 bye")
                return
            else:
                say("250 ok")

    def _take(self, lines, recipient: str, say) -> bool:
        content = b""
        for raw in lines:
            if raw == b".\r\n":
                break
            content += raw[1:] if raw.startswith(b".") else raw
            if self.mode == "drop_mid":
                return False
        else:
            return False
        if self.mode in ("dot451", "dot554"):
            say(f"{self.mode[-3:]} not after all")
            return True
        found = re.search(rb"(?im)^Message-ID:\s*(\S+)", content)
        self.bodies[found[1].decode() if found else ""] += 1
        self.contents.append(content)
        self.recipients.append(recipient)
        if self.mode == "drop_after_dot":
            return False
        if self.mode == "hang_after_dot":
            self._stop.wait(10)
            return False
        if self.mode == "wait_after_dot":
            self.go_on.wait(20)
        say("what a lovely mail" if self.mode == "garbage" else "250 2.0.0 taken")
        return self.mode != "drop_after_each"


@contextmanager
def wild_server(mode: str = "ok") -> Iterator[WildServer]:
    server = WildServer(mode)
    try:
        yield server
    finally:
        server.stop()
