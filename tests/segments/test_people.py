"""Members: counting, iterating, asking for one, and the pages of the list."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from flask_engage.errors import InvalidFilter
from flask_engage.segments import people as module
from flask_engage.segments.compile import CompileContext
from flask_engage.segments.fields import FIELDS
from flask_engage.segments.paging import Page
from flask_engage.segments.people import People, person_by_public_id, person_by_user_id
from flask_engage.segments.profiles import people_by_id
from flask_engage.segments.words import ago, attr, everyone, person
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from flask_engage.types import Person
from tests.segments._strategies import somebody
from tests.segments._world import NOW, Somebody, add_people, days_ago


def _write(database: Database, people: list[Somebody]) -> list[int]:
    with database.write() as session:
        return add_people(session, people)


def _ids(people: Any) -> list[str]:
    return [one.user_id for one in people]


ADA = Somebody(
    {
        "user_id": "1",
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "last_seen_at": days_ago(3),
        "session_count": 7,
        "unsubscribed_at": NOW,
    },
    {"plan": "pro", "score": 2.5, "seats": 3, "active": True, "renews": days_ago(-3)},
    tags=("vip", "a"),
    hearts=4,
)


def test_a_person_has_every_field(database: Database, people_of: Callable[..., People]) -> None:
    (row_id,) = _write(database, [ADA])
    (ada,) = people_of()
    assert ada == Person(
        public_id=ada.public_id,
        user_id="1",
        name="Ada Lovelace",
        email="ada@example.com",
        last_seen=days_ago(3),
        sessions=7,
        relationship=4,
        tags=("a", "vip"),
        unsubscribed=True,
        attrs=ADA.attrs,
    )
    types = {name: type(value) for name, value in ada.attrs.items()}
    assert types == {name: type(value) for name, value in ADA.attrs.items()}
    with database.read() as session:
        assert person_by_public_id(session, ada.public_id) == ada
        assert person_by_user_id(session, "1") == ada
        assert person_by_user_id(session, "2") is None
        assert person_by_user_id(session, "1\0") is None
        assert person_by_public_id(session, "\ud800") is None
        assert people_by_id(session, [row_id, row_id + 1]) == {row_id: ada}


def test_deleted_and_merged_people_are_nobody(
    database: Database, people_of: Callable[..., People]
) -> None:
    first, _ = _write(
        database, [Somebody({"user_id": "1"}), Somebody({"user_id": "2", "deleted_at": NOW})]
    )
    _write(database, [Somebody({"user_id": "3", "merged_into": first})])
    people = people_of()
    assert people.count() == 1
    assert _ids(people) == _ids(people.page().people) == ["1"]
    assert not people.contains("2")
    with database.read() as session:
        assert person_by_user_id(session, "3") is None


def test_iterating_takes_bounded_batches(
    database: Database, people_of: Callable[..., People], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 4)
    _write(database, [Somebody({"user_id": str(n), "session_count": n % 2}) for n in range(19)])
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert _ids(people_of(person.sessions == 1)) == [str(n) for n in range(1, 19, 2)]
    assert len([text for text in statements if "FROM engage_person LEFT" in text]) == 3
    assert people_of(person.sessions == 1).count() == 9


def test_contains_takes_whatever_names_a_user(
    database: Database, people_of: Callable[..., People]
) -> None:
    class User:
        def get_id(self) -> str:
            return "1"

    _write(database, [ADA, Somebody({"user_id": "2"})])
    vips = people_of(person.tags.contains("vip"))
    (ada,) = vips
    for who in (1, "1", User(), ada):
        assert vips.contains(who)
        assert not people_of(~person.tags.contains("vip")).contains(who)
    assert not vips.contains("2")
    assert not vips.contains("1\0")
    for who in (object(), None, True):
        with pytest.raises(InvalidFilter, match="is no user"):
            vips.contains(who)


def test_relative_times_follow_the_clock(database: Database) -> None:
    _write(database, [ADA])
    now = [NOW]
    people = People(
        database, person.last_seen < ago(days=14), CompileContext(database.dialect), lambda: now[0]
    )
    assert people.count() == 0
    now[0] += timedelta(days=11, seconds=1)
    assert people.count() == 1


# --- pages -----------------------------------------------------------------------------------


def _walk(people: People, limit: int, **order: Any) -> list[Page]:
    pages = [people.page(limit=limit, **order)]
    while pages[-1].next:
        pages.append(people.page(limit=limit, after=pages[-1].next, **order))
    return pages


def _walk_back(people: People, pages: list[Page], limit: int, **order: Any) -> list[Page]:
    back = [pages[-1]]
    while back[-1].previous:
        back.append(people.page(limit=limit, after=back[-1].previous, **order))
    return back[::-1]


def _steps(people: People, pages: list[Page], back: bool = False, **order: Any) -> list[Person]:
    """Go from one to the next, from the first of all to the last; or back."""
    places = [place for page in pages for place in page.places]
    place, found = (places[-1] if back else places[0]) if places else "", []
    while place and (beside := people.beside(place, back=back, **order)):
        someone, place = beside
        found.append(someone)
    return found


SORTS = [name for name, kind in FIELDS.items() if kind != "tags"] + ["attr:plan", 'attr:it"s']


@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes here
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(world=[Somebody({}, {"plan": v}) for v in (1e300, 5, 2**63 - 1)], limit=1, down=True)
@given(world=st.lists(somebody(), max_size=12), limit=st.integers(1, 5), down=st.booleans())
def test_pages_hold_everybody_once_in_order_there_and_back(
    database: Database, people_of: Callable[..., People], world: list[Somebody], limit: int,
    down: bool,
) -> None:  # fmt: skip
    ids = _write(database, world)
    people = people_of()
    try:
        for sort in SORTS:
            pages = _walk(people, limit, sort=sort, descending=down)
            found = [one for page in pages for one in page.people]
            assert len({one.public_id for one in found}) == len(found) == len(world)
            assert all(len(page.people) == limit for page in pages[:-1])
            _check_order([_key(one, sort) for one in found], down)
            back = _walk_back(people, pages, limit, sort=sort, descending=down)
            assert [one for page in back for one in page.people][-len(found) :] == found
            assert _steps(people, pages, sort=sort, descending=down) == found[1:]
            assert _steps(people, pages, True, sort=sort, descending=down) == found[-2::-1]
    finally:
        with database.write() as session:
            for row_id in ids:
                session.delete(session.get(PersonRow, row_id))


def _key(one: Person, sort: str) -> Any:
    """Return what a person stands by in an order; None: at the end."""
    if not sort.startswith("attr:"):
        return getattr(one, sort)
    value = one.attrs.get(sort.removeprefix("attr:"))
    if value is None:
        return None
    if isinstance(value, bool):
        return (1, value)
    rank = 0 if isinstance(value, (int, float)) else 3 if isinstance(value, str) else 2
    # MariaDB compares doubles; what can't be told apart there stands by the order of arrival.
    return (rank, float(value) if rank == 0 else value)


def _check_order(keys: list[Any], down: bool) -> None:
    present = [key for key in keys if key is not None]
    assert keys == present + [None] * (len(keys) - len(present))
    pairs = pairwise(present)
    assert all(a >= b if down else a <= b for a, b in pairs)


def test_a_step_goes_from_where_somebody_stood_though_they_are_elsewhere_by_now(
    database: Database, people_of: Callable[..., People]
) -> None:
    ids = _write(database, [Somebody({"name": name, "user_id": name}) for name in "abcd"])
    order = {"sort": "name", "descending": False}
    places = people_of().page(**order).places
    with database.write() as session:
        session.get_one(PersonRow, ids[1]).name = "z"
        session.get_one(PersonRow, ids[2]).deleted_at = NOW
    found = people_of().beside(places[1], **order)
    assert found is not None
    assert _ids([found[0]]) == ["d"]
    before = people_of().beside(places[1], back=True, **order)
    assert before is not None
    assert _ids([before[0]]) == ["a"]
    assert people_of().beside(before[1], back=True, **order) is None
    assert people_of().beside(places[0], search="d", **order) == found
    for place in ("nonsense", places[0][:-4]):
        with pytest.raises(InvalidFilter, match="not one of ours"):
            people_of().beside(place, **order)
    with pytest.raises(InvalidFilter, match="not one of ours"):
        people_of().beside(places[0], sort="email")


def test_a_page_knows_what_comes_before_and_after(
    database: Database, people_of: Callable[..., People]
) -> None:
    _write(database, [Somebody({"user_id": str(n)}) for n in range(1, 6)])
    order = {"sort": "user_id", "descending": False, "limit": 2}
    first = people_of().page(**order)
    assert (_ids(first.people), first.previous) == (["1", "2"], None)
    second = people_of().page(after=first.next, **order)
    third = people_of().page(after=second.next, **order)
    assert (_ids(second.people), _ids(third.people), third.next) == (["3", "4"], ["5"], None)
    again = people_of().page(after=third.previous, **order)
    assert again.people == second.people
    start = people_of().page(after=again.previous, **order)
    assert (start.people, start.previous) == (first.people, None)
    assert people_of(~everyone).page(**order) == Page(())


def test_people_who_come_and_go_between_pages_shift_nobody(
    database: Database, people_of: Callable[..., People]
) -> None:
    _write(database, [Somebody({"user_id": str(n)}) for n in (2, 4, 6, 8)])
    order = {"sort": "user_id", "descending": False, "limit": 2}
    first = people_of().page(**order)
    _write(database, [Somebody({"user_id": "1"}), Somebody({"user_id": "7"})])
    assert _ids(people_of().page(after=first.next, **order).people) == ["6", "7"]


@pytest.mark.parametrize("sort", ["tags", "last_sen", "", "id", "attr:", "attr:" + "x" * 65])
def test_an_order_that_there_is_not_is_refused(people_of: Callable[..., People], sort: str) -> None:
    with pytest.raises(InvalidFilter):
        people_of().page(sort=sort)


def _forged(*fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


BAD_CURSORS = [
    "x",
    "é",
    "A" * 9000,
    _forged(),
    _forged("last_seen", True, False, 0, None),
    _forged("last_seen", True, False, 5, None, 1),
    _forged("last_seen", True, False, -1, None, 1),
    _forged("last_seen", True, False, True, None, 1),
    _forged("last_seen", True, False, 0, "soon", 1),
    _forged("last_seen", True, False, 0, None, 1),
    _forged("last_seen", True, False, 0, ["x"], 1),
    _forged("last_seen", True, False, 0, "2026-01-01T00:00:00+00:00", 2**63),
    _forged("last_seen", True, False, 0, "2026-01-01T00:00:00+00:00", "1; drop table"),
    _forged("last_seen", False, False, 0, "2026-01-01T00:00:00+00:00", 1),
    _forged("name", True, False, 0, "x", 1),
    _forged("last_seen", True, False, 0, "0001-01-01T00:00:00+14:00", 1),
]
BAD_VALUES = [
    ("name", 5),
    ("name", "\0"),
    ("name", "\ud800"),
    ("sessions", "5"),
    ("sessions", True),
    ("sessions", 2**63),
    ("sessions", float("inf")),
    ("sessions", 2.5),
    ("attr:x", "text for a number"),
    ("attr:x", 10**300),
]


def test_a_cursor_that_is_not_ours_is_refused(people_of: Callable[..., People]) -> None:
    people = people_of()
    for cursor in BAD_CURSORS:
        with pytest.raises(InvalidFilter, match="cursor"):
            people.page(after=cursor)
    for sort, value in BAD_VALUES:
        with pytest.raises(InvalidFilter, match=r"cursor|surrogate"):
            people.page(sort=sort, after=_forged(sort, True, False, 3 * ("attr" in sort), value, 1))
    for limit in (0, -1, 501):
        with pytest.raises(InvalidFilter, match="limit"):
            people.page(limit=limit)


# --- search ----------------------------------------------------------------------------------


def test_search_folds_case_and_wants_every_word(
    database: Database, people_of: Callable[..., People]
) -> None:
    _write(
        database,
        [
            Somebody({"user_id": "1", "name": "Ada Lovelace", "email": "Ada@Example.com"}),
            Somebody({"user_id": "2", "name": "ÉLODIE Durand", "email": "100%@x_y.org"}),
            Somebody({"user_id": "3", "name": "Иван Петров"}),
            Somebody({"user_id": "K-44"}),
        ],
    )
    people = people_of()
    for search, expected in {
        "": ["1", "2", "3", "K-44"],
        "ADA": ["1"],
        "love ada": ["1"],
        "ada durand": [],
        "élodie": ["2"],
        "Élodie": ["2"],
        "100%@X_": ["2"],
        "%": ["2"],
        "_": ["2"],
        "иван ПЕТРОВ": ["3"],
        "k-4": ["K-44"],
        "\\": [],
        "'": [],
        "\0": [],
        "\ud800": [],
        "  ": ["1", "2", "3", "K-44"],
        "a " * 500: ["1", "2"],
    }.items():
        page = people.page(search=search, sort="user_id", descending=False)
        assert _ids(page.people) == expected, search
        assert people.count(search=search) == len(expected)
    assert people_of(attr("x").is_set()).count(search="ada") == 0
