"""Showing in a shell how far long work is."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

import click

_LINE_SECONDS = 10.0
"""Without a terminal (cron, a log) a line now and then is enough."""


class Progress:
    """Call it with (done, total): a bar on a terminal, plain lines elsewhere, all on stderr."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._said = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` (None: nobody knows) are done."""
        if self._terminal and total:
            self._draw(done, total)
        elif time.monotonic() - self._said >= (0.5 if self._terminal else _LINE_SECONDS):
            self._said = time.monotonic()
            text = f"{self._label}: {done:,}" + (f" of {total:,}" if total else "")
            click.echo(f"\r{text}" if self._terminal else text, err=True, nl=not self._terminal)

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = click.progressbar(
                length=total, label=self._label, file=sys.stderr, show_pos=True, show_percent=True
            ).__enter__()
        self._bar.update(done - self._bar.pos)

    def __enter__(self) -> Progress:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            if error is None:
                self._bar.update(self._bar.length - self._bar.pos)
            self._bar.__exit__(kind, error, traceback)
        elif self._terminal:
            click.echo("\r\033[K", err=True, nl=False)
