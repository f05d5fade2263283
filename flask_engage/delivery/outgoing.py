"""Sending the mail that is due: claimed, checked again, rendered, handed over, once.

A mail is marked as on the wire, and that is committed, right before it is handed over. So a
process that dies leaves either a claim that nobody has acted on, which is safe to repeat, or
a mail of which nobody can tell, which is shown to a person and never sent again by itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from .._clock import Clock
from ..settings import Settings
from ..store import delivery_claim as steps
from ..store.delivery_claim import Claim
from ..store.engine import Database
from .hand_over import HandOver
from .outcome import Outcome
from .sifting import StillMatches, sift
from .transport import Transport, TransportDown

if TYPE_CHECKING:
    from ..automation.lease import Fence

BATCH: Final = 50
"""Mails claimed at a time: few enough that a dead sender holds up little."""
EMAIL: Final = "email"


def deliver_due(
    database: Database,
    settings: Settings,
    now: datetime,
    transport: Transport,
    fence: Fence | None = None,
    *,
    limit: int = 500,
    secret_keys: Sequence[str | bytes] = (),
    still_matches: StillMatches | None = None,
    refresh_addresses: Callable[[Collection[int]], object] | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """Send up to `limit` mails that are due; safe in several processes at once.

    :param now: what counts as due.
    :param transport: from :func:`.transports.make_transport`, kept between rounds.
    :param fence: under a lease, nothing is claimed or sent once it has changed hands.
    :param secret_keys: the host's, for the link that ends mail.
    :param still_matches: asked again for people of rules; see :mod:`.sifting`.
    :param refresh_addresses: given ids of people whose mail is about to leave, brings their
        address and existence up to date.
    :param clock: for the times written down; default: `now` throughout.
    :raises sqlalchemy.exc.DBAPIError: if the database fails; nothing is sent twice for it.
    """
    epoch = None if fence is None else fence.epoch
    outcome = Outcome()
    with database.read() as session:
        if not steps.has_work(session, channel=EMAIL, now=now, epoch=epoch):
            return outcome
    hand_over = HandOver(
        database=database,
        settings=settings,
        transport=transport,
        fenced=None if fence is None else fence.condition(),
        token=secrets.token_hex(16),
        secret_keys=secret_keys,
        clock=clock or (lambda: now),
        outcome=outcome,
    )
    _Round(hand_over, fence, still_matches, refresh_addresses).run(now, limit)
    return outcome


class _Round:
    """One round of sending: one token, one connection, batch after batch."""

    def __init__(
        self,
        hand_over: HandOver,
        fence: Fence | None,
        still_matches: StillMatches | None,
        refresh_addresses: Callable[[Collection[int]], object] | None,
    ) -> None:
        self._hand_over = hand_over
        self._database = hand_over.database
        self._fence = fence
        self._epoch = None if fence is None else fence.epoch
        self._still_matches = still_matches
        self._refresh_addresses = refresh_addresses

    def run(self, now: datetime, limit: int) -> None:
        """Recover what was left behind, then send up to `limit` mails."""
        outcome, transport = self._hand_over.outcome, self._hand_over.transport
        with self._database.write() as session:
            outcome.recovered, outcome.unknown = steps.recover(session, now, self._epoch)
        if transport.resting(now):
            outcome.stopped = "the mail server failed just now; waiting before the next try"
            return
        left = limit
        try:
            while left > 0 and outcome.stopped is None and self._may_go_on():
                claims = self._claim(now, min(BATCH, left))
                if not claims:
                    break
                left -= len(claims)
                self._send(claims)
        finally:
            transport.close(self._hand_over.clock(), failed=outcome.stopped is not None)
            self._finish()

    def _may_go_on(self) -> bool:
        return self._fence is None or self._fence.still()

    def _claim(self, now: datetime, size: int) -> list[Claim]:
        with self._database.write() as session:
            return steps.claim_due(
                session,
                channel=EMAIL,
                now=now,
                limit=size,
                token=self._hand_over.token,
                epoch=self._epoch,
                fenced=self._hand_over.fenced,
            )

    def _send(self, claims: Sequence[Claim]) -> None:
        work = self._hand_over
        if self._refresh_addresses is not None:
            self._refresh_addresses([claim.person_id for claim in claims])
        with self._database.write() as session:
            sifted = sift(
                session, claims, work.token, work.settings, work.clock(), self._still_matches
            )
        work.outcome.suppressed += sifted.suppressed
        work.outcome.withdrawn += sifted.withdrawn
        for ready in sifted.ready:
            if not self._may_go_on():
                return
            try:
                work.send(ready)
            except TransportDown as error:
                work.outcome.stopped = str(error)
                return
        work.settle()

    def _finish(self) -> None:
        """Say what the server has taken; give back what was claimed and not offered."""
        work = self._hand_over
        work.settle()
        with self._database.write() as session:
            steps.give_back(session, work.token, work.clock(), error=work.outcome.stopped)
