"""An import whose process is killed again and again: every row once, and nothing twice."""

from __future__ import annotations

import csv
import io
import os
import random
import select
import signal
from collections import Counter
from datetime import UTC, datetime
from functools import partial

import pytest
import sqlalchemy as sa

from flask_engage.people.refresh import Turn
from flask_engage.people.transfer import importing
from flask_engage.people.transfer.importing import Overtaken, run_import
from flask_engage.people.transfer.report import report
from flask_engage.people.transfer.sources import Stored
from flask_engage.people.transfer.uploads import accept_upload, move_upload
from flask_engage.store.attribute import AttributeRow
from flask_engage.store.engine import Database, open_database
from flask_engage.store.person import PersonRow, PersonTagRow
from flask_engage.store.transfer import ImportRow, import_by_public_id
from tests._processes import in_child

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
KILLS = 20
PEOPLE, WRONG, AGAIN = 2_400, 300, 300
BATCH = 20


def _file() -> bytes:
    """Return people, some rows that can't be used, and some people a second time, mixed."""
    rows = [f"u{n},p{n}@x.org,{n},vip" for n in range(PEOPLE)]
    rows += [f"w{n},nobody,{n}," for n in range(WRONG)]
    rows += [f"u{n},p{n}@x.org,{n},vip" for n in range(AGAIN)]
    random.Random(61).shuffle(rows)
    return ("user_id,email,number:score,tags\n" + "\n".join(rows)).encode()


def _go_on(url: str, import_id: int, pipe: int) -> None:
    """Import in a process of its own, and say so after each batch."""
    database = open_database(url)
    turn = Turn(progress=lambda *_: os.write(pipe, b"."))
    os.write(pipe, b".")
    while True:
        try:
            run_import(database, import_id, Stored(database, import_id), UTC, NOW, turn)
        except Overtaken:  # the one before us had just stored a batch when it was killed
            continue
        return


def _kill_somewhere(url: str, import_id: int, chance: random.Random) -> bool:
    """Let a process import some batches and kill it; tell whether it was still at it."""
    pid, pipe = in_child(partial(_go_on, url, import_id))
    left = chance.randint(1, 5)
    while left and os.read(pipe, 1):
        left -= 1
    # Somewhere in the next batch: before its transaction, in it, or after it.
    select.select([pipe], [], [], chance.random() * 0.03)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(pipe)
    return os.WIFSIGNALED(status)


def test_killed_twenty_times_and_resumed_every_row_is_stored_once(
    database: Database, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", BATCH)
    public_id = accept_upload(
        database, io.BytesIO(_file()), "people.csv", NOW, None, lambda *_: None
    )
    assert move_upload(database, public_id, "start", NOW, lambda *_: None)
    with database.read() as session:
        row = import_by_public_id(session, public_id)
    assert row is not None
    database.dispose()  # children make connections of their own
    chance = random.Random()
    kills = sum(_kill_somewhere(migrated_url, row.id, chance) for _ in range(KILLS))
    with database.read() as session:
        halfway = session.get_one(ImportRow, row.id)
    assert kills == KILLS
    assert 0 < halfway.position < PEOPLE + WRONG + AGAIN
    assert halfway.position % BATCH == 0
    done = run_import(database, row.id, Stored(database, row.id), UTC, NOW)
    assert (done.state, done.position) == ("done", PEOPLE + WRONG + AGAIN)
    assert (done.created, done.refused, done.unchanged) == (PEOPLE, WRONG, AGAIN)
    with database.read() as session:
        ids = Counter(session.scalars(sa.select(PersonRow.user_id)))
        scores = session.scalar(sa.select(sa.func.count()).select_from(AttributeRow))
        tags = session.scalar(sa.select(sa.func.count()).select_from(PersonTagRow))
    assert set(ids.values()) == {1}
    assert set(ids) == {f"u{n}" for n in range(PEOPLE)}
    assert (scores, tags) == (PEOPLE, PEOPLE)
    told = list(csv.DictReader(io.StringIO("".join(report(database, row.id)), newline="")))
    assert len({line["row"] for line in told}) == len(told) == WRONG
