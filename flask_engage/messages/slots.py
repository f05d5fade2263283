"""Slots: where a value stands in a text, kept apart from the value until the very end.

A person's name must stay a name, whatever it is made of. So a filled template holds numbered
marks in place of values; Markdown is turned into HTML around the marks, and only then each
value is put in, escaped for the place where it lands. No value is ever read as template,
Markdown or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

# Unicode sets these two aside: they are no characters, and no text should contain them.
_OPEN: Final = "\ufdd0"
_CLOSE: Final = "\ufdd1"
_MARK: Final = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_MARK_IN_URL: Final = re.compile(f"{quote(_OPEN)}([0-9]+){quote(_CLOSE)}")
_OPEN_HOST: Final = re.compile(r"https?:/*[^/?#]*", re.IGNORECASE)
_URL_SIGNS: Final = "/:?&=#%+,;@~.-_"
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufdd0\ufdd1]")


class Slots:
    """The values of one filled text."""

    def __init__(self) -> None:
        self._values: list[str] = []

    @staticmethod
    def collides(source: str) -> bool:
        """Tell whether `source` holds what marks are made of."""
        return _OPEN in source or _CLOSE in source

    def put(self, value: str) -> str:
        """Keep `value` and return its mark. Control characters are dropped."""
        self._values.append(_UNPRINTABLE.sub("", value))
        return f"{_OPEN}{len(self._values) - 1}{_CLOSE}"

    def restore(self, text: str, escape: Callable[[str], str] = str) -> str:
        """Return `text` with each mark replaced by its value, passed through `escape`."""
        return _MARK.sub(lambda mark: escape(self._values[int(mark[1])]), text)

    def restore_in_url(self, url: str) -> str:
        """Return the address `url`, in which Markdown has percent-encoded the marks.

        A value is percent-encoded too, so that it can't change where the address leads; only
        one that stands at the very beginning may be an address itself. One that would become
        part of a host, as in ``https://app.example{{ x }}/``, leaves no address at all: "".
        """
        restored, end = "", 0
        for mark in _MARK_IN_URL.finditer(url):
            restored += url[end : mark.start()]
            if _OPEN_HOST.fullmatch(restored):
                return ""
            signs = _URL_SIGNS if mark.start() == 0 else ""
            restored += quote(self._values[int(mark[1])], safe=signs)
            end = mark.end()
        return restored + url[end:]
