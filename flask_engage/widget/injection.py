"""Puts the widget's tag into the host's HTML answers, or leaves them exactly as they are.

The tag is the same for everybody, so a cache in front of the host stays correct. An answer
is changed only if it is a complete, plain, whole HTML document that nobody else counts on
byte for byte; in doubt it is not.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable
from importlib import resources
from typing import Final, Literal
from urllib.parse import quote

from flask import Request, Response
from markupsafe import Markup

from .document import end_of_body

LARGEST_PAGE: Final = 1024 * 1024
"""Bytes. Above this an answer is a data dump rather than a page, and copying it costs."""

_STATUSES: Final = frozenset({200, 201, 202, 203})
"""Successes that carry a whole document: not 204 and 205 (none), not 206 (a part)."""

_FETCHED_AS_PAGE: Final = frozenset({"document", "iframe", "frame"})
"""Values of Sec-Fetch-Dest with which a browser shows what it gets as a page of its own."""

_ASKED_BY_SCRIPT: Final = frozenset(
    {"HTTP_HX_REQUEST", "HTTP_X_PJAX", "HTTP_X_UP_VERSION", "HTTP_TURBO_FRAME"}
)
"""Request headers, as in the WSGI environment, of scripts that ask for a piece of a page."""

_BOUND_TO_BYTES: Final = frozenset(
    {
        "content-encoding",
        "content-range",
        "content-md5",
        "digest",
        "content-digest",
        "repr-digest",
        "signature",
        "transfer-encoding",
    }
)
"""With one of these the host has said something about its exact bytes that we'd make wrong."""

_USUAL_TYPE: Final = "text/html; charset=utf-8"

_NONCE: Final = re.compile(r"[A-Za-z0-9+/_-]{1,256}={0,2}")
_POLICY_NONCE: Final = re.compile(r"(?:script-src(?:-elem)?|default-src)\s[^;]*'nonce-([^']+)'")


@functools.cache
def script() -> bytes:
    """Return the widget's script."""
    return resources.files(__package__).joinpath("static", "engage.js").read_bytes()


@functools.cache
def script_version() -> str:
    """Return a name for the script's content, 16 hexadecimal digits."""
    return hashlib.sha256(script()).hexdigest()[:16]


def tag(request: Request, prefix: str, nonce: str | None = None) -> Markup:
    """Return the widget's tag for a host whose URLs of ours begin with `prefix`.

    The same for every user and, but for a nonce, for every request.
    """
    start = _tag_start(request.script_root + prefix)
    allowed = Markup(' nonce="{}"').format(nonce) if nonce else ""
    return start + allowed + _TAG_END


_TAG_END: Final = Markup("></script>")


@functools.lru_cache(maxsize=64)
def _tag_start(root: str) -> Markup:
    base = quote(root, safe="/~") + "/widget/"
    return Markup('<script src="{}engage.js?v={}" defer data-engage="{}"').format(
        base, script_version(), base
    )


def host_nonce(
    request: Request, response: Response | None, configured: Callable[[], str] | None
) -> str | None:
    """Return the nonce of this answer's Content-Security-Policy, or None.

    Asked in this order: ``ENGAGE_CSP_NONCE``, the request's (where Flask-Talisman keeps it),
    the answer's own header.
    """
    nonce = configured() if configured is not None else getattr(request, "csp_nonce", None)
    if not nonce and response is not None:
        for policy in response.headers.getlist("Content-Security-Policy"):
            if named := _POLICY_NONCE.search(policy):
                nonce = named[1]
    return nonce if isinstance(nonce, str) and _NONCE.fullmatch(nonce) else None


def inject(
    response: Response,
    request: Request,
    *,
    prefix: str,
    mode: Literal["users", "all", "off"],
    recorded: bool,
    configured_nonce: Callable[[], str] | None = None,
) -> bool:
    """Put the tag into `response` if it should have one; tell whether it was changed.

    :param recorded: whether this answer goes to a person whom we record.
    """
    if mode == "off" or (mode == "users" and not recorded):
        return False
    if not is_whole_page(response, request):
        return False
    document = b"".join(response.iter_encoded())
    if len(document) > LARGEST_PAGE or response.content_length not in (None, len(document)):
        return False
    # A template may have placed the tag, with a nonce or without.
    if _tag_start(request.script_root + prefix).encode() in document:
        return False
    position = end_of_body(document)
    if position is None:
        return False
    placed = tag(request, prefix, host_nonce(request, response, configured_nonce)).encode()
    changed = document[:position] + placed + document[position:]
    response.set_data(changed)
    response.headers["Content-Length"] = str(len(changed))
    if mode == "users":
        # Somebody else's answer to the same address has no tag.
        if "Vary" in response.headers:
            response.vary.add("Cookie")
        else:
            response.headers["Vary"] = "Cookie"
    return True


def is_whole_page(response: Response, request: Request) -> bool:
    """Tell whether `response` is an HTML document that may be added to."""
    return (
        request.method == "GET"
        and response.status_code in _STATUSES
        and _is_html(response)
        and not response.direct_passthrough
        and response.is_sequence
        and _is_for_a_page(request)
        and _is_unbound(response)
        and not (request.blueprint or "").startswith("engage_")
    )


def _is_html(response: Response) -> bool:
    """Tell whether the body is said to be HTML in UTF-8."""
    if response.content_type == _USUAL_TYPE:
        return True
    charset = response.mimetype_params.get("charset", "").strip("'\" ").lower()
    return response.mimetype == "text/html" and charset in ("utf-8", "utf8")


def _is_for_a_page(request: Request) -> bool:
    """Tell whether the browser will show the answer as a page, not hand it to a script."""
    environ = request.environ
    return (
        environ.get("HTTP_SEC_FETCH_DEST", "document") in _FETCHED_AS_PAGE
        and environ.get("HTTP_X_REQUESTED_WITH", "").lower() != "xmlhttprequest"
        and _ASKED_BY_SCRIPT.isdisjoint(environ)
    )


def _is_unbound(response: Response) -> bool:
    """Tell whether nothing in the headers depends on the exact bytes of the body."""
    for name, value in response.headers:
        lowered = name.lower()
        if (
            lowered in _BOUND_TO_BYTES
            # A range of these bytes may be asked for later, from a host that knows no tag.
            or (lowered == "accept-ranges" and value.strip().lower() != "none")
            or (lowered == "content-disposition" and _is_attachment(value))
            or (lowered == "cache-control" and "no-transform" in value.lower())
        ):
            return False
    return True


def _is_attachment(disposition: str) -> bool:
    return disposition.strip().lower().startswith("attachment")
