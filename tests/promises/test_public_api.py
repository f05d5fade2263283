"""What hosts may rely on, word for word. A change here is a change to other people's code."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import pytest
from blinker import NamedSignal

import flask_engage
from tests.promises._documents import pages
from tests.promises._source import ROOT

CALLABLES = {
    "BackfillReport": "read, stored, already, refused, last_error=None",
    "Button": "label, url=None",
    "Email": "subject, body",
    "Engage": "app=None, db=None, *, user_model=None, clock=utcnow",
    "Filter": "",
    "Identity": "id, email=None, name=None, signed_up_at=None, attributes=…",
    "InApp": "title=None, body='', style='popup', buttons=()",
    "Operator": "id, name='', email=None, role='admin'",
    "Person": (
        "public_id, user_id, email=None, name=None, signed_up=None, first_seen=None, "
        "last_seen=None, sessions=0, relationship=None, country=None, city=None, timezone=None, "
        "language=None, browser=None, os=None, device=None, referrer=None, utm_source=None, "
        "utm_medium=None, utm_campaign=None, tags=(), unsubscribed=False, attrs=…"
    ),
    "Profile": (
        "job_title=None, company=None, company_domain=None, location=None, country=None, "
        "city=None, timezone=None, bio=None, links=(), avatar_url=None, attributes=…"
    ),
    "ago": "*, weeks=0, days=0, hours=0, minutes=0, seconds=0",
    "attr": "name",
    "bucket": "salt, low, high",
    "did": "event",
    "every": "interval=None, /, *, weeks=0, days=0, hours=0, minutes=0",
    "from_now": "*, weeks=0, days=0, hours=0, minutes=0, seconds=0",
    "host": "condition",
    "in_segment": "name",
    "prop": "name",
    "received": "message",
    "visited": "",
}
OBJECTS = {"everyone", "person"}
ERRORS = {
    "EngageError": Exception,
    "InvalidFact": ValueError,
    "InvalidFilter": ValueError,
    "InvalidMessage": ValueError,
    "InvalidSettings": ValueError,
    "NotReady": RuntimeError,
    "SchemaError": RuntimeError,
}
SIGNALS = {
    "attribute_changed",
    "event_tracked",
    "message_clicked",
    "message_opened",
    "message_sent",
    "segment_entered",
    "segment_left",
    "session_started",
    "user_seen",
}
METHODS = {
    "attribute": "self, name, *, every=1:00:00, timeout=0:00:10",
    "attribute_query": "self, name=None, *, every=1:00:00, timeout=0:00:30",
    "backfill": "self, query, *, key, seen=False, progress=None",
    "auto_message": (
        "self, name, *, to, send, repeat=None, on='schedule', holdout=0.0, priority=0"
    ),
    "enricher": (
        "self, function=None, *, name=None, sends=('email',), expiry=None, per_hour=600, "
        "timeout=0:00:10"
    ),
    "flush": "self",
    "identify": "self, function",
    "increment": "self, name, by=1, *, user=None",
    "init_app": "self, app, db=None, *, user_model=None",
    "load_user": "self, function",
    "operator": "self, function",
    "people": "self, filter=None",
    "refresh": "self, name",
    "relationship": "self, function",
    "run_due": "self, now=None",
    "seen": "self, user=None, *, at=None, hits=1",
    "segment": "self, name, filter",
    "send": "self, message, *, to, key=None",
    "set_attributes": "self, values, *, user=None",
    "sync": "self",
    "track": "self, name, properties=None, *, user=None, at=None, id=None, session=None",
    "tracked": "self, name, properties=None, *, user=None",
    "untracked": "self, function",
    "wrap": (
        "self, wsgi_app, load_user=None, *, db=None, user_model=None, operator=None, config=None, "
        "name='app', root_path=None"
    ),
}


def parameters(function: Any) -> str:
    """Write a signature as one would call it: names, kinds and defaults, without types."""
    plain = [
        parameter.replace(
            annotation=inspect.Parameter.empty,
            default=parameter.default
            if parameter.default is inspect.Parameter.empty
            else Shown(parameter.default),
        )
        for parameter in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(plain)).removeprefix("(").removesuffix(")")


class Shown:
    """A default as the lists above write it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        if repr(self.value) == "<factory>":
            return "…"
        if inspect.isfunction(self.value):
            return self.value.__name__
        return repr(self.value) if isinstance(self.value, (str, tuple)) else str(self.value)


