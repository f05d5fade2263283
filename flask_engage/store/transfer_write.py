"""A batch of imported rows into people: found by user id, else by an address that is one person's.

A file is older than what the app says. It fills what is empty, sets attributes beside those of
pages and the API (a hand's edit and a provider stand above), and adds tags; of a lead, whom no
app knows, it may change name and address. What it would not change is not written. Whoever it says
has unsubscribed is written to no more; nothing in a file takes that back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..types import AttributeValue
from .attribute_write import Write, apply_writes, kind_of, to_json
from .bulk import InsertNew, Update
from .person import PersonRow, PersonTagRow, is_live, new_public_id
from .person_write import erased_at

SOURCE = "import"
PLACE = (
    *("country", "city", "timezone", "language", "browser", "os", "device"),
    *("referrer", "utm_source", "utm_medium", "utm_campaign"),
)
"""Texts that sightings fill; a file fills them only while they are empty."""
_COLUMNS = (
    *("kind", "user_id", "email", "name", "signed_up_at", "first_seen_at", "last_seen_at"),
    *("session_count", "unsubscribed_at", *PLACE),
)
_insert = InsertNew(
    PersonRow.__table__, ("public_id", *_COLUMNS, "attributes", "created_at", "updated_at")
)
_update = Update(PersonRow.__table__, (*_COLUMNS, "updated_at"))
_insert_tags = InsertNew(PersonTagRow.__table__, ("person_id", "name", "created_at"))


class MetMeanwhile(Exception):
    """Somebody else made one of the people in this very moment: do the batch again."""


@dataclass(slots=True)
class Entry:
    """What one row of a file says."""

    number: int
    user_id: str | None = None
    email: str | None = None
    name: str | None = None
    signed_up: datetime | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    sessions: Any = None
    unsubscribed: bool | None = None
    country: str | None = None
    city: str | None = None
    timezone: str | None = None
    language: str | None = None
    browser: str | None = None
    os: str | None = None
    device: str | None = None
    referrer: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    tags: list[str] = field(default_factory=list)
    attributes: dict[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placed:
    """What becomes of one row."""

    entry: Entry
    outcome: str
    """``new``, ``user_id`` or ``email`` (matched by it), or ``refused``."""
    problem: str = ""
    fix: str = ""
    heading: str = ""


@dataclass(slots=True)
class _Somebody:
    """A person, as the row is and as it shall be."""

    public_id: str
    values: dict[str, Any]
    before: dict[str, Any] | None
    id: int | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    is_gone: bool = False
    unsubscribes: bool = False
    wanted: dict[str, AttributeValue] = field(default_factory=dict)
    tags: dict[str, None] = field(default_factory=dict)
    changed: bool = False


class Matching:
    """The people whom some rows are about."""

    def __init__(self, session: Session, entries: Sequence[Entry], *, lock: bool = True) -> None:
        self.session = session
        user_ids = {entry.user_id for entry in entries if entry.user_id is not None}
        emails = {entry.email for entry in entries if entry.email is not None}
        self.by_user: dict[str, _Somebody] = {}
        self.by_email: dict[str, list[_Somebody]] = {}
        self.people: list[_Somebody] = []
        self._load(user_ids, emails, lock=lock)
        self.erased = erased_at(session, user_ids)

    def _load(self, user_ids: Collection[str], emails: Collection[str], *, lock: bool) -> None:
        ids = set(
            self.session.scalars(select(PersonRow.id).where(PersonRow.user_id.in_(user_ids)))
        ) | set(
            self.session.scalars(select(PersonRow.id).where(PersonRow.email.in_(emails), is_live()))
        )
        merged: dict[int, tuple[str | None, int]] = {}
        by_id: dict[int, _Somebody] = {}
        while ids:
            query = select(PersonRow).where(PersonRow.id.in_(ids)).order_by(PersonRow.id)
            rows = self.session.scalars(query.with_for_update() if lock else query).all()
            for row in rows:
                if row.merged_into is not None:
                    merged[row.id] = (row.user_id, row.merged_into)
                else:
                    by_id[row.id] = self._known(row)
            ids = {target for _, target in merged.values()} - set(by_id) - set(merged)
        for user_id, target in merged.values():
            while target in merged:
                target = merged[target][1]
            if user_id is not None and target in by_id:
                self.by_user[user_id] = by_id[target]

    def _known(self, row: PersonRow) -> _Somebody:
        values = {name: getattr(row, name) for name in _COLUMNS}
        somebody = _Somebody(
            row.public_id,
            values,
            dict(values),
            row.id,
            dict(row.attributes or {}),
            row.deleted_at is not None,
        )
        self.people.append(somebody)
        self._index(somebody)
        return somebody

    def _index(self, somebody: _Somebody) -> None:
        user_id, email = somebody.values["user_id"], somebody.values["email"]
        if user_id is not None:
            self.by_user[user_id] = somebody
        if email is not None and not somebody.is_gone:
            same = self.by_email.setdefault(email, [])
            if somebody not in same:
                same.append(somebody)

    def place(self, entry: Entry) -> Placed:
        """Find out whom a row is about, and take it into what they shall be."""
        somebody, outcome = None, "new"
        if entry.user_id is not None:
            somebody = self.by_user.get(entry.user_id)
            outcome = "user_id" if somebody else "new"
            if somebody is None and entry.user_id in self.erased:
                return Placed(
                    entry,
                    "refused",
                    f"this person was erased on {self.erased[entry.user_id]:%Y-%m-%d}",
                    "leave the row out; they begin anew when they come by",
                    "user_id",
                )
        if somebody is None and entry.email is not None:
            same = self.by_email.get(entry.email, [])
            if entry.user_id is not None:  # an address of another user's is no match
                same = [one for one in same if one.values["user_id"] is None]
            if len(same) > 1:
                return Placed(
                    entry,
                    "refused",
                    f"{len(same)} people have this address",
                    "give the user_id",
                    "email",
                )
            somebody, outcome = (same[0], "email") if same else (None, "new")
        if somebody is not None and somebody.is_gone:
            return Placed(
                entry, "refused", "this person was deleted", "leave the row out", "user_id"
            )
        if somebody is None:
            values: dict[str, Any] = {**dict.fromkeys(_COLUMNS), "session_count": 0}
            somebody = _Somebody(new_public_id(), values, None)
            self.people.append(somebody)
        _take(somebody, entry)
        self._index(somebody)
        return Placed(entry, outcome)

    def save(self, now: datetime) -> tuple[int, int]:
        """Write whoever is new or different; return how many are new and how many changed."""
        for one in self.people:
            if one.unsubscribes and one.values["unsubscribed_at"] is None:
                one.values["unsubscribed_at"] = now
        new = [one for one in self.people if one.before is None]
        _insert(
            self.session,
            [
                (one.public_id, *(one.values[name] for name in _COLUMNS), {}, now, now)
                for one in new
            ],
        )
        ids = _ids(self.session, [one.public_id for one in new])
        if len(ids) < len(new):
            raise MetMeanwhile
        for one in new:
            one.id = ids[one.public_id]
        moved = [one for one in self.people if one.before not in (None, one.values)]
        _update(
            self.session,
            [(one.id, *(one.values[name] for name in _COLUMNS), now) for one in moved],
        )
        changed = {one.public_id for one in moved}
        changed |= self._save_attributes(now) | self._save_tags(now)
        return len(new), len(changed - set(ids))

    def _save_attributes(self, now: datetime) -> set[str]:
        writes, public_ids = [], {}
        for one in self.people:
            if one.id is None:
                continue
            public_ids[one.id] = one.public_id
            for name, value in one.wanted.items():
                if one.attributes.get(f"{kind_of(value)}:{name}") != to_json(value):
                    writes.append(Write(one.id, name, value, SOURCE, now))
        return {public_ids[change.person_id] for change in apply_writes(self.session, writes, now)}

    def _save_tags(self, now: datetime) -> set[str]:
        wanted = {one.id: one for one in self.people if one.id is not None and one.tags}
        if not wanted:
            return set()
        held = {
            (row.person_id, row.name)
            for row in self.session.execute(
                select(PersonTagRow.person_id, PersonTagRow.name).where(
                    PersonTagRow.person_id.in_(wanted)
                )
            )
        }
        rows = [
            (person_id, tag, now)
            for person_id, one in sorted(wanted.items())
            for tag in one.tags
            if (person_id, tag) not in held
        ]
        _insert_tags(self.session, rows)
        return {wanted[person_id].public_id for person_id, _, _ in rows}


def _take(somebody: _Somebody, entry: Entry) -> None:
    """Take what a row says into what somebody shall be."""
    values = somebody.values
    is_lead = values["kind"] != "user" or somebody.before is None
    if entry.user_id is not None and values["user_id"] is None:
        values["user_id"] = entry.user_id
    values["kind"] = "user" if values["user_id"] is not None else values["kind"] or "lead"
    for name in ("email", "name"):
        told = getattr(entry, name)
        if told is not None and (is_lead or values[name] is None):
            values[name] = told
    if values["signed_up_at"] is None:
        values["signed_up_at"] = entry.signed_up
    if entry.first_seen is not None:
        held = values["first_seen_at"]
        values["first_seen_at"] = min(held, entry.first_seen) if held else entry.first_seen
    if entry.last_seen is not None:
        held = values["last_seen_at"]
        values["last_seen_at"] = max(held, entry.last_seen) if held else entry.last_seen
    if entry.sessions is not None:
        values["session_count"] = max(values["session_count"], entry.sessions)
    for name in PLACE:
        if values[name] is None:
            values[name] = getattr(entry, name)
    somebody.unsubscribes |= bool(entry.unsubscribed)
    somebody.wanted.update(entry.attributes)
    somebody.tags.update(dict.fromkeys(entry.tags))


def _ids(session: Session, public_ids: Iterable[str]) -> dict[str, int]:
    rows = session.execute(
        select(PersonRow.public_id, PersonRow.id).where(PersonRow.public_id.in_(list(public_ids)))
    )
    return {row.public_id: row.id for row in rows}
