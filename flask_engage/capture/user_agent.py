"""A guess at the browser, the system and the device, good enough to filter by. No dependency."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_BOT = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|scrap|preview|monitor|pingdom|lighthouse|phantomjs"
    r"|facebookexternalhit|embedly|validator|archiver|^curl/|^wget|python-|aiohttp|httpx"
    r"|go-http-client|okhttp|java/|libwww|^node|axios/|^ruby|httpie|postmanruntime|^whatsapp/"
    r"|meta-external|googleimageproxy|google-inspectiontool",
    re.IGNORECASE,
)
#: In this order: most browsers also claim to be those further down.
_BROWSERS = (
    ("Edge", "Edg"),
    ("Opera", "OPR/"),
    ("Samsung Internet", "SamsungBrowser"),
    ("Vivaldi", "Vivaldi"),
    ("Firefox", "Firefox/"),
    ("Firefox", "FxiOS"),
    ("Chrome", "CriOS"),
    ("Chrome", "Chrome/"),
    ("Safari", "Safari/"),
)
_SYSTEMS = (
    ("iOS", "iPhone"),
    ("iPadOS", "iPad"),
    ("Android", "Android"),
    ("ChromeOS", "CrOS"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X"),
    ("Linux", "Linux"),
)
_PHONES = re.compile(r"iPhone|Mobile|Phone")
LONGEST = 512
"""Browsers say less; whoever says more is no reason to keep it in memory."""


@dataclass(frozen=True, slots=True)
class UserAgent:
    """What a ``User-Agent`` header seems to say."""

    browser: str | None = None
    os: str | None = None
    device: str | None = None
    """``desktop``, ``phone`` or ``tablet``."""
    is_bot: bool = False


@lru_cache(maxsize=1024)
def read_user_agent(text: str) -> UserAgent:
    """Read a ``User-Agent`` header, cut to `LONGEST`; the last thousand are remembered."""
    if not text:
        return UserAgent()
    browser = next((name for name, sign in _BROWSERS if sign in text), None)
    system = next((name for name, sign in _SYSTEMS if sign in text), None)
    return UserAgent(browser, system, _device(text, system), bool(_BOT.search(text)))


def _device(text: str, system: str | None) -> str | None:
    if system is None:
        return None
    if system == "iPadOS" or (system == "Android" and "Mobile" not in text):
        return "tablet"
    return "phone" if _PHONES.search(text) else "desktop"
