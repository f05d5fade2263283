"""A message while it is written: what was typed, and what is wrong with it, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import InvalidMessage
from ..messages.content import STYLES, Button, InApp
from ..messages.render import RenderedInApp, context_for, render_in_app
from ..types import Person
from .language import gettext as _

BUTTONS = 2
_LONGEST = 64 * 1024


@dataclass(slots=True)
class Draft:
    """What stands in the form."""

    title: str = ""
    body: str = ""
    style: str = "popup"
    buttons: list[tuple[str, str]] = field(default_factory=lambda: [("", "")] * BUTTONS)
    """Label and address of each."""
    problems: dict[str, str] = field(default_factory=dict)
    """What is wrong, by the name of the form's field."""
    words: InApp | None = None
    """The message as far as it can be read, for the preview."""
    message: InApp | None = None
    """The message, if nothing is wrong with it."""

    @property
    def is_blank(self) -> bool:
        """Whether nothing was written yet."""
        return not (self.title or self.body or any(label or url for label, url in self.buttons))


def read_draft(form: Mapping[str, str]) -> Draft:
    """Return the draft that `form` holds, checked."""
    draft = Draft(
        title=form.get("title", "").strip(),
        body=form.get("body", "").replace("\r\n", "\n"),
        style=form.get("style", "popup"),
        buttons=[
            (form.get(f"label{n}", "").strip(), form.get(f"url{n}", "").strip())
            for n in range(1, BUTTONS + 1)
        ],
    )
    if not draft.is_blank:
        _check(draft)
    return draft


def rendered_for(draft: Draft, person: Person) -> RenderedInApp | None:
    """Return the draft as `person` will see it; notes what keeps it from being shown."""
    if draft.words is None:
        return None
    try:
        return render_in_app(draft.words, context_for(person))
    except InvalidMessage as error:
        draft.message = None
        draft.problems.setdefault(_field_of(str(error)), _plain(str(error)))
        return None


def _check(draft: Draft) -> None:
    buttons = _buttons(draft)
    if draft.style not in STYLES:
        draft.problems["style"] = _("Choose popup, banner or note.")
        return
    if len(draft.body) > _LONGEST:
        draft.problems["body"] = _("The text is longer than 64 KiB.")
        return
    if not draft.body.strip() and not draft.title:
        draft.problems["body"] = _("The message says nothing yet: write a text.")
        return
    try:
        draft.words = InApp(draft.title or None, draft.body, draft.style, buttons)
    except InvalidMessage as error:
        draft.problems.setdefault(_field_of(str(error)), _plain(str(error)))
        return
    if not draft.problems:
        draft.message = draft.words


def _buttons(draft: Draft) -> list[Button]:
    found = []
    for number, (label, url) in enumerate(draft.buttons, 1):
        if not label and not url:
            continue
        if not label:
            draft.problems[f"label{number}"] = _("Write what the button says.")
            continue
        try:
            found.append(Button(label, url or None))
        except InvalidMessage as error:
            place = "url" if str(error).startswith("Button url") else "label"
            draft.problems[f"{place}{number}"] = str(error)
    return found


def _field_of(problem: str) -> str:
    return "title" if problem.removeprefix("InApp ").startswith("title") else "body"


def _plain(problem: str) -> str:
    text = problem.removeprefix("InApp ")
    for name in ("title: ", "body: ", "title, ", "body, "):
        text = text.removeprefix(name)
    return text[:1].upper() + text[1:]
