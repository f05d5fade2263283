"""Environments of the peers' own, each with the versions that its requirements file pins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).parent / "pins"
MADE = Path(__file__).parent / ".peers"


def interpreter(peer: str) -> tuple[Path | None, str]:
    """Return the Python that has `peer`, made if it is not there; or None, and why."""
    pins = PINS / f"{peer}.txt"
    wanted = f"{sys.version}\n{pins.read_text(encoding='utf-8')}"
    folder = MADE / peer
    python, stamp = folder / "bin" / "python", folder / "made-from.txt"
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python, ""
    for step in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "-r", str(pins)],
    ):
        done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            return None, f"{peer} is left out, it can't be installed: {said[-1] if said else '?'}"
    stamp.write_text(wanted, encoding="utf-8")
    return python, ""
