"""Rounds in turn, medians, ratios, a table and a JSON file.

A machine's speed drifts while one measures. So all variants take turns within each round,
and what is reported first are ratios between medians of the same run.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

Size = Literal["small", "full"]

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("flask-engage", "flask", "werkzeug", "sqlalchemy", "flask-login")


@dataclass
class Result:
    """What one benchmark measured: seconds per operation, by variant."""

    name: str
    what: str
    """One sentence: what is timed, and against what."""
    yardstick: str
    """The variant that the others are compared with, unless `against` names another."""
    size: Mapping[str, int]
    """How much was measured: rounds, rows and the like."""
    medians: dict[str, list[float]] = field(default_factory=dict)
    """The median of each round, in seconds per operation."""
    samples: dict[str, list[float]] = field(default_factory=dict)
    """Every single operation, in seconds."""
    against: dict[str, str] = field(default_factory=dict)
    """Variants that have a yardstick of their own."""
    notes: list[str] = field(default_factory=list)
    """What was left out and why, and what else is to be said of the figures."""

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per variant, in microseconds; the yardstick comes first."""
        rows = []
        for variant, medians in self.medians.items():
            yardstick = self.medians[self.against.get(variant, self.yardstick)]
            base = statistics.median(yardstick)
            median = statistics.median(medians)
            single = sorted(self.samples[variant])
            # Per round, so that a drift between the rounds cancels out.
            added = statistics.median(
                mine - theirs for mine, theirs in zip(medians, yardstick, strict=True)
            )
            rows.append(
                {
                    "variant": variant,
                    "median_us": round(median * 1e6, 1),
                    "added_us": round(added * 1e6, 1),
                    "ratio": round(median / base, 3),
                    "p99_us": round(single[int(len(single) * 0.99)] * 1e6, 1),
                }
            )
        return rows

    def table(self) -> str:
        """Return the rows as a text table."""
        return "\n".join([_table(self.name, self.what, self.size, self.rows()), *self.notes])

    def save(self, folder: Path = RESULTS) -> Path:
        """Write the rows, the size and the versions as JSON and return the file."""
        return _save(
            folder,
            name=self.name,
            what=self.what,
            yardstick=self.yardstick,
            size=dict(self.size),
            rows=self.rows(),
            notes=self.notes,
        )


@dataclass
class Figures:
    """What one benchmark measured, where that is not seconds per operation alone."""

    name: str
    what: str
    """One sentence: what is measured, and against what."""
    size: Mapping[str, int]
    found: list[dict[str, Any]] = field(default_factory=list)
    """One row per variant, all with the same columns; the unit is in a column's name."""
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per variant."""
        return self.found

    def table(self) -> str:
        """Return the rows as a text table."""
        return "\n".join([_table(self.name, self.what, self.size, self.found), *self.notes])

    def save(self, folder: Path = RESULTS) -> Path:
        """Write the rows, the size and the versions as JSON and return the file."""
        return _save(
            folder,
            name=self.name,
            what=self.what,
            size=dict(self.size),
            rows=self.found,
            notes=self.notes,
        )


def _table(name: str, what: str, size: Mapping[str, int], rows: list[dict[str, Any]]) -> str:
    head = tuple(column.replace("_", " ") for column in rows[0]) if rows else ("nothing",)
    lines = [["" if value is None else str(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    text = [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in (head, *lines)
    ]
    measured = ", ".join(f"{value:,} {unit}" for unit, value in size.items())
    return "\n".join([f"{name}: {what}", f"({measured})", "", *text])


def _save(folder: Path, **document: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{document['name']}.json"
    document["measured_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    document["versions"] = versions()
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def interleaved(
    result: Result, variants: Mapping[str, Callable[[int], list[float]]], *, rounds: int, each: int
) -> Result:
    """Let the variants take turns for `rounds` rounds and fill `result` with their times.

    A variant does `each` operations and returns their seconds. One unmeasured round goes
    first; who begins changes from round to round, and nobody pays for another's garbage.
    """
    for run in variants.values():
        run(each)
    names = list(variants)
    result.medians = {name: [] for name in names}
    result.samples = {name: [] for name in names}
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            gc.collect()
            times = variants[name](each)
            result.medians[name].append(statistics.median(times))
            result.samples[name] += times
    return result


def versions() -> dict[str, str]:
    """Return what was measured on."""
    found = {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "from the source tree"
    return found
