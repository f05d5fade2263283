"""A process that measures a segment: ``python -m tests.segments._measurer URL MOMENT``.

It says that it is ready, waits for a line, and goes on until the measurement is at its end.
"""

from __future__ import annotations

import sys
from datetime import datetime

from flask_engage.segments import membership
from flask_engage.segments.compile import CompileContext
from flask_engage.segments.filter import Filter
from flask_engage.segments.words import person
from flask_engage.store.engine import open_database

RANGE = 20
"""People compared in one transaction: few, so that processes meet often."""
SEGMENTS: dict[str, Filter] = {"here": person.sessions >= 1}


def main() -> None:
    """Measure, and say how many ranges this process compared."""
    url, moment = sys.argv[1:]
    membership.PEOPLE = RANGE
    database = open_database(url)
    context = CompileContext(database.dialect, segments=SEGMENTS)
    with database.read() as session:
        session.connection()
    ranges = 0

    def may_go_on() -> bool:
        nonlocal ranges
        ranges += 1
        return True

    print("ready", flush=True)
    sys.stdin.readline()
    membership.measure_segments(
        database, context, SEGMENTS, datetime.fromisoformat(moment), may_go_on=may_go_on
    )
    print(ranges, flush=True)
    database.dispose()


if __name__ == "__main__":
    main()
