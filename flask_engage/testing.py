"""What a host's own tests need: a clock to move, an outbox to read, and rules to ask.

A pytest plugin, there as soon as flask-engage is installed. Its fixtures work on the app that
the host's own ``app`` fixture gives::

    def test_who_does_not_come_back_gets_a_mail(app, engage_clock, engage_run_due, engage_outbox):
        ...
        engage_clock.advance(days=15)
        engage_run_due()
        assert [mail.to for mail in engage_outbox] == ["ada@example.com"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_string, policy
from email.message import EmailMessage
from typing import Any, overload

import pytest
from flask import Flask, current_app

from . import _operations
from ._clock import as_utc, utcnow
from ._state import EngageState, state_of
from .automation.rules import AutoMessage, source_of
from .capture.who import user_id_of
from .segments.filter import Filter
from .store.outbox import outbox_mails, sources_sent_to
from .store.person import person_id_of


class EngageClock:
    """The app's clock in a test: stands still, until it is told."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = utcnow() if now is None else as_utc(now)

    def __call__(self) -> datetime:
        """Return the moment at which it stands (aware UTC)."""
        return self.now

    def advance(self, **duration: float) -> datetime:
        """Move on by a ``timedelta`` of these keywords, such as ``days=14``; return now."""
        self.now += timedelta(**duration)
        return self.now

    def set(self, moment: datetime) -> None:
        """Stand at `moment` (aware)."""
        self.now = as_utc(moment)


@dataclass(frozen=True, slots=True)
class SentMail:
    """A mail that would have left."""

    to: str
    subject: str
    message: EmailMessage
    """The whole mail."""

    @property
    def text(self) -> str:
        """The plain text part."""
        return self._part("plain")

    @property
    def html(self) -> str:
        """The HTML part."""
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return "" if part is None else str(part.get_content())


class Outbox(Sequence[SentMail]):
    """The mails that have left so far, oldest first; read anew at each look."""

    def __init__(self, state: EngageState) -> None:
        self._state = state

    def _mails(self) -> list[SentMail]:
        with self._state.ready.require().read() as session:
            rows = outbox_mails(session)
        return [SentMail(row.recipient, row.subject, _parsed(row.source)) for row in rows]

    def __len__(self) -> int:
        return len(self._mails())

    def __iter__(self) -> Iterator[SentMail]:
        return iter(self._mails())

    @overload
    def __getitem__(self, index: int) -> SentMail: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SentMail]: ...
    def __getitem__(self, index: int | slice) -> SentMail | Sequence[SentMail]:
        return self._mails()[index]


def _parsed(source: str) -> EmailMessage:
    return message_from_string(source, policy=policy.default)


def assert_matches(
    rule: str | AutoMessage | Filter, user: Any, *, app: Flask | None = None
) -> None:
    """Fail unless `user` matches the rule (its name, or the rule) or filter at this moment.

    What was tracked so far is stored first. Without `app` it needs an app context.
    """
    state = _state(app)
    wanted = _filter_of(state, rule)
    state.recorder.flush()
    assert _operations.people(state, wanted).contains(user), (
        f"{user!r} does not match: {wanted.describe()}"
    )


def assert_not_sent(rule: str | AutoMessage, user: Any, *, app: Flask | None = None) -> None:
    """Fail if the rule has sent, or is about to send, anything to `user`."""
    state = _state(app)
    name = rule.name if isinstance(rule, AutoMessage) else rule
    _known_rule(state, name)
    with state.ready.require().read() as session:
        person_id = person_id_of(session, user_id_of(state, user))
        sent = () if person_id is None else sources_sent_to(session, person_id)
    assert source_of(name) not in sent, f"The rule {name!r} has sent to {user!r}."


def _state(app: Flask | None) -> EngageState:
    return state_of(app or current_app._get_current_object())  # type: ignore[attr-defined]


def _known_rule(state: EngageState, name: str) -> AutoMessage:
    if name not in state.registry.rules:
        known = ", ".join(map(repr, sorted(state.registry.rules))) or "none"
        raise LookupError(f"There is no auto_message {name!r}; there are: {known}.")
    return state.registry.rules[name]


def _filter_of(state: EngageState, rule: str | AutoMessage | Filter) -> Filter:
    if isinstance(rule, Filter):
        return rule
    return rule.to if isinstance(rule, AutoMessage) else _known_rule(state, rule).to


@pytest.fixture
def engage_clock(app: Flask) -> Iterator[EngageClock]:
    """The app's clock: stands still at the moment the test began, moved by ``advance()``."""
    clock = state_of(app).clock
    former, moved = clock.source, EngageClock()
    clock.source = moved
    yield moved
    clock.source = former


@pytest.fixture
def engage_outbox(app: Flask) -> Outbox:
    """The mails that have left so far. The app's mail transport has to be the outbox."""
    state = state_of(app)
    if state.settings.mail_transport != "outbox":
        pytest.fail("engage_outbox needs ENGAGE_MAIL_TRANSPORT='outbox' in the app under test.")
    return Outbox(state)


@pytest.fixture
def engage_run_due(app: Flask) -> Callable[..., dict[str, str | int]]:
    """A function that does everything that is due, at the app's clock or at ``now=``."""
    state = state_of(app)

    def run(now: datetime | None = None) -> dict[str, str | int]:
        return _operations.run_due(state, state.clock() if now is None else as_utc(now))

    return run


@pytest.fixture(name="assert_matches")
def assert_matches_fixture(app: Flask) -> Callable[[str | AutoMessage | Filter, Any], None]:
    """:func:`assert_matches` for the app under test."""
    return lambda rule, user: assert_matches(rule, user, app=app)


@pytest.fixture(name="assert_not_sent")
def assert_not_sent_fixture(app: Flask) -> Callable[[str | AutoMessage, Any], None]:
    """:func:`assert_not_sent` for the app under test."""
    return lambda rule, user: assert_not_sent(rule, user, app=app)
