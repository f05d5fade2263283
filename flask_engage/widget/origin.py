"""Whether a request that changes something comes from the host's own pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Request

_USUAL_PORTS = {"http": 80, "https": 443}


def is_same_origin(request: Request, base_url: str | None = None) -> bool:
    """Tell whether a page of this host sent `request`, by what the browser says of itself.

    Other sites can neither forge nor suppress these headers in somebody's browser. The scheme
    is not compared: behind a proxy the host often doesn't know its own.

    :param base_url: the host's public address (``ENGAGE_BASE_URL``), where a proxy hides it.
    """
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if origin == "null" or (site is not None and site != "same-origin"):
        return False
    if origin is None or site is not None:
        return site is not None
    sent_by = _place(origin)
    return sent_by is not None and sent_by in {_place(request.host_url), _place(base_url or "")}


def is_own_fetch(request: Request) -> bool:
    """Tell whether a page of this host asked, as far as the browser says; old ones say nothing."""
    headers = request.headers
    if headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    return "prefetch" not in headers.get("Sec-Purpose", headers.get("Purpose", "")).lower()


def _place(url: str) -> tuple[str, int | None] | None:
    """Return host and port of `url`, the usual port as None; None if it has no host."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.username is not None:
        return None
    return parts.hostname.lower(), None if port == _USUAL_PORTS.get(parts.scheme) else port
