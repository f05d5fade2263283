"""Requests to other machines: few words out, few bytes in, little time, no detours.

Redirects are not followed, proxies of the environment are not used, certificates are checked.
Where an address comes from data and not from a setting, it has to be a public one: the name is
looked up, every answer is checked, and the connection goes to the very address that was checked.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ...errors import EngageError, InvalidSettings

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

CONNECT_SECONDS: Final = 3.0
TOTAL_SECONDS: Final = 10.0
MOST_BYTES: Final = 256 * 1024
_CHUNK: Final = 16 * 1024
_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
#: Ways to write an IPv4 address as an IPv6 one, tunnels and their relays, what was once local, and
#: what networks keep to themselves (RFC 6890; older Pythons take some of it for global).
_NOT_PUBLIC: Final = tuple(
    ip_network(text)
    for text in (
        *("192.0.0.0/24", "192.88.99.0/24"),
        *("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10"),
    )
)

Resolve = Callable[[str, int], list[str]]
"""Gives the addresses of a host's name."""


class Refused(EngageError, ValueError):
    """An address that we don't ask."""


class Failed(EngageError, OSError):
    """A request that got no answer, or none that could be read."""


class TooSlow(Failed):
    """It took longer than it may: whoever is asked next would wait as long."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON.

        :raises Failed: if it is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Failed("the answer is no JSON") from None


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses that the system knows for `host`.

    :raises Failed: if there are none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Failed("its name can't be looked up") from None
    return [str(item[4][0]).partition("%")[0] for item in found]


def is_public(address: str) -> bool:
    """Tell whether an IP address belongs to the open internet, in whatever way it is written."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if any(found in network for network in _NOT_PUBLIC):
        return False
    return found.is_global and not found.is_multicast and not found.is_reserved


@dataclass(frozen=True, slots=True)
class Outbound:
    """Asks other machines, each time on a connection of its own."""

    resolve: Resolve = resolve
    permits: Callable[[str], bool] = is_public
    """Tells of an IP address whether data may lead there."""
    seconds: float = TOTAL_SECONDS
    ports: frozenset[int] = field(default_factory=lambda: frozenset(_PORTS.values()))
    """Ports to which data may lead."""

    def ask(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        send: Any = None,
        guarded: bool = False,
        most_bytes: int = MOST_BYTES,
    ) -> Reply:
        """GET `url`, or POST `send` to it as JSON.

        :param guarded: `url` comes from data: only what :attr:`permits` allows is asked.
        :raises Refused: if it is no address that we ask.
        :raises Failed: without an answer in time and of a size that we take.
        """
        if self.seconds <= 0:
            raise TooSlow("there was no time left to ask")
        scheme, host, port, path = self._parts(url, guarded=guarded)
        end = time.monotonic() + self.seconds
        from urllib3.exceptions import HTTPError

        pool = self._pool(scheme, host, port, guarded=guarded)
        told = {"User-Agent": "flask-engage", "Accept-Encoding": "identity", **(headers or {})}
        body = None
        if send is not None:
            body = json.dumps(send).encode()
            told["Content-Type"] = "application/json"
        try:
            response = pool.urlopen(
                "GET" if send is None else "POST",
                path,
                body=body,
                headers=told,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                content = _read(response, end, most_bytes)
            finally:
                response.close()
            return Reply(
                response.status, {k.lower(): v for k, v in response.headers.items()}, content
            )
        except (HTTPError, OSError) as error:
            if isinstance(error, EngageError):
                raise
            # Not its words: they may hold the address, and with it what was sent.
            name = type(error).__name__
            raise (TooSlow if name in _TOO_SLOW else Failed)(_NAMES.get(name, name)) from None
        finally:
            pool.close()

    def _parts(self, url: str, *, guarded: bool) -> tuple[str, str, int, str]:
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            raise Refused("no address") from None
        host = parts.hostname or ""
        if parts.scheme not in _PORTS or "@" in parts.netloc or not _is_host(host):
            raise Refused("not an address with http or https, a host and no user")
        if guarded and port not in self.ports:
            raise Refused(f"port {port} is not asked")
        if re.search(r"[^\x21-\x7e]", url):
            raise Refused("an address holds no blanks and no letters outside of ASCII")
        return (
            parts.scheme,
            host,
            port,
            (parts.path or "/") + (f"?{parts.query}" * bool(parts.query)),
        )

    def _pool(self, scheme: str, host: str, port: int, *, guarded: bool) -> HTTPConnectionPool:
        needs_urllib3()
        from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
        from urllib3.connection import HTTPConnection, HTTPSConnection

        def connect() -> socket.socket:
            return self._connect(host, port, guarded=guarded)

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return connect()

        class Secured(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return connect()

        made = HTTPSConnectionPool if scheme == "https" else HTTPConnectionPool
        pool = made(
            host,
            port,
            timeout=Timeout(
                connect=min(CONNECT_SECONDS, self.seconds),
                read=self.seconds,
                total=self.seconds,
            ),
            maxsize=1,
            retries=False,
        )
        pool.ConnectionCls = Secured if scheme == "https" else Plain
        return pool

    def _connect(self, host: str, port: int, *, guarded: bool) -> socket.socket:
        addresses = self.resolve(host, port)
        if guarded and not all(self.permits(address) for address in addresses):
            raise Refused("it leads to an address that is not public")
        seconds = min(CONNECT_SECONDS, self.seconds)
        end = time.monotonic() + seconds
        for address in addresses:
            try:
                return socket.create_connection(
                    (address, port), timeout=max(0.1, end - time.monotonic())
                )
            except OSError:
                if time.monotonic() >= end:
                    break
        raise Failed("it can't be reached")


_TOO_SLOW: Final = frozenset({"ReadTimeoutError", "ConnectTimeoutError", "TimeoutError"})
_NAMES: Final = {
    "ReadTimeoutError": "it took too long",
    "ConnectTimeoutError": "it can't be reached in time",
    "TimeoutError": "it took too long",
    "SSLError": "its certificate can't be trusted",
    "ProtocolError": "the connection broke off",
    "NewConnectionError": "it can't be reached",
}


def needs_urllib3() -> None:
    """Say which extra is missing, if it is.

    :raises InvalidSettings: without urllib3.
    """
    import importlib.util

    if importlib.util.find_spec("urllib3") is None:
        raise InvalidSettings(
            "Enrichment over the network needs urllib3; install flask-engage[enrich]."
        )


def _is_host(host: str) -> bool:
    return bool(_HOST.fullmatch(host)) or ":" in host


def _read(response: Any, end: float, most: int) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Failed("the answer is packed, which was not asked for")
    content = bytearray()
    while True:
        if time.monotonic() > end:
            raise TooSlow("it took too long")
        # What has come, and not a full chunk: somebody may send a byte a second.
        chunk = response.read1(_CHUNK)
        if not chunk:
            return bytes(content)
        content += chunk
        if len(content) > most:
            raise Failed(f"the answer has more than {most // 1024} KiB")
