"""How Paperkite shows things: template filters for times, links, paragraphs and initials."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import Flask
from flask_login import current_user
from markupsafe import Markup

from example_app import pictures
from example_app.models import now


class Link(NamedTuple):
    """One line of a section of links."""

    title: str
    url: str


def paragraphs(text: str) -> list[str]:
    """The text cut at blank lines."""
    blocks = text.replace("\r\n", "\n").split("\n\n")
    return [block.strip() for block in blocks if block.strip()]


def links(text: str) -> list[Link]:
    """One link a line, `Title | https://…`. A line that is no web address is left out."""
    found = []
    for line in text.splitlines():
        title, _, url = line.rpartition("|")
        url = url.strip()
        try:
            parts = urlsplit(url)
        except ValueError:  # half an IPv6 address, for one
            continue
        if parts.scheme in ("http", "https") and parts.netloc:
            found.append(Link(title.strip() or parts.netloc, url))
    return found


def ago(moment: datetime) -> str:
    """How long since, in words: "just now", "5 minutes ago", "3 days ago"."""
    seconds = max(0, int((now() - moment).total_seconds()))
    for unit, length in (
        ("year", 31_536_000),
        ("month", 2_592_000),
        ("week", 604_800),
        ("day", 86_400),
        ("hour", 3_600),
        ("minute", 60),
    ):
        count = seconds // length
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def local(moment: datetime) -> str:
    """The moment on the clock of whoever is logged in."""
    zone = ZoneInfo(current_user.timezone if current_user.is_authenticated else "UTC")
    return moment.astimezone(zone).strftime("%-d %B %Y, %H:%M")


def initial(name: str) -> str:
    """The first letter of a name, for the round mark in the corner."""
    return next((letter.upper() for letter in name if letter.isalpha()), "?")


@cache
def letter_style() -> Markup:
    """The style sheet of a newsletter, to be written into the file that people download."""
    return Markup((Path(__file__).parent / "static" / "letter.css").read_text("utf-8"))  # noqa: S704 - our own file


def register(app: Flask) -> None:
    """Make these available in templates."""
    for function in (paragraphs, links, ago, local, initial):
        app.add_template_filter(function)
    app.add_template_filter(pictures.data_url, "picture_data")
    app.jinja_env.globals["letter_style"] = letter_style
    app.jinja_env.globals["PICTURES"] = pictures.PICTURES
