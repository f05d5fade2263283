"""Writing to people by hand: whom `to` means, whether the words fit them, then the queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, ValuesView
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import select

from ._operations import answering, context_of, host_template, host_users, people, segments_of
from ._state import EngageState
from .capture.who import is_id, unwrapped, user_id_of, who_is
from .delivery.send import send_in_parts, source_of
from .errors import InvalidMessage
from .messages.content import Email, EmailTemplate, InApp, resolved
from .messages.render import preflight
from .people.host_users import KnownUser
from .people.sync import store_known
from .segments.compile import where
from .segments.filter import Filter
from .store.delivery_queue import Audience
from .store.engine import Database
from .store.person import PersonRow, is_live, person_id_of
from .store.profile import profiles_by_id
from .types import Person

PREFLIGHT = 2_000
"""So many recipients are rendered before anything is sent: about two seconds of work. Whom it
does not reach is rendered when their turn comes, and fails alone."""
_NAMED = 3
"""So many of those who can't be written to are named in the error."""
_BATCH = 500

_MANY = (list, set, frozenset, Iterator, KeysView, ValuesView)


def send(
    state: EngageState,
    message: InApp | Email | EmailTemplate,
    to: Any,
    key: str | None,
    *,
    created_by: str | None = None,
) -> int:
    """Queue `message` for whom `to` names; return for how many people it was new.

    :raises InvalidMessage: if `to` is nobody, or the words can't be rendered for somebody.
    :raises NotReady: if the database is away or locked.
    """
    source = source_of(key)
    words = resolved(message, lambda name: host_template(state, name))
    database = state.ready.require()
    with answering("send"):
        with database.write():
            pass  # a database that is locked shows here, before anything is begun
        # Somebody who was seen a moment ago is a person now, and matches by what they just did.
        state.recorder.flush()
        now = state.clock()
        meant = _meant(state, to)
        if isinstance(meant, Filter):
            recipients: Iterable[Person] = people(state, meant)
            audience: Audience = select(PersonRow.id).where(
                where(meant, now=now, context=context_of(state, database)), is_live()
            )
        else:
            audience = ids = [_person_id(state, database, one, now) for one in meant]
            recipients = _profiles(database, ids)
        _check_words(words, recipients, state.settings.BASE_URL)
        return send_in_parts(
            database,
            words,
            to_person_ids=audience,
            source=source,
            now=now,
            created_by=created_by,
        )


def _meant(state: EngageState, to: Any) -> Filter | list[Any]:
    """Return the filter that `to` is or names, or the users that it holds."""
    to = unwrapped(to)
    if isinstance(to, Filter):
        return to
    if isinstance(to, str):
        return segments_of(state).get(to, [to])
    # A user object may be iterable too, or a named tuple: only plain collections are many.
    if isinstance(to, _MANY) or type(to) is tuple:
        return list(to)
    return [to]


def _profiles(database: Database, ids: list[int]) -> Iterator[Person]:
    for start in range(0, len(ids), _BATCH):
        with database.read() as session:
            yield from profiles_by_id(session, ids[start : start + _BATCH]).values()


def _check_words(words: InApp | Email, recipients: Iterable[Person], base_url: str | None) -> None:
    """Render the words for the first of the recipients, before anybody gets them.

    :raises InvalidMessage: naming those for whom it fails, and why.
    """
    failures = preflight(words, islice(recipients, PREFLIGHT), base_url=base_url)
    first = next(failures, None)
    if first is None:
        return
    named = [first, *islice(failures, _NAMED - 1)]
    count = len(named) + sum(1 for _ in failures)
    who = ", ".join(repr(one.person.user_id or one.person.public_id) for one in named)
    raise InvalidMessage(
        f"The message can't be written to {count} of the recipients (user {who}"
        f"{', …' if count > len(named) else ''}): {first.problem} Nothing was sent."
    )


def _person_id(state: EngageState, database: Database, user: Any, now: datetime) -> int:
    """Return our id of a recipient; somebody whom only the host knows so far becomes a person."""
    user_id = user.user_id if isinstance(user, Person) else user_id_of(state, user)
    found = _find(database, user_id)
    if found is None:
        store_known(database, list(_known(state, database, user, user_id)), now)
        found = _find(database, user_id)
    if found is None:
        raise InvalidMessage(
            f"to={user!r}: there is no such person, and no segment of that name. People are "
            "those who were seen, and the users of the host's user_model."
        )
    return found


def _find(database: Database, user_id: str | None) -> int | None:
    if user_id is None:
        return None
    with database.read() as session:
        return person_id_of(session, user_id)


def _known(
    state: EngageState, database: Database, user: Any, user_id: str | None
) -> Iterator[KnownUser]:
    """Yield what is known of a recipient who is no person yet; nothing for who is not recorded."""
    if isinstance(user, Person) or user_id is None:
        return
    if not is_id(user):
        who = who_is(state, user)
        if who is not None:
            yield KnownUser(who.user_id, who.email, who.name, who.signed_up_at)
    elif state.user_model is not None:
        yield from host_users(state, database).known([user_id])
