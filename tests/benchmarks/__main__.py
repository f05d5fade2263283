"""Run the benchmarks: ``python -m tests.benchmarks [--size full] [NAME …]``."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from tests.benchmarks._harness import RESULTS, Result, versions


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
    for name in chosen.names or names():
        result: Result = importlib.import_module(f"tests.benchmarks.{name}").run(chosen.size)
        path = result.save()
        print(f"\n{result.table()}\n-> {path.relative_to(RESULTS.parents[2])}")


if __name__ == "__main__":
    main()
