"""A process that evaluates rules, told by its standard input what to do.

    python -m tests.automation._evaluator URL MODE

`once`: says ``ready``, and when a line comes evaluates the rule and prints how many
deliveries it wrote. `lead`: takes the lease, says ``leads EPOCH``, then evaluates one new rule
after the other under its fence, never looking at a clock, until the database refuses; then
prints ``refused`` and how often. `schedule`: runs a scheduler and waits.
"""

from __future__ import annotations

import sys
import time

from flask_engage._clock import utcnow
from flask_engage._guard import Guard
from flask_engage.automation.evaluate import evaluate
from flask_engage.automation.lease import Fence, Lease, LeaseLost
from flask_engage.automation.rules import AutoMessage
from flask_engage.automation.scheduler import Scheduler
from flask_engage.messages.content import Email
from flask_engage.segments.compile import CompileContext
from flask_engage.segments.words import ago, person
from flask_engage.store.engine import Database, open_database
from flask_engage.store.ready import Readiness
from tests._clock import START

GONE = person.last_seen < ago(days=14)
MAIL = Email(subject="Come back", body="We miss you.")
REFUSALS = 20


def say(text: str) -> None:
    print(text, flush=True)


def once(database: Database) -> None:
    rule = AutoMessage("come back", to=GONE, send=MAIL)
    context = CompileContext(dialect=database.dialect)
    with database.read() as session:
        session.connection()
    say("ready")
    sys.stdin.readline()
    say(str(evaluate(database, rule, START, context)))


def lead(database: Database) -> None:
    fence = Lease(lambda: database).acquire()
    assert fence is not None
    say(f"leads {fence.epoch}")
    blind = Fence(fence.epoch)  # its clock says nothing: only the database can refuse
    context = CompileContext(dialect=database.dialect)
    refused = number = 0
    while refused < REFUSALS:
        number += 1
        rule = AutoMessage(f"{fence.epoch}/{number}", to=GONE, send=MAIL)
        try:
            written = evaluate(database, rule, START, context, blind)
        except LeaseLost:
            refused += 1
            continue
        if number == 1:
            say(f"wrote {written}")
        time.sleep(0.02)
    say(f"refused {refused}")


def schedule(url: str) -> None:
    scheduler = Scheduler([], Readiness(lambda: url, lambda database: False), Guard(), clock=utcnow)
    scheduler.start()
    while not scheduler.leads:
        time.sleep(0.02)
    say("leads")
    sys.stdin.readline()


if __name__ == "__main__":
    url, mode = sys.argv[1:]
    if mode == "schedule":
        schedule(url)
    else:
        {"once": once, "lead": lead}[mode](open_database(url))
