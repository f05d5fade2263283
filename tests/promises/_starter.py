"""Processes that start in a moment: one that has imported the libraries forks for each.

A page of documentation is some twenty commands, and importing Flask, SQLAlchemy and Alembic
takes longer than any of them. Each command still is a process of its own, from its first line
to its exit handlers; only libraries are there before it, and none of it is ours.

Run as a script, this is the process that forks: a line of JSON in, a line with the exit
status out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

LIBRARIES = (
    "alembic.command",
    "flask.cli",
    "flask_login",
    "flask_sqlalchemy",
    "jinja2.sandbox",
    "mistune",
    "msgspec",
    "pytest",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.orm",
)


class Starter:
    """The parent's side."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, *arguments: str, folder: Path, **env: str) -> tuple[int, str]:
        """Run ``python -m module arguments`` in `folder`; return its status and all it said."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        said = folder / ".said"
        job = {
            "argv": [module, *arguments],
            "folder": str(folder),
            "said": str(said),
            "env": env,
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return status, said.read_text(encoding="utf-8")

    def close(self) -> None:
        """End the process that forks."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


def _become(job: dict[str, Any]) -> None:
    """Turn this forked process into what the job says."""
    os.chdir(job["folder"])
    os.environ.update(job["env"])
    said = os.open(job["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in ((0, nothing), (1, said), (2, said)):
        os.dup2(file, number)
    sys.path.insert(0, job["folder"])
    sys.argv = list(job["argv"])
    warnings.simplefilter("error")


def _serve() -> dict[str, Any] | None:
    """Fork for each job; return the job in the child, None in the parent at the end."""
    while line := sys.stdin.readline():
        job: dict[str, Any] = json.loads(line)
        child = os.fork()
        if child == 0:
            return job
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return None


if __name__ == "__main__":
    import importlib
    import runpy

    for library in LIBRARIES:
        importlib.import_module(library)
    mine = _serve()
    if mine is not None:
        _become(mine)
        # The child ends as any script does: threads, exit handlers and all.
        runpy.run_module(mine["argv"][0], run_name="__main__", alter_sys=True)
