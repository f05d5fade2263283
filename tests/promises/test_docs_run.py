"""Every code block of the README and of docs/ works as written; see :mod:`._documents`."""

from __future__ import annotations

import doctest
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from tests._processes import environment
from tests._services import free_port
from tests.promises._documents import Command, beginning, blocks, commands, pages
from tests.promises._source import ROOT
from tests.promises._starter import Starter

RUN = {"python", "console"}
NOT_RUN = {"text": "is no code"}

#: What a page may tell people to do and a test can't do for them, each with its reason.
LEFT_OUT = {
    "pip install": "what is installed is what is being tested",
    "python3.11 -m venv": "the same",
    ".venv/bin/": "the same; tests/example_app runs the example",
    "make": "the same, and `make test` would run itself",
    "gunicorn": "is run, with workers that are killed, by tests of its own",
}

#: As `flask shell` takes what is typed: line by line, with what is there and nothing else.
SHELL = """
import code, pathlib, app

class Shell(code.InteractiveConsole):
    def showtraceback(self):
        raise

    def showsyntaxerror(self, *_, **__):
        raise

with app.app.app_context():
    shell = Shell(app.app.make_shell_context())
    for line in [*pathlib.Path("typed.py").read_text().splitlines(), ""]:
        shell.push(line)
"""


@pytest.fixture(scope="module")
def starter() -> Iterator[Starter]:
    starter = Starter(environment(FLASK_APP="app"))
    yield starter
    starter.close()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_run_or_is_text(page: Path) -> None:
    unknown = [
        f"{page.name}:{block.line}: {block.language!r}"
        for block in blocks(page)
        if block.language not in RUN | NOT_RUN.keys() and not block.language.startswith("{")
    ]
    assert not unknown, f"use one of {sorted(RUN | NOT_RUN.keys())}: {unknown}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_works_as_written(page: Path, tmp_path: Path, starter: Starter) -> None:
    run = partial(run_in, starter, tmp_path)
    app = tmp_path / "app.py"
    source, run_before = beginning(page)
    app.write_text(source)
    for command in run_before:
        follow(command, "", tmp_path, run)
    changed = False
    for block in blocks(page):
        try:
            if block.language == "python" and block.marker == "in a shell":
                (tmp_path / "typed.py").write_text(block.text)
                (tmp_path / "shell.py").write_text(SHELL)
                run("shell")
                changed = False
            elif block.marker.startswith("file: "):
                file = tmp_path / block.marker.removeprefix("file: ")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text)
            elif block.language == "python":
                app.write_text(app.read_text() + "\n" + block.text)
                changed = True
            elif block.language == "console":
                for command in commands(block):
                    follow(command, block.marker, tmp_path, run)
        except AssertionError as error:
            raise AssertionError(f"{page.relative_to(ROOT)}:{block.line}: {error}") from error
    if changed:
        run("app")


def run_in(starter: Starter, folder: Path, module: str, *arguments: str) -> str:
    status, said = starter.run(module, *arguments, folder=folder)
    assert status == 0, f"{module} {' '.join(arguments)}\n{said}"
    return said


def follow(command: Command, marker: str, folder: Path, run: Callable[..., str]) -> None:
    if command.words.startswith(tuple(LEFT_OUT)):
        return
    words = shlex.split(command.words)
    assert words[0] in ("flask", "pytest"), f"{command.words!r}: this can't be run here"
    if words[0] == "pytest":
        words += ["-q", "-p", "no:cacheprovider", "-p", "flask_engage.testing"]
    if words[-1] == "run":
        serve(words, marker.removeprefix("meanwhile:").split(), folder)
        return
    printed = run(*words)
    if command.expected is not None:
        same = doctest.OutputChecker().check_output(
            command.expected, printed, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        )
        assert same, f"{command.words!r} printed\n{printed}\nand not\n{command.expected}"


def serve(words: list[str], paths: list[str], folder: Path) -> None:
    """Start ``flask run``, open `paths` as one browser would, and stop it with Ctrl-C."""
    port = free_port()
    log = (folder / "server.log").open("w+")
    server = subprocess.Popen(
        [sys.executable, "-m", *words, "--port", str(port)],
        cwd=folder,
        env=environment(FLASK_APP="app", PYTHONPATH=f"{ROOT}:{folder}"),
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
    )
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    browser.addheaders = [("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0")]
    try:
        for path in ["/", *paths]:
            assert answer(browser, f"http://127.0.0.1:{port}{path}", server) == 200, path
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)
        log.seek(0)
        said = log.read()
        log.close()
    assert server.returncode in (0, -signal.SIGINT, 128 + signal.SIGINT), said
    assert "Traceback" not in said, said


def answer(
    browser: urllib.request.OpenerDirector, url: str, server: subprocess.Popen[bytes]
) -> int:
    """Return the status of `url`, waiting for the server to come up."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with browser.open(url, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            if time.monotonic() > deadline or server.poll() is not None:
                raise
            with suppress(subprocess.TimeoutExpired):
                server.wait(0.1)  # ends early if the server does