def test_the_public_names_are_these() -> None:
    names = CALLABLES.keys() | OBJECTS | ERRORS.keys() | SIGNALS
    assert sorted(flask_engage.__all__) == sorted(names)
    assert all(hasattr(flask_engage, name) for name in names)


@pytest.mark.parametrize("name", CALLABLES)
def test_a_public_callable_is_called_like_this(name: str) -> None:
    assert parameters(getattr(flask_engage, name)) == CALLABLES[name]


def test_the_object_has_these_methods() -> None:
    found = {
        name: parameters(method)
        for name, method in inspect.getmembers(flask_engage.Engage, inspect.isfunction)
        if not name.startswith("_")
    }
    assert found == METHODS


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_also_the_builtin_that_it_is_a_kind_of(name: str) -> None:
    error = getattr(flask_engage, name)
    assert issubclass(error, (flask_engage.EngageError,))
    assert issubclass(error, ERRORS[name])


@pytest.mark.parametrize("name", sorted(SIGNALS))
def test_a_signal_is_named_as_it_is_called(name: str) -> None:
    signal = getattr(flask_engage, name)
    assert isinstance(signal, NamedSignal)
    assert signal.name == name


def test_what_crosses_the_border_does_not_change_afterwards() -> None:
    person = flask_engage.Person(public_id="x", user_id="1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        person.name = "Eve"  # type: ignore[misc]


REFERENCE = ROOT / "docs" / "reference.md"


def test_every_public_name_is_in_the_reference() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    entry = re.compile(
        r"^\.\. auto(?:class|function|exception):: flask_engage\.(\w+)$", re.MULTILINE
    )
    assert "{engage-signals}" in text  # a table made from the source
    named = [*entry.findall(text), *SIGNALS, *(name for name in OBJECTS if f"`{name}`" in text)]
    assert sorted(named) == sorted(flask_engage.__all__)


def test_every_method_is_in_the_reference() -> None:
    # Written by autodoc from the docstrings, so each has to have one.
    entry = ".. autoclass:: flask_engage.Engage\n   :members:\n   :inherited-members:\n\n"
    text = REFERENCE.read_text(encoding="utf-8").replace("```\n", "\n")
    assert entry in text
    members = inspect.getmembers(flask_engage.Engage)
    public = {name: member for name, member in members if not name.startswith("_")}
    assert sorted(public) == sorted(METHODS)
    assert [name for name, member in public.items() if not inspect.getdoc(member)] == []


@pytest.mark.parametrize("name", [*CALLABLES, *ERRORS])
def test_every_public_name_says_what_it_is(name: str) -> None:
    found = getattr(flask_engage, name)
    # What a dataclass makes for itself repeats its fields.
    assert not (found.__doc__ or f"{name}(").startswith(f"{name}(")


@pytest.mark.parametrize(
    "made",
    [
        flask_engage.attr("x"),
        flask_engage.did("x"),
        flask_engage.received("x"),
        flask_engage.visited(),
    ],
    ids=lambda made: type(made).__name__,
)
def test_what_a_word_gives_has_its_methods_explained(made: Any) -> None:
    reference = REFERENCE.read_text(encoding="utf-8")
    filters = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
    fields = getattr(made, "__dataclass_fields__", ())
    members = inspect.getmembers(type(made))
    for name, member in members:
        if name.startswith("_") or name in fields or hasattr(flask_engage.Filter, name):
            continue
        assert re.search(rf":members:.*\b{name}\b", reference), name
        assert f".{name}" in filters, name
        assert inspect.getdoc(member), name


def test_every_public_name_is_explained_somewhere_else() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages() if page != REFERENCE)
    hardly_ever_named = {*SIGNALS, *ERRORS, "BackfillReport"}
    unknown = [
        name
        for name in flask_engage.__all__
        if name not in hardly_ever_named and not re.search(rf"\b{name}\b", text)
    ]
    assert not unknown, f"say what they are for in docs/: {unknown}"
