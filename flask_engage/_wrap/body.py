"""Bodies of answers: each piece goes on as it comes, and what the wrapped app gave is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator


class Pieces(list[bytes]):
    """A body that is at hand, and what is to be closed with it."""

    def __init__(self, pieces: list[bytes], closed_with: object) -> None:
        super().__init__(pieces)
        self._closed_with = closed_with

    def close(self) -> None:
        """Close what the wrapped app returned."""
        close(self._closed_with)


class Rest:
    """A body of which some pieces have been looked at."""

    def __init__(self, first: list[bytes], rest: Iterator[bytes], body: object) -> None:
        self._first = first
        self._rest = rest
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._first.pop(0) if self._first else next(self._rest)

    def close(self) -> None:
        """Close what the wrapped app returned."""
        close(self._body)


class Lasting:
    """A body that is made within a context on top of ours, which can end only after it."""

    def __init__(self, body: Iterable[bytes], end: Callable[[], object]) -> None:
        self._body = body
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Close what the wrapped app returned, then let our context end."""
        try:
            close(self._body)
        finally:
            self._end()


def close(body: object) -> None:
    """Close `body`, if that is something that wants to be closed."""
    method = getattr(body, "close", None)
    if method is not None:
        method()


def first_of(pieces: Iterator[bytes], body: object) -> list[bytes]:
    """Return the first piece; if getting it fails, nobody will close `body` but we."""
    got: list[bytes] | None = None
    try:
        piece = next(pieces, None)
        got = [] if piece is None else [piece]
    finally:
        if got is None:
            close(body)
    return got
