"""One mail on its way: written, handed over, and what came of it kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from .._clock import Clock
from ..errors import InvalidMessage
from ..messages.content import Email, message_of
from ..messages.context import context_for
from ..messages.render import render_email
from ..settings import Settings
from ..store import delivery_claim as steps
from ..store.content import ContentRow
from ..store.delivery_claim import Claim
from ..store.delivery_inapp import note_event
from ..store.engine import Database
from ..store.profile import person_rows
from ..types import Person
from .addresses import envelope_address, mark_of
from .backoff import next_try
from .mime import build_mail, message_id_of, unsubscribe_url
from .outcome import Outcome, SentMail
from .sifting import Ready, reason_against
from .transport import Deferred, Mail, Refused, Transport, TransportDown, Uncertain


@dataclass(slots=True)
class HandOver:
    """Hands the mails of one round over, one by one; counts what came of them in `outcome`."""

    database: Database
    settings: Settings
    transport: Transport
    fenced: ColumnElement[bool] | None
    token: str
    secret_keys: Sequence[str | bytes]
    clock: Clock
    outcome: Outcome
    taken: list[tuple[Claim, datetime]] = field(default_factory=list)
    """Mails that a server has taken and when, where the database was not told so far."""
    words: dict[int, Email | InvalidMessage] = field(default_factory=dict)

    def send(self, ready: Ready) -> None:
        """Write one mail and bring it through the transport.

        :raises TransportDown: if no mail can leave; this one stays queued, while it has tries left.
        """
        mail = self._write(ready.claim, ready.person, ready.content, ready.address)
        if mail is None:
            return
        try:
            self._hand_over(ready.claim, ready.person, mail)
        except TransportDown as error:
            if error.about_mail:
                # Else it would be the first again in the next round, and block all others.
                self._defer(ready.claim, str(error))
            raise

    def _write(
        self, claim: Claim, person: Person, content: ContentRow | None, address: str
    ) -> Mail | None:
        """Return the mail, or None after failing a delivery that can't be written."""
        settings = self.settings
        try:
            unsubscribe = unsubscribe_url(settings, self.secret_keys, person.public_id)
            rendered = render_email(
                self._message(content),
                context_for(person),
                unsubscribe_url=unsubscribe,
                base_url=settings.BASE_URL,
            )
            return build_mail(
                rendered,
                recipient=address,
                message_id=message_id_of(claim.public_id, settings),
                settings=settings,
                now=self.clock(),
                unsubscribe=unsubscribe,
            )
        except (InvalidMessage, ValueError) as error:
            self._fail(claim, "can't be rendered", str(error))
            return None

    def _message(self, content: ContentRow | None) -> Email:
        if content is None:
            raise InvalidMessage("The mail's words are missing.")
        if content.id not in self.words:
            try:
                message = message_of(content)
                if not isinstance(message, Email):
                    raise InvalidMessage("These are the words of an in-app message.")
                self.words[content.id] = message
            except InvalidMessage as error:
                self.words[content.id] = error
        found = self.words[content.id]
        if isinstance(found, InvalidMessage):
            raise found
        return found

    def _hand_over(self, claim: Claim, person: Person, mail: Mail) -> None:
        """Bring one mail through the transport.

        :raises TransportDown: if no mail can leave; this one is queued again, unless it may be
            the cause: then `send` does that.
        """
        transport = self.transport
        try:
            transport.prepare(mail)
        except Deferred as error:
            self._defer(claim, str(error))
            return
        except Refused as error:
            self._refused(claim, mail, error)
            return
        if not transport.remote:
            self._keep(claim, person, mail)
            return
        if not self._mark_on_wire(claim, mail):
            transport.abandon()
            self._set_aside(claim)
            return
        try:
            transport.transmit(mail)
        except Deferred as error:
            self._defer(claim, str(error))
        except Refused as error:
            self._refused(claim, mail, error)
        except Uncertain as error:
            with self._transaction() as session:
                steps.mark_unknown(session, claim, self.token, self.clock(), error=str(error))
            self.outcome.unknown += 1
        except TransportDown as error:
            if not error.about_mail:
                self._put_back(claim, str(error))
            raise
        else:
            self.taken.append((claim, self.clock()))
            self._count_sent(claim, person)

    def settle(self) -> None:
        """Write down which mails have been taken, if that has not been done yet."""
        if self.taken:
            with self._transaction():
                pass  # it does just that

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        """Open a transaction that first marks as sent what a server has taken before it.

        So one commit tells of a mail's end and of the next one's start: a commit waits for the
        disk, and would take longer than the mail. Never more than one mail is on the wire.
        """
        with self.database.write() as session:
            for claim, moment in self.taken:
                steps.mark_sent(session, claim, self.token, moment)
            yield session
        self.taken.clear()

    def _mark_on_wire(self, claim: Claim, mail: Mail) -> bool:
        with self._transaction() as session:
            return steps.mark_on_wire(
                session, claim, self.token, self.clock(), mail.message_id, self.fenced
            )

    def _keep(self, claim: Claim, person: Person, mail: Mail) -> None:
        """Write a mail that stays in the house, in the transaction that marks it as sent."""
        now = self.clock()
        with self._transaction() as session:
            left = steps.mark_on_wire(
                session, claim, self.token, now, mail.message_id, self.fenced
            ) and steps.mark_sent(session, claim, self.token, now)
            if left:
                self.transport.record(session, mail, now)
        if left:
            self._count_sent(claim, person)
        else:
            self._set_aside(claim)

    def _count_sent(self, claim: Claim, person: Person) -> None:
        self.outcome.sent += 1
        self.outcome.mails.append(SentMail(person.user_id, claim.source))

    def _set_aside(self, claim: Claim) -> None:
        """Say why a mail did not leave, if it is the person; else the claim is another's."""
        with self._transaction() as session:
            row = person_rows(session, [claim.person_id]).get(claim.person_id)
            address = envelope_address(row.email) if row is not None and row.email else None
            reason = reason_against(row, address, self.settings)
            if reason is not None:
                now = self.clock()
                self.outcome.suppressed += steps.suppress(
                    session, [claim.id], self.token, now, reason
                )

    def _refused(self, claim: Claim, mail: Mail, error: Refused) -> None:
        if not error.bad_address:
            self._fail(claim, "refused by the mail server", str(error))
            return
        now = self.clock()
        with self._transaction() as session:
            if steps.mark_failed(
                session, claim, self.token, now, reason="bounced", error=str(error)
            ):
                note_event(session, claim.id, "bounced", mark_of(mail.recipient), now)
        self.outcome.failed += 1

    def _fail(self, claim: Claim, reason: str, error: str) -> None:
        with self._transaction() as session:
            steps.mark_failed(session, claim, self.token, self.clock(), reason=reason, error=error)
        self.outcome.failed += 1

    def _defer(self, claim: Claim, error: str) -> None:
        attempts = claim.attempts + 1
        now = self.clock()
        later = next_try(attempts, now)
        if later is None:
            self._fail(claim, f"not taken by the mail server in {attempts} tries", error)
            return
        with self._transaction() as session:
            steps.defer(
                session, claim, self.token, now, not_before=later, attempts=attempts, error=error
            )
        self.outcome.deferred += 1

    def _put_back(self, claim: Claim, error: str) -> None:
        """Queue a mail again that was marked as on the wire, and of which nothing has left."""
        now = self.clock()
        with self._transaction() as session:
            steps.defer(
                session,
                claim,
                self.token,
                now,
                not_before=now,
                attempts=claim.attempts,
                error=error,
            )
