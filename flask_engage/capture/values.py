"""What the host's code gives, as one of the kinds of values that a fact may hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any

from ..errors import InvalidFact
from ..types import AttributeValue
from .limits import check_name, check_value


def fitting(
    attributes: Mapping[str, Any], tell: Callable[[InvalidFact], object]
) -> dict[str, AttributeValue]:
    """Return those of somebody's attributes that can be kept; a bad one costs only itself.

    :param tell: is told why one can't.
    """
    found: dict[str, AttributeValue] = {}
    for name, value in attributes.items():
        try:
            found[check_name(name, "attribute")] = check_value(name, plain(value))
        except InvalidFact as error:
            tell(error)
    return found


def as_moment(value: Any) -> datetime | None:
    """Take a host's time; one without a zone is UTC, which is what hosts store by far the most.

    None for what is no time.
    """
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:  # the first or last moment of all, in some zone
        return None


def plain(value: Any) -> AttributeValue:
    """Return what the host or its database gave as one of the kinds that an attribute may hold.

    A time without a zone is UTC, as it comes out of a database.

    :raises InvalidFact: if it is none of them.
    """
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date):
        moment = as_moment(
            value if isinstance(value, datetime) else datetime.combine(value, time())
        )
        if moment is None:
            raise InvalidFact(f"{_shown(value)} can't be an attribute: no such moment in UTC.")
        return moment
    if inspect.iscoroutine(value):
        value.close()
        raise InvalidFact("a coroutine can't be an attribute; give a function without async.")
    raise InvalidFact(
        f"{_shown(value)} can't be an attribute; use str, int, float, bool, datetime or None."
    )


def _shown(value: Any) -> str:
    """Say what `value` is; of a sequence only that, or it may print a million rows."""
    kind = type(value).__name__
    if isinstance(value, (list, tuple, set, dict, bytes)):
        return f"a {kind} of {len(value)}"
    return f"{value!r:.100} ({kind})"
