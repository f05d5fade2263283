"""A WSGI server in one function, which keeps all that an app does; and apps of every manner."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from wsgiref.util import FileWrapper

from werkzeug.test import Client, EnvironBuilder

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
HEAD = b"<!doctype html><html><head><title>x</title></head><body><p>Gr\xc3\xb6\xc3\x9fe</p>"
PAGE = HEAD + b"</body></html>"
HTML = ("Content-Type", "text/html; charset=utf-8")


@dataclass
class Heard:
    """What a server heard of an app during one request."""

    starts: list[tuple[Any, ...]] = field(default_factory=list)
    """The arguments of each ``start_response``, without the traceback."""
    written: list[bytes] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    error: str | None = None
    kind: type | None = None
    """What the app returned."""
    started_before_iteration: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.written + self.pieces)

    @property
    def status(self) -> str:
        return str(self.starts[-1][0])

    @property
    def headers(self) -> list[tuple[str, str]]:
        return list(self.starts[-1][1])

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


def environ_of(path: str = "/", method: str = "GET", **options: Any) -> dict[str, Any]:
    """Return what a server hands over for a request of Firefox's."""
    headers = {"User-Agent": FIREFOX, **options.pop("headers", {})}
    if user := options.pop("user", None):
        headers["Cookie"] = f"user={user}"
    environ = EnvironBuilder(path=path, method=method, headers=headers, **options).get_environ()
    environ["wsgi.file_wrapper"] = FileWrapper
    return environ


def serve(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> Heard:
    """Have `app` answer one request, as PEP 3333 says."""
    heard = Heard()

    def start_response(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        if heard.starts and not exc_info:
            raise AssertionError("start_response was called twice")
        if exc_info and exc_info[0] and (heard.written or any(heard.pieces)):
            raise exc_info[1]
        told = [exc_info[0][0]] if exc_info and exc_info[0] else list(exc_info)
        heard.starts.append((status, list(headers), *told))
        return heard.written.append

    body: Any = None
    try:
        body = app(environ, start_response)
        heard.kind = type(body)
        heard.started_before_iteration = bool(heard.starts)
        for piece in body:
            assert heard.starts, "a piece before start_response"
            heard.pieces.append(piece)
    except Exception as error:  # noqa: BLE001  (whatever the app raises)
        heard.error = f"{type(error).__name__}: {error}"
    finally:
        if hasattr(body, "close"):
            body.close()
    return heard


class Browser(Client):
    """Firefox, with its cookies; it takes each answer in whole."""

    def open(self, *args: Any, **options: Any) -> Any:
        options["headers"] = {"User-Agent": FIREFOX, **options.get("headers", {})}
        return super().open(*args, buffered=True, **options)


# --- apps --------------------------------------------------------------------------------------

App = Callable[[dict[str, Any], Any], Iterable[bytes]]
PAGES: dict[str, App] = {}
"""Apps whose answer is one whole page."""
OTHERS: dict[str, App] = {}
"""Apps whose answer is none that may be changed."""


def page(app: App) -> App:
    PAGES[app.__name__] = app
    return app


def other(app: App) -> App:
    OTHERS[app.__name__] = app
    return app


def length(body: bytes) -> tuple[str, str]:
    return ("Content-Length", str(len(body)))


class Closing:
    """An iterable that counts how often it is closed."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        self.closed += 1


@page
def a_list(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML, length(PAGE), ("X-Mine", "a"), ("x-mine", "b")])
    return [PAGE]


@page
def a_list_without_length(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 Fine", [HTML])
    return [PAGE]


@page
def a_tuple_in_pieces(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [("content-type", "text/html;charset=UTF-8"), length(PAGE)])
    return (HEAD, b"</bo", b"dy></html>")


@page
def an_iterable_of_one_piece(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML, length(PAGE)])
    return Closing([PAGE])


@page
def a_generator_of_one_piece(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
    start("200 OK", [HTML, length(PAGE)])
    yield PAGE


@page
def said_anew_before_it_was_sent(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML, ("Content-Length", "1")])
    try:
        raise ValueError("half-way")
    except ValueError:
        start("200 Better", [HTML, length(PAGE)], sys.exc_info())
    return [PAGE]


@other
def a_stream(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
    start("200 OK", [HTML])
    yield HEAD
    yield b"</body></html>"


@other
def a_stream_of_known_length(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML, length(PAGE)])
    return iter([HEAD, b"</body></html>"])


@other
def an_iterable_without_length(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML])
    return Closing([PAGE])


@other
def a_file(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML, length(PAGE)])
    return environ["wsgi.file_wrapper"](io.BytesIO(PAGE))


@other
def written(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    write = start("200 OK", [HTML, length(PAGE)])
    write(HEAD)
    write(b"</body></html>")
    return []


@other
def written_and_returned(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    write = start("200 OK", [HTML])
    write(HEAD)
    return [b"</body></html>"]


@other
def empty(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML, ("Content-Length", "0")])
    return []


@other
def empty_pieces(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
    yield b""
    start("200 OK", [HTML, length(PAGE)])
    yield b""
    yield PAGE


@other
def no_content(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("204 No Content", [])
    return []


@other
def not_modified(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("304 Not Modified", [("ETag", '"v1"')])
    return ()


@other
def a_redirect(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("302 Found", [HTML, ("Location", "/other")])
    return [PAGE]


@other
def missing(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("404 Not Found", [HTML, length(PAGE)])
    return [PAGE]


@other
def json(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "application/json")])
    return [b'{"a": "</body>"}']


@other
def untyped(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [length(PAGE)])
    return [PAGE]


@other
def zipped(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML, ("Content-Encoding", "gzip")])
    return [gzip.compress(PAGE, mtime=0)]


@other
def latin_1(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/html; charset=iso-8859-1")])
    return ["<body>Größe</body>".encode("latin-1")]


@other
def a_fragment(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML])
    return [b"<p>piece</p>"]


@other
def too_large(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    body = HEAD + b"x" * 1024 * 1024 + b"</body></html>"
    start("200 OK", [HTML, length(body)])
    return [body]


@other
def of_wrong_length(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML, ("Content-Length", "12")])
    return [PAGE]


@other
def of_odd_status(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("299 Ni\xe7e", [HTML])
    return [PAGE]


@other
def raises_at_once(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    raise LookupError("mine")


@other
def raises_after_start(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("201 Created", [("Content-Type", "text/plain")])
    raise LookupError("mine")


@other
def raises_at_first_piece(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
    start("200 OK", [HTML, length(PAGE)])
    if environ:
        raise LookupError("mine")
    yield PAGE


@other
def raises_half_way(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
    start("200 OK", [HTML])
    yield HEAD
    raise LookupError("mine")


@other
def starts_twice(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML])
    start("200 OK", [HTML])
    return [PAGE]


@other
def fails_too_late(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [HTML])(HEAD)
    try:
        raise ValueError("too late")
    except ValueError:
        start("500 Oops", [HTML], sys.exc_info())
    return [PAGE]


@other
def never_starts(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
    return iter(())
