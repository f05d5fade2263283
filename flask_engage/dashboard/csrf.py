"""Only a page of ours may have sent a form: proven by a token, and by what the browser says.

The token is a keyed hash of the operator's id and of a random cookie of this browser, so one
made for another operator or another browser is worth nothing, and the host's session is not
needed. A second lock is what browsers say of a form's origin, which no other site can forge.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import Request, Response, g, request
from itsdangerous import BadData, Signer, URLSafeSerializer

from .._state import EngageState
from ..delivery.tokens import secret_keys_of
from ..types import Operator

COOKIE = "engage_csrf"
FIELD = "csrf_token"
HEADER = "X-CSRF-Token"
MIN_SECRET_BYTES = 16
"""A secret key below this can be guessed; then we sign nothing."""

_SALT = "engage.csrf"
_FORM_SALT = "engage.form"
_ASSET_SALT = "engage.asset"
_WORK_SALT = "engage.work"
_OUTCOME_SALT = "engage.outcome"
_COOKIE_LENGTH = 43
_LONGEST_TOKEN = 512
_LONGEST_WORK = 256 * 1024
_USUAL_PORTS = {"http": 80, "https": 443}


def usable_keys(state: EngageState) -> Sequence[str | bytes]:
    """Return the host's secret keys, or nothing if the one that signs is missing or short."""
    keys = secret_keys_of(state.app.config)
    if not keys or len(keys[0]) < MIN_SECRET_BYTES:
        return ()
    return keys


# --- the token of this browser -----------------------------------------------------------------


def token(state: EngageState, operator: Operator) -> str:
    """Return the token for forms on this page; the answer will carry the cookie it goes with."""
    return _signer(state, _SALT).get_signature(_bound(operator, _browser())).decode()


def has_valid_token(state: EngageState, operator: Operator) -> bool:
    """Tell whether this request's form or header carries the token of its browser."""
    cookie = request.cookies.get(COOKIE, "")
    given = request.headers.get(HEADER) or request.form.get(FIELD, "")
    if len(cookie) != _COOKIE_LENGTH or not 0 < len(given) <= _LONGEST_TOKEN:
        return False
    if not given.isascii():
        return False
    signer = _signer(state, _SALT)
    return signer.verify_signature(_bound(operator, cookie), given.encode())


def keep_cookie(response: Response, path: str) -> None:
    """Give the browser its cookie, if this page has made one."""
    fresh: str | None = g.get("_engage_csrf")
    if fresh is not None:
        response.set_cookie(
            COOKIE, fresh, path=path, httponly=True, samesite="Lax", secure=request.is_secure
        )


def _browser() -> str:
    cookie = request.cookies.get(COOKIE, "")
    if len(cookie) == _COOKIE_LENGTH and cookie.isascii():
        return cookie
    fresh: str | None = g.get("_engage_csrf")
    if fresh is None:
        fresh = g._engage_csrf = secrets.token_urlsafe(32)
    return fresh


def _bound(operator: Operator, cookie: str) -> bytes:
    return f"{cookie}\0{operator.id}".encode("utf-8", "replace")


# --- keys that a form carries so that it works once ----------------------------------------------


def new_form_key(state: EngageState, operator: Operator) -> str:
    """Return a fresh signed key, by which a form that is sent twice is known as one."""
    return str(_serializer(state, _FORM_SALT).dumps([secrets.token_hex(16), str(operator.id)]))


def read_form_key(state: EngageState, operator: Operator, signed: str) -> str | None:
    """Return the key that this operator's form was given, or None if it isn't ours."""
    if not 0 < len(signed) <= _LONGEST_TOKEN or not signed.isascii():
        return None
    try:
        key, owner = _serializer(state, _FORM_SALT).loads(signed)
    except (BadData, ValueError, TypeError):
        return None
    return str(key) if owner == str(operator.id) else None


# --- work that goes on over several requests ------------------------------------------------------


def sign_work(
    state: EngageState, operator: Operator, work: Mapping[str, Any], *, is_over: bool = False
) -> str:
    """Return what `work` is and how far it is as text that only this operator can give back.

    :param is_over: it is told only, or taken back: nobody can go on with it.
    """
    return str(_work_serializer(state, is_over).dumps([work, str(operator.id)]))


def read_work(
    state: EngageState, operator: Operator, signed: str, *, is_over: bool = False
) -> dict[str, Any] | None:
    """Return the work that was signed so for this operator, or None if it wasn't."""
    if not 0 < len(signed) <= _LONGEST_WORK or not signed.isascii():
        return None
    try:
        work, owner = _work_serializer(state, is_over).loads(signed)
    except (BadData, ValueError, TypeError):
        return None
    return dict(work) if owner == str(operator.id) and isinstance(work, dict) else None


def _work_serializer(state: EngageState, is_over: bool) -> URLSafeSerializer:
    return _serializer(state, _OUTCOME_SALT if is_over else _WORK_SALT)


# --- addresses that prove themselves -------------------------------------------------------------


def asset_token(state: EngageState, name: str) -> str:
    """Return what lets a frame without an origin, which sends no cookies, fetch one file."""
    return _signer(state, _ASSET_SALT).get_signature(name).decode()


def is_asset_token(state: EngageState, name: str, given: str) -> bool:
    """Tell whether `given` was made for the file `name`."""
    if not usable_keys(state) or not given.isascii() or len(given) > _LONGEST_TOKEN:
        return False
    return _signer(state, _ASSET_SALT).verify_signature(name, given.encode())


def _signer(state: EngageState, salt: str) -> Signer:
    keys = [key.encode() if isinstance(key, str) else key for key in usable_keys(state)]
    return Signer(keys[::-1], salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)


def _serializer(state: EngageState, salt: str) -> URLSafeSerializer:
    keys = [key.encode() if isinstance(key, str) else key for key in usable_keys(state)]
    return URLSafeSerializer(
        keys[::-1],
        salt=salt,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


# --- what the browser says -----------------------------------------------------------------------


def comes_from_us(current: Request, base_url: str | None) -> bool:
    """Tell whether the browser names one of our pages as the sender, or says nothing of it.

    Browsers of today always say it with a POST; what doesn't is none, and has the token to
    show. The scheme is not compared: behind a proxy the host often doesn't know its own.
    """
    site = current.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    origin = current.headers.get("Origin")
    if origin is None:
        return True
    sender = _place(origin)
    return sender is not None and sender in (_place(current.host_url), _place(base_url or ""))


def _place(url: str) -> tuple[str, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.username is not None:
        return None
    return parts.hostname.lower(), None if port == _USUAL_PORTS.get(parts.scheme) else port
