"""Run the benchmarks: ``python -m tests.benchmarks [--size full] [NAME …]``."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from pathlib import Path

import pytest

from tests.benchmarks._harness import RESULTS, Figures, Result, versions


def names() -> list[str]:
    """Return the benchmarks there are: each module of this folder that has no underscore."""
    folder = Path(__file__).parent
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def main() -> None:
    """Run, print a table each and write JSON; exits with an error only if one broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("names", nargs="*", choices=[*names(), []], default=[], metavar="NAME")
    chosen = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in versions().items()))
    broke: list[str] = []
    for name in chosen.names or names():
        begin = time.monotonic()
        try:
            result: Result | Figures = importlib.import_module(f"tests.benchmarks.{name}").run(
                chosen.size
            )
        except pytest.skip.Exception as reason:
            print(f"\n{name} is left out: {reason}")
            continue
        except Exception:  # noqa: BLE001  (whatever it was: the others are still to be measured)
            traceback.print_exc()
            broke.append(name)
            continue
        path = result.save()
        took = time.monotonic() - begin
        print(f"\n{result.table()}\n-> {path.relative_to(RESULTS.parents[2])}, in {took:.0f} s")
        sys.stdout.flush()
    if broke:
        sys.exit(f"\nThese broke, and measured nothing: {', '.join(broke)}")


if __name__ == "__main__":
    main()
