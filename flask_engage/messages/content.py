"""What a message says, before it says it to anybody: checked as soon as it is made."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from ..errors import InvalidMessage
from ..store.content import ContentRow
from .context import NAMES
from .front_matter import split_front_matter
from .links import problem_of
from .template import TemplateError, compile_template

Style: TypeAlias = Literal["popup", "banner", "note"]
STYLES: Final[tuple[Style, ...]] = ("popup", "banner", "note")

MAX_HEADING: Final = 500
"""Characters of a subject or title as written; a screen shows about 70."""
MAX_LABEL: Final = 60
MAX_BUTTONS: Final = 4


@dataclass(frozen=True, slots=True)
class Button:
    """One button of an in-app message. Without a `url` it only closes the message."""

    label: str
    url: str | None = None

    def __post_init__(self) -> None:
        if not _is_text(self.label) or not self.label.strip():
            raise InvalidMessage(f"Button label {self.label!r}: expected a text that isn't empty.")
        if len(self.label) > MAX_LABEL or not self.label.isprintable():
            raise InvalidMessage(
                f"Button label {self.label!r}: expected one line of up to {MAX_LABEL} characters."
            )
        if self.url is not None:
            problem = problem_of(self.url) if _is_text(self.url) else "it is no text"
            if problem:
                raise InvalidMessage(f"Button url {self.url!r} can't be used: {problem}.")


@dataclass(frozen=True, slots=True)
class InApp:
    """A message in the host's own pages. Title and body are templates, the body Markdown."""

    title: str | None = None
    body: str = ""
    style: Style = "popup"
    """``popup`` (modal), ``banner`` (a strip) or ``note`` (a bubble in the corner)."""
    buttons: Sequence[Button] = ()

    channel = "in_app"

    def __post_init__(self) -> None:
        buttons = tuple(self.buttons)
        object.__setattr__(self, "buttons", buttons)
        if self.style not in STYLES:
            raise InvalidMessage(f"InApp style {self.style!r}: use one of {', '.join(STYLES)}.")
        if not all(isinstance(button, Button) for button in buttons):
            raise InvalidMessage("InApp buttons: expected a list of Button(label, url).")
        if len(buttons) > MAX_BUTTONS:
            raise InvalidMessage(f"InApp buttons: {len(buttons)} are too many; use {MAX_BUTTONS}.")
        if self.title is not None:
            _check_line("InApp title", self.title)
        _check_text("InApp body", self.body)
        if not self.body.strip() and not (self.title or "").strip():
            raise InvalidMessage("InApp body: the message says nothing; give a title or a body.")

    @property
    def heading(self) -> str | None:
        """The title's template."""
        return self.title

    @property
    def options(self) -> dict[str, Any]:
        """What is stored besides the words."""
        buttons = [{"label": button.label, "url": button.url} for button in self.buttons]
        return {"style": self.style, "buttons": buttons}


@dataclass(frozen=True, slots=True)
class Email:
    """A mail. Subject and body are templates, the body Markdown."""

    subject: str
    body: str

    channel = "email"

    def __post_init__(self) -> None:
        _check_line("Email subject", self.subject)
        if not self.subject.strip():
            raise InvalidMessage("Email subject: a mail needs one.")
        _check_text("Email body", self.body)
        if not self.body.strip():
            raise InvalidMessage("Email body: the mail says nothing.")

    @staticmethod
    def template(name: str) -> EmailTemplate:
        """Return a mail whose words stand in the host's template `name`, read when sent."""
        return EmailTemplate(name)

    @property
    def heading(self) -> str:
        """The subject's template."""
        return self.subject

    @property
    def options(self) -> dict[str, Any]:
        """What is stored besides the words: nothing."""
        return {}


@dataclass(frozen=True, slots=True)
class EmailTemplate:
    """A mail in a file of the host's: ``---``, ``subject: …``, ``---``, then Markdown."""

    name: str
    """As Flask's ``render_template`` takes it, for example ``engage/come_back.md``."""

    channel = "email"

    def read(self, load: Callable[[str], str]) -> Email:
        """Return the mail; `load` gives the source of a template by its name.

        :raises InvalidMessage: if the file's form or words are wrong.
        """
        fields, body = split_front_matter(load(self.name), what=self.name)
        if "subject" not in fields:
            raise InvalidMessage(f"{self.name}: the front matter has no 'subject:'.")
        try:
            return Email(fields["subject"], body)
        except InvalidMessage as error:
            raise InvalidMessage(f"{self.name}: {error}") from error


Message: TypeAlias = InApp | Email
"""A message whose words are at hand."""


def resolved(message: Message | EmailTemplate, load: Callable[[str], str]) -> Message:
    """Return `message` with its words at hand, reading the host's template if it names one.

    :raises InvalidMessage: if it is no message, or the template's form is wrong.
    """
    if isinstance(message, EmailTemplate):
        return message.read(load)
    if not isinstance(message, (InApp, Email)):
        raise InvalidMessage(f"{message!r} is no message; use InApp(…) or Email(…).")
    return message


def message_of(row: ContentRow) -> Message:
    """Return the message whose words `row` keeps.

    :raises InvalidMessage: if this version of the code no longer accepts them.
    """
    if row.channel == "email":
        return Email(row.subject or "", row.body)
    options: Mapping[str, Any] = row.options or {}
    buttons = [Button(item["label"], item.get("url")) for item in options.get("buttons", ())]
    return InApp(row.subject, row.body, options.get("style", "popup"), buttons)


def is_message(value: object) -> bool:
    """Tell whether `value` is a message whose words are at hand."""
    return isinstance(value, (InApp, Email))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _check_line(what: str, text: Any) -> None:
    _check_text(what, text)
    if len(text) > MAX_HEADING or len(text.splitlines()) > 1 or not _printable(text):
        raise InvalidMessage(f"{what}: expected one line of up to {MAX_HEADING} characters.")


def _check_text(what: str, text: Any) -> None:
    if not isinstance(text, str):
        raise InvalidMessage(f"{what}: got {text!r}, expected a text.")
    if not _printable(text):
        raise InvalidMessage(f"{what}: it holds control characters.")
    try:
        used = compile_template(text).names
    except TemplateError as error:
        raise TemplateError(error.problem, error.line, what) from error
    unknown = sorted(name for name in used if name.partition("[")[0] not in NAMES)
    if unknown:
        near = difflib.get_close_matches(unknown[0], NAMES, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise TemplateError(
            f"nobody has {unknown[0]!r}.{hint} There are: {', '.join(sorted(NAMES))}; "
            f"custom data are written attrs['{unknown[0]}'].",
            next((n for n, line in enumerate(text.split("\n"), 1) if unknown[0] in line), None),
            what,
        )


def _printable(text: str) -> bool:
    """Tell whether `text` has no control characters and no halves of characters."""
    return not any(
        (sign < " " and sign not in "\t\r\n") or sign == "\x7f" or "\ud800" <= sign <= "\udfff"
        for sign in text
    )
