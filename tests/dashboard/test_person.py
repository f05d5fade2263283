"""The page about one person: what it says of whom."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from flask_engage._state import state_of
from flask_engage.errors import InvalidSettings
from flask_engage.settings import Settings
from flask_engage.store.attribute_write import write_attributes
from flask_engage.store.content import ContentRow
from flask_engage.store.delivery import DeliveryEventRow, DeliveryRow
from flask_engage.store.person import PersonRow, new_public_id
from tests.dashboard._person import address, person_id
from tests.dashboard._town import ATTRIBUTE, EVENT, HOSTILE, LONG, PLACE

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests._clock import FakeClock
    from tests.dashboard.conftest import Town


class Markup(HTMLParser):
    """What a page consists of, for a browser."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        self.names.update(held)
        self.links += [held[name] or "" for name in ("href", "action") if held.get(name)]
        if tag == "script":
            self.scripts.append(held.get("src") or "(inline)")


# --- what it says of whom ------------------------------------------------------------------------


def test_whoever_it_is_their_page_is_shown(town: Town, operator: FlaskClient) -> None:
    for place in range(len(town.ids)):
        for kind in ("all", "event", "session", "message", "note", "tag", "segment"):
            assert operator.get(address(town, place, f"?kind={kind}")).status_code == 200


def test_what_is_hostile_is_text_and_nothing_else(
    town: Town, operator: FlaskClient, write: Callable[[], Any]
) -> None:
    with write() as session:
        row = session.get(PersonRow, person_id(session, town, 3))
        row.email = f"{HOSTILE}@x"
        row.city, row.timezone, row.browser, row.referrer = (
            HOSTILE,
            "../../etc/passwd",
            EVENT,
            PLACE,
        )
        write_attributes(session, {row.id: {ATTRIBUTE: HOSTILE}}, source="page", now=row.created_at)
    for page in ("", f"?edit={ATTRIBUTE}", "/erase", "?kind=event", "/story"):
        markup = Markup()
        markup.feed(operator.get(address(town, 3, page)).text)
        assert not [name for name in markup.names if name.startswith("on") or name == "style"]
        assert not [
            link for link in markup.links if not link.startswith(("/engage", "#", "mailto:"))
        ]
        assert all(source.startswith("/engage/static/") for source in markup.scripts)
    whole = html.unescape(operator.get(address(town, 3)).text)
    for shown in (HOSTILE, EVENT, ATTRIBUTE, PLACE):
        assert shown in whole


def test_a_name_as_long_as_there_can_be_is_whole_in_its_title(
    town: Town, operator: FlaskClient, write: Callable[[], Any]
) -> None:
    name = (LONG * 2)[:255]
    with write() as session:
        session.get(PersonRow, person_id(session, town, 4)).name = name
    assert f'<h1 title="{name}"><bdi>{name}</bdi></h1>' in operator.get(address(town, 4)).text


def test_somebody_with_nothing_at_all_has_a_page(
    town: Town, operator: FlaskClient, write: Callable[[], Any], clock: FakeClock
) -> None:
    with write() as session:
        row = PersonRow(kind="lead", created_at=clock.now, updated_at=clock.now)
        session.add(row)
        session.flush()
        public_id = row.public_id
    text = operator.get(f"/engage/people/{public_id}").text
    for words in ("Somebody", "Nothing yet", "not a user of the app yet", "0 active days"):
        assert words in text
    assert "mailto:" not in text


def test_somebody_gone_and_unsubscribed_is_shown_as_such(
    town: Town, operator: FlaskClient, write: Callable[[], Any], clock: FakeClock
) -> None:
    with write() as session:
        row = session.get(PersonRow, person_id(session, town))
        row.gone_at = row.unsubscribed_at = clock.now - timedelta(days=9)
    text = operator.get(address(town)).text
    assert "The app has no such user any more" in text
    assert "Wants no mail" in text


def test_whoever_was_merged_is_shown_as_whom_they_became(
    town: Town, operator: FlaskClient, write: Callable[[], Any], clock: FakeClock
) -> None:
    old, older = new_public_id(), new_public_id()
    with write() as session:
        into = person_id(session, town)
        for public_id in (old, older):
            row = PersonRow(
                public_id=public_id, merged_into=into, created_at=clock.now, updated_at=clock.now
            )
            session.add(row)
            session.flush()
            into = row.id
    answer = operator.get(f"/engage/people/{older}")
    assert (answer.status_code, answer.location) == (302, address(town))


def test_a_time_of_theirs_is_told_where_their_zone_is_one(
    town: Town, operator: FlaskClient, write: Callable[[], Any], clock: FakeClock
) -> None:
    with write() as session:
        row = session.get(PersonRow, person_id(session, town))
        row.city, row.timezone = "Kathmandu", "Asia/Kathmandu"
    local = clock.now.astimezone(UTC) + timedelta(hours=5, minutes=45)
    assert f"{local:%H:%M} there" in operator.get(address(town)).text


