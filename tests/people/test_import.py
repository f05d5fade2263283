"""Files of people: read whatever the dialect, stored once, and every row that can't be is told."""

from __future__ import annotations

import codecs
import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flask_engage.errors import InvalidFact
from flask_engage.people.refresh import Turn
from flask_engage.people.transfer import exporting, importing
from flask_engage.people.transfer.guessing import guess_from
from flask_engage.people.transfer.importing import begin_import, run_import
from flask_engage.people.transfer.mapping import guess, read_record
from flask_engage.people.transfer.reading import BadFile, Record, records, survey
from flask_engage.people.transfer.report import report
from flask_engage.people.transfer.trial import preview
from flask_engage.segments.compile import CompileContext
from flask_engage.segments.people import People
from flask_engage.segments.words import everyone
from flask_engage.store.attribute import AttributeRow
from flask_engage.store.attribute_write import write_attributes
from flask_engage.store.base import Base
from flask_engage.store.engine import Database
from flask_engage.store.erase import erase_person
from flask_engage.store.person import PersonRow, PersonTagRow
from flask_engage.store.transfer import ImportRow, problems_of

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
HOSTILE = ["=cmd|'/c calc'!A1", '"><script>alert(1)</script>', "\u202eevil", "💜" * 60, "O'Neil\nx"]


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def run(
    database: Database, path: Path, mapping: dict[str, str] | None = None, now: datetime = NOW
) -> ImportRow:
    layout = survey(path)
    wanted = guess(layout.columns) if mapping is None else mapping
    import_id = begin_import(database, layout, wanted, now, name=path.name)
    return run_import(database, import_id, path, UTC, now)


def people(database: Database) -> list[PersonRow]:
    with database.read() as session:
        return list(session.scalars(sa.select(PersonRow).order_by(PersonRow.id)))


def everything(database: Database) -> dict[str, list[Any]]:
    """Return all that our tables hold but for what keeps the books of imports."""
    with database.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(sa.select(table))]
            for table in Base.metadata.sorted_tables
            if not table.name.startswith("engage_import")
        }


def problems(database: Database, done: ImportRow) -> list[tuple[int, str, str]]:
    with database.read() as session:
        return [(one.number, one.heading, one.problem) for one in problems_of(session, done.id)]


FILE = """User ID;Email;Full name;Created at;Sessions;Tags;number:score;boolean:active;plan
1;ada@example.org;Ada;2026-01-05;3;vip, beta;1.5;yes;pro
;lead@example.org;"Lead
Line 2";;;;;;
"""


def test_a_file_becomes_people(database: Database, tmp_path: Path) -> None:
    done = run(database, written(tmp_path / "people.csv", FILE))
    assert (done.state, done.rows, done.created, done.refused) == ("done", 2, 2, 0)
    ada, lead = people(database)
    assert (ada.user_id, ada.kind, ada.email, ada.name) == ("1", "user", "ada@example.org", "Ada")
    assert (ada.signed_up_at, ada.session_count) == (datetime(2026, 1, 5, tzinfo=UTC), 3)
    assert ada.attributes == {"n:score": 1.5, "b:active": True, "s:plan": "pro"}
    assert (lead.kind, lead.user_id, lead.name) == ("lead", None, "Lead\nLine 2")
    with database.read() as session:
        tags = session.scalars(sa.select(PersonTagRow.name).order_by(PersonTagRow.name)).all()
        assert tags == ["beta", "vip"]
        assert set(session.scalars(sa.select(AttributeRow.source))) == {"import"}


def test_the_same_file_twice_changes_nothing(database: Database, tmp_path: Path) -> None:
    path = written(tmp_path / "people.csv", FILE)
    run(database, path)
    before = everything(database)
    again = run(database, path, now=NOW + timedelta(days=3))
    assert (again.created, again.changed, again.unchanged) == (0, 0, 2)
    assert everything(database) == before


