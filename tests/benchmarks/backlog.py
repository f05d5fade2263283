"""What draining a long backlog takes of memory: it is not to grow with the backlog.

One process per variant, because memory that was once taken is not given back: each stores the
same facts from the journal files of a dead process. The variant's figure is seconds per fact;
the growth of the resident memory, in MB, is printed beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from flask_engage.capture.journal import Journal
from flask_engage.store.engine import open_database
from flask_engage.store.migrate import upgrade
from tests import _databases
from tests._clock import FakeClock
from tests.benchmarks._harness import Result, Size
from tests.benchmarks._story import story
from tests.capture._recorders import Recorders

FACTS: dict[Size, int] = {"small": 100_000, "full": 1_000_000}
PEOPLE = 5_000
TENTH = "sqlite: a tenth of it"


def run(size: Size) -> Result:
    """Measure and return the figures."""
    facts = FACTS[size]
    result = Result(
        name="backlog",
        what="one fact of a backlog that a dead process left, until all of it is stored",
        yardstick=TENTH,
        size={"facts": facts, "people": PEOPLE},
    )
    variants = {TENTH: ("sqlite", facts // 10)}
    variants |= {f"{dialect}: all of it": (dialect, facts) for dialect in _databases.DIALECTS}
    for name, (dialect, number) in variants.items():
        found = measure(dialect, number)
        result.medians[name] = result.samples[name] = [found["seconds"] / number]
        print(f"{name}: {found['stored']:,} facts, {found['growth_mb']:.1f} MB more than before")
    return result


def measure(dialect: str, number: int) -> dict[str, Any]:
    """Let a process of its own store a backlog of `number` facts; return what that took."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engage-bench-")))
        url = stack.enter_context(_databases.empty(dialect, folder))
        database = open_database(url)
        upgrade(database)
        database.dispose()
        done = subprocess.run(
            [sys.executable, "-m", __name__, url, str(folder / "journal"), str(number)],
            check=True,
            capture_output=True,
            text=True,
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def _fill(folder: Path, number: int) -> None:
    """Write the journal files of a process that ends without having stored anything."""
    from flask_engage.capture.facts import encode

    journal = Journal(folder, "host", 4 * 1024**3)
    for fact in islice(story(1, PEOPLE), number):
        assert journal.append(encode(fact))
        journal.rotate()
    journal.close()


def _resident_mb() -> float:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    [line] = [line for line in text.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def _drain(url: str, folder: Path, number: int) -> dict[str, Any]:
    recorders = Recorders(url, folder, FakeClock())
    warm = recorders(CAPTURE_MODE="memory")
    for fact in islice(story(2, PEOPLE), 5_000):
        assert warm.append(fact)
    warm.flush()  # what any writer needs once: statements, connections
    recorder = recorders()
    before, highest, ended = _resident_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            highest[0] = max(highest[0], _resident_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    stored = recorder.flush()
    seconds = time.perf_counter() - begin
    ended.set()
    watcher.join()
    recorders.close()
    assert stored == number
    return {"stored": stored, "seconds": seconds, "growth_mb": highest[0] - before}


if __name__ == "__main__":
    where, count = Path(sys.argv[2]), int(sys.argv[3])
    if not where.exists():
        # In a child: the facts are another process's, and so is the memory they were made in.
        code = f"from {__spec__.name} import _fill, Path; _fill(Path({str(where)!r}), {count})"
        subprocess.run([sys.executable, "-c", code], check=True)
    print(json.dumps(_drain(sys.argv[1], where, count)))
