"""A host with us answers as it does without us, but for one tag in whole pages.

The whole extension is attached here, so that every hook has its say; which answers get the tag,
and where in them, is told by the tests of the widget.
"""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, Response, render_template_string, request
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from flask_engage import Engage, InApp
from flask_engage.widget.injection import script_version
from tests._databases import migrated
from tests.extension._wsgi import FIREFOX as BROWSER
from tests.widget._answers import HEAD, PAGE, VIEWS, WITH_TAG, answer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TAG = (
    f'<script src="/engage/widget/engage.js?v={script_version()}" defer'
    ' data-engage="/engage/widget/"></script>'
).encode()
PEOPLE = ("ada", "bob", None)

Ask = Callable[..., TestResponse]


def tagged() -> Response:
    response = answer(PAGE)
    response.add_etag()
    return response.make_conditional(request)


def ranged() -> Response:
    return answer(PAGE, ETag='"v1"').make_conditional(
        request, accept_ranges=True, complete_length=len(PAGE.encode())
    )


def by_hand() -> str:
    return render_template_string(HEAD + "{{ engage_widget() }}</body></html>")


def cached() -> Response:
    return answer(PAGE, Cache_Control="public, max-age=60")


def make_host(**config: Any) -> Flask:
    app = Flask("host")
    app.config.update(SECRET_KEY="a secret of sixteen bytes and more", TESTING=True, **config)
    for view in (*VIEWS.values(), tagged, ranged, by_hand, cached):
        app.add_url_rule(f"/{view.__name__}", view.__name__, view, methods=["GET", "POST"])
    return app


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Callable[..., tuple[Flask, Engage]]]:
    """Makes hosts with us, on a database of the test's own."""
    made = []

    def make(**config: Any) -> tuple[Flask, Engage]:
        app, engage = make_host(ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"), **config), Engage()
        engage.load_user(lambda: request.cookies.get("user"))
        with migrated("sqlite", tmp_path) as url:
            engage.init_app(app, url)
        made.append(app)
        return app, engage

    yield make
    for app in made:
        app.extensions["engage"].ready.database().dispose()


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Asks a host for something as somebody, over the test client."""
    path = tmp_path / "page.html"
    path.write_text(PAGE)

    def ask(app: Flask, name: str, user: str | None = None, **options: Any) -> TestResponse:
        headers = {"User-Agent": BROWSER, **options.pop("headers", {})}
        headers["Cookie"] = f"theme=dark; user={user}" if user else "theme=dark"
        response = app.test_client(use_cookies=False).open(
            f"/{name}", headers=headers, environ_overrides={"test.file": str(path)}, **options
        )
        response.get_data()
        response.close()
        return response

    return ask


def headers_of(response: TestResponse) -> list[tuple[str, str]]:
    return [header for header in response.headers if header[0] not in ("Date", "Last-Modified")]


# --- every kind of answer ----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["users", "all"])
def test_every_kind_of_answer_is_the_hosts_or_has_one_tag(
    hosts: Callable[..., tuple[Flask, Engage]], ask: Ask, mode: str
) -> None:
    bare = make_host()
    app, _ = hosts(ENGAGE_INJECT_WIDGET=mode)
    assert len(VIEWS) > 24
    for name in VIEWS:
        expected = ask(bare, name)
        for user in PEOPLE:
            found = ask(app, name, user)
            with_tag = name in WITH_TAG and (mode == "all" or user is not None)
            assert found.status == expected.status, name
            assert found.data.count(TAG) == with_tag, (name, user)
            assert found.data.replace(TAG, b"", 1) == expected.data, name
            if with_tag:
                assert found.headers.pop("Content-Length") == str(len(found.data)), name
                assert ("Cookie" in found.vary) is (mode == "users"), name
                sent, meant = headers_of(found), headers_of(expected)
                assert [h for h in sent if h[0] != "Vary"] == [
                    h for h in meant if h[0] not in ("Vary", "Content-Length")
                ], name
            else:
                assert headers_of(found) == headers_of(expected), (name, user)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("POST", {}),
        ("OPTIONS", {}),
        ("GET", {"HX-Request": "true"}),
        ("GET", {"X-Requested-With": "XMLHttpRequest"}),
        ("GET", {"Sec-Fetch-Dest": "empty"}),
        ("GET", {"Turbo-Frame": "list"}),
    ],
)
def test_a_request_for_no_page_is_answered_as_without_us(
    hosts: Callable[..., tuple[Flask, Engage]], ask: Ask, method: str, headers: dict[str, str]
) -> None:
    app, _ = hosts(ENGAGE_INJECT_WIDGET="all")
    for name in ("page", "publicly_cached", "stream", "file"):
        expected = ask(make_host(), name, method=method, headers=headers)
        found = ask(app, name, "ada", method=method, headers=headers)
        assert (found.status, found.data) == (expected.status, expected.data)
        assert headers_of(found) == headers_of(expected)


def test_a_tag_placed_by_hand_is_the_only_one(
    hosts: Callable[..., tuple[Flask, Engage]], ask: Ask
) -> None:
    app, _ = hosts(ENGAGE_INJECT_WIDGET="all")
    pages = {ask(app, "by_hand", user).data for user in PEOPLE}
    assert pages == {PAGE.encode().replace(b"</body>", TAG + b"</body>")}


# --- streams -----------------------------------------------------------------------------------


@contextmanager
def served(app: Flask) -> Iterator[int]:
    """Serve `app` on loopback and give its port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_generators_first_byte_arrives_before_its_last_is_made(
    hosts: Callable[..., tuple[Flask, Engage]],
) -> None:
    app, _ = hosts(ENGAGE_INJECT_WIDGET="all")
    arrived = threading.Event()

    def slow() -> Response:
        def pieces() -> Iterator[str]:
            yield HEAD
            yield "" if arrived.wait(30) else "the first byte never came"
            yield "</body></html>"

        return Response(pieces(), mimetype="text/html")

    app.add_url_rule("/slow", "slow", slow)
    with served(app) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/slow", headers={"Cookie": "user=ada", "User-Agent": BROWSER})
        response = connection.getresponse()
        first = response.read(len(HEAD.encode()))
        arrived.set()
        assert first + response.read() == PAGE.encode()
        connection.close()


# --- caches ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["users", "all"])
def test_those_who_get_the_tag_get_the_same_bytes_and_a_304_for_the_same_etag(
    hosts: Callable[..., tuple[Flask, Engage]], ask: Ask, mode: str
) -> None:
    app, _ = hosts(ENGAGE_INJECT_WIDGET=mode)
    bare = ask(make_host(), "tagged")
    etag = bare.headers["ETag"]
    answers = {user: ask(app, "tagged", user) for user in PEOPLE}
    assert {found.headers["ETag"] for found in answers.values()} == {etag}
    assert answers["ada"].data == answers["bob"].data == bare.data.replace(b"</b", TAG + b"</b")
    assert headers_of(answers["ada"]) == headers_of(answers["bob"])
    if mode == "all":
        assert answers[None].data == answers["ada"].data
        assert headers_of(answers[None]) == headers_of(answers["ada"])
    else:
        assert (answers[None].data, headers_of(answers[None])) == (bare.data, headers_of(bare))
    for user in PEOPLE:
        again = ask(app, "tagged", user, headers={"If-None-Match": etag})
        assert (again.status_code, again.data) == (304, b"")


def test_ranges_of_a_page_fit_together_and_never_hold_shifted_bytes(
    hosts: Callable[..., tuple[Flask, Engage]], ask: Ask
) -> None:
    app, _ = hosts(ENGAGE_INJECT_WIDGET="all")
    for name in ("ranged", "page", "file"):
        whole = ask(app, name, "ada").data
        for start, end in ((0, 9), (10, len(PAGE.encode()) - 1)):
            headers = {"Range": f"bytes={start}-{end}"}
            part = ask(app, name, "ada", headers=headers)
            if part.status_code == 206:
                assert part.data == whole[start : end + 1], name
            else:
                assert (part.status_code, part.data) == (200, whole), name


class SharedCache:
    """A proxy that keeps what it may and gives it to whoever sends what `Vary` asks for."""

    def __init__(self, ask: Callable[[str, dict[str, str]], TestResponse]) -> None:
        self._ask = ask
        self._kept: dict[str, list[tuple[dict[str, str], TestResponse]]] = {}
        self.hits = 0

    def get(self, path: str, headers: dict[str, str]) -> TestResponse:
        for sent, response in self._kept.get(path, []):
            if all(sent.get(name) == headers.get(name) for name in response.vary):
                self.hits += 1
                return response
        response = self._ask(path, headers)
        control = response.cache_control
        if control.max_age and not (control.private or control.no_store):
            self._kept.setdefault(path, []).append((headers, response))
        return response


@pytest.mark.parametrize("mode", ["users", "all"])
def test_a_shared_cache_gives_nobody_what_is_anothers(
    hosts: Callable[..., tuple[Flask, Engage]], mode: str
) -> None:
    app, engage = hosts(ENGAGE_INJECT_WIDGET=mode)
    client = app.test_client(use_cookies=False)
    cache = SharedCache(lambda path, headers: client.get(path, headers=headers, buffered=True))
    chosen = random.Random(7)
    with app.app_context():
        for user in ("ada", "bob"):
            engage.seen(user)
            engage.flush()
            engage.send(InApp(title=f"For {user}"), to=user)
    seen = set()
    for _ in range(400):
        user = chosen.choice(PEOPLE)
        path = chosen.choice(("/cached", "/engage/widget/inbox"))
        headers = {"User-Agent": BROWSER, "Cookie": f"user={user}" if user else ""}
        found = cache.get(path, headers)
        if path == "/cached":
            assert (TAG in found.data) is (mode == "all" or user is not None)
            continue
        message = found.get_json().get("message")
        title = message["title"] if message else None
        assert title in (None, f"For {user}")
        seen.add(title)
    assert {"For ada", "For bob"} <= seen
    assert cache.hits > 50, "the cache kept nothing, so that the test shows nothing"


# --- policies ----------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(
    ("policy", "nonce_in"),
    [
        ({"default-src": "'self'"}, []),
        ({"default-src": "'none'", "connect-src": "'self'", "script-src": ""}, ["script-src"]),
    ],
    ids=["self", "nonce"],
)
def test_the_widget_opens_under_talismans_policy_without_a_violation(
    hosts: Callable[..., tuple[Flask, Engage]],
    browser: Browser,
    policy: dict[str, str],
    nonce_in: list[str],
) -> None:
    from flask_talisman import Talisman

    app, engage = hosts()
    Talisman(
        app,
        force_https=False,
        session_cookie_secure=False,
        content_security_policy=policy,
        content_security_policy_nonce_in=nonce_in,
    )
    with app.app_context():
        engage.seen("ada")
        engage.flush()
        engage.send(InApp(title="New: export", body="Try it."), to="ada")
    context = browser.new_context()
    complaints: list[str] = []
    context.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('CSP', e.blockedURI))"
    )
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(f"Error: {error}"))
    page.on("console", lambda said: complaints.append(said.text))
    policed = ("CSP", "Content Security Policy", "Error")
    with served(app) as port:
        address = f"http://127.0.0.1:{port}"
        context.add_cookies([{"name": "user", "value": "ada", "url": address}])
        found = page.goto(f"{address}/page")
        assert found is not None
        sent = found.headers["content-security-policy"]
        assert ("nonce-" in sent) is bool(nonce_in)
        page.get_by_role("dialog", name="New: export").wait_for()
        with page.expect_response("**/seen"):  # that it was dismissed
            page.get_by_role("button", name="Close").click()
        page.get_by_role("dialog").wait_for(state="detached")
        context.close()
    assert [text for text in complaints if any(word in text for word in policed)] == []
