"""Puts the widget's tag into the host's HTML answers, or leaves them exactly as they are.

The tag is the same for everybody, so a cache in front of the host stays correct. An answer
is changed only if it is a complete, plain, whole HTML document that nobody else counts on
byte for byte; in doubt it is not.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Final, Literal
from urllib.parse import quote

from flask import Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from markupsafe import Markup

from ..capture.identity import request_context
from .document import end_of_body

LARGEST_PAGE: Final = 1024 * 1024
"""Bytes. Above this an answer is a data dump rather than a page, and copying it costs."""

_STATUSES: Final = frozenset({200, 201, 202, 203})
"""Successes that carry a whole document: not 204 and 205 (none), not 206 (a part)."""

_FETCHED_AS_PAGE: Final = frozenset({"document", "iframe", "frame"})
"""Values of Sec-Fetch-Dest with which a browser shows what it gets as a page of its own."""

_ASKED_BY_SCRIPT: Final = frozenset(
    {
        "HTTP_HX_REQUEST",
        "HTTP_X_PJAX",
        "HTTP_X_UP_VERSION",
        "HTTP_TURBO_FRAME",
        "HTTP_X_REQUESTED_WITH",
    }
)
"""Request headers, as in the WSGI environment, of scripts that ask for a piece of a page. What
the last one says matters."""

_HEADERS: Final = {
    "Content-Type": "type",
    "Content-Length": "length",
    "Vary": "vary",
    "Content-Security-Policy": "policy",
    # With one of these the host has said something about its exact bytes that we'd make wrong.
    "Content-Encoding": "bound",
    "Content-Range": "bound",
    "Content-MD5": "bound",
    "Digest": "bound",
    "Content-Digest": "bound",
    "Repr-Digest": "bound",
    "Signature": "bound",
    "Transfer-Encoding": "bound",
    # With one of these it depends on what it says.
    "Accept-Ranges": "perhaps",
    "Content-Disposition": "perhaps",
    "Cache-Control": "perhaps",
}
"""What the headers of an answer are to us. Looked up as they are mostly written: to bring each
into small letters first costs as much as all the rest of reading them."""

_KINDS: Final = _HEADERS | {name.lower(): kind for name, kind in _HEADERS.items()}

_USUAL_TYPES: Final = frozenset({"text/html; charset=utf-8", "text/html; charset=UTF-8"})

_USUAL_FIRST: Final = frozenset(("Content-Type", value) for value in _USUAL_TYPES)

_OURS: Final = ("engage_widget.", "engage_links.", "engage_dashboard.")
"""How the endpoints of our own blueprints begin."""

_MOST_TAGS: Final = 64

_RARE: Final = b"~"
"""Part of our tag, of few pages, and allowed in any URL: whether a page has the tag already is
told by this byte thirty times faster than by the tag."""

_NONCE: Final = re.compile(r"[A-Za-z0-9+/_-]{1,256}={0,2}")
_POLICY_NONCE: Final = re.compile(r"(?:script-src(?:-elem)?|default-src)\s[^;]*'nonce-([^']+)'")


@functools.cache
def script() -> bytes:
    """Return the widget's script."""
    return resources.files(__package__).joinpath("static", "engage.js").read_bytes()


@functools.cache
def script_version() -> str:
    """Return a name for the script's content: a tilde and 16 hexadecimal digits."""
    return _RARE.decode() + hashlib.sha256(script()).hexdigest()[:16]


def tag(request: Request, prefix: str, nonce: str | None = None) -> Markup:
    """Return the widget's tag for a host whose URLs of ours begin with `prefix`.

    The same for every user and, but for a nonce, for every request.
    """
    start, _ = _tag_at(request.root_path + prefix)
    return Markup(_with_nonce(start, nonce).decode())  # noqa: S704  (nothing in it is free)


@functools.lru_cache(maxsize=64)
def _tag_at(root: str) -> tuple[bytes, bytes]:
    """Return the tag for our URLs at `root`: its beginning, up to a nonce, and the whole."""
    # With two slashes it would be another host's, should a proxy's prefix be taken from anybody.
    base = "/" + quote(root.lstrip("/"), safe="/~") + "/widget/"
    start = Markup('<script src="{}engage.js?v={}" defer data-engage="{}"').format(
        base, script_version(), base
    )
    return start.encode(), _with_nonce(start.encode(), None)


def _with_nonce(start: bytes, nonce: str | None) -> bytes:
    # What is no nonce by its letters has not come as far as here.
    return start + (b' nonce="%b"' % nonce.encode() if nonce else b"") + b"></script>"


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


