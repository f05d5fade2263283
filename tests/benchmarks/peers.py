"""What a request pays for us, and for what else one could put in our place.

Each app runs in a process of its own and serves a round of requests when it is told to, so
that all take turns in one run. A peer has an environment of its own, because some need old
packages, and is compared with a plain app in the same environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests._processes import environment
from tests.benchmarks import _peer
from tests.benchmarks._environments import interpreter
from tests.benchmarks._harness import Result, Size, interleaved

ROUNDS: dict[Size, tuple[int, int]] = {"small": (12, 100), "full": (60, 200)}
"""Rounds, and requests in each round."""

OURS = {
    "plain": "plain",
    "plain, empty hook": "empty_hook",
    "ideal: a deque and a splice": "ideal",
    "engage": "engage",
    "engage, and an event": "engage_event",
    "one UPDATE and commit": "update",
}
PEERS = ("posthog", "flask-track-usage", "flask-monitoringdashboard")


def run(size: Size) -> Result:
    """Measure and return the figures."""
    rounds, each = ROUNDS[size]
    result = Result(
        name="peers",
        what="one request for a 10 KB page by somebody logged in, straight into the WSGI callable",
        yardstick="plain",
        size={"rounds": rounds, "requests in each": each},
    )
    variants: dict[str, Callable[[int], list[float]]] = {}
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        for name, variant in OURS.items():
            variants[name] = serving(stack, Path(sys.executable), variant)
        for peer in PEERS:
            python, problem = interpreter(peer)
            if python is None:
                result.notes.append(problem)
                continue
            yardstick = f"{peer}: plain"
            variants[yardstick] = serving(stack, python, "plain")
            variants[peer] = serving(stack, python, peer.replace("-", "_"), SINK=sink.url)
            result.against |= {yardstick: yardstick, peer: yardstick}
        interleaved(result, variants, rounds=rounds, each=each)
        if "posthog" in variants:
            result.notes.append(
                # One more than there were pages: the login, which its hook sees too.
                f"PostHog's client delivered {sink.events:,} of {(rounds + 1) * each + 1:,} events."
            )
    result.notes.append(compared(result))
    return result


def serving(
    stack: ExitStack, python: Path, variant: str, **env: str
) -> Callable[[int], list[float]]:
    """Start an app in a process; return what has it serve `n` requests."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engage-bench-")))
    log = stack.enter_context((folder / "stderr").open("w+", encoding="utf-8"))
    process = stack.enter_context(
        subprocess.Popen(
            [python, str(_peer.__file__), variant, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=folder,
            env=environment(**env),
        )
    )
    stack.callback(process.terminate)

    def run(number: int) -> list[float]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{variant} stopped:\n{Path(log.name).read_text(encoding='utf-8')}")
        times: list[float] = json.loads(line)
        return times

    return run


def compared(result: Result) -> str:
    """Say how many times as much as ours each peer's added time is."""
    added = {row["variant"]: float(row["added_us"]) for row in result.rows()}
    noise = abs(added["plain, empty hook"])
    ours = added["engage"]
    others = ", ".join(
        f"{name} {added[name] / ours:.1f}x"
        for name in ("one UPDATE and commit", *PEERS)
        if name in added and ours > 0
    )
    return f"Noise, the empty hook: {noise:.1f} us. Added time over that of engage: {others}."


class Sink(ThreadingHTTPServer):
    """Takes events as PostHog's server does, at once, and counts them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.events = 0
        self.counting = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Sink:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Taker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sink: Any = self.server
        with sink.counting:
            sink.events += len(json.loads(body).get("batch", ()))
        answer = b'{"status": 1}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
