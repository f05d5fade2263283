"""The invented past: the same for the same seed, sound in itself, and as varied as life."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from example_app.seeding import habits, names
from example_app.seeding.story import Past, invent

END = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
DAYS = 120


@pytest.fixture(scope="module")
def past() -> Past:
    return invent(1000, DAYS, 1, END, "hash")


@pytest.fixture(scope="module")
def last_seen(past) -> dict[int, datetime]:
    return {sighting.user_id: sighting.at for sighting in past.sightings}


def test_same_seed_tells_the_same_story():
    assert invent(60, 40, 7, END, "hash") == invent(60, 40, 7, END, "hash")
    assert invent(60, 40, 7, END, "hash") != invent(60, 40, 8, END, "hash")


def test_nothing_happens_after_the_end_or_before_the_beginning(past):
    moments = [sighting.at for sighting in past.sightings] + [fact.at for fact in past.facts]
    assert max(moments) <= END
    assert min(moments) > END - timedelta(days=DAYS + 2)


def test_everything_is_told_in_the_order_in_which_it_happened(past):
    for happenings in (past.sightings, past.facts):
        moments = [happening.at for happening in happenings]
        assert moments == sorted(moments)


def test_nobody_does_anything_before_they_sign_up(past):
    signed_up = {row["id"]: row["created_at"] for row in past.users}
    for happening in (*past.sightings, *past.facts):
        assert happening.at >= signed_up[happening.user_id]


def test_facts_have_ids_that_are_unique_by_name(past):
    keys = [(fact.name, fact.id) for fact in past.facts]
    assert len(keys) == len(set(keys))


def test_facts_agree_with_the_rows(past):
    count = Counter(fact.name for fact in past.facts)
    assert count["created newsletter"] == len(past.newsletters)
    assert count["created section"] - count["deleted section"] == len(past.sections)
    assert count["exported"] == len(past.exports)
    assert count["sent invite"] == len(past.invites)
    assert count["teammate joined"] == sum(1 for row in past.invites if row["accepted_at"])
    assert count["connected twitter"] == sum(1 for row in past.users if row["twitter_id"])
    assert count["changed plan"] == sum(1 for row in past.users if row["plan"] != "free")


def test_some_are_here_today_some_fade_some_are_gone_and_some_never_came(past, last_seen):
    away = Counter()
    for row in past.users[1:]:
        moment = last_seen.get(row["id"])
        days = None if moment is None else (END - moment) / timedelta(days=1)
        away[
            "never"
            if days is None
            else "day"
            if days < 1
            else "week"
            if days < 7
            else "fortnight"
            if days < 14
            else "gone"
        ] += 1
    assert sum(away.values()) == 1000
    assert 60 < away["day"] < 250
    assert 100 < away["week"] < 350
    assert away["fortnight"] > 30
    assert 250 < away["gone"] < 500
    assert 50 < away["never"] < 250


def test_people_sign_up_throughout(past):
    weeks = Counter(int((END - row["created_at"]) / timedelta(days=7)) for row in past.users[1:])
    assert all(weeks[week] > 0 for week in range(17))
    assert sum(count for week, count in weeks.items() if week >= 18) > 100


def test_weekends_are_quieter(past):
    zones = {row["id"]: ZoneInfo(row["timezone"]) for row in past.users}
    days = Counter(
        sighting.at.astimezone(zones[sighting.user_id]).weekday() for sighting in past.sightings
    )
    assert days[5] + days[6] < 0.7 * (days[1] + days[2])


def test_the_night_is_quiet_in_everybodys_own_time(past):
    zones = {row["id"]: ZoneInfo(row["timezone"]) for row in past.users}
    hours = Counter(
        sighting.at.astimezone(zones[sighting.user_id]).hour for sighting in past.sightings
    )
    assert sum(hours[hour] for hour in range(1, 5)) < 0.1 * sum(
        hours[hour] for hour in range(9, 13)
    )


def test_names_come_from_many_scripts_and_some_mean_harm(past):
    everything = " ".join(row["name"] for row in past.users)
    for place in names.PLACES:
        assert any(name.partition(":")[0].strip() in everything for name in place.family)
    assert {row["name"] for row in past.users} >= set(names.STRANGE)
    assert max(len(row["name"]) for row in past.users) > 100
    assert all(len(row["name"]) <= 200 for row in past.users)


def test_addresses_are_unique_and_plain(past):
    addresses = [row["email"] for row in past.users]
    assert len(set(addresses)) == len(addresses)
    assert all(address.isascii() and address.endswith(".example") for address in addresses)


def test_each_named_zone_exists():
    for place in names.PLACES:
        for zone in place.zones:
            assert ZoneInfo(zone)


def test_shares_of_habits_are_the_whole():
    assert sum(habit.share for habit in habits.HABITS) == pytest.approx(1)


def test_habitual_people_come_far_more_often_than_casual_ones(past):
    visits = defaultdict(int)
    for sighting in past.sightings:
        visits[sighting.user_id] += 1
    ranked = sorted(visits.values())
    assert ranked[int(len(ranked) * 0.95)] > 4 * max(1, ranked[len(ranked) // 2])
