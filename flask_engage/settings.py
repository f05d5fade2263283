"""Every ``ENGAGE_*`` setting: its default, its unit, what it does.

Read once when the extension is attached; all of them are checked together, and all that
is wrong is told in one error. Later changes to ``app.config`` have no effect.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import timedelta
from email.utils import parseaddr
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from .errors import InvalidSettings

_log = logging.getLogger("flask_engage")
_PREFIX = "ENGAGE_"


def _setting(default: Any, doc: str, *, unit: str = "") -> Any:
    return field(default=default, metadata={"doc": doc, "unit": unit})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one app, read from its config and checked."""

    ENABLED: bool = _setting(
        True, "Switches everything off when false; the host serves as if bare."
    )
    DATABASE_URL: str | None = _setting(
        None, "SQLAlchemy URL of the database that holds our tables; default: the host's own."
    )
    AUTO_UPGRADE: bool | None = _setting(
        None,
        "Creates and migrates our tables at first use. Default: on SQLite and in debug; "
        "elsewhere run `flask engage upgrade`.",
    )
    URL_PREFIX: str = _setting("/engage", "Where the dashboard and our other endpoints live.")
    BASE_URL: str | None = _setting(
        None, "Public address of the host, for links in mail, for example https://app.example.com."
    )
    PRODUCT_NAME: str | None = _setting(
        None, "What the host's product is called in our pages; default: the app's name."
    )
    TIMEZONE: str = _setting("UTC", "IANA time zone in which days are cut.")
    WEEK_START: Literal["monday", "sunday", "saturday"] = _setting(
        "monday", "Day with which the dashboard's calendars and weeks begin."
    )
    CORE_EVENTS: tuple[str, ...] | None = _setting(
        None, "Names of the events that count for the relationship score; default: all of them."
    )
    SEGMENT_SECONDS: int = _setting(
        3600, "How often it is measured who is in which segment.", unit="seconds"
    )
    SEGMENT_HISTORY_DAYS: int = _setting(
        365,
        "How long it is kept who entered and left segments, and which tags were taken off whom.",
        unit="days",
    )

    CAPTURE_MODE: Literal["journal", "sync", "memory"] = _setting(
        "journal",
        "How facts reach the database: over a journal on disk, at once in the request, or over "
        "a buffer in memory that a killed process loses.",
    )
    JOURNAL_DIR: str | None = _setting(
        None, "Folder of the journal; default: engage-journal in the instance folder."
    )
    JOURNAL_MAX_BYTES: int = _setting(
        1024**3, "All journal files of one folder together stay below this size.", unit="bytes"
    )
    FLUSH_INTERVAL: timedelta = _setting(
        timedelta(seconds=1), "Pause of the writer thread between two batches.", unit="seconds"
    )
    SESSION_IDLE: timedelta = _setting(
        timedelta(minutes=30),
        "A new session begins after more than this without a request.",
        unit="seconds",
    )
    SESSION_MAX: timedelta = _setting(
        timedelta(hours=24),
        "A new session begins when one has lasted longer than this.",
        unit="seconds",
    )
    EXCLUDE: Any = _setting(
        (),
        "What is never recorded: endpoints, blueprint names, paths (with a leading slash; a "
        "trailing * matches the rest), or a callable that is given the request.",
    )
    RESPECT_DNT: bool = _setting(
        False, "Records nobody whose browser sends `DNT: 1` or `Sec-GPC: 1`."
    )
    CONSENT: Callable[[Any], bool] | None = _setting(
        None,
        "Given the request; records nothing of it unless the answer is true. Default: no question.",
    )
    SEEN_BY_API: bool = _setting(
        False,
        "Counts requests that log in by an `Authorization` header as sightings. By default they "
        "are a program's: their events are recorded, but nobody was here.",
    )
    STORE_IP: Literal["none", "truncated", "full"] = _setting(
        "none",
        "Whether a session keeps the address it came from: not at all, cut to /24 (IPv4) and /48 "
        "(IPv6), or whole.",
    )
    COUNTRY_HEADER: str | None = _setting(
        None,
        "Header in which your proxy names the visitor's country, for example CF-IPCountry. Set "
        "it only if the proxy always sets or removes it.",
    )
    GEOIP_DATABASE: str | None = _setting(
        None,
        "Path of a MaxMind file (.mmdb) that tells the country of an address; needs the extra "
        "`geo`.",
    )
    ENRICH_FULLCONTACT_KEY: str | None = _setting(
        None,
        "Key of FullContact's person API. With it their email address is sent there, by a job, to "
        "learn more of people. Needs the extra `enrich`.",
    )
    ENRICH_FULLCONTACT_URL: str = _setting(
        "https://api.fullcontact.com/v3", "Where FullContact's API is."
    )
    ENRICH_FULLCONTACT_PER_HOUR: int = _setting(
        600, "Requests to FullContact in an hour, at most.", unit="requests"
    )
    ENRICH_GRAVATAR: bool = _setting(
        False,
        "Asks Gravatar for people's profiles and pictures, by the SHA-256 of their address. Needs "
        "the extra `enrich`.",
    )
    ENRICH_GRAVATAR_KEY: str | None = _setting(
        None, "Key of Gravatar's API: 900 requests in an hour in place of 90."
    )
    ENRICH_GRAVATAR_URL: str = _setting("https://api.gravatar.com/v3", "Where Gravatar's API is.")
    ENRICH_COMPANY: bool = _setting(
        False, "Guesses the company from the domain of an email address; nothing is sent."
    )
    ENRICH_PLACE: bool = _setting(
        False,
        "Looks up city and time zone of a person's newest address in `ENGAGE_GEOIP_DATABASE`; "
        "needs `ENGAGE_STORE_IP`, a file with cities, and the extra `geo`. Nothing is sent.",
    )
    ENRICH_EXPIRY: timedelta = _setting(
        timedelta(days=90), "How long an answer of an enricher holds.", unit="seconds"
    )
    LAST_SEEN_COLUMN: str | None = _setting(
        None, "Attribute of the host's user model that says when a user was last seen."
    )

    INJECT_WIDGET: Literal["users", "all", "off"] = _setting(
        "users",
        "Which HTML answers get the widget's tag: those to a recorded person, all of them, none.",
    )
    CSP_NONCE: Callable[[], str] | None = _setting(
        None, "Gives the nonce of this response's Content-Security-Policy, for the widget's tag."
    )

    SCHEDULER: Literal["thread", "off"] = _setting(
        "thread",
        "Who runs rules and mail: a thread in the serving processes, one of them at a time, or "
        "nobody (then `flask engage worker`, or `flask engage run-once` from cron).",
    )
    MAIL_TRANSPORT: Literal["smtp", "outbox"] | None = _setting(
        None, "How mail leaves: `smtp`, or `outbox` (kept in a table). Default: smtp with SMTP_URL."
    )
    SMTP_URL: str | None = _setting(
        None, "smtp://user:password@host:port, smtps:// for TLS at once, ?starttls=1 to upgrade."
    )
    MAIL_FROM: str | None = _setting(None, "Sender of mail, for example Ada <ada@example.com>.")
    MAIL_ONLY_TO: Collection[str] | None = _setting(
        None, "Staging guard: mail leaves only for these addresses or @domains."
    )
    RAISE_ERRORS: bool | None = _setting(
        None, "Re-raises our own errors in the host's request. Default: in testing and debug."
    )

    @classmethod
    def from_config(cls, config: MutableMapping[str, Any]) -> Settings:
        """Read, default and check all settings of `config` (a Flask app's).

        :raises InvalidSettings: naming every key that is wrong.
        """
        known = {item.name: item for item in fields(cls)}
        _warn_of_unknown(config, known)
        problems: list[str] = []
        values: dict[str, Any] = {}
        for name, item in known.items():
            default = None if item.default is MISSING else item.default
            raw = config.setdefault(_PREFIX + name, default)
            try:
                values[name] = _CHECKS.get(name, lambda value: value)(raw)
            except (ValueError, TypeError) as error:
                problems.append(f"{_PREFIX}{name} = {raw!r}: {error}")
        if values.get("MAIL_TRANSPORT") == "smtp" and not values.get("SMTP_URL"):
            problems.append("ENGAGE_SMTP_URL is missing, but ENGAGE_MAIL_TRANSPORT is 'smtp'.")
        if values.get("SMTP_URL") and not values.get("MAIL_FROM"):
            problems.append("ENGAGE_MAIL_FROM is missing: mail needs a sender.")
        if values.get("ENRICH_PLACE") and (
            values.get("STORE_IP") == "none" or not values.get("GEOIP_DATABASE")
        ):
            problems.append(
                "ENGAGE_ENRICH_PLACE needs ENGAGE_GEOIP_DATABASE, and ENGAGE_STORE_IP to keep "
                "'truncated' or 'full' addresses."
            )
        if problems:
            raise InvalidSettings("These settings can't be used:\n- " + "\n- ".join(problems))
        return cls(**values)

    @property
    def mail_transport(self) -> Literal["smtp", "outbox"]:
        """The transport in force: as set, else ``smtp`` where there is a server to talk to."""
        return self.MAIL_TRANSPORT or ("smtp" if self.SMTP_URL else "outbox")


