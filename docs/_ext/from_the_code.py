"""Directives that write what the code says: ``engage-settings``, ``-signals``, ``-commands``.

Each makes Markdown and lets the page's own parser read it.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from datetime import timedelta
from itertools import pairwise
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from flask_engage import cli, signals
from flask_engage.settings import Settings


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines
    )


def shown(default: Any, unit: str) -> str:
    """Return a default as somebody would write it into a configuration."""
    if isinstance(default, timedelta):
        return f"`{default.total_seconds():g}` {unit}"
    return f"`{default!r}`" + (f" {unit}" if unit and default is not None else "")


def settings() -> str:
    """Return every setting with its default and its meaning."""
    rows = [
        (
            f"`ENGAGE_{item.name}`",
            shown(item.default, item.metadata["unit"]),
            item.metadata["doc"],
        )
        for item in fields(Settings)
    ]
    return table(("Setting", "Default", "What it does"), rows)


def signal_rows() -> str:
    """Return every signal with the sentence that stands under it in the source."""
    body = ast.parse(inspect.getsource(signals)).body
    rows = [
        (f"`{signal.targets[0].id}`", " ".join(said.value.value.replace("``", "`").split()))
        for signal, said in pairwise(body)
        if isinstance(signal, ast.Assign)
        and isinstance(signal.targets[0], ast.Name)
        and isinstance(said, ast.Expr)
        and isinstance(said.value, ast.Constant)
    ]
    return table(("Signal", "Sent when, and with what"), rows)


def commands() -> str:
    """Return every command with the first line of its help."""
    rows = [
        (f"`flask engage {name}`", command.get_short_help_str(limit=200))
        for name, command in sorted(cli.group.commands.items())
    ]
    return table(("Command", "What it does"), rows)


def directive(write: Any) -> type[SphinxDirective]:
    """Return the directive that puts what `write` returns into the page."""

    class FromTheCode(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            return self.parse_text_to_nodes(write())

    return FromTheCode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("engage-settings", directive(settings))
    app.add_directive("engage-signals", directive(signal_rows))
    app.add_directive("engage-commands", directive(commands))
    return {"parallel_read_safe": True}
