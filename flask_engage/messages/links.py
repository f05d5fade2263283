"""Which addresses a message may link to: pages of the host, and the web. Nothing that runs."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

MAX_URL: Final = 2000
"""Characters; what browsers and mail programs take."""

# Control characters, white space and backslashes: browsers drop or turn them, so that an
# address that looks harmless leads elsewhere.
_TRICKY: Final = re.compile(
    r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    r"\u3000\ufeff\\]"
)
_ENCODED_START: Final = ("%2f", "%5c", "/%2f", "/%5c")
_MAIL: Final = re.compile(r"mailto:[^@\s?&%]+@[^@\s?&%]+\Z", re.IGNORECASE)


def problem_of(url: str, *, mailto: bool = False) -> str | None:
    """Return what is wrong with `url` as a link of a message, or None if it may stand.

    It may be a path of the host (``/export``, ``?tab=2``, ``#top``), or http or https with a
    host and no user name; with `mailto`, also a plain mail address.
    """
    if not url or len(url) > MAX_URL:
        return f"it has to have 1 to {MAX_URL} characters"
    if _TRICKY.search(url):
        return "it holds white space, control characters or backslashes"
    if mailto and _MAIL.match(url):
        return None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (raises ValueError when it is no number)
    except ValueError:
        return "it can't be understood"
    if not parts.scheme and not parts.netloc:
        return _problem_of_path(url)
    if parts.scheme not in ("http", "https"):
        return "only http, https and paths of the app itself are allowed"
    if not parts.hostname:
        return "it names no host"
    if "@" in parts.netloc:
        return "it holds a user name, behind which the true host hides"
    return None


def is_relative(url: str) -> bool:
    """Tell whether `url`, which is allowed, is a path of the host's."""
    return not urlsplit(url).scheme


def _problem_of_path(url: str) -> str | None:
    if url.startswith("//"):
        return "it names no scheme; write https://"
    if url.lower().startswith(_ENCODED_START):
        return "it begins with encoded slashes, which some servers decode"
    if ":" in url.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]:
        return "only http, https and paths of the app itself are allowed"
    return None
