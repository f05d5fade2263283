"""Custom data: where its values come from, part by part, so that a run can stop and go on.

A source reads the host's users or asks the host's query, and checks what it gets. One user's
trouble is a failure in its place; only what makes all of it impossible is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ..capture.limits import check_user_id, check_value
from ..capture.values import plain
from ..errors import InvalidFact
from ..store.engine import LOOK
from ..store.provider_write import Run
from ..types import AttributeValue, Identity
from .host_users import BATCH, HostUsers
from .watch import Limits, TookTooLong, Watched, watched, within

_ERROR_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, and for which of the host's users if it was one."""

    error: str
    user_id: str | None = None

    def __str__(self) -> str:
        return f"user {self.user_id!r}: {self.error}" if self.user_id else self.error


@dataclass(slots=True)
class Part:
    """Some users' values, ready to be written, and where the next part begins."""

    position: dict[str, Any]
    values: dict[str, dict[str, AttributeValue]] = field(default_factory=dict)
    """By the host's id; a value of None is to be removed."""
    people: int = 0
    """Users for whom all went well."""
    failures: list[Failure] = field(default_factory=list)
    """One for each user for whom something did not."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a source is to begin."""

    run: Run
    position: dict[str, Any] = field(default_factory=dict)
    """Empty: with the first."""
    enough: Callable[[], bool] = lambda: False
    """Asked between two users; yes: end the part."""


class Source(Protocol):
    """Where a provider's values come from."""

    def attributes(self) -> list[str]:
        """Return the names of what it gives, as far as they are known."""

    def total(self) -> int | None:
        """Return how many users it will look at, if that is known."""

    def parts(self, start: Start) -> Iterator[Part]:
        """Yield the parts from `start` on.

        :raises TookTooLong: if the host's code hangs.
        """


def failure_of(error: BaseException, user_id: str | None = None) -> Failure:
    """Return what to say of `error`."""
    text = str(error) if isinstance(error, (InvalidFact, TookTooLong)) else _named(error)
    return Failure(text[:_ERROR_CHARACTERS], user_id)


def _named(error: BaseException) -> str:
    said = str(getattr(error, "orig", None) or error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """A function of the host from a user to one value."""

    name: str
    function: Callable[[Any], AttributeValue]
    users: HostUsers
    limits: Limits

    def attributes(self) -> list[str]:
        """Return the name of the one attribute."""
        return [self.name]

    def total(self) -> int | None:
        """Return how many users the host has."""
        return within(self.users.count, self.limits, self.name)

    def parts(self, start: Start) -> Iterator[Part]:
        """Yield the values of up to 500 users at a time, in the order of their keys."""
        after: str | None = start.position.get("after")
        while True:
            page = partial(self._page, after=after)
            done = watched(page, self.limits, self.name, start.enough)
            if not done.results and not done.hung:
                return
            part = self._part(done.results)
            if done.hung:
                self._give_up(part, done.at)
            after = part.position["after"]
            yield part

    def _page(self, said: Watched[tuple[str, Any]], *, after: str | None) -> None:
        said.begin(None)
        engine = self.users.engine.execution_options(**LOOK)
        # Without autoflush: what the host's function changes in a user is never written.
        with Session(engine, autoflush=False) as session:
            for user in self.users.page(session, after, BATCH):
                key = str(inspect(user).identity[0])
                said.begin(key)
                if not said.add((key, self._value(session, user, key))) or said.enough:
                    return

    def _value(self, session: Session, user: Any, key: str) -> tuple[str, Any] | Failure | None:
        user_id = key
        try:
            if self.users.identify is not None:
                identity: Identity | None = self.users.identify(user)
                if identity is None:
                    return None
                user_id = check_user_id(identity.id)
            return user_id, check_value(self.name, plain(self.function(user)))
        except (Exception, SystemExit) as error:  # noqa: BLE001  (the host's: one user's trouble)
            if isinstance(error, SQLAlchemyError):
                session.rollback()  # or its transaction would fail for all who come after
            return failure_of(error, user_id)

    def _part(self, results: list[tuple[str, Any]]) -> Part:
        part = Part({"after": results[-1][0] if results else None})
        for _, found in results:
            if isinstance(found, Failure):
                part.failures.append(found)
            elif found is not None:
                part.values[found[0]] = {self.name: found[1]}
        part.people = len(part.values)
        return part

    def _give_up(self, part: Part, key: str | None) -> None:
        assert self.limits.call is not None
        seconds = self.limits.call.total_seconds()
        if key is None:
            raise TookTooLong(f"reading the host's users took longer than {seconds:g} seconds")
        part.failures.append(Failure(f"it took longer than {seconds:g} seconds", key))
        part.position = {"after": key}
