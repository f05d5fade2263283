"""Every ``ENGAGE_*`` setting: its default, its unit, what it does.

Read once when the extension is attached; all of them are checked together, and all that
is wrong is told in one error. Later changes to ``app.config`` have no effect.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import timedelta
from typing import Any, Literal

from . import _setting_checks as checks
from .errors import InvalidSettings

_log = logging.getLogger("flask_engage")
_PREFIX = "ENGAGE_"


def _setting(default: Any, doc: str, *, unit: str = "", secret: bool = False) -> Any:
    """Return a field; the value of a `secret` one is shown nowhere."""
    told = {"doc": doc, "unit": unit, "secret": secret}
    return field(default=default, repr=not secret, metadata=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one app, read from its config and checked."""

    ENABLED: bool = _setting(
        True,
        "Switches everything off when false: the host serves as if bare, nothing is recorded, and "
        "`flask engage send`, `run-once` and `worker` refuse. The other commands still look after "
        "what is stored.",
    )
    DATABASE_URL: str | None = _setting(
        None,
        "SQLAlchemy URL of the database that holds our tables; default: the host's own.",
        secret=True,
    )
    AUTO_UPGRADE: bool | None = _setting(
        None,
        "Creates and migrates our tables at first use. Default: on SQLite and in debug; "
        "elsewhere run `flask engage upgrade`.",
    )
    URL_PREFIX: str = _setting(
        "/engage",
        "Where the dashboard and our other endpoints live: a path of letters, digits, `-`, `_`, "
        "`.` and `~`.",
    )
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
        3600,
        "How often it is measured who is in which segment; seconds or a timedelta.",
        unit="seconds",
    )
    SEGMENT_HISTORY_DAYS: int = _setting(
        365,
        "How long it is kept who entered and left segments, and which tags were taken off whom; "
        "up to 36500.",
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
        1024**3,
        "All journal files of one folder together stay below this size; at least 1 MiB.",
        unit="bytes",
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
        "What is no sighting: endpoints, blueprint names, paths (with a leading slash; a "
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
        secret=True,
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
        None, "Key of Gravatar's API: 900 requests in an hour in place of 90.", secret=True
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
        None,
        "smtp://user:password@host:port, smtps:// for TLS at once, ?starttls=1 to upgrade.",
        secret=True,
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
                values[name] = _CHECKS[name](raw)
            except ValueError as error:
                got = "(its value is not shown)" if item.metadata["secret"] else f"= {raw!r}"
                problems.append(f"{_PREFIX}{name} {got}: {error}")
        problems += _missing(values)
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


def _missing(values: Mapping[str, Any]) -> Iterator[str]:
    """Say which settings others need; one that is there but wrong has been told of."""
    if values.get("MAIL_TRANSPORT") == "smtp" and values.get("SMTP_URL", "") is None:
        yield "ENGAGE_SMTP_URL is missing, but ENGAGE_MAIL_TRANSPORT is 'smtp'."
    if values.get("SMTP_URL") and values.get("MAIL_FROM", "") is None:
        yield "ENGAGE_MAIL_FROM is missing: mail needs a sender."
    if values.get("ENRICH_PLACE") and (
        values.get("STORE_IP") == "none" or values.get("GEOIP_DATABASE", "") is None
    ):
        yield (
            "ENGAGE_ENRICH_PLACE needs ENGAGE_GEOIP_DATABASE, and ENGAGE_STORE_IP to keep "
            "'truncated' or 'full' addresses."
        )


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "ENABLED": checks.boolean,
    "DATABASE_URL": checks.text_or_none,
    "AUTO_UPGRADE": checks.boolean_or_none,
    "URL_PREFIX": checks.url_prefix,
    "BASE_URL": checks.base_url,
    "PRODUCT_NAME": checks.text_or_none,
    "TIMEZONE": checks.timezone,
    "WEEK_START": checks.one_of("monday", "sunday", "saturday"),
    "CORE_EVENTS": checks.names_or_none,
    "CAPTURE_MODE": checks.one_of("journal", "sync", "memory"),
    "JOURNAL_DIR": checks.path_or_none,
    "SEGMENT_SECONDS": checks.whole_seconds,
    "SEGMENT_HISTORY_DAYS": checks.days,
    "JOURNAL_MAX_BYTES": checks.journal_bytes,
    "FLUSH_INTERVAL": checks.duration,
    "SESSION_IDLE": checks.duration,
    "SESSION_MAX": checks.duration,
    "EXCLUDE": checks.exclude,
    "RESPECT_DNT": checks.boolean,
    "CONSENT": checks.callable_or_none,
    "SEEN_BY_API": checks.boolean,
    "STORE_IP": checks.one_of("none", "truncated", "full"),
    "COUNTRY_HEADER": checks.text_or_none,
    "GEOIP_DATABASE": checks.path_or_none,
    "ENRICH_FULLCONTACT_KEY": checks.text_or_none,
    "ENRICH_FULLCONTACT_URL": checks.service_url,
    "ENRICH_FULLCONTACT_PER_HOUR": checks.positive,
    "ENRICH_GRAVATAR": checks.boolean,
    "ENRICH_GRAVATAR_KEY": checks.text_or_none,
    "ENRICH_GRAVATAR_URL": checks.service_url,
    "ENRICH_COMPANY": checks.boolean,
    "ENRICH_PLACE": checks.boolean,
    "ENRICH_EXPIRY": checks.duration,
    "LAST_SEEN_COLUMN": checks.text_or_none,
    "INJECT_WIDGET": checks.inject,
    "CSP_NONCE": checks.callable_or_none,
    "SCHEDULER": checks.one_of("thread", "off"),
    "MAIL_TRANSPORT": checks.one_of(None, "smtp", "outbox"),
    "SMTP_URL": checks.smtp_url,
    "MAIL_FROM": checks.sender,
    "MAIL_ONLY_TO": checks.addresses,
    "RAISE_ERRORS": checks.boolean_or_none,
}
