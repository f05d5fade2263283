"""Paperkite as it is served: a seeded SQLite file, gunicorn with two workers, a free port."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import pytest

from tests._processes import ROOT, environment, output_of
from tests._services import free_port

START_SECONDS = 60


@dataclass(frozen=True)
class Site:
    """A running Paperkite."""

    url: str
    log: Path

    def complaints(self) -> list[str]:
        """The lines of the server's log that tell of something gone wrong."""
        words = ("Traceback", "WARNING", "ERROR", "CRITICAL", "flask_engage:")
        return [line for line in self.log.read_text().splitlines() if any(w in line for w in words)]


@pytest.fixture(scope="module")
def paperkite_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Paperkite with 60 people behind gunicorn, for the tests of one module."""
    folder = tmp_path_factory.mktemp("paperkite")
    url = f"http://127.0.0.1:{free_port()}"
    settings = {"PAPERKITE_INSTANCE": str(folder), "ENGAGE_BASE_URL": url}
    flask = ["-m", "flask", "--app", "example_app"]
    output_of([*flask, "seed", "--people", "60", "--days", "60"], cwd=ROOT, **settings)
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--workers", "2"),
                *("--bind", url.removeprefix("http://"), "--graceful-timeout", "5"),
                "--no-control-socket",
                "example_app:create_app()",
            ],
            cwd=ROOT,
            env=environment(**settings),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        try:
            _wait_until_it_answers(url, server, log)
            yield Site(url, log)
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
                raise


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (URLError, OSError):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Paperkite does not answer:\n{log.read_text()}")
            time.sleep(0.1)
        else:
            return