def test_what_became_of_a_message_is_told(
    town: Town, operator: FlaskClient, write: Callable[[], Any], clock: FakeClock
) -> None:
    with write() as session:
        words = ContentRow(
            source="send:letter", channel="email", subject="Spring", body="…", created_at=clock.now
        )
        session.add(words)
        session.flush()
        row = DeliveryRow(
            source="send:letter",
            person_id=person_id(session, town),
            channel="email",
            content_id=words.id,
            state="sent",
            not_before=clock.now,
            sent_at=clock.now,
            created_at=clock.now,
            updated_at=clock.now,
        )
        session.add(row)
        session.flush()
        for number, kind in enumerate(("opened", "clicked", "replied")):
            session.add(
                DeliveryEventRow(
                    delivery_id=row.id,
                    kind=kind,
                    detail=f"0:{PLACE}" if kind == "clicked" else "",
                    occurred_at=clock.now + timedelta(minutes=number),
                )
            )
    text = operator.get(address(town, rest="?kind=message")).text
    entry = text[text.index("Spring") :]
    for words_ in ("sent", "opened", "clicked", "replied"):
        assert words_ in entry
        entry = entry[entry.index(words_) :]
    assert f'href="{PLACE[:11]}' not in text
    assert PLACE in html.unescape(text)


# --- a year and a week ---------------------------------------------------------------------------


def test_a_year_and_a_week_are_drawn_and_told(town: Town, operator: FlaskClient) -> None:
    text = operator.get(address(town)).text
    days = int(re.findall(r"(\d+) active days in a year", text)[0])
    assert len(re.findall(r'<rect class="day-[1-4]"[^>]*><title>', text)) == days > 5
    table = re.findall(r'<td class="n">(\d+)</td><td class="n">(\d+)</td>', text)
    assert sum(int(active) for active, _events in table) == days
    hours = re.findall(r'<td class="at-(\d)"[^>]*><span>(\d+)</span></td>', text)
    assert len(hours) == 7 * 24
    assert all((level == "0") == (count == "0") for level, count in hours)


@pytest.mark.parametrize(
    ("start", "first"), [("monday", "Mon"), ("sunday", "Sun"), ("saturday", "Sat")]
)
def test_weeks_begin_with_the_day_of_the_setting(
    start: str, first: str, town: Town, operator: FlaskClient
) -> None:
    state = state_of(town.app)
    settings = replace(state.settings, WEEK_START=start)  # type: ignore[arg-type]
    town.app.extensions["engage"] = replace(state, settings=settings)
    text = operator.get(address(town)).text
    hours = text.partition('class="hours"')[2]
    days = re.findall(r'<th scope="row">(\w+)</th>', hours.partition("</table>")[0])
    week = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    at = week.index(first)
    assert days == week[at:] + week[:at]
    rows = re.findall(r'<text x="0" y="\d+">(\w+)</text>', text)
    assert rows == [days[0], days[2], days[4]]


def test_a_day_with_which_no_week_begins_is_refused_at_the_start() -> None:
    for wrong in ("Sunday", "friday", 6, None):
        with pytest.raises(InvalidSettings, match=r"ENGAGE_WEEK_START = .*'monday', 'sunday'"):
            Settings.from_config({"ENGAGE_WEEK_START": wrong})


# --- the timeline, part by part ------------------------------------------------------------------


def test_the_parts_of_a_timeline_are_those_of_its_pages(
    town: Town, operator: FlaskClient, clock: FakeClock
) -> None:
    with town.app.app_context():
        for number in range(130):  # all in one instant
            town.engage.track(f"step {number}", user=str(town.ids[5]), at=clock.now)
        town.engage.flush()
    found: dict[str, list[str]] = {"part": [], "page": []}
    for way, steps in found.items():
        text = operator.get(address(town)).text
        while True:
            steps += re.findall(r"<bdi>(step \d+)</bdi></a>", text)
            following = re.search(r'rel="next" href="([^"]+)" data-part="([^"]+)"', text)
            if following is None:
                break
            text = operator.get(html.unescape(following[1 if way == "page" else 2])).text
    assert found["part"] == found["page"]
    assert len(set(found["page"])) == len(found["page"]) == 130


@pytest.mark.parametrize("public_id", ["0" * 24, "a%00b", "%F0%9F%A6%89", "a.b"])
@pytest.mark.parametrize("rest", ["", "/story", "/json", "/export", "/erase"])
def test_nobody_has_no_page(public_id: str, rest: str, operator: FlaskClient) -> None:
    assert operator.get(f"/engage/people/{public_id}{rest}").status_code == 404
