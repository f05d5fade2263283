"""A host that is no Flask app of ours, wrapped, for servers: ``tests.runtimes._wrapped:app``.

Inside is a Flask app without the extension, which streams a page with its own context.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request, stream_with_context

from flask_engage import Engage

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

FOLDER = Path(os.environ["SERVED_FOLDER"])
HEAD, END = "<!doctype html><html><body>", "</body></html>"

engage = Engage()
inner = Flask("inner")


@inner.get("/page/<name>")
def page(name: str) -> Response:
    def pieces() -> Iterator[str]:
        yield HEAD
        yield request.view_args["name"] if request.view_args else ""
        yield END

    return Response(stream_with_context(pieces()), mimetype="text/html")


@inner.get("/act/<int:number>")
def act(number: int) -> dict[str, Any]:
    accepted = engage.track("acted", {"number": number})
    return {"accepted": accepted, "number": number, "pid": os.getpid()}


@inner.get("/here")
def here() -> dict[str, Any]:
    return {"pid": os.getpid()}


def user_of(environ: WSGIEnvironment) -> str | None:
    morsel = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("user")
    return morsel.value if morsel else None


app = engage.wrap(
    inner,
    user_of,
    name="shop",
    root_path=FOLDER,
    db=os.environ["SERVED_DATABASE"],
    config={
        "SECRET_KEY": "a secret of sixteen bytes and more",
        "ENGAGE_JOURNAL_DIR": str(FOLDER / "journal"),
        "ENGAGE_FLUSH_INTERVAL": 0.2,
        "ENGAGE_AUTO_UPGRADE": False,
    },
)