def test_a_hands_edit_and_a_provider_stand_above_a_file(database: Database, tmp_path: Path) -> None:
    run(database, written(tmp_path / "a.csv", "user_id,name\n1,Ada\n"))
    person_id = people(database)[0].id
    with database.write() as session:
        write_attributes(session, {person_id: {"plan": "hand"}}, source="manual", now=NOW)
        write_attributes(session, {person_id: {"score": 1}}, source="provider:score", now=NOW)
        write_attributes(session, {person_id: {"town": "old"}}, source="page", now=NOW)
    later = written(tmp_path / "b.csv", "user_id,name,plan,number:score,town\n1,Eve,file,2,new\n")
    run(database, later, now=NOW + timedelta(hours=1))
    [ada] = people(database)
    assert ada.attributes == {"s:plan": "hand", "n:score": 1, "s:town": "new"}
    assert ada.name == "Ada"  # the app's word of its own user stands


def test_rows_that_cannot_be_stored_are_told_and_the_others_go_on(
    database: Database, tmp_path: Path
) -> None:
    run(database, written(tmp_path / "a.csv", "user_id,email\n7,same@x.org\n8,same@x.org\n"))
    erase_person(database, NOW, user_id="gone")
    text = (
        "user_id,email,last_seen,sessions,number:score,boolean:on\n"
        "1,nobody,2026-13-01,-1,many,perhaps\n"
        ",,,,,\n"
        ",same@x.org,,,,\n"
        "gone,,,,,\n"
        "2,ok@x.org,2026-01-01T00:00:00,1,2,no\n"
        "3,a@x.org,2026-01-01,1,1,no,more,cells\n"
        '4,"a"b,,,,\n'
        f"{'x' * 300},,,,,\n"
        "5,,2999-01-01,,,\n"
    )
    done = run(database, written(tmp_path / "b.csv", text))
    assert (done.state, done.rows, done.created, done.refused) == ("done", 9, 1, 8)
    told = problems(database, done)
    assert [(number, column) for number, column, _ in told] == [
        *((1, name) for name in ("email", "last_seen", "sessions", "number:score", "boolean:on")),
        (2, ""),
        (3, "email"),
        (4, "user_id"),
        (6, ""),
        (7, ""),
        (8, "user_id"),
        (9, "last_seen"),
    ]
    assert "2 people have this address" in told[6][2]
    assert "erased on 2026-03-02" in told[7][2]
    assert {one.user_id for one in people(database)} == {"7", "8", "2"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_dialects_and_encodings_are_recognised(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    text = delimiter.join(["id", "name"]) + "\r\n" + delimiter.join(["1", "Zoë, ; 💜"]) + "\r\n"
    if delimiter != "\t":
        text = text.replace("Zoë, ; 💜", '"Zoë, ; 💜"')
    path = written(tmp_path / "x.csv", text.encode(encoding))
    layout = survey(path)
    assert (layout.format, layout.delimiter, layout.columns) == ("csv", delimiter, ("id", "name"))
    assert [record.values for record in records(path, layout)] == [{"id": "1", "name": "Zoë, ; 💜"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        ("name\nZoë".encode("latin-1"), "not in UTF-8"),
        ("a,b\n1,2".encode("utf-16-le"), "NUL"),
        (codecs.BOM_UTF32_LE + "a".encode("utf-32-le"), "UTF-32"),
        (b"PK\x03\x04../../x", "packed"),
        (b"a," * 600 + b"b\n", "columns"),
        (b'user_id,name\n1,"=1\n' + b"x" * 2_000_000, "quotation mark"),
        (b"x" * 3_000_000, "more than"),
        (b"a,a\n1,2\n", "twice"),
        (b'[{"user_id": "1"},\n {"user_id": "2"}]\n', "JSON array.*JSON Lines: one object"),
        (codecs.BOM_UTF8 + b'\n [\n  {"user_id": "1"}\n]', "JSON array"),
        (b'["user_id", "name"]\n["1", "Ada"]\n', "JSON array"),
        (b"[]", "JSON array"),
        (b"[", "JSON array"),
    ],
)
def test_what_is_no_file_of_people_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = written(tmp_path / "x.csv", content)
    with pytest.raises(BadFile, match=said):
        for _ in records(path, survey(path)):
            pass


def test_headings_in_brackets_are_headings(database: Database, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "[user_id],[name]\n1,Ada\n")
    done = run(database, path, {"[user_id]": "user_id", "[name]": "name"})
    assert (done.created, done.refused) == (1, 0)


def test_a_report_has_no_column_for_what_is_wrong_with_a_whole_row(
    database: Database, tmp_path: Path
) -> None:
    done = run(database, written(tmp_path / "x.csv", "user_id,email\n1,a@b.org,x\n2,=nobody\n"))
    assert done.refused == 2
    rows = list(csv.reader(io.StringIO("".join(report(database, done.id)), newline="")))
    assert [row[:2] for row in rows] == [["row", "column"], ["1", ""], ["2", "email"]]


@pytest.mark.parametrize("line", ["[" * 100_000, '{"a":', "1", '"x"', '{"a": "\\ud800"}', "{" * 9])
def test_hostile_json_lines_cost_one_row_each(
    database: Database, tmp_path: Path, line: str
) -> None:
    text = '{"user_id": "1", "attributes": {"a": 1e308}}\n' + line + '\n{"user_id": "2"}\n'
    done = run(database, written(tmp_path / "x.jsonl", text))
    assert (done.state, done.refused) == ("done", 1)
    assert [one.user_id for one in people(database)] == ["1", "2"]


def test_hostile_values_are_literal_or_refused(database: Database, tmp_path: Path) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(
        [["user_id", "name"], *([f"h{n}", name] for n, name in enumerate(HOSTILE))]
    )
    path = written(tmp_path / "x.csv", out.getvalue() + "nul,a\0b\n")
    done = run(database, path)
    assert (done.created, done.refused) == (len(HOSTILE), 1)
    assert [one.name for one in people(database)] == HOSTILE


def test_a_preview_says_what_would_become_of_each_row(database: Database, tmp_path: Path) -> None:
    run(database, written(tmp_path / "a.csv", "user_id,email\n1,ada@x.org\n"))
    before = everything(database)
    path = written(
        tmp_path / "b.csv", "user_id,email\n1,\n,ada@x.org\n2,new@x.org\n,new@x.org\n,\n"
    )
    layout = survey(path)
    shown = preview(database, path, layout, guess(layout.columns), UTC, NOW)
    assert [one.outcome for one in shown] == ["user_id", "email", "new", "email", "refused"]
    assert everything(database) == before


def test_a_cut_off_import_goes_on_behind_the_last_row(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 3)
    rows = "".join(f"{n},p{n}@x.org\n" if n % 4 else f"{n},wrong\n" for n in range(1, 21))
    path = written(tmp_path / "x.csv", "user_id,email\n" + rows)
    store, calls = importing.add_problems, 0

    def die(*given: Any) -> None:
        nonlocal calls
        calls += 1
        store(*given)
        if calls % 3 == 0:
            raise KeyboardInterrupt  # within the transaction

    monkeypatch.setattr(importing, "add_problems", die)
    for _ in range(20):
        try:
            done = run(database, path)
            break
        except KeyboardInterrupt:
            continue
    assert (done.state, done.position, done.created, done.refused) == ("done", 20, 15, 5)
    assert [number for number, _, _ in problems(database, done)] == [4, 8, 12, 16, 20]
    assert len(people(database)) == 15
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ImportRow)) == 1


