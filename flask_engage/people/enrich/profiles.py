"""Profiles: made clean, kept as JSON, put together from several enrichers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final
from urllib.parse import urlsplit

from ...capture.limits import check_name, check_value
from ...errors import InvalidFact
from ...store.attribute_write import from_json, kind_of, to_json
from ...types import AttributeValue, Profile

_LENGTHS: Final = {
    "job_title": 200,
    "company": 200,
    "company_domain": 253,
    "location": 200,
    "country": 2,
    "city": 128,
    "timezone": 64,
    "bio": 2000,
}
_MOST_LINKS: Final = 10
_MOST_ATTRIBUTES: Final = 30
_LONGEST_URL: Final = 1000
_NAMES: Final = {
    "job_title": "job title",
    "company": "company",
    "company_domain": "company domain",
    "location": "location",
}
"""What becomes an attribute of the person, and is filtered by."""
PLACES: Final = ("country", "city", "timezone")
"""What becomes a field of the person."""


def clean(found: Any) -> dict[str, Any] | None:
    """Return what an enricher returned as JSON that is kept; None: nothing is known.

    :raises InvalidFact: if it is no profile, or holds what no profile can.
    """
    if found is None:
        return None
    if not isinstance(found, Profile):
        raise InvalidFact(f"an enricher returns a Profile or None, not {type(found).__name__}.")
    kept: dict[str, Any] = {}
    for name, length in _LENGTHS.items():
        if text := _text(name, getattr(found, name), length):
            kept[name] = text
    if "country" in kept and not re.fullmatch(r"[A-Za-z]{2}", kept["country"]):
        del kept["country"]
    links = [link for link in _links(found.links) if is_link(link)]
    if links:
        kept["links"] = list(dict.fromkeys(links))[:_MOST_LINKS]
    if isinstance(found.avatar_url, str) and is_link(found.avatar_url):
        kept["avatar_url"] = found.avatar_url
    if more := _attributes(found.attributes):
        kept["attributes"] = more
    return kept or None


def is_link(text: Any) -> bool:
    """Tell whether `text` is an address that may stand behind a link."""
    if not isinstance(text, str) or len(text) > _LONGEST_URL or re.search(r"[\s\x00-\x20\\]", text):
        return False
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  (raises ValueError when it is no number)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def profile_of(kept: Mapping[str, Any]) -> Profile:
    """Return what is kept as the profile that it was."""
    known = {item.name for item in fields(Profile)}
    values = {name: value for name, value in kept.items() if name in known}
    values["links"] = tuple(kept.get("links", ()))
    values["attributes"] = {
        name: from_json(kind, value) for name, (kind, value) in kept.get("attributes", {}).items()
    }
    return Profile(**values)


def merged(found: Mapping[str, Mapping[str, Any]], order: Sequence[str]) -> dict[str, Any]:
    """Return for each field whose word counts: (enricher, value) by name.

    The first of `order` that knows a field is believed; attributes are told apart, too.
    """
    believed: dict[str, Any] = {}
    for provider in order:
        for name, value in found.get(provider, {}).items():
            if name == "attributes":
                inner = believed.setdefault("attributes", {})
                for label, held in value.items():
                    inner.setdefault(label, (provider, held))
            else:
                believed.setdefault(name, (provider, value))
    return believed


def attributes_in(believed: Mapping[str, Any]) -> dict[str, tuple[str, AttributeValue]]:
    """Return what of a merged profile becomes attributes: (enricher, value) by name."""
    values: dict[str, tuple[str, AttributeValue]] = {
        label: (provider, from_json(*held))
        for label, (provider, held) in believed.get("attributes", {}).items()
    }
    values |= {label: believed[name] for name, label in _NAMES.items() if name in believed}
    return values


def _text(name: str, value: Any, length: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidFact(f"{name} of a profile is a text, not {type(value).__name__}.")
    plain = "".join(
        " " if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter
        for letter in value[: 4 * length]
    )
    return " ".join(plain.split())[:length].strip() or None


def _links(links: Any) -> list[Any]:
    if isinstance(links, (list, tuple)):
        return list(links)
    raise InvalidFact("links of a profile is a list of addresses.")


def _attributes(given: Any) -> dict[str, tuple[str, Any]]:
    if not isinstance(given, Mapping):
        raise InvalidFact("attributes of a profile are given as a mapping.")
    kept = {}
    for name, value in list(given.items())[:_MOST_ATTRIBUTES]:
        label = check_name(name, "attribute")
        held = check_value(label, value)
        if held is not None:
            kept[label] = (kind_of(held), to_json(held))
    return kept
