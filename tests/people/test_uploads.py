"""Files that operators send: kept whole or not at all, moved on by hand, gone when done."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from flask_engage.errors import InvalidFact
from flask_engage.people.refresh import Turn
from flask_engage.people.transfer import importing, uploads
from flask_engage.people.transfer.exporting import columns_of, export
from flask_engage.people.transfer.importing import Overtaken, run_import
from flask_engage.people.transfer.reading import BadFile
from flask_engage.people.transfer.sources import Stored
from flask_engage.people.transfer.trial import count_outcomes
from flask_engage.people.transfer.uploads import (
    accept_upload,
    forget_old,
    layout_of,
    map_upload,
    move_upload,
)
from flask_engage.segments.compile import CompileContext
from flask_engage.segments.people import People
from flask_engage.segments.words import everyone
from flask_engage.store.attribute import kinds_in_use
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from flask_engage.store.transfer import (
    ImportProblemRow,
    ImportRow,
    import_by_public_id,
    newest_imports,
    next_import,
)
from flask_engage.store.upload import ImportPartRow

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def nobody(_session: Session, _row: ImportRow) -> None:
    """Write down nothing."""


def send(database: Database, content: str | bytes, name: str = "people.csv") -> ImportRow:
    data = content if isinstance(content, bytes) else content.encode()
    public_id = accept_upload(database, io.BytesIO(data), name, NOW, "7", nobody)
    return standing(database, public_id)


def standing(database: Database, public_id: str) -> ImportRow:
    with database.read() as session:
        row = import_by_public_id(session, public_id)
    assert row is not None
    return row


def move(database: Database, row: ImportRow, action: str) -> bool:
    return move_upload(database, row.public_id, action, NOW, nobody)


def store(database: Database, row: ImportRow, turn: Turn | None = None) -> ImportRow:
    return run_import(database, row.id, Stored(database, row.id), UTC, NOW, turn)


def taken_in(database: Database, content: str | bytes) -> ImportRow:
    row = send(database, content)
    assert move(database, row, "start")
    return store(database, row)


def count(database: Database, table: Any) -> int:
    with database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def written(database: Database, kind: str) -> bytes:
    people = People(database, everyone, CompileContext(dialect=database.dialect, segments={}))
    with database.read() as session:
        kinds = kinds_in_use(session)
    return "".join(export(people, columns_of(kinds), kind)).encode()


def test_a_file_waits_for_its_columns_and_is_gone_when_its_people_are_stored(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PART_BYTES", 100)
    text = "Id,Mail,zip,score,since,active\n" + "".join(
        f"{n},p{n}@x.org,0{n},{n}.5,2026-01-0{n},yes\n" for n in range(1, 9)
    )
    row = send(database, text)
    assert (row.state, row.rows, row.is_upload) == ("draft", 8, True)
    assert row.mapping == {
        "Id": "user_id",
        "Mail": "email",
        "zip": "text:zip",
        "score": "number:score",
        "since": "date:since",
        "active": "boolean:active",
    }
    assert count(database, ImportPartRow) > 2
    with database.read() as session:
        assert next_import(session) is None  # nothing begins by itself
    assert move(database, row, "start")
    with database.read() as session:
        due = next_import(session)
    assert due is not None
    assert due.id == row.id
    done = store(database, due)
    assert (done.state, done.created, done.refused) == ("done", 8, 0)
    assert count(database, ImportPartRow) == 0
    with database.read() as session:
        person = session.scalars(sa.select(PersonRow).where(PersonRow.user_id == "3")).one()
    assert (
        person.attributes
        == {
            "s:zip": "03",
            "n:score": 3.5,
            "t:since": "2026-01-03T00:00:00.000000Z",
            "b:active": True,
        }
        or person.attributes["s:zip"] == "03"
    )


REFUSED = {
    "empty": b"",
    "only a heading": b"user_id,email\n",
    "packed": b"PK\x03\x04../../x",
    "gzip": b"\x1f\x8b\x08\x00",
    "UTF-32": codecs.BOM_UTF32_LE + "user_id\n1\n".encode("utf-32-le"),
    "UTF-16 without a mark": "user_id,a\n1,2\n".encode("utf-16-le"),
    "a million columns": b"user_id" + b",a" * 1_000_000 + b"\n1\n",
    "one endless line": b"x" * 3_000_000,
    "a quote that nobody closes": b'user_id,name\n1,"=1\n' + b"x" * 2_000_000,
    "a NUL in a heading": b"user_id,a\0b\n1,2\n",
    "a heading without an end": b"user_id," + b"a" * 300 + b"\n1,2\n",
    "too many rows": b"user_id\n" + b"1\n" * 60,
    "too many bytes": b"user_id\n" + b"1" * 4_000_000 + b"\n",
}


@pytest.mark.parametrize("what", REFUSED)
def test_of_a_file_that_cannot_be_used_nothing_is_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_ROWS", 50)
    monkeypatch.setattr(uploads, "UPLOAD_BYTES", 3_500_000)
    with pytest.raises(BadFile):
        send(database, REFUSED[what])
    assert count(database, ImportRow) == count(database, ImportPartRow) == 0


HOSTILE = [
    "=cmd|'/c calc'!A1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1",
    "'=1",
    "''",
    '"=1',
    '"><script>alert(1)</script>',
    "{{7*7}}",
    "\u202eevil",
    "a,b;c\td",
    "💜" * 60,
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_hostile_texts_go_in_and_out_and_in_as_they_are(database: Database, encoding: str) -> None:
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(["user_id", "name", "text:=cmd", "number:score", "tags"])
    for number, text in enumerate(HOSTILE):
        cell = f"'{text}" if text[0] in "=+-@\t\r\n＝＋'" else text
        rows.writerow([f"h{number}", cell, cell, number, ""])
    done = taken_in(database, out.getvalue().rstrip().encode(encoding))  # no newline at the end
    assert (done.state, done.created, done.refused) == ("done", len(HOSTILE), 0)
    with database.read() as session:
        people = session.scalars(sa.select(PersonRow).order_by(PersonRow.id)).all()
    assert [one.name for one in people] == HOSTILE
    assert [one.attributes["s:=cmd"] for one in people] == HOSTILE
    for kind in ("csv", "jsonl"):
        text = written(database, kind)
        if kind == "csv":
            for line in csv.reader(io.StringIO(text.decode(), newline="")):
                assert not any(cell[:1] and cell[0] in "=+@\t\r\n＝＋－＠" for cell in line), line
        again = taken_in(database, text)
        assert (again.state, again.created, again.changed) == ("done", 0, 0), kind
        assert (again.unchanged, again.refused) == (len(HOSTILE), 0)
        assert written(database, kind) == text


def test_an_attribute_of_every_kind_leaves_as_it_is(database: Database) -> None:
    lines = [b'{"user_id": "%d", "attributes": {"mixed": %s}}' % pair for pair in enumerate(MIXED)]
    taken_in(database, b"\n".join(lines))
    for kind in ("csv", "jsonl"):
        again = taken_in(database, written(database, kind))
        assert (again.changed, again.refused, again.unchanged) == (0, 0, len(MIXED)), kind


MIXED = [b'"x"', b"1", b"true", b'{"date": "2026-01-01T00:00:00+00:00"}', b'"y"']
"""The first and the last are of one kind, those between of others."""


ROWS = (
    "user_id,email\n1,ada@x.org\n1,ada@x.org\n,lead@x.org\n,lead@x.org\n2,lead@x.org\n"
    "3,nobody\n,ada@x.org\n4,\n,\n"
)


def test_counting_beforehand_says_what_the_import_then_does(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask_engage.people.transfer import trial

    monkeypatch.setattr(trial, "BATCH", 2)
    taken_in(database, "user_id\n4\n")
    row = send(database, ROWS)
    source = Stored(database, row.id)
    asked = database, source, layout_of(database, row), row.mapping, UTC, NOW
    counted = count_outcomes(*asked, 60)
    assert counted.is_whole
    assert count(database, PersonRow) == 1  # nobody was stored by counting
    partly = count_outcomes(*asked, 0)
    assert (partly.rows, partly.is_whole) == (2, False)
    assert move(database, row, "start")
    done = store(database, row)
    assert (counted.rows, counted.new, counted.refused) == (9, done.created, done.refused)
    assert counted.new == 2
    assert counted.known == done.changed + done.unchanged
    assert [one.number for one in counted.problems] == [6, 9]


def test_what_was_stopped_goes_on_behind_the_last_row(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    row = send(database, "user_id\n" + "".join(f"{n}\n" for n in range(7)))
    assert not move(database, row, "stop")  # it has not begun
    assert move(database, row, "start")
    assert not move(database, row, "start")

    def stop(position: int, _total: int | None) -> None:
        if position == 4:
            assert move(database, row, "stop")

    with pytest.raises(Overtaken):  # found out in the transaction that would have stored more
        store(database, row, Turn(progress=stop))
    stopped = standing(database, row.public_id)
    assert (stopped.state, stopped.position, count(database, PersonRow)) == ("stopped", 4, 4)
    assert store(database, row).position == 4
    with database.read() as session:
        assert next_import(session) is None
    assert move(database, row, "resume")
    done = store(database, row)
    assert (done.state, done.created, count(database, PersonRow)) == ("done", 7, 7)


def test_of_what_was_given_up_the_file_goes_and_the_people_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    row = send(database, "user_id\n1\n2\n3\n")
    assert move(database, row, "start")
    store(database, row, Turn(seconds=0))
    assert not move(database, row, "discard")  # while it runs it has to be stopped first
    assert move(database, row, "stop")
    assert move(database, row, "discard")
    assert (count(database, ImportPartRow), count(database, PersonRow)) == (0, 2)
    assert standing(database, row.public_id).state == "discarded"
    draft = send(database, "user_id\n9\n")
    assert move(database, draft, "discard")
    assert count(database, ImportRow) == 1  # a draft leaves nothing
    with pytest.raises(InvalidFact, match="none of"):
        move(database, row, "delete")


def test_what_was_given_up_at_the_last_row_is_not_called_done(database: Database) -> None:
    row = send(database, "user_id\n1\n2\n")
    assert move(database, row, "start")

    def give_up(_position: int, _total: int | None) -> None:
        assert move(database, row, "stop")
        assert move(database, row, "discard")

    assert store(database, row, Turn(progress=give_up)).state == "discarded"
    kept = standing(database, row.public_id)
    assert (kept.state, kept.created, kept.problem) == ("discarded", 2, None)


def test_only_a_draft_gets_another_mapping(database: Database) -> None:
    row = send(database, "a,b\n1,x\n")
    layout = layout_of(database, row)
    assert map_upload(database, row.public_id, layout, {"a": "user_id"}, NOW)
    with pytest.raises(InvalidFact, match="nobody"):
        map_upload(database, row.public_id, layout, {"a": "name"}, NOW)
    assert move(database, row, "start")
    assert not map_upload(database, row.public_id, layout, {"b": "user_id"}, NOW)
    assert standing(database, row.public_id).mapping == {"a": "user_id", "b": ""}


class CutOff(io.BytesIO):
    """A file whose request ends after it was looked through, while it is being kept."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > 12:
            raise ConnectionResetError
        return super().read(size)


