"""The README and the pages of docs/ as the docs test reads them.

The code blocks of a page, in order, are somebody who follows it:

- ``python``: the next part of the file ``app.py``;
- ``python`` after ``<!-- in a shell -->``: typed into ``flask shell``, with the app so far;
- ``python`` or ``text`` after ``<!-- file: test_it.py -->``: that file;
- ``console``: each line after ``$`` is run, and what follows it is what it prints (``...``
  stands for anything). ``flask run`` is left to run, the paths in
  ``<!-- meanwhile: /one /two -->`` before the block are opened, and it is stopped;
- other ``text``: not run. No other language may be used.

A page with ``<!-- begins as: quickstart.md, after: flask engage sync -->`` goes on from that
page's ``app.py``, on which that command has been run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.promises._source import ROOT

_FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<language>\{?[\w+-]*\}?)[^`\n]*$")
_MARKER = re.compile(r"^<!--\s*(.*?)\s*-->$")
_BEGINS = re.compile(r"<!-- begins as: (?P<page>[\w./-]+)(?:, after: (?P<command>.+?))? -->")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    line: int
    language: str
    marker: str
    """What the comment right before it says, or nothing."""
    text: str


@dataclass(frozen=True)
class Command:
    """One line after a ``$`` and the output that the page promises, None if it shows none."""

    words: str
    expected: str | None


def pages() -> list[Path]:
    """Return every page for users."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Give the fenced blocks of `page`, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    marker = ""
    while number < len(lines):
        line = lines[number]
        opened = _FENCE.match(line)
        if opened:
            start = number
            number += 1
            while lines[number] != opened["ticks"]:
                number += 1
            text = "\n".join(lines[start + 1 : number]) + "\n"
            yield Block(start + 1, opened["language"], marker, text)
        found = _MARKER.match(line)
        if line.strip():
            marker = found[1] if found else ""
        number += 1


def beginning(page: Path) -> tuple[str, list[Command]]:
    """Return the ``app.py`` that `page` goes on from and what was run with it; often nothing."""
    found = _BEGINS.search(page.read_text(encoding="utf-8"))
    if not found:
        return "", []
    other = (page.parent / found["page"]).resolve()
    before, run = beginning(other)
    parts = [b.text for b in blocks(other) if b.language == "python" and not b.marker]
    if found["command"]:
        run = [*run, Command(found["command"], None)]
    return before + "\n".join(parts), run


def commands(block: Block) -> list[Command]:
    """Return the commands of a ``console`` block."""
    found: list[Command] = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        words, _, output = part.partition("\n")
        found.append(Command(words, output if output.strip() else None))
    return found
