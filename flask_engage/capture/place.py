"""Where a request comes from: its country and address, as far as the host wants them known.

The country is what the host's proxy says in a header, else what a MaxMind file of the host's
says of the address. The address is the one that Werkzeug gives, so behind ``ProxyFix`` it is the
visitor's.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import InvalidSettings
from ..settings import Settings

if TYPE_CHECKING:
    from maxminddb import Reader

_log = logging.getLogger("flask_engage")

_REMEMBERED: Final = 4096
"""Addresses: those of the people who are here at a time."""
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")
_UNKNOWN: Final = frozenset({"XX", "T1"})
"""What proxies say of an address of no country, or of the Tor network's."""
_KEPT_BITS: Final = {4: 24, 6: 48}


class Place:
    """Tells country and address of one app's requests, as its settings want it.

    :raises InvalidSettings: if a package that a setting needs is missing.
    """

    def __init__(self, settings: Settings) -> None:
        name = settings.COUNTRY_HEADER
        self._header = None if name is None else "HTTP_" + name.strip().upper().replace("-", "_")
        self._file = None if settings.GEOIP_DATABASE is None else _File(settings.GEOIP_DATABASE)
        self._stored: Callable[[str], str | None] | None = {
            "none": None,
            "truncated": truncated,
            "full": whole,
        }[settings.STORE_IP]
        self.is_wanted = any((self._header, self._file, self._stored))
        """Whether anything is to be told at all."""
        self.reads = (self._header or "REMOTE_ADDR", "REMOTE_ADDR") if self.is_wanted else ()
        """What of a request's environment it is told by."""

    def of(self, environ: Mapping[str, Any], address: str | None) -> tuple[str | None, str | None]:
        """Return the country (two letters) and the address to be kept, each if it is known."""
        country = None
        if self._header is not None:
            country = country_code(environ.get(self._header))
        if not address:
            return country, None
        if country is None and self._file is not None:
            country = self._file.country(address)
        return country, None if self._stored is None else self._stored(address)


def country_code(value: object) -> str | None:
    """Return `value` as an ISO 3166-1 code of two letters, if it is one of a country."""
    if not isinstance(value, str):
        return None
    found = value.strip()
    if not _COUNTRY.fullmatch(found) or found.upper() in _UNKNOWN:
        return None
    return found.upper()


@lru_cache(maxsize=_REMEMBERED)
def whole(address: str) -> str | None:
    """Return `address` in its canonical form; None if it is none, such as a socket's path."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found)


@lru_cache(maxsize=_REMEMBERED)
def truncated(address: str) -> str | None:
    """Return the network of `address`: the first 24 bits of an IPv4 one, 48 of an IPv6 one."""
    known = whole(address)
    if known is None:
        return None
    bits = _KEPT_BITS[ip_address(known).version]
    return str(ip_network(f"{known}/{bits}", strict=False).network_address)


class _File:
    """A MaxMind file, opened in each process that asks it. One that can't be used is told once."""

    def __init__(self, path: str) -> None:
        if importlib.util.find_spec("maxminddb") is None:
            raise InvalidSettings(
                "ENGAGE_GEOIP_DATABASE needs the package maxminddb; install flask-engage[geo]."
            )
        self._path = Path(path)
        self._pid = 0
        self._reader: Reader | None = None
        self._works = True
        self.country = lru_cache(maxsize=_REMEMBERED)(self._country)
        # Told at the start rather than at somebody's first request.
        if self._open():
            self._close()

    def _open(self) -> bool:
        import maxminddb

        try:
            self._reader = maxminddb.open_database(self._path)
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            self._give_up(error)
            return False
        self._pid = os.getpid()
        return True

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _give_up(self, error: Exception) -> None:
        self._works = False
        _log.warning(
            "flask_engage: ENGAGE_GEOIP_DATABASE %s can't be used, so no country is known: %s",
            self._path,
            error,
        )

    def _country(self, address: str) -> str | None:
        if not self._works:
            return None
        if (self._reader is None or self._pid != os.getpid()) and not self._open():
            return None
        known = whole(address)
        if known is None:
            return None
        import maxminddb

        try:
            record = self._reader.get(known)  # type: ignore[union-attr]
        except maxminddb.InvalidDatabaseError as error:
            self._give_up(error)
            return None
        except ValueError:
            return None  # an IPv6 address, and the file knows IPv4 alone
        return _country_of(record)


def _country_of(record: object) -> str | None:
    """Return the country in a record as MaxMind's files have it, or as simpler ones do."""
    if not isinstance(record, dict):
        return None
    country = record.get("country", record.get("country_code"))
    if isinstance(country, dict):
        country = country.get("iso_code")
    return country_code(country)
