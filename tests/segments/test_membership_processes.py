"""Two real processes measure at once: the history has each change once."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import insert, select, update

from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from flask_engage.store.segment_member import SegmentChangeRow, SegmentMemberRow
from tests.segments._measurer import RANGE
from tests.segments._world import NOW

ROOT = Path(__file__).parents[2]
PEOPLE = 400


def _measure_in_two_processes(url: str, moment: datetime) -> list[int]:
    """Return how often each of the two went on to a range."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.segments._measurer", url, moment.isoformat()],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=240)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        return [int(text) for text in said]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


def test_two_processes_at_once_write_each_change_once(
    database: Database, migrated_url: str
) -> None:
    row = {"created_at": NOW, "updated_at": NOW}
    with database.write() as session:
        session.execute(
            insert(PersonRow.__table__),  # type: ignore[arg-type]
            [{**row, "user_id": str(n), "session_count": n % 2} for n in range(PEOPLE)],
        )
    _measure_in_two_processes(migrated_url, NOW)
    # Everybody moves: who was in it leaves, and the others enter.
    with database.write() as session:
        session.execute(
            update(PersonRow)
            .values(session_count=1 - PersonRow.session_count)
            .execution_options(synchronize_session=False)
        )
    ranges = _measure_in_two_processes(migrated_url, NOW + timedelta(minutes=1))
    with database.read() as session:
        changes = session.execute(
            select(PersonRow.user_id, SegmentChangeRow.entered).join(
                PersonRow, PersonRow.id == SegmentChangeRow.person_id
            )
        ).all()
        members = set(
            session.scalars(
                select(PersonRow.user_id).join(
                    SegmentMemberRow, SegmentMemberRow.person_id == PersonRow.id
                )
            )
        )
    expected = Counter({(str(n), n % 2 == 0): 1 for n in range(PEOPLE)})
    assert Counter((row.user_id, row.entered) for row in changes) == expected
    assert members == {str(n) for n in range(0, PEOPLE, 2)}
    assert sum(ranges) >= PEOPLE // RANGE
