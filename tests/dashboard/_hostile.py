"""A town in which everything that somebody may name is named to do harm, and all its addresses."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from flask_engage import Email, InApp, Operator, attr, did, in_segment, person, received
from flask_engage._state import state_of
from flask_engage.people.transfer.uploads import accept_upload
from flask_engage.segments.words import prop
from flask_engage.store.attribute_write import write_attributes
from flask_engage.store.note import add_note
from flask_engage.store.person import PersonRow, new_public_id
from flask_engage.store.segment import add_segment
from flask_engage.store.session import SessionRow
from flask_engage.store.tag import tag_people
from tests.dashboard._town import ATTRIBUTE, EVENT, HOSTILE

if TYPE_CHECKING:
    from flask_engage.segments.filter import Filter
    from tests.dashboard.conftest import Town

SVG = '"><svg onload=alert(1)>'
QUOTE = "' onfocus=alert(1) autofocus x='"
SCRIPT_URL = "javascript:alert(1)"
TEMPLATE = "{{7*7}}</textarea></title></style></script><script>alert(1)</script>"
SHEET = "=cmd|'/c calc'!A1"
RTL = ("\u202e\u0627\u0644\u0641" * 100)[:255]
EMOJI = ("👩‍👩‍👧‍👦🏳️‍🌈" * 60)[:255]
TAG = '"><img src=x onerror=alert(1)>'
SEGMENT = "</script><script>alert(1)</script>"
RULE = 'rule "><svg onload=alert(1)>'
OPERATOR = '"><b>operator'
KEY = "key'\"><svg onload=alert(1)>"
FILE = 'people"><svg onload=alert(1)>.csv'

#: Name, address and id of those who mean harm.
PEOPLE = (
    (HOSTILE, '"><b>@x.org', '"><svg/onload=alert(1)>@x'),
    (SHEET, "=1+1@x.org", "=1+1"),
    (RTL, "\u202e@x.org", "\u202eid"),
    (EMOJI, "👩‍👩‍👧‍👦@x.org", "👩‍👩‍👧‍👦"),
    (QUOTE, SCRIPT_URL, SCRIPT_URL),
    (TEMPLATE, "%00%0d%0aSet-Cookie:x@x", "../../../etc/passwd"),
    ("a\u2028b\u0085c\u200b", "\t@SUM(1)", "' OR 1=1--"),
)


@dataclass
class Hostile:
    """What of the town is to be looked at."""

    town: Town
    public_ids: list[str]
    import_id: str
    provider: str = SVG

    def addresses(self) -> dict[str, list[str]]:
        """Return addresses to GET, by the endpoint that they are of."""
        views: dict[str, list[tuple[dict[str, Any], ...]]] = _views(self)
        found: dict[str, list[str]] = {}
        with self.town.app.test_request_context():
            adapter = self.town.app.url_map.bind("localhost")
            for endpoint, some in views.items():
                found[endpoint] = [
                    adapter.build(f"engage_dashboard.{endpoint}", values) for values in some
                ]
        return found


def infest(town: Town) -> Hostile:
    """Let everybody who has something to name in `town` mean harm."""
    state, now = state_of(town.app), town.engage._clock()
    wanted = _filter()
    with town.app.app_context():
        database = state.ready.require()
        public_ids = [new_public_id() for _ in PEOPLE]
        with database.write() as session:
            session.add_all(
                PersonRow(
                    public_id=public_id,
                    kind="user",
                    name=name,
                    email=email,
                    user_id=user_id,
                    created_at=now,
                    updated_at=now,
                    **dict.fromkeys(("browser", "os", "device", "utm_source"), SVG[:64]),
                    city=TAG,
                    country=EVENT,
                    language='"><b>',
                    timezone="../../x",
                    referrer=SCRIPT_URL,
                    latest_referrer=f"https://x/{SVG}",
                    last_seen_at=now - timedelta(minutes=1),
                    session_count=2,
                )
                for (name, email, user_id), public_id in zip(PEOPLE, public_ids, strict=True)
            )
            session.flush()
            ids = [
                session.scalars(select(PersonRow.id).where(PersonRow.public_id == one)).one()
                for one in public_ids
            ]
            for name in (TAG, HOSTILE, SHEET, EMOJI[:64]):
                tag_people(session, ids, name, now)
            for person_id in ids:
                add_note(session, person_id, OPERATOR, f"{HOSTILE}\n{SCRIPT_URL}\n{TAG}", now)
                session.add_all(_sessions(person_id, now))
            values = {ATTRIBUTE: HOSTILE, SVG: QUOTE, SHEET: SHEET, "a'->>'b": SCRIPT_URL}
            write_attributes(session, dict.fromkeys(ids, values), source="page", now=now)
            add_segment(session, SEGMENT, wanted.to_json(), OPERATOR, now)
        _declare(town)
        for _name, _email, user_id in PEOPLE:
            for event in (EVENT, SVG, SHEET):
                properties = {"onclick=alert(1) x": HOSTILE, "kind": SCRIPT_URL, SVG: SVG}
                town.engage.track(event, properties, user=user_id, at=now - timedelta(minutes=5))
        town.engage.flush()
        popup = InApp(title=HOSTILE, body=f"[x]({SCRIPT_URL}) {TAG} {{{{ name }}}}")
        town.engage.send(popup, to=[PEOPLE[0][2], PEOPLE[4][2]], key=KEY)
        town.engage.refresh(SVG)
        town.engage.run_due()
        content = f'user_id,email,"{SVG.replace(chr(34), chr(34) * 2)}",{SHEET}\r\n'
        content += f'{SHEET},nobody,"{HOSTILE.replace(chr(34), chr(34) * 2)}",{SCRIPT_URL}\r\n'
        import_id = accept_upload(
            database, io.BytesIO(content.encode()), FILE, now, OPERATOR, lambda *_: None
        )
    return Hostile(town, public_ids, import_id)


def _declare(town: Town) -> None:
    engage = town.engage
    engage.segment(SVG, attr(ATTRIBUTE) == HOSTILE)
    engage.auto_message(
        RULE, to=in_segment(SEGMENT), send=Email(subject=HOSTILE, body=f"{TAG} {{{{ name }}}}")
    )

    @engage.attribute(SVG, every=timedelta(hours=1))
    def provider(user: Any) -> str:
        raise RuntimeError(HOSTILE)

    engage._registry.operator = lambda: Operator(OPERATOR, name=HOSTILE, email=TAG)


def _filter() -> Filter:
    return (
        (attr(ATTRIBUTE) == HOSTILE)
        & (person.name.contains("<") | (attr("a'->>'b") == SCRIPT_URL))
        & did(EVENT).where(prop(SVG) == SVG)
        & ~received(RULE).clicked()
        & ~person.tags.contains("</script>")
    )


def _sessions(person_id: int, now: Any) -> list[SessionRow]:
    return [
        SessionRow(
            person_id=person_id,
            landing_page=page,
            referrer=SCRIPT_URL,
            started_at=now - timedelta(hours=hours),
            last_at=now - timedelta(hours=hours),
            utm_source=TAG,
            utm_campaign=SVG,
            browser=SVG,
            os=EVENT,
            country=HOSTILE,
            device=QUOTE[:64],
            language='"><b>',
            ip="<b>",
        )
        for hours, page in ((1, SCRIPT_URL), (3, f"/{SVG}"), (5, f"//evil.example/{TAG}"))
    ]


def _views(hostile: Hostile) -> dict[str, list[Any]]:
    text = json.dumps(_filter().to_json())
    in_saved = json.dumps(in_segment(SEGMENT).to_json())
    words = [HOSTILE, SVG, QUOTE, SCRIPT_URL, TEMPLATE, SHEET, EVENT]
    someone = [{"public_id": one} for one in hostile.public_ids]
    row = {"public_id": hostile.import_id}
    ask = {"about": "attr", "name": ATTRIBUTE, "value": HOSTILE, "filter": text}
    people: list[dict[str, Any]] = [
        *({}, {"filter": text}, {"filter": in_saved}, {"part": "list", "filter": text}),
        {"c": ["", "tags", "email", f"attr:{ATTRIBUTE}", f"attr:{SVG}", "attr:a'->>'b"]},
        {"sort": f"attr:{ATTRIBUTE}", "dir": "asc"},
        {"done": "segment-deleted", "was": SVG, "filter": text},
        {"segment": SEGMENT},
        *({"q": word, "was": word, "done": word, "outcome": word} for word in words),
        *({"filter": word} for word in words),
        *({"sort": word} for word in words),
    ]
    return {
        "overview": [{}],
        "people": people,
        "change_filter": [ask, {**ask, "about": "did", "event": EVENT}, {"filter": HOSTILE}],
        "people_bulk": [{}],
        "people_delete": [{}],
        "people_export": [{}],
        "filter_preview": [ask, {"filter": HOSTILE}, {"about": HOSTILE, "name": SVG}],
        "filter_values": [
            *({"of": "attr", "name": ATTRIBUTE}, {"of": "prop", "event": EVENT, "name": SVG}),
            *({"of": "field", "name": "country"}, {"of": SVG, "name": SVG}),
        ],
        "people_count": [{"filter": text, "q": HOSTILE}, {"filter": SVG}],
        "find": [{"q": word} for word in words],
        "segments": [{}],
        "segment_counts": [{}],
        "person": [
            *(*someone, {**someone[0], "done": "untagged", "tag": TAG}, {"public_id": SVG}),
            *({**one, "edit": ATTRIBUTE, "tag": SVG} for one in someone),
            {**someone[0], "at": SVG, "q": SVG, "filter": SVG, "sort": SVG, "done": "last"},
        ],
        "next_person": [*someone, {**someone[0], "at": SVG}, {"public_id": SVG, "q": SVG}],
        "previous_person": [*someone, {**someone[0], "at": SVG}, {"public_id": SVG, "q": SVG}],
        "avatar": [*someone[:1], {"public_id": SVG}],
        "story": [*someone, {**someone[0], "kind": SVG}, {**someone[0], "before": SVG}],
        "change_person": someone[:1],
        "change_data": someone[:1],
        "person_json": [*someone, {"public_id": SVG}],
        "export_person": someone,
        "erase_person": [*someone, {"public_id": SVG}],
        "events": [{}, *({"name": word, "person": word, "property": word} for word in words)],
        "event": [{"name": one} for one in (EVENT, SVG, SHEET)],
        "event_named": [{"name": one, "days": SVG} for one in words] + [{"name": EVENT}],
        "event_rows": [{}, {"name": EVENT, "mark": SVG, "who": hostile.public_ids}],
        "catalogue": [{}, {"sort": SVG, "from": SVG}],
        "data": [{}],
        "data_rows": [{}],
        "messages": [{}],
        "compose": [{}, {"to": hostile.public_ids}, {"filter": text}, {"to": SVG}],
        "preview": [{}],
        "message": [{"source": f"send:{KEY}"}, {"source": SVG}, {"source": f"rule:{RULE}"}],
        "rules": [{}],
        "rule": [{"name": RULE}, {"name": SVG}, {"name": RULE, "state": SVG}],
        "transfers": [{}, {"done": SVG}],
        "export": [{}],
        "transfer": [row, {**row, "count": 1}, {**row, "done": SVG}, {"public_id": SVG}],
        "progress": [row],
        "report": [row],
        "health": [{}],
        "design": [{}],
        "asset": [{"name": "tokens.css"}, {"name": SVG}],
    }


class Page(HTMLParser):
    """What a browser would make of a page: whatever could come from data only is a problem."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.text: list[str] = []
        self._inside: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        held = dict(attrs)
        if len(held) < len(attrs):
            self.problems.append(f"<{tag}> has an attribute twice: {attrs}")
        if not tag.replace("-", "").isalnum() or (tag in ("b", "img") and "alert" in str(attrs)):
            self.problems.append(f"<{tag}> {attrs}")
        if tag == "script" and not (held.get("src") or "").startswith("/engage/static/"):
            self.problems.append("a script of its own")
        for name, value in attrs:
            if name.startswith("on") or name == "style" or not _is_plain(name):
                self.problems.append(f"<{tag}> has {name}={value!r:.60}")
            if name in ("href", "src", "action", "formaction", "xlink:href", "data"):
                self._address(tag, name, (value or "").strip())
            if name == "x" and not (value or "").replace(".", "").isdecimal():
                self.problems.append(f"<{tag}> has x={value!r:.60}")
            if name == "srcdoc":
                self.problems += [f"srcdoc: {one}" for one in Page(value or "").problems]

    def _address(self, tag: str, name: str, value: str) -> None:
        if not value.startswith(("/engage/", "#", "?", "mailto:")) and value:
            self.problems.append(f"<{tag}> {name} leads to {value!r:.80}")
        if value.startswith("//") or (value.startswith("mailto:") and tag != "a"):
            self.problems.append(f"<{tag}> {name} leads to {value!r:.80}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._inside in ("script", "style") and data.strip():
            self.problems.append(f"<{self._inside}> holds {data!r:.60}")

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_comment(self, data: str) -> None:
        self.problems.append(f"a comment: {data!r:.60}")


def _is_plain(name: str) -> bool:
    letters = name.replace("-", "").replace(":", "")
    return letters.isascii() and letters.isalnum()
