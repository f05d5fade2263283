"""Answers of a host, of every kind that decides whether a page gets the tag."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

from flask import Response, redirect, request, send_file

from flask_engage.widget.injection import tag

HEAD = "<!doctype html><html><head><title>Größe 美咲</title></head><body><p>x</p>"
PAGE = HEAD + "</body></html>"
MIB = 1024 * 1024

VIEWS: dict[str, Callable[[], Any]] = {}


def view(function: Callable[[], Any]) -> Callable[[], Any]:
    VIEWS[function.__name__] = function
    return function


def answer(body: str | bytes, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, status=status, headers=named)


# --- whole pages: exactly one tag -------------------------------------------------------------


@view
def page() -> str:
    return PAGE


@view
def created() -> Response:
    return answer(PAGE, 201)


@view
def two_bodies() -> str:
    return HEAD + "</body><p>late</p></body></html>"


@view
def body_in_comment() -> str:
    return HEAD + "</body><!-- </body> --></html>"


@view
def body_in_script() -> str:
    return HEAD + "</body><script>var end = '</body>';</script>"


@view
def upper_case() -> str:
    return HEAD.upper() + "</BODY></HTML>"


@view
def with_byte_order_mark() -> Response:
    return answer(b"\xef\xbb\xbf" + PAGE.encode())


@view
def in_pieces() -> Response:
    return Response([HEAD, "</bo", b"dy></html>"])


@view
def exactly_one_mebibyte() -> Response:
    return answer(HEAD.encode() + b"x" * (MIB - len(PAGE.encode())) + b"</body></html>")


@view
def inline_disposition() -> Response:
    return answer(PAGE, Content_Disposition="inline")


@view
def with_etag() -> Response:
    return answer(PAGE, ETag='"v1"')


@view
def publicly_cached() -> Response:
    return answer(PAGE, Cache_Control="public, max-age=60", Vary="Accept-Encoding")


WITH_TAG = tuple(VIEWS)
POSITIONS = {
    "two_bodies": len((HEAD + "</body><p>late</p>").encode()),
    "with_byte_order_mark": len(HEAD.encode()) + 3,
    "exactly_one_mebibyte": MIB - len(b"</body></html>"),
    "upper_case": len(HEAD.upper().encode()),
}


# --- everything else: not a byte ---------------------------------------------------------------


@view
def stream() -> Response:
    return Response(iter([HEAD, "</body></html>"]), mimetype="text/html")


@view
def file() -> Response:
    return send_file(request.environ["test.file"], mimetype="text/html")


@view
def not_modified() -> Response:
    response = answer(PAGE, ETag='"v1"')
    request.environ["HTTP_IF_NONE_MATCH"] = '"v1"'
    return response.make_conditional(request)


@view
def no_content() -> Response:
    return answer(PAGE, 204)


@view
def reset_content() -> Response:
    return answer(PAGE, 205)


@view
def partial() -> Response:
    request.environ["HTTP_RANGE"] = "bytes=10-60"
    response = answer(PAGE)
    return response.make_conditional(
        request, accept_ranges=True, complete_length=len(PAGE.encode())
    )


@view
def missing() -> Response:
    return answer(PAGE, 404)


@view
def broken() -> Response:
    return answer(PAGE, 500)


@view
def moved() -> Any:
    return redirect("/page")


@view
def zipped() -> Response:
    return answer(gzip.compress(PAGE.encode(), mtime=0), Content_Encoding="gzip")


@view
def brotli() -> Response:
    return answer(b"\x8b\x02\x80</body>\x03", Content_Encoding="br")


@view
def latin_1() -> Response:
    return answer(PAGE.encode("latin-1", "replace"), Content_Type="text/html; charset=iso-8859-1")


@view
def utf_16() -> Response:
    return answer(PAGE.encode("utf-16"), Content_Type="text/html; charset=utf-16")


@view
def charset_unsaid() -> Response:
    return answer(PAGE, Content_Type="text/html")


@view
def json() -> dict[str, str]:
    return {"html": PAGE}


@view
def xhtml() -> Response:
    return answer(PAGE, Content_Type="application/xhtml+xml; charset=utf-8")


@view
def attachment() -> Response:
    return answer(PAGE, Content_Disposition='Attachment; filename="a.html"')


@view
def no_transform() -> Response:
    return answer(PAGE, Cache_Control="public, No-Transform")


@view
def no_end_of_body() -> str:
    return "<p>a fragment</p>"


@view
def only_in_comment() -> str:
    return HEAD + "<!-- </body> --><p>"


@view
def five_mebibytes() -> Response:
    return answer(HEAD.encode() + b"x" * (5 * MIB) + b"</body></html>")


@view
def one_byte_too_many() -> Response:
    return answer(HEAD.encode() + b"x" * (MIB + 1 - len(PAGE.encode())) + b"</body></html>")


@view
def empty() -> str:
    return ""


@view
def digested() -> Response:
    return answer(PAGE, Repr_Digest="sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:")


@view
def with_ranges() -> Response:
    return answer(PAGE, Accept_Ranges="bytes")


@view
def placed_by_hand() -> str:
    return HEAD + tag(request, "/engage", "abc") + "</body></html>"


WITHOUT_TAG = tuple(name for name in VIEWS if name not in WITH_TAG)
