"""Dealing people into shares by chance that is always the same: variants and holdouts.

The same person under the same salt always falls on the same number, in SQL on each database
as in Python, and knowing it for one rule tells nothing of another.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, literal, type_coerce

PRIME = 2**31 - 1
"""Products of two numbers below it fit the 64 bits that each of the databases counts in."""


def share_of(person_id: int, salt: str) -> int:
    """Return the number that `person_id` falls on: 0 to `PRIME` - 1, evenly spread."""
    factor, first, second, last = _constants(salt)
    x = ((person_id % PRIME) * factor + first) % PRIME
    squared = (x * x) % PRIME
    fifth = (((squared * squared) % PRIME) * x) % PRIME
    return (fifth * second + last) % PRIME


def share(person_id: ColumnElement[Any], salt: str) -> ColumnElement[int]:
    """Return the same number as :func:`share_of` as an SQL expression."""
    factor, first, second, last = (literal(n, BigInteger) for n in _constants(salt))
    prime = literal(PRIME, BigInteger)
    x = ((type_coerce(person_id, BigInteger) % prime) * factor + first) % prime
    squared = (x * x) % prime
    fifth = (((squared * squared) % prime) * x) % prime
    return (fifth * second + last) % prime


def below(fraction: float) -> int:
    """Return the bound under which `fraction` (0 to 1) of all numbers lie."""
    return round(fraction * PRIME)


def _constants(salt: str) -> tuple[int, int, int, int]:
    """Return four numbers drawn from `salt`; the factors are never 0.

    The fifth power between two linear steps is one-to-one modulo `PRIME` and keeps
    neighbouring ids from falling into a pattern.
    """
    digest = hashlib.sha256(salt.encode()).digest()
    a, b, c, d = (int.from_bytes(digest[i : i + 8], "big") for i in range(0, 32, 8))
    return a % (PRIME - 1) + 1, b % PRIME, c % (PRIME - 1) + 1, d % PRIME
