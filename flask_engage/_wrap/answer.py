"""What the wrapped app answers: what it says before the body, and what kind of answer that is."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None

_ASSET_TYPES: Final = (
    "image/",
    "font/",
    "audio/",
    "video/",
    "text/css",
    "text/javascript",
    "application/javascript",
    "application/font",
)
_FETCHED_AS_ASSET: Final = frozenset(
    {
        "audio",
        "audioworklet",
        "font",
        "image",
        "manifest",
        "script",
        "serviceworker",
        "sharedworker",
        "style",
        "track",
        "video",
        "worker",
    }
)


class Answer:
    """The ``start_response`` that the wrapped app gets: passes on at once what can be no page.

    What may be one is held until its body is known, for its length may change.
    """

    __slots__ = (
        *("_arguments", "_holds", "_passed_on", "_start", "_write"),
        *("begun", "headers", "held", "status"),
    )

    def __init__(
        self, start_response: StartResponse, holds: Callable[[str, list[tuple[str, str]]], bool]
    ) -> None:
        self._start = start_response
        self._holds = holds
        self._arguments: tuple[Any, ...] = ()
        self._write: Callable[[bytes], object] = self._write_piece
        """The server's, once it has been told."""
        self._passed_on = False
        self.begun = False
        self.held = False
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    def __call__(
        self, status: str, headers: list[tuple[str, str]], /, *exc_info: ExcInfo
    ) -> Callable[[bytes], object]:
        if self.held and not any(exc_info):
            self.release()  # the server says what is wrong with saying it twice
        self.begun, self.status, self.headers, self._arguments = True, status, headers, exc_info
        self.held = True
        if not self._passed_on and self._holds(status, headers):
            return self._write_piece
        self.release()
        return self._write

    def release(self) -> None:
        """Pass on what is held, if anything is."""
        if self.held:
            self.held, self._passed_on = False, True
            arguments, self._arguments = self._arguments, ()
            self._write = self._start(self.status, self.headers, *arguments)

    def _write_piece(self, piece: bytes) -> object:
        self.release()
        return self._write(piece)

    @property
    def code(self) -> int:
        """The status as a number."""
        return int(self.status[:3])

    @property
    def content_length(self) -> int | None:
        """How long the wrapped app says that its body is."""
        said = header(self.headers, "content-length")
        return int(said) if said.isdecimal() else None


def is_get(environ: WSGIEnvironment) -> bool:
    """Tell whether somebody asks for a page rather than for something to be done."""
    return bool(environ.get("REQUEST_METHOD") == "GET")


def is_never_page(_status: str, _headers: list[tuple[str, str]]) -> bool:
    """Say no: where no page may be changed, none needs to be held."""
    return False


def may_be_page(status: str, headers: list[tuple[str, str]]) -> bool:
    """Tell whether an answer that begins so may be a page, which gets the tag."""
    return status[:1] == "2" and header(headers, "content-type").startswith("text/html")


def is_said_to_be_whole(answer: Answer, environ: WSGIEnvironment, body: object) -> bool:
    """Tell whether the first piece may be all there is, so that looking at it delays nothing."""
    from ..widget.injection import LARGEST_PAGE

    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        return False  # the server sends the file its own way
    length = answer.content_length
    return length is not None and length <= LARGEST_PAGE


def is_asset(environ: WSGIEnvironment, answer: Answer) -> bool:
    """Tell whether the answer is a part of a page, which nobody looks at by itself."""
    if environ.get("HTTP_SEC_FETCH_DEST", "") in _FETCHED_AS_ASSET:
        return True
    return header(answer.headers, "content-type").startswith(_ASSET_TYPES)


def header(headers: list[tuple[str, str]], name: str) -> str:
    """Return a header's value in small letters; an empty text if there is none."""
    for key, value in headers:
        if key.lower() == name:
            return value.strip().lower()
    return ""