class Injector:
    """Puts the tag into one app's answers.

    :param prefix: below which our URLs are.
    :param mode: whether answers to recorded people get it, or all of them.
    :param nonce: gives the nonce of the answer at hand, as ``ENGAGE_CSP_NONCE``.
    """

    def __init__(
        self, prefix: str, mode: Literal["users", "all"], nonce: Callable[[], str] | None = None
    ) -> None:
        self._prefix = prefix
        self._for_all = mode == "all"
        self._nonce = nonce
        self._tags: dict[str, tuple[bytes, bytes]] = {}
        """By where the app is mounted. As good as always there is but one."""

    def _tag(self, root: str) -> tuple[bytes, bytes]:
        made = _tag_at(root + self._prefix)
        # Whoever may choose where we believe to be mounted fills no memory.
        if len(self._tags) < _MOST_TAGS:
            self._tags[root] = made
        return made

    def __call__(self, response: Response, request: Request, recorded: bool) -> bool:
        """Put the tag into `response` if it should have one; tell whether it was changed.

        :param recorded: whether this answer goes to a person whom we record.
        """
        environ = request.environ
        if (
            not (recorded or self._for_all)
            or request.method != "GET"
            or response.status_code not in _STATUSES
            or response.direct_passthrough
            # The browser will show the answer as a page, and not hand it to a script.
            or environ.get("HTTP_SEC_FETCH_DEST", "document") not in _FETCHED_AS_PAGE
            or (not environ.keys().isdisjoint(_ASKED_BY_SCRIPT) and _is_asked_by_script(environ))
            or ((rule := request.url_rule) is not None and rule.endpoint.startswith(_OURS))
        ):
            return False
        headers = response.headers
        pairs = list(headers)
        said = (
            (pairs[1][1], 1, False, False)  # none but Flask's own
            if len(pairs) == 2 and pairs[0] in _USUAL_FIRST and pairs[1][0] == "Content-Length"
            else _read_headers(pairs, response)
        )
        if said is None:
            return False
        body = response.response
        document = (
            body[0]
            # Nearly always one piece: then nothing has to be put together.
            if type(body) is list and len(body) == 1 and type(body[0]) is bytes
            else _whole_body(response)
        )
        if document is None or len(document) > LARGEST_PAGE:
            return False
        length, length_at, varies, has_policy = said
        if length != str(len(document)) and response.content_length not in (None, len(document)):
            return False
        position = end_of_body(document)
        if position is None:
            return False
        start, placed = self._tags.get(request.root_path) or self._tag(request.root_path)
        # A template may have placed the tag, with a nonce or without.
        if _RARE in document and start in document:
            return False
        if self._nonce is not None or has_policy or hasattr(request, "csp_nonce"):
            placed = _with_nonce(start, host_nonce(request, response, self._nonce))
        # A slice of the bytes would be a copy of the page, besides the one that is needed.
        changed = b"".join((memoryview(document)[:position], placed, document[position:]))
        response.response = [changed]
        if length_at is not None:
            headers[length_at] = "Content-Length", str(len(changed))
        else:
            headers["Content-Length"] = str(len(changed))
        # Somebody else's answer to the same address has no tag.
        if not self._for_all and not _flask_will_say_so():
            _vary_by_cookie(response, varies=varies)
        return True


def _read_headers(
    pairs: list[tuple[str, str]], response: Response
) -> tuple[str, int | None, bool, bool] | None:
    """Return what matters of the headers, read in one go; None if the answer must stay as it is.

    The length that they say and their number of it, if there is but one; whether the answer
    varies already, and whether it has a Content-Security-Policy.
    """
    typed = varies = has_policy = False
    length, length_at, lengths = "", None, 0
    at = 0
    for name, value in pairs:
        kind = _KINDS.get(name) or _KINDS.get(name.lower())
        if kind is None:
            pass
        elif kind == "type":
            if not typed and value not in _USUAL_TYPES and not _is_html(response):
                return None
            typed = True
        elif kind == "length":
            length, length_at = (value, at) if not lengths else (length, None)
            lengths += 1
        elif kind == "vary":
            varies = True
        elif kind == "policy":
            has_policy = True
        elif kind == "bound" or _binds(name.lower(), value):
            return None
        at += 1  # noqa: SIM113  (enumerate makes a number and a pair of each header)
    return (length, length_at, varies, has_policy) if typed else None


def _is_asked_by_script(environ: Mapping[str, str]) -> bool:
    said = environ.get("HTTP_X_REQUESTED_WITH")
    if said is not None and said.lower() == "xmlhttprequest":
        return True
    return any(name in environ for name in _ASKED_BY_SCRIPT if name != "HTTP_X_REQUESTED_WITH")


def _whole_body(response: Response) -> bytes | None:
    """Return the body if it is all there, without having to wait for it."""
    return b"".join(response.iter_encoded()) if response.is_sequence else None


def _flask_will_say_so() -> bool:
    """Tell whether Flask itself, when it saves the session, adds ``Vary: Cookie`` to the answer.

    It does after all hooks where the host has looked at its session. It would have to read
    what we wrote there only to find it said.
    """
    context = request_context()
    session = getattr(context, "_session", None)
    return (
        type(session) is SecureCookieSession
        and session.accessed
        and type(context.app.session_interface) is SecureCookieSessionInterface
    )


def _vary_by_cookie(response: Response, *, varies: bool) -> None:
    """Say that the answer depends on the cookie; `varies` tells whether it says so of anything."""
    said = response.headers.getlist("Vary") if varies else []
    if len(said) == 1:
        response.vary.add("Cookie")
    # Of several such headers werkzeug knows the first only, and would drop the others.
    elif "cookie" not in map(str.strip, ",".join(said).lower().split(",")):
        response.headers.add("Vary", "Cookie")


def _is_html(response: Response) -> bool:
    """Tell whether the body is said to be HTML in UTF-8."""
    charset = response.mimetype_params.get("charset", "").strip("'\" ").lower()
    return response.mimetype == "text/html" and charset in ("utf-8", "utf8")


def _binds(name: str, value: str) -> bool:
    """Tell whether a header depends on the exact bytes of the body; `name` in small letters."""
    if name == "accept-ranges":
        # A range of these bytes may be asked for later, from a host that knows no tag.
        return value.strip().lower() != "none"
    if name == "content-disposition":
        return value.strip().lower().startswith("attachment")
    return "no-transform" in value.lower()
