"""Importing the package warns of nothing, prints nothing and loads only what it needs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests._processes import run_python

#: Loaded when needed: they take long, or most processes never need them.
LATER = ("alembic", "apscheduler", "urllib3", "flask_login", "flask_sqlalchemy")


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_python("-W", "error", "-c", code, cwd=folder)


def test_import_says_nothing(tmp_path: Path) -> None:
    result = run("import flask_engage", tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_import_leaves_nothing_behind(tmp_path: Path) -> None:
    code = (
        "import threading, logging\n"
        "before = logging.getLogger().handlers[:], logging.getLogger().level\n"
        "import flask_engage\n"
        "assert threading.active_count() == 1\n"
        "assert before == (logging.getLogger().handlers, logging.getLogger().level)\n"
        "assert not logging.getLogger('flask_engage').handlers\n"
    )
    result = run(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.iterdir()) == []


def test_import_loads_nothing_that_can_wait(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import flask_engage\n"
        f"print(*(name for name in {LATER!r} if name in sys.modules))\n"
    )
    result = run(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""
