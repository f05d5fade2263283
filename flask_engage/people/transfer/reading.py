"""Files of people, read as a stream: which encoding, which dialect, and one record at a time."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from ...errors import InvalidFact
from .sources import Source

COLUMNS = 500
"""Columns of a file at most."""
HEADING_CHARACTERS = 255
"""It stands beside each problem of its column."""
RECORD_CHARACTERS = 1024 * 1024
"""One record at most: a quote that nobody closes would swallow the rest of the file."""
_CHUNK = 256 * 1024
_LOOKED_AT = 64 * 1024
_ROWS_LOOKED_AT = 100
_NUL_SHARE = 10
_ARRAY = re.compile(r"\s*\[\s*(?:[\[{\"\]]|\Z)")
"""A JSON array; a heading of a CSV file may be in brackets, too: ``[id]``."""
_DELIMITERS = (",", ";", "\t")
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class BadFile(InvalidFact):
    """A file can't be read as people at all; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file turned out to be."""

    format: str
    """``csv`` or ``jsonl``."""
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    size: int
    digest: str
    """SHA-256 of its bytes, hexadecimal."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row: its values by column, or what is wrong with it as a whole."""

    number: int
    """Its number among the rows, from 1; the header has none."""
    values: Mapping[str, Any]
    problem: str = ""
    is_exact: bool = False
    """Whether texts are as they are, not as cells that a spreadsheet may open."""


def survey(source: Source) -> Layout:
    """Look through a whole file: that it can be decoded, what it is, what its columns are.

    :raises BadFile: if it can't be imported.
    """
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file:
        encoding = _encoding(file.read(4))
    with source.open("rb") as file:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
                digest.update(chunk)
                size += len(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise BadFile(
                f"the file is not in UTF-8 (in its bytes from {max(0, size - 4):,} on). Save it as "
                "“CSV UTF-8”, or as UTF-16 with a byte order mark."
            ) from None
        if not size:
            raise BadFile("the file is empty.")
    with _text(source, encoding) as text:
        start = text.read(_LOOKED_AT)
    if start.count("\0") * _NUL_SHARE > len(start):  # one in a cell costs that row alone
        raise BadFile("the file holds NUL characters: it is no text, or UTF-16 without a mark.")
    if _ARRAY.match(start):
        raise BadFile(
            "the file is one JSON array (it begins with “[”). Save it as JSON Lines: one object "
            "{…} a line, without the brackets around them and the commas between them."
        )
    if start.lstrip().startswith("{"):
        layout = Layout("jsonl", encoding, "", (), size, digest.hexdigest())
        columns: dict[str, None] = {}
        for record in _first(records(source, layout)):
            columns.update(dict.fromkeys(record.values))
    else:
        delimiter = _delimiter(start)
        layout = Layout("csv", encoding, delimiter, (), size, digest.hexdigest())
        columns = dict.fromkeys(_header(source, layout))
    if not 0 < len(columns) <= COLUMNS:
        raise BadFile(f"{len(columns):,} columns: expected 1 to {COLUMNS}.")
    for column in columns:
        if len(column) > HEADING_CHARACTERS or "\0" in column:
            raise BadFile(
                f"the heading {column!r:.80} is too long or holds NUL: use up to "
                f"{HEADING_CHARACTERS} characters."
            )
    return replace(layout, columns=tuple(columns))


def records(source: Source, layout: Layout) -> Iterator[Record]:
    """Yield the rows of a file, one after the other."""
    with _text(source, layout.encoding) as text:
        yield from (_objects(text) if layout.format == "jsonl" else _rows(text, layout))


def _encoding(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise BadFile("the file is in UTF-32. Save it as UTF-8.")
    if start.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise BadFile("the file is packed, or a workbook. Unpack it, or save it as CSV.")
    return next((name for mark, name in _ENCODINGS if start.startswith(mark)), "utf-8")


def _text(source: Source, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(source.open("rb"), encoding=encoding, newline="")


def _first(found: Iterator[Record]) -> Iterator[Record]:
    for record in found:
        if record.number > _ROWS_LOOKED_AT:
            return
        yield record


class _Lines:
    """The lines of a file, none of them and no record of them endless."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.taken = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(RECORD_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self.taken += len(line)
        if self.taken > RECORD_CHARACTERS:
            raise BadFile(
                f"a row of more than {RECORD_CHARACTERS:,} characters: is there a quotation mark "
                "that isn't closed?"
            )
        return line


def _parsed(text: io.TextIOWrapper, delimiter: str) -> Iterator[list[str] | str]:
    """Yield the rows of a CSV file, or what is wrong with one."""
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.taken = 0
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield str(error)
            continue
        if row:  # else an empty line
            yield row


def _header(source: Source, layout: Layout) -> list[str]:
    with _text(source, layout.encoding) as text:
        row = next(_parsed(text, layout.delimiter), "the file is empty")
    if isinstance(row, str):
        raise BadFile(f"the first row can't be read: {row}.")
    if len(row) > COLUMNS:
        raise BadFile(f"{len(row):,} columns: expected 1 to {COLUMNS}.")
    twice = sorted({name for name in row if row.count(name) > 1})
    if twice:
        raise BadFile(f"the column {twice[0]!r:.80} is there twice. Give each a name of its own.")
    return row


def _rows(text: io.TextIOWrapper, layout: Layout) -> Iterator[Record]:
    found = _parsed(text, layout.delimiter)
    header = next(found, [])
    width = len(header)
    for number, row in enumerate(found, 1):
        if isinstance(row, str):
            yield Record(number, {}, f"the row can't be read: {row}")
        elif len(row) > width:
            yield Record(number, {}, f"{len(row):,} cells under {width} headings")
        else:
            yield Record(number, dict(zip(header, row, strict=False)))


def _objects(text: io.TextIOWrapper) -> Iterator[Record]:
    lines, number = _Lines(text), 0
    for line in lines:
        lines.taken = 0
        if not line.strip():
            continue
        number += 1
        try:
            found = msgspec.json.decode(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
            yield Record(number, {}, f"the line is no JSON: {error}"[:200])
            continue
        if not isinstance(found, dict) or len(found) > COLUMNS:
            yield Record(number, {}, "the line is no JSON object of a person")
            continue
        yield Record(number, found, is_exact=True)


def _delimiter(start: str) -> str:
    """Return what stands between cells: what cuts the first rows into most columns, evenly."""

    def fit(delimiter: str) -> tuple[int, int]:
        rows = []
        try:
            for row in csv.reader(io.StringIO(start, newline=""), delimiter=delimiter):
                rows.append(len(row))
                if len(rows) >= _ROWS_LOOKED_AT:
                    break
        except csv.Error:
            return (0, 0)
        width = rows[0] if rows else 0
        # The last row may be cut off where we stopped looking.
        return (sum(count == width for count in rows) if width > 1 else 0, width)

    return max(_DELIMITERS, key=fit)
