"""A past for Paperkite: `flask --app example_app seed`. Everybody in it is invented."""

from __future__ import annotations

from flask import Flask

from example_app.seeding.command import demo_accounts, seed


def register(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli.add_command(seed)
    app.cli.add_command(demo_accounts)
