"""What a setting may be. Each check returns the value as it is kept, or says what it expects.

What they raise names no value: of some settings it is a secret. They raise ``ValueError`` alone.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Callable, Collection
from datetime import timedelta
from email.utils import parseaddr
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from ._clock import LONGEST, as_duration

_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")
JOURNAL_LEAST_BYTES: Final = 1024**2
"""A fact can have over 100 KiB: with less room than some of them need, one that is accepted
to-day is refused tomorrow. Files are replaced at a quarter of it."""
_SMTP_URL: Final = (
    "expected smtp://user:password@host:port or smtps://…, with a port from 1 to 65535; write '@', "
    "':', '/', '?' and '#' in a password as %40, %3A, %2F, %3F and %23."
)


def boolean(value: Any) -> bool:
    """Take True or False."""
    if not isinstance(value, bool):
        raise ValueError("expected True or False.")
    return value


def boolean_or_none(value: Any) -> bool | None:
    """Take True, False or None."""
    return None if value is None else boolean(value)


def text_or_none(value: Any) -> str | None:
    """Take a text that says something, or None."""
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise ValueError("expected a text that is not empty, or None.")


def path_or_none(value: Any) -> str | None:
    """Take the path of a file or folder, as a text or a ``Path``; or None."""
    if value is None:
        return None
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise ValueError("expected a path that is not empty, or None.")
    return path


def duration(value: Any) -> timedelta:
    """Take a ``timedelta`` or a number of seconds."""
    return as_duration(value)


def whole_seconds(value: Any) -> int:
    """Take a ``timedelta`` or a number of seconds; keep whole seconds, and at least one."""
    return math.ceil(as_duration(value).total_seconds())


def days(value: Any) -> int:
    """Take a whole number of days, up to a hundred years."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LONGEST.days:
        raise ValueError(f"expected a whole number of days from 1 to {LONGEST.days}.")
    return value


def positive(value: Any) -> int:
    """Take a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError("expected a whole number above 0.")
    return value


def journal_bytes(value: Any) -> int:
    """Take a whole number of bytes that some facts fit into."""
    if isinstance(value, bool) or not isinstance(value, int) or value < JOURNAL_LEAST_BYTES:
        raise ValueError(f"expected a whole number of bytes from {JOURNAL_LEAST_BYTES} (1 MiB).")
    return value


def one_of(*accepted: Any) -> Callable[[Any], Any]:
    """Return what takes one of `accepted`."""

    def check(value: Any) -> Any:
        if value not in accepted:
            raise ValueError(f"expected one of {', '.join(repr(item) for item in accepted)}.")
        return value

    return check


def inject(value: Any) -> str:
    """Take where the widget's tag goes; True is for users, False for nobody."""
    if value is True:
        return "users"
    if value is False or value is None:
        return "off"
    return str(one_of("users", "all", "off")(value))


def url_prefix(value: Any) -> str:
    """Take a path that stands in addresses, cookies and routes as it is."""
    path = value.rstrip("/") if isinstance(value, str) else ""
    if not _PATH.fullmatch(path):
        raise ValueError(
            "expected a path such as '/engage': a slash, then letters, digits, '-', '_', '.' or "
            "'~', and so on."
        )
    return path


def base_url(value: Any) -> str | None:
    """Take the address of a site, or None."""
    if value is None:
        return None
    parts = urlsplit(value) if isinstance(value, str) and _is_one_word(value) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
        raise ValueError("expected an address such as 'https://app.example.com'.")
    return str(value).rstrip("/")


def _is_one_word(text: str) -> bool:
    """Tell whether `text` is without spaces and line breaks, which urlsplit() would take out."""
    return text.isprintable() and " " not in text


def service_url(value: Any) -> str:
    """Take the address of a service."""
    found = base_url(value)
    if found is None:
        raise ValueError("expected an address such as 'https://api.example.com'.")
    return found


def timezone(value: Any) -> str:
    """Take the name of a time zone that this system knows."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, TypeError, OSError):
        raise ValueError("expected an IANA zone such as 'Europe/Berlin'.") from None
    return str(value)


def names_or_none(value: Any) -> tuple[str, ...] | None:
    """Take names of events, or None."""
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Collection):
        raise ValueError("expected a list of event names, or None.")
    if not all(isinstance(name, str) and name for name in value):
        raise ValueError("expected a list of event names, or None.")
    return tuple(sorted(value))


def exclude(value: Any) -> Any:
    """Take what is not recorded: a callable, a name or path, or several."""
    if callable(value):
        return value
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Collection) or not all(
        callable(item) or (isinstance(item, str) and item) for item in value
    ):
        raise ValueError("expected a callable, or a list of endpoints, blueprints and paths.")
    for item in value:
        if isinstance(item, str) and "*" in (item[:-1] if item[0] == "/" else item):
            raise ValueError(
                f"expected a star only at the end of a path that begins with a slash, not {item!r}."
            )
    return tuple(value)


def callable_or_none(value: Any) -> Any:
    """Take something to be called, or None."""
    if value is not None and not callable(value):
        raise ValueError("expected a callable, or None.")
    return value


def smtp_url(value: Any) -> str | None:
    """Take the address of a mail server, or None."""
    if value is None:
        return None
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        port = parts.port if parts is not None else None
    except ValueError:  # it quotes what stands in the port's place: a part of a password, mostly
        raise ValueError(_SMTP_URL) from None
    if parts is None or parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError(_SMTP_URL)
    # What stands behind a sign in a password that is not written as it should be.
    if port == 0 or parts.path.strip("/") or parts.fragment or "@" in parts.query:
        raise ValueError(_SMTP_URL)
    return str(value)


def sender(value: Any) -> str | None:
    """Take an address with or without a name, as one line; or None."""
    if value is None:
        return None
    if not isinstance(value, str) or "@" not in parseaddr(value)[1]:
        raise ValueError("expected an address such as 'Ada <ada@example.com>'.")
    # Not isprintable(): names hold wide spaces, joined emoji and marks of direction.
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in value):
        raise ValueError(
            "expected one line such as 'Ada <ada@example.com>', without line breaks or control "
            "characters."
        )
    return value


def addresses(value: Any) -> tuple[str, ...] | None:
    """Take addresses and @domains, or None."""
    if value is None:
        return None
    if (
        isinstance(value, str)
        or not isinstance(value, Collection)
        or not all(isinstance(item, str) and "@" in item for item in value)
    ):
        raise ValueError("expected a list of addresses or @domains.")
    return tuple(item.strip().lower() for item in value)
