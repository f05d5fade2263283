"""The directive ``engage-settings``: every setting, read from the code that reads them."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from flask_engage.settings import Settings


def shown(default: Any, unit: str) -> str:
    """Return a default as somebody would write it into a configuration."""
    if isinstance(default, timedelta):
        return f"`{default.total_seconds():g}` {unit}"
    return f"`{default!r}`" + (f" {unit}" if unit and default is not None else "")


def rows() -> list[tuple[str, str, str]]:
    """Return name, default and meaning of every setting."""
    return [
        (
            f"`ENGAGE_{item.name}`",
            shown(item.default, item.metadata["unit"]),
            item.metadata["doc"].replace("|", r"\|"),
        )
        for item in fields(Settings)
    ]


class SettingsTable(SphinxDirective):
    """Writes the table in the page's own Markdown and lets the page's parser read it."""

    def run(self) -> list[nodes.Node]:
        lines = ["| Setting | Default | What it does |", "| --- | --- | --- |"]
        lines += ["| " + " | ".join(row) + " |" for row in rows()]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("engage-settings", SettingsTable)
    return {"parallel_read_safe": True}
