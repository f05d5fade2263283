"""Signed names in links that leave in mail: they prove themselves, without a login.

A token holds one public id and nothing else. Each purpose has its own salt, so that a token
for one purpose is noise for another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from itsdangerous import BadData, URLSafeSerializer

_UNSUBSCRIBE: Final = "engage.unsub"

_LONGEST: Final = 512
"""Characters. Ours have about 70; anything far longer isn't worth a signature check."""


def secret_keys_of(config: Mapping[str, Any]) -> list[str | bytes]:
    """Return the secret keys of an app's config, the one that signs first; may be empty."""
    keys = [config.get("SECRET_KEY"), *(config.get("SECRET_KEY_FALLBACKS") or ())]
    return [key for key in keys if key]


def make_unsubscribe_token(secret_keys: Sequence[str | bytes], person_public_id: str) -> str:
    """Return a token, safe in a URL, that lets its bearer unsubscribe this person, for ever.

    :param secret_keys: the host's secret key, then those it had before, as
        :func:`secret_keys_of` gives them; the first one signs.
    :raises ValueError: if there is no key to sign with.
    """
    return str(_serializer(secret_keys, _UNSUBSCRIBE).dumps(person_public_id))


def read_unsubscribe_token(secret_keys: Sequence[str | bytes], token: str) -> str | None:
    """Return the public id of the person whom `token` was made for; None if it is not ours.

    :param secret_keys: as for :func:`make_unsubscribe_token`; any of them may have signed.
    :raises ValueError: if there is no key to check with.
    """
    serializer = _serializer(secret_keys, _UNSUBSCRIBE)
    if len(token) > _LONGEST or not token.isascii():
        return None
    try:
        public_id = serializer.loads(token)
    except BadData:
        return None
    return public_id if isinstance(public_id, str) else None


def _serializer(secret_keys: Sequence[str | bytes], salt: str) -> URLSafeSerializer:
    keys = [key.encode() if isinstance(key, str) else key for key in secret_keys if key]
    if not keys:
        raise ValueError("No secret key: set SECRET_KEY, mail links are signed with it.")
    return URLSafeSerializer(
        keys[::-1],  # here the last key signs
        salt=salt,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
