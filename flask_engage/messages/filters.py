"""The filters that templates may use. Each is bounded in time and in what it gives back.

They are ours and not Jinja's, because several of those reach into objects, format, repeat or
pad: ``center(5000000)`` is a way to fill a worker's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from jinja2 import Undefined

_LONGEST_WORD: Final = 200
_MOST_DECIMALS: Final = 6
_LONGEST_CUT: Final = 10_000


def _default(value: Any, fallback: Any = "", boolean: bool = False) -> Any:
    """Give `fallback` where the value is missing; with `boolean`, also where it is 0 or false."""
    if isinstance(value, Undefined) or value is None:
        return fallback
    return fallback if boolean and not value else value


def _upper(value: Any) -> str:
    return str(value).upper()


def _lower(value: Any) -> str:
    return str(value).lower()


def _title(value: Any) -> str:
    # Not str.title(): it makes "Ada'S" of "ada's".
    return " ".join(word[:1].upper() + word[1:] for word in str(value).split(" "))


def _capitalize(value: Any) -> str:
    return str(value).capitalize()


def _trim(value: Any) -> str:
    return str(value).strip()


def _first_word(value: Any) -> str:
    """Give the first word: a first name of a full one."""
    words = str(value).split()
    return words[0] if words else ""


def _round(value: Any, decimals: int = 0) -> int | float:
    if decimals not in range(_MOST_DECIMALS + 1):
        raise ValueError(f"round takes 0 to {_MOST_DECIMALS} decimals")
    rounded = round(_number(value), decimals)
    return int(rounded) if decimals == 0 else rounded


def _thousands(value: Any, decimals: int = 0) -> str:
    """Give a number with thousands separators: 12,345."""
    return f"{_round(value, decimals):,}"


def _truncate(value: Any, length: int = 50, end: str = "…") -> str:
    """Cut to `length` characters, `end` included, at a word if there is one near."""
    if length not in range(1, _LONGEST_CUT + 1):
        raise ValueError(f"truncate takes a length from 1 to {_LONGEST_CUT}")
    text, tail = str(value), str(end)[:10]
    if len(text) <= length:
        return text
    cut = text[: max(length - len(tail), 0)]
    words = cut.rsplit(" ", 1)[0]
    return (words if len(words) >= len(cut) // 2 else cut).rstrip() + tail


def _join(value: Any, separator: str = ", ") -> str:
    if isinstance(value, Undefined) or not isinstance(value, (tuple, list)):
        raise ValueError("join takes tags")
    return str(separator)[:_LONGEST_WORD].join(str(item) for item in value)


def _length(value: Any) -> int:
    if isinstance(value, Undefined):
        return len(value)  # raises, and names the missing word
    if not isinstance(value, (str, tuple, list)):
        raise ValueError("length takes a text or tags")
    return len(value)


def _date(value: Any, form: str = "%-d %B %Y") -> str:
    """Give a date in words: ``2 March 2026``, or in a form of strftime's."""
    if isinstance(value, Undefined):
        return str(value)  # raises, and names the missing word
    if not isinstance(value, date):
        raise ValueError("date takes a date, such as signed_up")
    if len(form) > _LONGEST_WORD or any(sign.isdigit() for sign in form):
        raise ValueError("the form of a date is letters with %, such as '%d %B %Y'")
    return value.strftime(form)


def _number(value: Any) -> float:
    if isinstance(value, Undefined):
        str(value)  # raises, and names the missing word
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{type(value).__name__} is no number")
    return float(value)


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "capitalize": _capitalize,
    "count": _length,
    "d": _default,
    "date": _date,
    "default": _default,
    "first_word": _first_word,
    "join": _join,
    "length": _length,
    "lower": _lower,
    "round": _round,
    "thousands": _thousands,
    "title": _title,
    "trim": _trim,
    "truncate": _truncate,
    "upper": _upper,
}
