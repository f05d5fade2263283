"""What was wrong with which row of an import, as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from ...store.engine import Database
from ...store.transfer import RowProblem, problems_of
from .cells import text_cell

_PAGE = 1_000


def report(database: Database, import_id: int) -> Iterator[str]:
    """Yield the report of one import; no transaction waits for whoever reads it."""
    last: RowProblem | None = None

    def stored() -> Iterator[RowProblem]:
        nonlocal last
        while True:
            with database.read() as session:
                page = list(problems_of(session, import_id, _PAGE, last))
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1]

    return report_lines(stored())


def report_lines(problems: Iterable[RowProblem]) -> Iterator[str]:
    """Yield the lines of a CSV file with one problem each."""
    yield "row,column,problem,fix\r\n"
    for one in problems:
        buffer = io.StringIO(newline="")
        # What is wrong with a whole row belongs to no column: that is no text, not the empty one.
        said = (text_cell(text or None) for text in (one.heading, one.problem, one.fix))
        csv.writer(buffer).writerow([one.number, *said])
        yield buffer.getvalue()
