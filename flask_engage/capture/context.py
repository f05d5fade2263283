"""What a request says of the browser and of the way that led here."""

from __future__ import annotations

from functools import lru_cache

from werkzeug.wrappers import Request

from ..settings import Settings
from .facts import Context
from .limits import trim_text
from .place import Place
from .user_agent import LONGEST, read_user_agent

_PATH_LENGTH = 512
_TEXT_LENGTH = 255
_LANGUAGE_LENGTH = 35


class Contexts:
    """Reads one app's requests.

    :raises InvalidSettings: if a package that a setting needs is missing.
    """

    def __init__(self, settings: Settings) -> None:
        self._place = Place(settings)
        self.of_browser = ("HTTP_USER_AGENT", "HTTP_ACCEPT_LANGUAGE", *self._place.reads)
        """What of a request's environment tells of the browser, whatever page it asks for."""

    def of(self, request: Request) -> Context:
        """Return what `request` tells."""
        environ = request.environ
        source = medium = campaign = country = ip = None
        if "utm_" in environ.get("QUERY_STRING", ""):
            args = request.args
            source = trim_text(args.get("utm_source"), _TEXT_LENGTH)
            medium = trim_text(args.get("utm_medium"), _TEXT_LENGTH)
            campaign = trim_text(args.get("utm_campaign"), _TEXT_LENGTH)
        referrer = environ.get("HTTP_REFERER")
        if referrer is not None:
            referrer = referrer_of(referrer, environ.get("HTTP_HOST", ""))
        if self._place.is_wanted:
            country, ip = self._place.of(environ, request.remote_addr)
        usual = _usual(
            request.path,
            environ.get("HTTP_USER_AGENT", "")[:LONGEST],
            environ.get("HTTP_ACCEPT_LANGUAGE", "")[:LONGEST],
        )
        if not (referrer or source or medium or campaign or country or ip):
            return usual
        return Context(
            usual.path,
            referrer,
            source,
            medium,
            campaign,
            usual.browser,
            usual.os,
            usual.device,
            usual.language,
            country,
            ip,
        )


@lru_cache(maxsize=1024)
def _usual(path: str, user_agent: str, accept_language: str) -> Context:
    """Return what each request tells; most look like one of the last thousand."""
    agent = read_user_agent(user_agent)
    language = accept_language.partition(",")[0].partition(";")[0]
    return Context(
        path=trim_text(path, _PATH_LENGTH),
        browser=agent.browser,
        os=agent.os,
        device=agent.device,
        language=trim_text(language, _LANGUAGE_LENGTH),
    )


def referrer_of(address: str, own_host: str) -> str | None:
    """Return the host name of the page before, unless it was one of the host's own."""
    scheme, _, rest = address.partition("://")
    if scheme not in ("http", "https"):
        return None
    place = rest.partition("/")[0].partition("?")[0].rpartition("@")[2].lower()
    if place == own_host.lower():
        return None
    return trim_text(place.partition(":")[0], _TEXT_LENGTH)
