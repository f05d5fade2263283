"""Markdown to HTML and to plain text, with the slots of values kept out of its hands."""

from __future__ import annotations

import html
import re
from typing import Any, Final

import mistune
import nh3
from mistune.core import BlockState

from ..errors import InvalidMessage
from .links import is_relative, problem_of
from .slots import Slots

_TAGS: Final = frozenset(
    {"p", "br", "hr", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li"}
    | {"h1", "h2", "h3", "h4", "a", "img"}
)
_ATTRIBUTES: Final = {"a": {"href"}, "img": {"src", "alt"}, "ol": {"start"}}
_SCHEMES: Final = {"http", "https", "mailto"}
_PLUGINS: Final = ("strikethrough", "url")


class _Html(mistune.HTMLRenderer):
    """HTML of one text; knows its slots and where relative links lead."""

    def __init__(self, slots: Slots, base_url: str | None, *, absolute: bool) -> None:
        super().__init__(escape=True)
        self._slots = slots
        self._base_url = base_url
        self._absolute = absolute

    def link(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002
        address = self._address(url, mailto=True)
        return text if address is None else f'<a href="{html.escape(address)}">{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002
        address = self._address(url)
        alt = html.escape(self._slots.restore(text))
        return alt if address is None else f'<img src="{html.escape(address)}" alt="{alt}">'

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        return super().heading(text, min(level, 4), **attrs)

    def _address(self, url: str, *, mailto: bool = False) -> str | None:
        return resolve(
            self._slots.restore_in_url(url),
            self._base_url,
            absolute=self._absolute,
            mailto=mailto,
        )


def resolve(url: str, base_url: str | None, *, absolute: bool, mailto: bool = False) -> str | None:
    """Return where `url` leads, or None if a message may not lead there.

    :raises InvalidMessage: if it has to be `absolute`, and there is no `base_url` to make it so.
    """
    if problem_of(url, mailto=mailto) is not None:
        return None
    if not absolute or not is_relative(url):
        return url
    if base_url is None:
        raise InvalidMessage(
            f"The link {url!r} leads into the app, and a mail needs its whole address: "
            "set ENGAGE_BASE_URL, or write https://…"
        )
    return f"{base_url}{url}" if url.startswith("/") else f"{base_url}/{url}"


def to_html(
    filled: str, slots: Slots, *, base_url: str | None = None, absolute: bool = False
) -> str:
    """Return clean HTML of a filled Markdown text; values come out as text, whatever they are.

    :param absolute: whether links into the host must carry its address (in mails).
    """
    renderer = _Html(slots, base_url, absolute=absolute)
    rough = str(mistune.create_markdown(renderer=renderer, plugins=_PLUGINS)(filled))
    return nh3.clean(
        slots.restore(rough, html.escape),
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer",
    ).strip()


class _Text(mistune.BaseRenderer):
    """Plain text of one Markdown text, as a person would type it into a mail."""

    NAME = "text"

    def __init__(self, slots: Slots, base_url: str | None) -> None:
        super().__init__()
        self._slots = slots
        self._base_url = base_url

    def render_token(self, token: dict[str, Any], state: BlockState) -> str:
        """Return the text of one token, by the method named as its type."""
        if "children" in token:
            inner = self.render_tokens(token["children"], state)
        else:
            inner = str(token.get("raw", ""))
        method = getattr(self, f"_{token['type']}", None)
        return inner if method is None else str(method(inner, token.get("attrs") or {}))

    def _paragraph(self, text: str, _attrs: dict[str, Any]) -> str:
        return f"{text.strip()}\n\n"

    def _heading(self, text: str, _attrs: dict[str, Any]) -> str:
        return f"{text.strip()}\n\n"

    def _block_code(self, text: str, _attrs: dict[str, Any]) -> str:
        return "\n".join(f"    {line}" for line in text.rstrip("\n").split("\n")) + "\n\n"

    def _block_quote(self, text: str, _attrs: dict[str, Any]) -> str:
        return "\n".join(f"> {line}".rstrip() for line in text.strip().split("\n")) + "\n\n"

    def _thematic_break(self, _text: str, _attrs: dict[str, Any]) -> str:
        return "----\n\n"

    def _block_text(self, text: str, _attrs: dict[str, Any]) -> str:
        return f"{text.strip()}\n"

    def _list_item(self, text: str, _attrs: dict[str, Any]) -> str:
        return text.strip().replace("\n", "\n  ") + "\x00"

    def _list(self, text: str, attrs: dict[str, Any]) -> str:
        first = int(attrs.get("start") or 1)
        items = text.split("\x00")[:-1]
        marks = [
            f"{first + place}." if attrs.get("ordered") else "-" for place in range(len(items))
        ]
        return "\n".join(f"{mark} {item}" for mark, item in zip(marks, items, strict=True)) + "\n\n"

    def _linebreak(self, _text: str, _attrs: dict[str, Any]) -> str:
        return "\n"

    def _softbreak(self, _text: str, _attrs: dict[str, Any]) -> str:
        return "\n"

    def _link(self, text: str, attrs: dict[str, Any]) -> str:
        url = resolve(
            self._slots.restore_in_url(str(attrs.get("url", ""))),
            self._base_url,
            absolute=True,
            mailto=True,
        )
        return text if url in (None, self._slots.restore(text)) else f"{text} ({url})"


def to_text(filled: str, slots: Slots, *, base_url: str | None = None) -> str:
    """Return the plain text of a filled Markdown text, for the text part of a mail."""
    renderer = _Text(slots, base_url)
    rough = str(mistune.create_markdown(renderer=renderer, plugins=_PLUGINS)(filled))
    text = slots.restore(html.unescape(rough), one_line)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def one_line(text: str) -> str:
    """Return `text` without line breaks or control characters: fit for a header or a title."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
