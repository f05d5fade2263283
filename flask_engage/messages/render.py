"""One message for one person: templates filled, Markdown turned into clean HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidMessage
from ..types import Person
from .content import Button, Email, InApp, Message, Style
from .context import context_for
from .mail_layout import lay_out
from .markdown import one_line, to_html, to_text
from .slots import Slots
from .template import TemplateError, compile_template

__all__ = [
    "RenderedEmail",
    "RenderedInApp",
    "Unrenderable",
    "context_for",
    "preflight",
    "render",
    "render_email",
    "render_in_app",
]


@dataclass(frozen=True, slots=True)
class RenderedInApp:
    """What the widget shows."""

    title: str | None
    """Plain text."""
    html: str
    """Clean HTML of the body: no scripts, styles, handlers or strange addresses."""
    buttons: tuple[Button, ...]
    style: Style = "popup"


@dataclass(frozen=True, slots=True)
class RenderedEmail:
    """What a mail consists of."""

    subject: str
    """Plain text on one line."""
    html: str
    """A whole HTML document."""
    text: str
    """The same words for mail programs that show no HTML."""


def render_in_app(content: InApp, context: Mapping[str, Any]) -> RenderedInApp:
    """Return the message as shown to the person of `context` (see :func:`context_for`).

    :raises TemplateError: if a word is missing.
    """
    slots = Slots()
    body = _fill("body", content.body, context, slots)
    title = None if content.title is None else one_line(_fill("title", content.title, context))
    buttons = tuple(content.buttons)
    return RenderedInApp(title or None, to_html(body, slots), buttons, content.style)


def render_email(
    content: Email,
    context: Mapping[str, Any],
    *,
    unsubscribe_url: str | None = None,
    base_url: str | None = None,
) -> RenderedEmail:
    """Return the mail as it goes to the person of `context` (see :func:`context_for`).

    :param base_url: the host's address, for links into it.
    :raises InvalidMessage: if a word is missing, the subject comes out empty, or a link into
        the host can't be made whole.
    """
    subject = one_line(_fill("subject", content.subject, context))
    if not subject:
        raise InvalidMessage("subject: it comes out empty for this person.")
    slots = Slots()
    body = _fill("body", content.body, context, slots)
    inner = to_html(body, slots, base_url=base_url, absolute=True)
    text = to_text(body, slots, base_url=base_url)
    if unsubscribe_url:
        text += f"\n-- \nUnsubscribe: {unsubscribe_url}\n"
    return RenderedEmail(subject, lay_out(subject, inner, unsubscribe_url=unsubscribe_url), text)


@dataclass(frozen=True, slots=True)
class Unrenderable:
    """Somebody for whom a message can't be rendered, and why."""

    person: Person
    problem: str


def preflight(
    content: Message, people: Iterable[Person], *, base_url: str | None = None
) -> Iterator[Unrenderable]:
    """Render `content` for each of `people` and yield those for whom it fails.

    Takes them one by one, so an iterator that reads in batches stays small.
    """
    for person in people:
        try:
            render(content, context_for(person), base_url=base_url)
        except InvalidMessage as error:
            yield Unrenderable(person, str(error))


def render(
    content: Message, context: Mapping[str, Any], *, base_url: str | None = None
) -> RenderedInApp | RenderedEmail:
    """Return `content` rendered, whichever kind it is.

    :raises InvalidMessage: as the two functions for one kind.
    """
    if isinstance(content, Email):
        return render_email(content, context, base_url=base_url)
    return render_in_app(content, context)


def _fill(what: str, source: str, context: Mapping[str, Any], slots: Slots | None = None) -> str:
    try:
        return compile_template(source).fill(context, slots)
    except TemplateError as error:
        raise TemplateError(error.problem, error.line, what) from error
