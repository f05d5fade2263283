"""Where the body ends."""

from __future__ import annotations

import time

import pytest

from flask_engage.widget.document import end_of_body

PAGE = b"<!doctype html><html><head><title>t</title></head><body><p>x</p>"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (PAGE + b"</body></html>", PAGE),
        (PAGE + b"</BODY >\n</HTML>\n", PAGE),
        (PAGE + b"</body>", PAGE),
        (PAGE + b"</body></html>" + b"\n" * 1000, PAGE),
        (PAGE + b"</body><p>late</p></body></html>", PAGE + b"</body><p>late</p>"),
        (PAGE + b"</body></html><!-- made by x -->", PAGE),
        (PAGE + b"</body><!-- </body> -->", PAGE),
        (PAGE + b"</body><!-- a > b </body> --!>", PAGE),
        (PAGE + b"</body><!-- never closed </body> ", PAGE),
        (PAGE + b"</body><script>var a = '</body>';</script>", PAGE),
        (PAGE + b"</body><SCRIPT >a='</body>'</SCRIPT >", PAGE),
        (PAGE + b"</body><script>var a = '</body>", PAGE),
        (PAGE + b"</body><style>/* </body> */</style >", PAGE),
        (PAGE + b"</body><textarea></body></textarea>", PAGE),
        (PAGE + b"</body><template></body></template>", PAGE),
        (PAGE + b"</body><noscript></body></noscript>", PAGE),
        (PAGE + b'</body><p title="</body>">', PAGE),
        (PAGE + b"</body><p title='</body>'>", PAGE),
        (PAGE + b'</body><p title = "a > </body>">', PAGE),
        (PAGE + b"</body><iframe srcdoc='<body></body>'></iframe><p>", PAGE),
        (PAGE + b"<p>it's</p></body><p>it's</p>", PAGE + b"<p>it's</p>"),
        (PAGE + b"<p class=it's></body><p class=it's>", PAGE + b"<p class=it's>"),
        (PAGE + b"<p>a < b</p></body><hr>", PAGE + b"<p>a < b</p>"),
    ],
)
def test_the_end_of_the_body_is_the_last_end_tag_that_is_markup(
    document: bytes, expected: bytes
) -> None:
    assert end_of_body(document) == len(expected)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<p>no body</p>",
        PAGE,
        PAGE + b"</bodyguard></html>",
        PAGE + b"<!-- </body> --><hr>",
        PAGE + b"<script>'</body>'</script><hr>",
        PAGE + b"<p title='</body>'><hr>",
        PAGE + b"<script><!-- <script> </script> '</body>' --></script><hr>",
        "<body>x</body>".encode("utf-16"),
    ],
)
def test_a_document_without_such_a_tag_has_no_end(document: bytes) -> None:
    assert end_of_body(document) is None


@pytest.mark.parametrize(
    "piece",
    [b"<a", b"<a b='", b'<a b="', b"<!--", b"<script>", b"</body", b"<p =", b"<!-", b"</body >x"],
)
def test_a_hostile_megabyte_is_read_once(piece: bytes) -> None:
    document = b"</body><p>" + piece * (1024 * 1024 // len(piece))
    began = time.thread_time()
    end_of_body(document)
    assert time.thread_time() - began < 1.0