def test_a_file_that_was_cut_off_is_no_draft_and_goes_after_a_week(database: Database) -> None:
    content = b"user_id\n" + b"".join(b"%d\n" % n for n in range(200_000))[: 3 * 256 * 1024]
    with pytest.raises(ConnectionResetError):
        accept_upload(database, CutOff(content), "x.csv", NOW, None, nobody)
    with database.read() as session:
        assert newest_imports(session) == []
    forget_old(database, NOW + timedelta(days=8))
    assert count(database, ImportRow) == count(database, ImportPartRow) == 0


def test_old_files_and_old_reports_are_deleted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask_engage.store import upload

    monkeypatch.setattr(upload, "_PROBLEMS_AT_ONCE", 3)
    send(database, "user_id\n1\n")
    done = taken_in(database, "user_id,email\n" + "".join(f"{n},wrong\n" for n in range(10)))
    assert not forget_old(database, NOW + timedelta(days=6))
    assert forget_old(database, NOW + timedelta(days=8))
    with database.read() as session:
        assert [row.id for row in newest_imports(session)] == [done.id]
    assert count(database, ImportProblemRow) == 10
    assert forget_old(database, NOW + timedelta(days=91))
    assert count(database, ImportRow) == count(database, ImportProblemRow) == 0


def test_a_stored_file_is_read_as_it_was_sent(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PART_BYTES", 7)
    content = "user_id,name\n" + "".join(f"{n},Zoë 💜 {n}\n" for n in range(20))
    row = send(database, content)
    with Stored(database, row.id).open("rb") as file:
        assert file.read() == content.encode()
    with Stored(database, row.id).open("rb") as file:
        pieces = list(_pieces(file))
    assert b"".join(pieces) == content.encode()


def _pieces(file: Any) -> Iterator[bytes]:
    while piece := file.read(5):
        yield piece
