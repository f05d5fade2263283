"""``flask run --debug``: the parent starts nothing, a saved file reloads, nothing is lost."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from tests._databases import migrated
from tests.runtimes._server import PATIENCE, serving, stored, threads_of

MODULE = """
from tests.runtimes._served import app, engage

VERSION = {version}

@app.get("/version")
@engage.untracked
def version():
    return {{"version": VERSION}}
"""


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(number) for number in found]


def test_a_saved_file_reloads_and_nothing_is_lost(tmp_path: Path) -> None:
    module = tmp_path / "shop.py"
    module.write_text(MODULE.format(version=1))
    command = (sys.executable, "-m", "flask", "--app", "shop", "--debug", "run")
    with (
        migrated("sqlite", tmp_path) as database,
        serving((*command, "--port", "{port}"), tmp_path, database, ready="/version") as server,
    ):
        parent = server.process.pid
        before = server.act(range(10))
        assert threads_of(parent) == 1, "the reloader's parent has a thread"
        assert {answer["pid"] for answer in before} == set(children_of(parent))
        module.write_text(MODULE.format(version=2))
        os.utime(module, (time.time() + 5, time.time() + 5))
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if server.json("/version")["version"] == 2:
                    break
            except OSError:
                pass  # between two lives
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.05)
        after = server.act(range(10, 20))
        assert {answer["pid"] for answer in after}.isdisjoint(answer["pid"] for answer in before)
        for answer in (before[-1], after[-1]):
            assert answer["threads"].count("engage-writer") == 1
            assert answer["threads"].count("APScheduler") == 1
        server.kill()
        found = stored(tmp_path, database, range(20))
    assert set(found) == set(range(20)), server.log()
    assert set(found.values()) == {1}
