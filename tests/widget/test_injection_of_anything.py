"""Whatever a host answers: either not a byte is changed, or exactly one tag is put in."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from flask import Flask, Response, request
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from flask_engage.widget import document
from flask_engage.widget.document import end_of_body
from flask_engage.widget.injection import Injector, tag

app = Flask("host")
with app.test_request_context("/"):
    TAG = str(tag(request, "/engage")).encode()

PIECES = st.sampled_from(
    [
        b"<!doctype html><html><body>",
        b"<p>text</p>",
        b"</body>",
        b"</BODY >",
        b"</html>",
        b"</body></html>",
        b"</body>\n</html>\n",
        b"<!--",
        b"-->",
        b"--!>",
        b"<!",
        b"!",
        b"!--",
        b"<script>",
        b"</script>",
        b"<script src='/x.js'></script>",
        b"<SCRIPT>",
        b"<textarea>",
        b"</textarea>",
        b"<p title='",
        b"'>",
        b'"',
        b" ",
        b"\n",
        "größe 美咲".encode(),
        TAG,
    ]
)
DOCUMENTS: SearchStrategy[bytes] = st.lists(PIECES | st.binary(max_size=8), max_size=25).map(
    b"".join
)
HEADERS = st.lists(
    st.sampled_from(
        [
            ("Vary", "Accept-Encoding"),
            ("Vary", "cookie"),
            ("Cache-Control", "private"),
            ("Cache-Control", "No-Transform"),
            ("ETag", '"v1"'),
            ("X-Frame-Options", "DENY"),
            ("content-encoding", "gzip"),
            ("Accept-Ranges", "none"),
            ("Accept-Ranges", "bytes"),
            ("Content-Disposition", "inline"),
            ("Content-Security-Policy", "default-src 'self'"),
        ]
    ),
    max_size=3,
)


def varies_by(headers: Iterable[str]) -> set[str]:
    """What a cache tells answers apart by."""
    return {name.strip().lower() for header in headers for name in header.split(",")}


@given(
    body=DOCUMENTS,
    cuts=st.lists(st.integers(0, 60), max_size=2),
    headers=HEADERS,
    kind=st.sampled_from(
        ["text/html; charset=utf-8", "text/html; charset=UTF-8", "text/html", "text/plain"]
    ),
    status=st.sampled_from([200, 200, 200, 201, 204, 404]),
    recorded=st.booleans(),
    mode=st.sampled_from(["users", "all"]),
)
def test_an_answer_gets_one_tag_and_its_length_or_stays_as_it_is(
    body: bytes,
    cuts: list[int],
    headers: list[tuple[str, str]],
    kind: str,
    status: int,
    recorded: bool,
    mode: Any,
) -> None:
    edges = [0, *sorted(cuts), len(body)]
    pieces = [body[start:end] for start, end in pairwise(edges)]
    whole = b"".join(pieces)
    with app.test_request_context("/"):
        response = Response(pieces if cuts else whole, status=status, content_type=kind)
        response.headers.extend(headers)
        if cuts:
            response.headers["Content-Length"] = str(len(whole))
        before = list(response.headers)
        changed = Injector("/engage", mode)(response, request, recorded)
        after = response.get_data()
    lengths = [int(value) for name, value in response.headers if name == "Content-Length"]
    assert lengths == [len(after)]
    if not changed:
        assert (after, list(response.headers)) == (whole, before)
        return
    assert kind.startswith("text/html; charset")
    assert status < 202
    assert recorded or mode == "all"
    assert TAG not in whole
    at = after.index(TAG)
    assert after.count(TAG) == 1
    assert after[:at] + after[at + len(TAG) :] == whole
    assert after[at + len(TAG) :].lower().startswith(b"</body")
    kept = [(name, value) for name, value in response.headers if name != "Content-Length"]
    said = [(name, value) for name, value in before if name != "Content-Length"]
    if mode == "all":
        assert kept == said
    else:
        assert varies_by(response.headers.getlist("Vary")) == {"cookie"} | varies_by(
            value for name, value in said if name == "Vary"
        )
        assert [item for item in kept if item[0] != "Vary"] == [
            item for item in said if item[0] != "Vary"
        ]


@given(
    st.lists(
        st.sampled_from(
            [
                b"<p>text</p>",
                b"</body>",
                b"<!-- a > b -->",
                b"<!-- <script> -->",
                b"<script>if (!a) { b = '<p>' }</script>",
                b"!",
                b"1 < 2",
                b"\n",
            ]
        ),
        max_size=25,
    ).map(b"".join)
)
def test_the_short_way_to_the_end_ends_where_the_long_one_does(inside: bytes) -> None:
    whole = b"<!doctype html><html><body>" + inside + b"</body></html>"
    assert end_of_body(whole) == document._search(whole) == whole.rfind(b"</body>")


def test_all_that_an_answer_varies_by_stays() -> None:
    with app.test_request_context("/"):
        response = Response(b"<html><body></body></html>", content_type="text/html; charset=utf-8")
        response.headers.add("Vary", "Accept-Encoding")
        response.headers.add("Vary", "Accept-Language")
        assert Injector("/engage", "users")(response, request, True)
    assert varies_by(response.headers.getlist("Vary")) == {
        "accept-encoding",
        "accept-language",
        "cookie",
    }
