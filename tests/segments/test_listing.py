"""The two ways to a page of a list: they lead to the same people, and the shorter one is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import ColumnElement, and_, func, select, text, true
from sqlalchemy.exc import DBAPIError

from flask_engage.segments import listing
from flask_engage.segments.listing import SET, TRIES, WALK, Asked, list_people, try_to_list
from flask_engage.segments.people import People
from flask_engage.segments.words import attr, did, person, received, visited
from flask_engage.store.person import PersonRow
from tests.segments._world import Somebody, add_people, days_ago

if TYPE_CHECKING:
    from flask_engage.segments.filter import Filter
    from flask_engage.store.engine import Database

SORTS = ("last_seen", "name", "relationship", "unsubscribed", "country", "attr:plan")
FILTERS: list[Filter] = [
    attr("plan") != "gone",
    (person.sessions >= 1) & ~(person.name == "Person 4"),
    visited().at_least(0).within(days=7) & ~did("exported"),
    ~visited().at_least(2).within(days=7),
    did("exported").at_least(2).within(days=3) | ~received("welcome"),
    person.email == "nobody@example.com",
]
FORTY_TO_THE_SIXTH = (
    select(func.count())
    .select_from(text(", ".join(f"engage_person t{number}" for number in range(6))))
    .scalar_subquery()
)
"""More rows than any machine looks at."""


@pytest.fixture
def forty(database: Database) -> Database:
    world = [
        Somebody(
            {
                "user_id": str(number),
                "name": f"Person {number % 7}",
                "email": f"reader{number % 5}@example.com",
                "session_count": number % 4,
                "last_seen_at": days_ago(number % 9) if number % 6 else None,
            },
            {"plan": "pro" if number % 2 else 3, "score": number % 3} if number % 5 else {},
            hearts=number % 6 or None,
        )
        for number in range(40)
    ]
    with database.write() as session:
        add_people(session, world)
    return database


def _pages(people: People, **order: Any) -> list[Any]:
    pages = [people.page(limit=12, **order)]
    while pages[-1].next:
        pages.append(people.page(limit=12, after=pages[-1].next, **order))
    back = [pages[-1]]
    while back[-1].previous:
        back.append(people.page(limit=12, after=back[-1].previous, **order))
    return [*pages, *back]


@pytest.mark.parametrize("wanted", FILTERS, ids=lambda wanted: wanted.describe()[:40])
def test_every_way_leads_to_the_same_pages(
    wanted: Filter,
    forty: Database,
    people_of: Callable[..., People],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for sort in SORTS:
        for descending in (True, False):
            found = []
            for way, few in ((WALK, 0), (SET, 0), (SET, 2000), ("", 0)):
                tries = ((way, 60.0),) if way else ()
                monkeypatch.setattr("flask_engage.segments.people.TRIES", tries)
                monkeypatch.setattr(listing, "FEW", few)
                found.append(_pages(people_of(wanted), sort=sort, descending=descending))
            assert all(pages == found[0] for pages in found), (sort, descending)


@pytest.mark.parametrize("few", [2, 3])
def test_few_are_told_from_many(few: int, forty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "FEW", few)
    three = PersonRow.user_id.in_(["7", "8", "9"])
    with forty.read() as session:
        ids = listing._few(session, forty.dialect, three)
        assert ids == (
            None if few == 2 else session.scalars(select(PersonRow.id).where(three)).all()
        )
    found = try_to_list(forty, _asked(forty), lambda _s: three, lambda _s: three, ((SET, 60),))
    assert found is not None
    assert {one.user_id for one in found.people} == {"7", "8", "9"}


def _asked(database: Database, sort: str = "last_seen") -> Asked:
    return Asked(database.dialect, sort, descending=True, after=None, limit=5)


def test_a_walk_that_takes_too_long_is_left_for_the_set(forty: Database) -> None:
    page = list_people(
        forty,
        _asked(forty),
        lambda _session: FORTY_TO_THE_SIXTH < 0,
        lambda _session: PersonRow.user_id == "7",
    )
    assert [one.user_id for one in page.people] == ["7"]


@pytest.mark.parametrize("tries", range(1, len(TRIES) + 1))
def test_a_way_that_takes_too_long_is_left_for_the_other(tries: int, forty: Database) -> None:
    """Each is tried again, and the walk goes on to its end after the last."""
    times = [0.1] * tries + [60.0] * len(TRIES)
    ways = [way for way, _ in TRIES]
    tried: list[str] = []

    def condition(way: str) -> ColumnElement[bool]:
        tried.append(way)
        return PersonRow.user_id == "8" if len(tried) > tries else FORTY_TO_THE_SIXTH < 0

    page = list_people(
        forty,
        _asked(forty),
        lambda _session: condition("walk"),
        lambda _session: condition("set"),
        tuple(zip(ways, times, strict=False)),
    )
    assert [one.user_id for one in page.people] == ["8"]
    assert tried == [*ways, "walk"][: tries + 1]


def test_an_order_without_an_index_begins_with_the_set(forty: Database) -> None:
    page = list_people(
        forty,
        _asked(forty, "country"),
        lambda _session: pytest.fail("nobody walks through everybody twice"),
        lambda _session: and_(true(), PersonRow.user_id == "9"),
    )
    assert [one.user_id for one in page.people] == ["9"]


def test_any_other_failure_is_raised(forty: Database) -> None:
    broken = text("there_is_no_such_column = 1")
    with pytest.raises(DBAPIError):
        list_people(forty, _asked(forty), lambda _session: broken, lambda _session: broken)  # type: ignore[arg-type,return-value]