def test_a_turn_ends_in_time_and_the_next_goes_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    path = written(tmp_path / "x.csv", "user_id\n1\n2\n3\n")
    layout = survey(path)
    import_id = begin_import(database, layout, {"user_id": "user_id"}, NOW, name="x.csv")
    first = run_import(database, import_id, path, UTC, NOW, Turn(seconds=0))
    assert (first.state, first.position, first.rows) == ("running", 2, 3)
    path.write_text("user_id\n1\n2\n4\n")
    assert "another one" in str(run_import(database, import_id, path, UTC, NOW).problem)


def test_mappings_that_make_no_sense_are_refused(database: Database, tmp_path: Path) -> None:
    layout = survey(written(tmp_path / "x.csv", "a,b\n1,2\n"))
    for mapping, said in (
        ({"a": "name"}, "nobody"),
        ({"a": "user_id", "b": "user_id"}, "two columns"),
        ({"a": "user_id", "c": "name"}, "no column"),
        ({"a": "user_id", "b": "colour"}, "nothing that a column can be"),
    ):
        with pytest.raises(InvalidFact, match=said):
            begin_import(database, layout, mapping, NOW, name="x.csv")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_whoever_moves_takes_everything_along(
    database: Database, tmp_path: Path, kind: str
) -> None:
    """What an export says of people comes back, above all that they have unsubscribed."""
    day = timedelta(days=1)
    told: dict[str, Any] = {
        "name": "Ada",
        "country": "DE",
        "city": "Köln",
        "timezone": "Europe/Berlin",
        "language": "de",
        "browser": "Firefox",
        "os": "Linux",
        "device": "desktop",
        "referrer": "=news.example",
        "utm_source": "a",
        "utm_medium": "b",
        "utm_campaign": "c",
    }
    with database.write() as session:
        for n in range(3):
            session.add(
                PersonRow(
                    user_id=str(n),
                    email=f"{n}@example.org",
                    signed_up_at=NOW - 9 * day,
                    first_seen_at=NOW - 8 * day,
                    last_seen_at=NOW - day,
                    session_count=n,
                    unsubscribed_at=NOW - 2 * day if n else None,
                    created_at=NOW,
                    updated_at=NOW,
                    **(told if n < 2 else {}),
                )
            )

    def exported() -> str:
        columns = [name for name in exporting.FIELDS if name not in ("relationship", "public_id")]
        found = People(database, everyone, CompileContext(database.dialect), lambda: NOW)
        return "".join(exporting.export(found, columns, kind))

    text = exported()
    path = written(tmp_path / f"people.{kind}", text)
    with database.write() as session:
        session.execute(sa.delete(PersonRow))
    assert run(database, path).created == 3
    assert exported() == text
    later = NOW + day
    assert run(database, path, now=later).unchanged == 3
    assert [one.unsubscribed_at is not None for one in people(database)] == [False, True, True]


