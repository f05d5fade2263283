"""The head of a message kept in a file: ``---``, lines of ``key: value``, ``---``."""

from __future__ import annotations

from typing import Final

from ..errors import InvalidMessage

_FENCE: Final = "---"


def split_front_matter(source: str, *, what: str) -> tuple[dict[str, str], str]:
    """Return the fields of the head and the body below it. `what` names the file in errors.

    :raises InvalidMessage: if there is no head, or a line of it isn't ``key: value``.
    """
    lines = source.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if lines[0].rstrip() != _FENCE:
        raise InvalidMessage(f"{what}: expected front matter: a first line of three dashes.")
    fields: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() == _FENCE:
            return fields, "\n".join(lines[number:]).strip("\n")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, colon, value = line.partition(":")
        if not colon or not key.strip().isidentifier():
            raise InvalidMessage(f"{what}, line {number}: expected 'key: value', got {line!r}.")
        fields[key.strip().lower()] = _unquoted(value.strip())
    raise InvalidMessage(f"{what}: the front matter has no closing line of three dashes.")


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
