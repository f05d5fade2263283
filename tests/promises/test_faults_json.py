"""Hostile bodies at every address of ours that takes one: refused quickly, never an error."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from flask_engage import Engage
from tests import _databases
from tests._hosts import Host, make_host

_JSON = "application/json"
_MANY = b"x" * (10 * 1024 * 1024)
_PROMISED = 0.1
"""Seconds of the processor's time that any of these may cost: not the clock's, which also counts
what others do on a busy machine."""
_TRIES = 3
"""The cheapest counts: in another one Python may have tidied up after the tests before."""

#: What is sent, as which type, and with which further headers.
BODIES: dict[str, tuple[bytes, str, dict[str, str]]] = {
    "not a number": (b'{"events": [{"name": "a", "properties": {"n": NaN}}]}', _JSON, {}),
    "infinity": (b'{"events": [{"name": "a", "properties": {"n": 1e999}}]}', _JSON, {}),
    "half a surrogate": (b'{"events": [{"name": "\\ud800"}], "kind": "\\ud800"}', _JSON, {}),
    "a nul": (b'{"events": [{"name": "a\\u0000"}], "kind": "a\\u0000"}', _JSON, {}),
    "deep": (b"[" * 200_000, _JSON, {}),
    "deep objects": (b'{"a":' * 10_000, _JSON, {}),
    "deep inside": (b'{"events": [{"name": "a", "properties": ' + b'{"a":' * 5000, _JSON, {}),
    "a long number": (
        b'{"events": [{"name": "a", "properties": {"n": ' + b"9" * 5000 + b"}}]}",
        _JSON,
        {},
    ),
    "a key twice": (b'{"kind": "shown", "kind": 7, "events": [], "events": 7}', _JSON, {}),
    "ten megabytes": (b'{"events": "' + _MANY + b'"}', _JSON, {}),
    "another charset": ('{"events": "é"}'.encode("utf-16"), f"{_JSON}; charset=utf-16", {}),
    "broken utf-8": (b'{"events": [{"name": "\xff\xfe"}], "kind": "\xff"}', _JSON, {}),
    "a bomb": (gzip.compress(b"[" * 10_000_000), _JSON, {"Content-Encoding": "gzip"}),
    "nothing": (b"", _JSON, {}),
    "no json": (b"{", _JSON, {}),
    "a list": (b"[1, 2, 3]", _JSON, {}),
    "null": (b"null", _JSON, {}),
    "a form": (b"events=1", "application/x-www-form-urlencoded", {}),
    "no type": (b'{"events": []}', "", {}),
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("json")
    with _databases.migrated("sqlite", folder) as url:
        host = make_host("flask-sqlalchemy", url)
        yield host
        host.dispose()


@pytest.fixture(scope="module")
def app(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """A host that is served: nothing is raised again for a developer."""
    return host.create_app(
        Engage(),
        TESTING=False,
        PROPAGATE_EXCEPTIONS=False,
        ENGAGE_JOURNAL_DIR=str(tmp_path_factory.mktemp("journal")),
    )


def _takers(app: Flask) -> list[str]:
    """Return the addresses of the widget's blueprint that take a body."""
    return [
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("engage_widget.") and "POST" in (rule.methods or ())
    ]


class Meter:
    """A WSGI app around another that keeps what each answer took of the processor."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.seconds: list[float] = []

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        began = time.thread_time()
        try:
            return list(self.app(environ, start_response))
        finally:
            self.seconds.append(time.thread_time() - began)


@pytest.fixture(scope="module")
def meter(app: Flask) -> Meter:
    return Meter(app)


@pytest.fixture(scope="module")
def server(meter: Meter) -> Iterator[int]:
    """A real server, since a test client mends what is wrong with a request; its port."""
    server = make_server("127.0.0.1", 0, meter, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def cookie(host: Host, app: Flask, server: int) -> str:
    """The session of somebody who is logged in."""
    connection = http.client.HTTPConnection("127.0.0.1", server)
    connection.request("GET", f"/login/{host.add_user(app)}")
    answer = connection.getresponse()
    connection.close()
    return str(answer.headers["Set-Cookie"]).partition(";")[0]


def _headers(port: int, cookie: str) -> dict[str, str]:
    return {"Cookie": cookie, "Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}


def test_there_is_something_to_test(app: Flask) -> None:
    assert len(_takers(app)) >= 2


@pytest.mark.parametrize("body", BODIES)
def test_a_hostile_body_is_refused(
    body: str, app: Flask, server: int, meter: Meter, cookie: str
) -> None:
    data, kind, more = BODIES[body]
    headers = {**_headers(server, cookie), **more, **({"Content-Type": kind} if kind else {})}
    for path in _takers(app):
        meter.seconds.clear()
        for _ in range(_TRIES):
            status = _send(server, path, data, headers)
            assert 400 <= status < 500, (path, status)
        assert len(meter.seconds) == _TRIES
        assert min(meter.seconds) < _PROMISED, (path, meter.seconds)
    assert app.extensions["engage"].guard.counts == {}, "it was foreseen, not caught"


def _send(port: int, path: str, data: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with suppress(BrokenPipeError, ConnectionResetError):  # answered before all was sent
        connection.request("POST", path, data, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_meter_would_see_a_body_that_costs_much() -> None:
    def slow(environ: Any, start_response: Any) -> list[bytes]:
        until = time.thread_time() + 2 * _PROMISED
        while time.thread_time() < until:
            json.loads("[" * 100 + "]" * 100)
        return []

    meter = Meter(slow)  # type: ignore[arg-type]
    meter({}, None)
    assert meter.seconds[0] > _PROMISED


_LENGTHS = {
    "a negative length": b"Content-Length: -1\r\n\r\n{}",
    "no number": b"Content-Length: many\r\n\r\n{}",
    "no length": b"\r\n{}",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "more than is sent": b'Content-Length: 100\r\n\r\n{"events": []}',
}


@pytest.mark.parametrize("length", _LENGTHS)
def test_a_hostile_length_is_refused(length: str, app: Flask, server: int, cookie: str) -> None:
    for path in _takers(app):
        with socket.create_connection(("127.0.0.1", server), timeout=30) as end:
            headers = {**_headers(server, cookie), "Content-Type": _JSON, "Host": "127.0.0.1"}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            end.sendall(f"POST {path} HTTP/1.1\r\n{lines}".encode() + _LENGTHS[length])
            end.shutdown(socket.SHUT_WR)
            answer = end.makefile("rb").readline()
        assert answer.split()[1].startswith(b"4"), (path, answer)
    assert app.extensions["engage"].guard.counts == {}, "it was foreseen, not caught"


def test_a_limit_of_the_hosts_on_bodies_is_kept(tmp_path: Path) -> None:
    with _databases.migrated("sqlite", tmp_path) as url:
        host = make_host("flask-sqlalchemy", url)
        app = host.create_app(
            Engage(),
            TESTING=False,
            MAX_CONTENT_LENGTH=100,
            ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        )
        client = app.test_client()
        client.get(f"/login/{host.add_user(app)}")
        for path in _takers(app):
            answer = client.post(
                path,
                data=json.dumps({"events": ["x" * 200]}),
                content_type=_JSON,
                headers={"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
            )
            assert answer.status_code == 413, path
        assert app.extensions["engage"].guard.counts == {}
        host.dispose()