def _warn_of_unknown(config: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key in config:
        if key.startswith(_PREFIX) and key.removeprefix(_PREFIX) not in known:
            near = difflib.get_close_matches(key.removeprefix(_PREFIX), known, 1)
            hint = f" Did you mean {_PREFIX}{near[0]}?" if near else ""
            _log.warning("The setting %s is unknown and has no effect.%s", key, hint)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected True or False.")
    return value


def _boolean_or_none(value: Any) -> bool | None:
    return None if value is None else _boolean(value)


def _text_or_none(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise ValueError("expected a text that is not empty, or None.")


def _duration(value: Any) -> timedelta:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = timedelta(seconds=value)
    if not isinstance(value, timedelta) or value <= timedelta(0):
        raise ValueError("expected a timedelta or a number of seconds above 0.")
    return value


def _one_of(*accepted: Any) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in accepted:
            raise ValueError(f"expected one of {', '.join(repr(item) for item in accepted)}.")
        return value

    return check


def _inject(value: Any) -> str:
    if value is True:
        return "users"
    if value is False or value is None:
        return "off"
    return str(_one_of("users", "all", "off")(value))


def _url_prefix(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/") or len(value.rstrip("/")) < 2:
        raise ValueError("expected a path such as '/engage'.")
    return value.rstrip("/")


def _base_url(value: Any) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
        raise ValueError("expected an address such as 'https://app.example.com'.")
    return str(value).rstrip("/")


def _service_url(value: Any) -> str:
    found = _base_url(value)
    if found is None:
        raise ValueError("expected an address such as 'https://api.example.com'.")
    return found


def _timezone(value: Any) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, TypeError, OSError):
        raise ValueError("expected an IANA zone such as 'Europe/Berlin'.") from None
    return str(value)


def _positive(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError("expected a whole number above 0.")
    return value


def _names_or_none(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Collection):
        raise ValueError("expected a list of event names, or None.")
    if not all(isinstance(name, str) and name for name in value):
        raise ValueError("expected a list of event names, or None.")
    return tuple(sorted(value))


def _exclude(value: Any) -> Any:
    if callable(value):
        return value
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Collection) or not all(
        callable(item) or (isinstance(item, str) and item) for item in value
    ):
        raise ValueError("expected a callable, or a list of endpoints, blueprints and paths.")
    return tuple(value)


def _callable_or_none(value: Any) -> Any:
    if value is not None and not callable(value):
        raise ValueError("expected a callable, or None.")
    return value


def _smtp_url(value: Any) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        # The address may hold a password: it is not repeated here.
        raise ValueError("expected smtp://user:password@host:port or smtps://…")
    parts.port  # noqa: B018  (raises ValueError when it is no number)
    return str(value)


def _sender(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or "@" not in parseaddr(value)[1]:
        raise ValueError("expected an address such as 'Ada <ada@example.com>'.")
    return value


def _addresses(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not all(isinstance(v, str) and "@" in v for v in value):
        raise ValueError("expected a list of addresses or @domains.")
    return tuple(item.strip().lower() for item in value)


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "ENABLED": _boolean,
    "DATABASE_URL": _text_or_none,
    "AUTO_UPGRADE": _boolean_or_none,
    "URL_PREFIX": _url_prefix,
    "BASE_URL": _base_url,
    "PRODUCT_NAME": _text_or_none,
    "TIMEZONE": _timezone,
    "WEEK_START": _one_of("monday", "sunday", "saturday"),
    "CORE_EVENTS": _names_or_none,
    "CAPTURE_MODE": _one_of("journal", "sync", "memory"),
    "JOURNAL_DIR": lambda value: None if value is None else str(value),
    "SEGMENT_SECONDS": _positive,
    "SEGMENT_HISTORY_DAYS": _positive,
    "JOURNAL_MAX_BYTES": _positive,
    "FLUSH_INTERVAL": _duration,
    "SESSION_IDLE": _duration,
    "SESSION_MAX": _duration,
    "EXCLUDE": _exclude,
    "RESPECT_DNT": _boolean,
    "CONSENT": _callable_or_none,
    "SEEN_BY_API": _boolean,
    "STORE_IP": _one_of("none", "truncated", "full"),
    "COUNTRY_HEADER": _text_or_none,
    "GEOIP_DATABASE": lambda value: None if value is None else str(value),
    "ENRICH_FULLCONTACT_KEY": _text_or_none,
    "ENRICH_FULLCONTACT_URL": _service_url,
    "ENRICH_FULLCONTACT_PER_HOUR": _positive,
    "ENRICH_GRAVATAR": _boolean,
    "ENRICH_GRAVATAR_KEY": _text_or_none,
    "ENRICH_GRAVATAR_URL": _service_url,
    "ENRICH_COMPANY": _boolean,
    "ENRICH_PLACE": _boolean,
    "ENRICH_EXPIRY": _duration,
    "LAST_SEEN_COLUMN": _text_or_none,
    "INJECT_WIDGET": _inject,
    "CSP_NONCE": _callable_or_none,
    "SCHEDULER": _one_of("thread", "off"),
    "MAIL_TRANSPORT": _one_of(None, "smtp", "outbox"),
    "SMTP_URL": _smtp_url,
    "MAIL_FROM": _sender,
    "MAIL_ONLY_TO": _addresses,
    "RAISE_ERRORS": _boolean_or_none,
}
