"""Mail that waits, and a round of the sender."""

from __future__ import annotations

import threading
import time

from flask_engage.delivery.outgoing import deliver_due
from flask_engage.delivery.send import send
from flask_engage.delivery.smtp import SmtpTransport
from tests._clock import START
from tests.delivery._world import MAIL, add_people, settings


def queue(database, count=1, message=MAIL, source=None, **person):
    ids = add_people(database, count, **person)
    with database.write() as session:
        send(session, message, to_person_ids=ids, now=START, source=source)
    return ids


def smtp(server, **options):
    # Only servers that hang wait for these; the others answer at once.
    patience = 0.5 if server.mode.startswith(("hang", "trickle")) else 10.0
    options.setdefault("mail_seconds", patience)
    options.setdefault("connect_seconds", patience)
    return SmtpTransport(server.url, "ada@example.com", **options)


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


def run(database, transport, now=START, fence=None, **options):
    return deliver_due(database, settings(), now, transport, fence, **options)
