"""A local HTTP server that speaks as enrichment services do, and misbehaves as asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n" + b"a picture" * 20


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    """``server.answer = lambda request: (status, headers, body)``; see :attr:`requests`."""

    answer: Callable[[Request], tuple[int, dict[str, str], bytes]] = lambda request: (404, {}, b"")
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Server:
        server = self
        self.end = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def _serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(
                    self.command,
                    self.path,
                    {k.lower(): v for k, v in self.headers.items()},
                    json.loads(raw) if raw else None,
                )
                server.requests.append(request)
                status, headers, body = server.answer(request)
                if status == 0:  # never answers
                    server.end.wait(20)
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if headers.get("X-Drip"):
                    for byte in body:
                        if server.end.wait(0.05):
                            return
                        try:
                            self.wfile.write(bytes([byte]))
                        except OSError:
                            return
                    return
                self.wfile.write(body)

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.05,))
        self.thread.start()
        self.port = self.httpd.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *args: object) -> None:
        self.end.set()
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()


def answer(status: int = 200, found: Any = None, **headers: str) -> Callable[[Request], Any]:
    body = b"" if found is None else json.dumps(found).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: (status, named, body)


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
