"""A file's size is no matter for memory: measured on a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests._databases import migrated

ROOT = Path(__file__).parents[2]
_FLAT = 24 * 1024
"""KiB by which the larger file may take more than the smaller."""

PROGRAM = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from flask_engage.people.transfer.exporting import columns_of, export
from flask_engage.people.transfer.importing import begin_import, run_import
from flask_engage.people.transfer.mapping import guess
from flask_engage.people.transfer.reading import survey
from flask_engage.segments.compile import CompileContext
from flask_engage.segments.people import People
from flask_engage.segments.words import everyone
from flask_engage.store.engine import open_database

url, folder, rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
path = folder / "in.csv"
with path.open("w") as file:
    file.write("user_id,email,name,signed_up,number:score,text:plan\\n")
    for n in range(rows):
        file.write(f"u{n},p{n}@example.org,Person {n},2026-01-05,{n % 100},plan {n % 3}\\n")
database, now = open_database(url), datetime(2026, 3, 2, tzinfo=UTC)
layout, began = survey(path), time.monotonic()
import_id = begin_import(database, layout, guess(layout.columns), now, name="in.csv")
done = run_import(database, import_id, path, UTC, now)
took = time.monotonic() - began
assert (done.created, done.refused) == (rows, 0), (done.created, done.refused)
began = time.monotonic()
people = People(database, everyone, CompileContext(dialect=database.dialect, segments={}))
with (folder / "out.csv").open("w", newline="") as out:
    out.writelines(export(people, columns_of({"score": "n", "plan": "s"}), "csv"))
# Not getrusage(): that begins with what the process had before it became this program.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(f"{took:.1f} {time.monotonic() - began:.1f} {peak}")
"""


def measured(folder: Path, rows: int) -> tuple[float, float, int]:
    """Return the seconds of an import and of an export, and the peak of memory in KiB."""
    folder.mkdir()
    with migrated("sqlite", folder) as url:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, url, str(folder), str(rows)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    first, second, peak = done.stdout.split()
    return float(first), float(second), int(peak)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    *_, small = measured(tmp_path / "small", 2_000)
    *_, large = measured(tmp_path / "large", 20_000)
    assert large - small < _FLAT
