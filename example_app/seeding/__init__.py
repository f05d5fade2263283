"""A past for Paperkite: `flask --app example_app seed`. Everybody in it is invented."""

from __future__ import annotations

from flask import Flask

from example_app.seeding.command import seed


def register(app: Flask) -> None:
    """Add the command to `flask`."""
    app.cli.add_command(seed)
