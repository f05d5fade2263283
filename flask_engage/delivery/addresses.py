"""Which addresses mail may go to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import Final

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~][A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]*\Z")
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")
_LONGEST: Final = 254
"""Characters of an address that fits an SMTP path (RFC 5321, erratum 1690)."""
_LONGEST_LOCAL: Final = 64


def envelope_address(text: str) -> str | None:
    """Return `text` as it goes into an envelope (the domain in ASCII), or None if it can't.

    Only ``local@domain.tld`` passes: no quotes, comments, lists, names or control characters,
    nothing that a command line or a server could read as more than one address.
    """
    local, at, domain = text.rpartition("@")
    if not at or len(local) > _LONGEST_LOCAL or not _LOCAL.match(local):
        return None
    if local.endswith(".") or ".." in local:
        return None
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    labels = ascii_domain.split(".")
    if len(labels) < 2 or not all(_LABEL.match(label) for label in labels):
        return None
    if labels[-1].isdigit():
        return None
    address = f"{local}@{ascii_domain}"
    return address if len(address) <= _LONGEST else None


def is_let_through(address: str, only_to: Collection[str] | None) -> bool:
    """Tell whether the staging guard `only_to` (addresses or ``@domains``) lets mail through."""
    if only_to is None:
        return True
    lowered = address.lower()
    return lowered in only_to or f"@{lowered.rpartition('@')[2]}" in only_to


def mark_of(address: str) -> str:
    """Return a mark by which an address is known again without being kept."""
    return hashlib.sha256(address.lower().encode()).hexdigest()[:32]
