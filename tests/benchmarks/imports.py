"""What a process pays for us before its first request, and what it keeps: time and memory.

Each figure comes from an interpreter that has just begun, has imported Flask, SQLAlchemy and
Flask-Login, and then does one thing more. All have compiled bytecode, as what is installed has.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests._processes import environment
from tests.benchmarks import _fresh
from tests.benchmarks._harness import Figures, Size

ROUNDS: dict[Size, int] = {"small": 5, "full": 21}

VARIANTS = {
    "flask + sqlalchemy + flask_login": "bare",
    "engage, a request stored": "stored",
    "engage, and its scheduler": "scheduler",
    "engage, and its tables made": "first",
}


def run(size: Size) -> Figures:
    """Measure and return the figures."""
    rounds = ROUNDS[size]
    with tempfile.TemporaryDirectory(prefix="engage-bench-") as name:
        folder = Path(name)
        for what in ("first", *VARIANTS.values()):  # compiles, and makes the tables
            fresh(what, folder)
        measured: dict[str, list[dict[str, Any]]] = {variant: [] for variant in VARIANTS}
        for _ in range(rounds):
            for variant, what in VARIANTS.items():
                measured[variant].append(fresh(what, folder))

    def median(variant: str, figure: str) -> float:
        return statistics.median(one[figure] for one in measured[variant])

    bare = next(iter(VARIANTS))
    result = Figures(
        name="imports",
        what="a process that has just begun, on top of what a Flask app with a login has anyway",
        size={"interpreters each": rounds},
    )
    for variant in VARIANTS:
        importing, init = median(variant, "import_s") * 1e3, median(variant, "init_s") * 1e3
        resident = median(variant, "resident_kb")
        result.found.append(
            {
                "variant": variant,
                "import_ms": round(importing, 1),
                "init_ms": round(init, 1),
                "both_ms": round(importing + init, 1),
                "of_that_cpu_ms": round(median(variant, "cpu_s") * 1e3, 1),
                "resident_MB": round(resident / 1024, 1),
                "added_MB": round((resident - median(bare, "resident_kb")) / 1024, 1),
                "modules": int(median(variant, "modules")),
            }
        )
    return result


def fresh(what: str, folder: Path) -> dict[str, Any]:
    """Let a new interpreter do `what`, and return what it says of itself."""
    env = environment(PYTHONPYCACHEPREFIX=str(folder / "bytecode"))
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, str(_fresh.__file__), what, str(folder)],
        env=env,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
