"""Running Python in a process of its own, as a host's would be."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment with the project importable, without pytest's marks."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "FLASK_", "ENGAGE_", "WERKZEUG_"))
    }
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), **more}


def run_python(
    *arguments: str | Path, cwd: Path, timeout: float = 120, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with `arguments` in `cwd` and return what came of it; raises for nothing."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


def output_of(arguments: Sequence[str | Path], *, cwd: Path, **env: str) -> str:
    """Run Python and return what it printed; fail the test if it failed."""
    result = run_python(*arguments, cwd=cwd, **env)
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


def in_child(work: Callable[[int], None]) -> tuple[int, int]:
    """Run `work` in a forked process; return its id and the end of a pipe to read from.

    `work` is given the other end. A child that comes to the end of it, or fails, exits with 3.
    """
    mine, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(mine)
            work(theirs)
        except BaseException:  # noqa: BLE001  (nothing of pytest's may run in the child)
            traceback.print_exc()
        finally:
            os._exit(3)
    os.close(theirs)
    return pid, mine


def read_all(pipe: int) -> bytes:
    """Read `pipe` to its end and close it."""
    chunks = []
    while chunk := os.read(pipe, 65536):
        chunks.append(chunk)
    os.close(pipe)
    return b"".join(chunks)
