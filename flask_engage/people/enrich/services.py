"""The services that are built in: FullContact's person API, and Gravatar."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from ...types import Identity, Profile
from .enricher import LookAgain, Pause
from .outbound import Failed, Outbound, Reply

_SHORT: Final = timedelta(minutes=1)
_NO_ENTRY: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(days=7)
_KEYS_OF_FULLCONTACT: Final = {
    "ageRange": "age range",
    "gender": "gender",
    "seniority": "seniority",
}


def fullcontact(
    outbound: Outbound, url: str, key: str, who: Identity, seconds: float
) -> Profile | None:
    """Ask FullContact's ``person.enrich`` (version 3) about an address."""
    reply = replace(outbound, seconds=min(seconds, outbound.seconds)).ask(
        f"{url.rstrip('/')}/person.enrich",
        headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
        send={"email": who.email},
    )
    if _has_nothing(reply):
        return None
    found = _object(reply)
    job = _current_job(found)
    return Profile(
        job_title=_string(found, "title") or _string(job, "title"),
        company=_string(found, "organization") or _string(job, "name"),
        company_domain=_string(job, "domain"),
        location=_string(found, "location"),
        bio=_string(found, "bio"),
        links=tuple(_links(found, ("linkedin", "twitter", "facebook", "website"))),
        avatar_url=_string(found, "avatar"),
        attributes={
            label: value
            for name, label in _KEYS_OF_FULLCONTACT.items()
            if (value := _string(found, name))
        },
    )


def gravatar(
    outbound: Outbound, url: str, key: str | None, who: Identity, seconds: float
) -> Profile | None:
    """Ask Gravatar about the hash of an address."""
    hashed = hashlib.sha256((who.email or "").strip().lower().encode()).hexdigest()
    headers = {"Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    reply = replace(outbound, seconds=min(seconds, outbound.seconds)).ask(
        f"{url.rstrip('/')}/profiles/{hashed}", headers=headers
    )
    if _has_nothing(reply):
        return None
    found = _object(reply)
    avatar = _string(found, "avatar_url")
    accounts = found.get("verified_accounts")
    links = [_string(found, "profile_url")]
    links += (
        [_string(one, "url") for one in accounts if isinstance(one, dict)]
        if isinstance(accounts, list)
        else []
    )
    return Profile(
        job_title=_string(found, "job_title"),
        company=_string(found, "company"),
        location=_string(found, "location"),
        bio=_string(found, "description"),
        links=tuple(link for link in links if link),
        # The picture, or nothing: not one that stands for whoever has none.
        avatar_url=f"{avatar.partition('?')[0]}?s=192&d=404" if avatar else None,
    )


def _has_nothing(reply: Reply) -> bool:
    """Tell whether they know nobody by that name; raise for all that is no answer."""
    status = reply.status
    if status == 200:
        return False
    if status in (400, 404, 410, 422):
        # 400 and 422: an address that they can't read won't be readable tomorrow either.
        return True
    after = _asked_to_wait(reply.headers)
    if status == 202:
        raise LookAgain(after)
    if status == 429:
        raise Pause("too many requests (429)", after or _SHORT)
    if status == 503 and after:
        raise Pause("out of service (503)", after)
    if status in (401, 402, 403):
        raise Pause(f"the key is refused, or its quota is used up ({status})", after or _NO_ENTRY)
    raise Failed(f"the answer was {status}")


def _asked_to_wait(headers: Mapping[str, str]) -> timedelta | None:
    """Return for how long we were asked to wait, in seconds or until a date."""
    for name in ("retry-after", "x-rate-limit-reset", "x-ratelimit-reset"):
        text = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}", text):
            return min(timedelta(seconds=int(text)), _LONGEST)
        if name == "retry-after" and text:
            wait = _until(text, headers.get("date", ""))
            if wait is not None:
                return min(wait, _LONGEST)
    return None


def _until(text: str, today: str) -> timedelta | None:
    from email.utils import parsedate_to_datetime

    try:
        # By their clock, whatever ours says.
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(today)
    except (ValueError, TypeError):
        return None
    return wait if wait > timedelta(0) else None


def _object(reply: Reply) -> dict[str, Any]:
    found = reply.json()
    if not isinstance(found, dict):
        raise Failed("the answer is no JSON object")
    return found


def _string(found: Mapping[str, Any], name: str) -> str | None:
    value = found.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _links(found: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if link := _string(found, name):
            yield link


def _current_job(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the job that somebody has now, in the details of those who pay for them."""
    details = found.get("details")
    jobs = details.get("employment") if isinstance(details, dict) else None
    known = [job for job in jobs if isinstance(job, dict)] if isinstance(jobs, list) else []
    return next((job for job in known if job.get("current") is True), known[0] if known else {})
