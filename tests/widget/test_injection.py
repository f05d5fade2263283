"""The host's answers: one tag in whole pages, every other byte as it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from flask import Flask, Response, make_response, request
from werkzeug.test import TestResponse

from flask_engage.widget.injection import Injector, script_version
from tests.widget._answers import HEAD, PAGE, POSITIONS, VIEWS, WITH_TAG, WITHOUT_TAG, answer, page

UNTOUCHED_REQUESTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("HEAD", {}),
    ("POST", {}),
    ("GET", {"HX-Request": "true"}),
    ("GET", {"HX-Request": "true", "HX-Boosted": "true"}),
    ("GET", {"X-Requested-With": "XMLHttpRequest"}),
    ("GET", {"Turbo-Frame": "list"}),
    ("GET", {"Sec-Fetch-Dest": "empty"}),
)


def make_host(hook: Callable[[Response], Response] | None = None) -> Flask:
    app = Flask("host")
    for name, function in VIEWS.items():
        app.add_url_rule(f"/{name}", name, function, methods=["GET", "POST"])
    if hook is not None:
        app.after_request(hook)
    return app


def for_all(response: Response) -> Response:
    Injector("/engage", "all")(response, request, False)
    return response


def for_users(response: Response) -> Response:
    Injector("/engage", "users")(response, request, "user" in request.cookies)
    return response


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., TestResponse]:
    """Asks a host with or without the hook for a page."""
    path = tmp_path / "page.html"
    path.write_text(PAGE)

    def ask(hook: Any, name: str, method: str = "GET", **options: Any) -> TestResponse:
        client = make_host(hook).test_client(use_cookies=False)
        options.setdefault("environ_overrides", {})["test.file"] = str(path)
        response = client.open(f"/{name}", method=method, **options)
        response.get_data()
        response.close()
        return response

    return ask


TAG = (
    f'<script src="/engage/widget/engage.js?v={script_version()}" defer'
    ' data-engage="/engage/widget/"></script>'
).encode()


@pytest.mark.parametrize("name", WITH_TAG)
def test_a_whole_page_gets_exactly_one_tag_at_the_end_of_its_body(
    ask: Callable[..., TestResponse], name: str
) -> None:
    bare, ours = ask(None, name), ask(for_all, name)
    position = POSITIONS.get(name, len(HEAD.encode()))
    assert ours.data == bare.data[:position] + TAG + bare.data[position:]
    assert bare.data[position:].lower().startswith(b"</body>")
    assert ours.headers.pop("Content-Length") == str(len(ours.data))
    assert bare.headers.pop("Content-Length") == str(len(bare.data))
    assert list(ours.headers) == list(bare.headers)
    assert ours.status == bare.status


@pytest.mark.parametrize("name", WITHOUT_TAG)
def test_any_other_answer_keeps_every_byte_and_header(
    ask: Callable[..., TestResponse], name: str
) -> None:
    bare, ours = ask(None, name), ask(for_all, name)
    assert ours.data == bare.data
    for response in (bare, ours):
        response.headers.pop("Date", None)
    assert list(ours.headers) == list(bare.headers)
    assert ours.status == bare.status
    if "Content-Length" in ours.headers and ours.status_code not in (204, 205, 304):
        assert int(ours.headers["Content-Length"]) == len(ours.data)


@pytest.mark.parametrize(("method", "headers"), UNTOUCHED_REQUESTS)
def test_a_request_for_no_page_is_answered_as_without_us(
    ask: Callable[..., TestResponse], method: str, headers: dict[str, str]
) -> None:
    bare = ask(None, "page", method, headers=headers)
    ours = ask(for_all, "page", method, headers=headers)
    assert (ours.data, list(ours.headers)) == (bare.data, list(bare.headers))
    assert int(ours.headers["Content-Length"]) == len(PAGE.encode())


def test_a_page_shown_in_a_frame_gets_the_tag(ask: Callable[..., TestResponse]) -> None:
    assert TAG in ask(for_all, "page", headers={"Sec-Fetch-Dest": "iframe"}).data


def test_a_streamed_page_arrives_piece_by_piece() -> None:
    def slow() -> Response:
        def pieces() -> Iterator[str]:
            yield HEAD
            time.sleep(1)  # the host's own slowness is the subject
            yield "</body></html>"

        return Response(pieces(), mimetype="text/html")

    app = make_host(for_all)
    app.add_url_rule("/slow", "slow", slow)
    began = time.monotonic()
    response = app.test_client().get("/slow", buffered=False)
    pieces = iter(response.response)
    assert next(pieces) in (HEAD, HEAD.encode())
    assert time.monotonic() - began < 0.5
    response.close()


def test_two_users_get_the_same_bytes_and_anonymous_visitors_those_of_the_host(
    ask: Callable[..., TestResponse],
) -> None:
    bare, anonymous = ask(None, "page"), ask(for_users, "page")
    ada = ask(for_users, "page", headers={"Cookie": "user=ada"})
    bob = ask(for_users, "page", headers={"Cookie": "user=bob"})
    assert ada.data == bob.data
    assert ada.data.count(TAG) == 1
    assert ada.headers["Vary"] == "Cookie"
    assert (anonymous.data, list(anonymous.headers)) == (bare.data, list(bare.headers))


def test_vary_keeps_what_the_host_said(ask: Callable[..., TestResponse]) -> None:
    response = ask(for_users, "publicly_cached", headers={"Cookie": "user=ada"})
    assert response.vary.as_set() == {"accept-encoding", "cookie"}


def test_the_hosts_etag_still_revalidates() -> None:
    def tagged() -> Response:
        response = answer(PAGE)
        response.add_etag()
        return response.make_conditional(request)

    bare, ours = make_host(), make_host(for_users)
    for app in (bare, ours):
        app.add_url_rule("/tagged", "tagged", tagged)
    etag = bare.test_client().get("/tagged").headers["ETag"]
    for cookie in ("user=ada", "user=bob", ""):
        client = ours.test_client(use_cookies=False)
        first = client.get("/tagged", headers={"Cookie": cookie})
        assert first.headers["ETag"] == etag
        assert (TAG in first.data) is bool(cookie)
        again = client.get("/tagged", headers={"Cookie": cookie, "If-None-Match": etag})
        assert (again.status_code, again.data) == (304, b"")


def test_a_range_of_a_page_never_holds_shifted_bytes() -> None:
    def ranged() -> Response:
        response = answer(PAGE, ETag='"v1"')
        return response.make_conditional(
            request, accept_ranges=True, complete_length=len(PAGE.encode())
        )

    app = make_host(for_all)
    app.add_url_rule("/ranged", "ranged", ranged)
    client = app.test_client()
    whole = client.get("/ranged").data
    start = len(PAGE.encode()) - 20
    part = client.get("/ranged", headers={"Range": f"bytes={start}-"})
    assert part.status_code == 206
    assert part.data == whole[start:]


def test_a_host_that_cuts_ranges_after_us_cuts_the_page_as_it_was_sent() -> None:
    def conditional(response: Response) -> Response:
        return response.make_conditional(
            request, accept_ranges=True, complete_length=len(response.get_data())
        )

    app = make_host(conditional)
    app.after_request(for_all)  # runs before `conditional`
    client = app.test_client()
    whole = client.get("/page").data
    part = client.get("/page", headers={"Range": "bytes=-100"})
    assert TAG in whole
    assert (part.status_code, part.data) == (206, whole[-100:])


@pytest.mark.parametrize(
    ("mode", "recorded", "expected"),
    [("users", False, False), ("users", True, True), ("all", False, True)],
)
def test_users_means_users_and_all_means_all(
    mode: Literal["users", "all"], recorded: bool, expected: bool
) -> None:
    with make_host().test_request_context("/page"):
        response = make_response(PAGE)
        assert Injector("/engage", mode)(response, request, recorded) is expected
        assert (TAG in response.data) is expected


def test_a_tag_placed_by_a_template_is_not_doubled(ask: Callable[..., TestResponse]) -> None:
    assert ask(for_all, "placed_by_hand").data.count(b"engage.js") == 1


def test_talk_about_the_tag_does_not_keep_the_tag_away() -> None:
    app = make_host(for_all)
    quoted = "<p>&lt;script src=&#34;/engage/widget/engage.js?v=1&#34;&gt;</p>"
    app.add_url_rule("/talk", "talk", lambda: HEAD + quoted + "</body></html>")
    assert app.test_client().get("/talk").data.count(TAG) == 1


def test_an_app_mounted_below_a_path_gets_addresses_below_it() -> None:
    response = make_host(for_all).test_client().get("/page", base_url="http://localhost/a%22b/")
    assert b'src="/a%22b/engage/widget/engage.js?v=' in response.data
    assert b'data-engage="/a%22b/engage/widget/"' in response.data


@pytest.mark.parametrize(
    ("configured", "on_request", "header", "expected"),
    [
        (None, None, None, None),
        (lambda: "bm9uY2U=", None, None, "bm9uY2U="),
        (None, "talisman-1", None, "talisman-1"),
        (None, None, "default-src 'self'; script-src 'self' 'nonce-abc+/='", "abc+/="),
        (None, None, "default-src 'nonce-d1'", "d1"),
        (None, None, "style-src 'nonce-s1'; script-src 'self'", None),
        (lambda: "configured", "talisman-1", "script-src 'nonce-h'", "configured"),
        (lambda: '"><script>alert(1)</script>', None, None, None),
        (lambda: None, None, "script-src 'nonce-h'", "h"),
    ],
)
def test_the_tag_carries_the_hosts_nonce(
    configured: Any, on_request: str | None, header: str | None, expected: str | None
) -> None:
    with make_host().test_request_context("/page"):
        if on_request:
            request.csp_nonce = on_request  # type: ignore[attr-defined]
        response = make_response(PAGE)
        if header:
            response.headers["Content-Security-Policy"] = header
        Injector("/engage", "all", configured)(response, request, False)
        placed = f' nonce="{expected}"></script>'.encode()
        assert response.data.count(b"engage.js") == 1
        assert (placed in response.data) is (expected is not None)
        assert b"alert" not in response.data


def test_our_own_pages_are_left_alone() -> None:
    from flask import Blueprint

    app = make_host(for_all)
    ours = Blueprint("engage_dashboard", __name__)
    ours.add_url_rule("/engage/", "home", page)
    app.register_blueprint(ours)
    assert TAG not in app.test_client().get("/engage/").data