def test_an_empty_cell_says_nothing_of_mail() -> None:
    mapping = {"user_id": "user_id", "unsubscribed": "unsubscribed"}
    record = Record(2, {"user_id": "1", "unsubscribed": ""})
    assert read_record(record, mapping, UTC, NOW)[0].unsubscribed is None


def test_a_file_takes_no_unsubscription_back(database: Database, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "user_id,unsubscribed,country\n1,true,DE\n2,no,FR\n")
    run(database, path)
    assert [one.unsubscribed_at for one in people(database)] == [NOW, None]
    again = written(tmp_path / "b.csv", "user_id,unsubscribed,country\n1,false,US\n2,maybe,US\n")
    assert run(database, again, now=NOW + timedelta(days=1)).refused == 1
    assert [(one.unsubscribed_at, one.country) for one in people(database)] == [
        (NOW, "DE"),
        (None, "FR"),
    ]


KNOWN = {"plan": ("s",), "seat count": ("n",), "score": ("n", "s"), "?": ("s",), "Email": ("s",)}


@pytest.mark.parametrize(
    "meant",
    [
        {"Plan": "text:plan"},
        {"Plan": "text:Plan", "plan": "text:plan", "PLAN": "text:PLAN"},
        {"PLAN": "text:plan", "Plan": "text:Plan"},
        {"Seat_Count": "number:seat count", "seats": "text:seats"},
        {"number:plan": "number:plan"},
        {"Score": "text:score"},
        {"?": "text:?", "!": "text:!"},
        {"Email": "email", "e-mail": ""},
        {"public_id": "", "relationship": "", "": "", " ": ""},
    ],
)
def test_a_column_called_like_a_known_attribute_is_taken_for_it(meant: dict[str, str]) -> None:
    assert guess(tuple(meant), KNOWN) == meant


def test_the_values_tell_the_type_only_of_what_is_new_or_has_several() -> None:
    rows = [Record(1, {"Plan": "7", "Seat count": "x", "Score": "7", "new": "7"}, is_exact=False)]
    assert guess_from(tuple(rows[0].values), rows, KNOWN) == {
        "Plan": "text:plan",
        "Seat count": "number:seat count",
        "Score": "number:score",
        "new": "number:new",
    }
