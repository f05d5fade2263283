"""A small town of people with a past, some of them with names that pages must survive."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from flask_engage import Button, Email, InApp, ago, did, person
from flask_engage._state import state_of
from flask_engage.delivery.inapp import next_for, record
from flask_engage.store.person import person_id_of

if TYPE_CHECKING:
    from flask import Flask

    from flask_engage import Engage
    from tests._clock import FakeClock
    from tests._hosts import Host

HOSTILE = '"><script>alert(1)</script>'
EVENT = "'-alert(1)-'"
ATTRIBUTE = "onmouseover=alert(1) x"
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 5
PLACE = 'javascript:alert(1)//https://x/"><svg onload=alert(1)>'

NAMES = (
    "Oluwaseun Adébáyọ̀",
    "Zoë Müller-Lüdenscheidt",
    "محمد الفاسي",
    HOSTILE,
    LONG,
    "Олена Шевченко",
    "नीलम श्रीवास्तव",
    "Siobhán Ní Bhriain",
    "עדי לוי",
    "Nguyễn Thị Phương Anh",
    "Ἑλένη Παπαδοπούλου",
    "สมชาย วงศ์สวัสดิ์",
    "{{7*7}} ${7*7} <b>bold</b>",
    "\u202egnihtemos\u202c",
    "",
    "佐藤 葵",
)


def settle(app: Flask, engage: Engage, host: Host, clock: FakeClock, extra: int = 0) -> list[int]:
    """Let people sign up, come by and do things over 30 days; return their user ids."""
    ids: list[int] = []
    for number in range(len(NAMES) + extra):
        name = NAMES[number] if number < len(NAMES) else f"Reader {number:04d}"
        ids.append(
            host.add_user(
                app,
                f"person{number}@example.com",
                name=name,
                created_at=clock.now - timedelta(days=3 + 7 * (number % 40)),
            )
        )
    with app.app_context():
        engage.sync()
        for place, user_id in enumerate(ids):
            _live(engage, user_id, place, clock)
        engage.flush()
    return ids


def _live(engage: Engage, user_id: int, place: int, clock: FakeClock) -> None:
    for day in range(29, place % 20, -(place % 4 + 1)):
        engage.seen(str(user_id), at=clock.now - timedelta(days=day, hours=place % 9), hits=3)
    values: dict[str, str | int | bool] = {
        "plan": ("free", "pro", "team")[place % 3],
        "invites sent": place * 7 % 23,
        "has added twitter service": place % 2 == 0,
        ATTRIBUTE: HOSTILE if place == 3 else "quiet",
    }
    engage.set_attributes(values, user=str(user_id))
    if place % 2 == 0:
        at = clock.now - timedelta(days=2, hours=place % 5)
        engage.track("exported", {"pages": place, "kind": HOSTILE}, user=str(user_id), at=at)
    engage.track(EVENT, {"where": PLACE}, user=str(user_id), at=clock.now - timedelta(hours=5))


def write(app: Flask, engage: Engage, ids: list[int], clock: FakeClock) -> None:
    """Send a popup that some people answer, and let a rule exist."""
    engage.auto_message(
        "come back",
        to=(person.last_seen < ago(days=10)) & ~did("exported").within(days=30),
        send=Email(subject="We miss you", body="Hello {{ name | default('there') }}"),
    )
    with app.app_context():
        popup = InApp(
            title="New: export",
            body="Hello **{{ name | default('there') }}**, a full issue now exports.",
            buttons=[Button("Try it", url="/export"), Button("Later")],
        )
        engage.send(popup, to=[str(user_id) for user_id in ids[:8]], key="launch-1")
        engage.run_due()
        _answer(app, ids, clock)


def _answer(app: Flask, ids: list[int], clock: FakeClock) -> None:
    database = state_of(app).ready.require()
    for place, user_id in enumerate(ids[:6]):
        with database.write() as session:
            person_id = person_id_of(session, str(user_id))
            assert person_id is not None
            item = next_for(session, person_id, clock.now)
            assert item is not None
            for kind in ("shown", "opened", "clicked", "dismissed")[: place % 4 + 1]:
                button = 0 if kind == "clicked" else None
                record(session, person_id, item.delivery, kind, clock.now, button)


def public_id_of(app: Flask, user_id: int) -> str:
    """Return the public id of the person who is the host's user `user_id`."""
    from flask_engage.store.person import PersonRow

    with app.app_context(), state_of(app).ready.require().read() as session:
        found = session.scalar(select(PersonRow.public_id).where(PersonRow.user_id == str(user_id)))
    assert found is not None
    return found
