"""A network between a process and its database that can be slow, silent, or cut."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

_NOW = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends a reset, and what is on its way is dropped."""


class Proxy:
    """Forwards TCP connections to a server, as well or as badly as it is told."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.latency = 0.0
        """Seconds for which each piece is held back, in both directions."""
        self.cut_at: Callable[[bytes], bool] = lambda _data: False
        """Asked of each piece for the server: True delivers it, swallows the reply and cuts."""
        self.cuts = 0
        """How often that has happened, the server having replied."""
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow_everything(self) -> None:
        """Go on accepting connections and bytes, and deliver none: a black hole."""
        self._open.clear()

    def deliver_again(self) -> None:
        """Be a network again; what was held back is delivered."""
        self._open.set()

    def reset_all(self) -> None:
        """Cut every connection with a reset."""
        with self._lock:
            pairs, self._pairs = list(self._pairs), set()
        for pair in pairs:
            self._reset(*pair)

    def close(self) -> None:
        """Stop listening and cut what is open."""
        self._closed = True
        self._listener.close()
        self._open.set()
        self.reset_all()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
                server = self._connect()
            except OSError:
                continue
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            for source, target in (pair, pair[::-1]):
                arguments = (pair, source, target)
                threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _pump(
        self,
        pair: tuple[socket.socket, socket.socket],
        source: socket.socket,
        target: socket.socket,
    ) -> None:
        to_server = source is pair[0]
        with suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                if self.latency:
                    time.sleep(self.latency)
                if to_server and self.cut_at(data):
                    self._cut(pair, data)
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _cut(self, pair: tuple[socket.socket, socket.socket], data: bytes) -> None:
        """Deliver `data`, wait until the server has dealt with it, and cut."""
        client, server = pair
        # The other pump is reading the reply: take the client's end away from under it first.
        self._hang_up(client)
        server.sendall(data)
        time.sleep(0.02)
        self.cuts += 1
        self._hang_up(server)
        with self._lock:
            self._pairs.discard(pair)

    def _reset(self, *ends: socket.socket) -> None:
        for end in ends:
            self._hang_up(end)

    @staticmethod
    def _hang_up(end: socket.socket) -> None:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
            end.shutdown(socket.SHUT_RD)  # wakes who is reading from it
        end.close()


def _connector(url: sa.URL) -> Callable[[], socket.socket]:
    folder = url.query.get("host")
    if folder:  # PostgreSQL behind a socket file

        def connect_file() -> socket.socket:
            end = socket.socket(socket.AF_UNIX)
            end.connect(f"{folder}/.s.PGSQL.{url.port or url.query.get('port', 5432)}")
            return end

        return connect_file
    port = url.port or (3306 if url.get_backend_name() == "mysql" else 5432)
    return lambda: socket.create_connection((url.host or "127.0.0.1", port), timeout=None)


@contextmanager
def proxy_before(url: str) -> Iterator[tuple[Proxy, str]]:
    """Give a proxy in front of a database server, and the URL that leads through it."""
    parsed = sa.make_url(url)
    proxy = Proxy(_connector(parsed))
    through = parsed.set(host="127.0.0.1", port=proxy.port).difference_update_query(
        ["host", "port"]
    )
    try:
        yield proxy, through.render_as_string(hide_password=False)
    finally:
        proxy.close()
