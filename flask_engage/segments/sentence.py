"""The filter's English form: one sentence, the same for equal filters and no others.

Each condition begins with who, whose or for whom; groups within groups stand in parentheses;
whatever the host or an operator named stands in “…”, so that no name can pass for a word.
"""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, tzinfo

from .behaviour import Did, Received
from .filter import (
    AllOf,
    AnyOf,
    Attribute,
    Compare,
    EventTime,
    Everyone,
    Filter,
    HostColumn,
    InSegment,
    IsSet,
    Not,
    OneOf,
    PersonField,
    Property,
    PropertyTest,
    Subject,
    Unchanged,
)
from .host import HostExpression
from .values import Moment, Value
from .visits import Bucket, Visited

_ZONE: ContextVar[tzinfo] = ContextVar("engage_zone", default=UTC)
"""Set for the length of one :func:`describe`; saves handing it through each of the clauses."""

_COMPARED = {
    "==": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
}
_BY_TIME = {"<": "before", "<=": "at or before", ">": "after", ">=": "at or after"}
_BY_ALPHABET = {"<": "sorts before", "<=": "is or sorts before", ">": "sorts after"}
_BY_ALPHABET[">="] = "is or sorts after"
_BY_AGE = {"<": "more than", "<=": "at least", ">": "less than", ">=": "at most"}
_BY_WAIT = {"<": "less than", "<=": "at most", ">": "more than", ">=": "at least"}

_FIELD_WORDS = {
    "user_id": "user id",
    "os": "operating system",
    "timezone": "time zone",
    "utm_source": "UTM source",
    "utm_medium": "UTM medium",
    "utm_campaign": "UTM campaign",
    "sessions": "number of sessions",
    "relationship": "number of hearts",
    "signed_up": "sign-up",
    "first_seen": "first visit",
    "last_seen": "last visit",
    "unsubscribed": "unsubscription",
}
_MOMENT_WORDS = {
    "signed_up": ("who signed up", "who did not sign up"),
    "first_seen": ("who were first seen", "who were not first seen"),
    "last_seen": ("who were last seen", "who were not last seen"),
}
_OUTCOME_WORDS = {
    "sent": ("who were sent", "who were not sent"),
    "opened": ("who opened", "who did not open"),
    "clicked": ("who clicked in", "who did not click in"),
    "replied": ("who replied to", "who did not reply to"),
}
_BOUND_WORDS = {"at_least": "at least", "at_most": "at most", "exactly": "exactly"}
_MONTHS = (  # not strftime's, which follow the host's locale
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def describe(wanted: Filter, zone: tzinfo = UTC) -> str:
    """Return `wanted` as one English sentence, without a full stop.

    :param zone: in which fixed dates are said; ``ago()`` and ``from_now()`` need none.
    """
    if isinstance(wanted, Everyone):
        return "Everyone"
    if wanted == Not(Everyone()):
        return "Nobody"
    token = _ZONE.set(zone)
    try:
        return f"People {_clause(wanted, nested=False)}"
    finally:
        _ZONE.reset(token)


def _clause(node: Filter, *, nested: bool = True, negated: bool = False) -> str:
    match node:
        case AllOf(parts) | AnyOf(parts):
            word = " and " if isinstance(node, AllOf) else " or "
            text = word.join(_clause(part) for part in parts)
            if negated:
                return f"who are not among those ({text})"
            return f"({text})" if nested else text
        case Not(part):
            return _clause(part, negated=True)
        case Everyone():
            return "who are nobody" if negated else "who are anybody"
        case InSegment(name):
            verb = "are not" if negated else "are"
            return f"who {verb} in the segment {_quoted(name)}"
        case _:
            return _condition(node, negated)


def _condition(node: Filter, negated: bool) -> str:
    match node:
        case Compare(subject, operator, value):
            return _comparison(subject, operator, value, negated)
        case OneOf(subject, values):
            listed = ", ".join(map(_value, values)) or "nothing"
            return f"whose {_subject(subject)} {_verb('is', negated)} one of [{listed}]"
        case IsSet(subject):
            return f"whose {_subject(subject)} {_verb('is', negated)} known"
        case Unchanged(name, duration):
            verb = "has not been" if negated else "has been"
            return f"whose {_quoted(name)} {verb} unchanged for {_duration(duration)}"
        case Did():
            return _did(node, negated)
        case Visited():
            return _visited(node, negated)
        case Bucket(salt, low, high):
            verb = "are not" if negated else "are"
            return f"who {verb} in the {low} to {high} per cent by the lots {_quoted(salt)}"
        case Received(message, outcome):
            return f"{_OUTCOME_WORDS[outcome][negated]} the message {_quoted(message)}"
        case HostExpression(_, text):
            return f"for whom {_quoted(text)} {'does not hold' if negated else 'holds'}"
        case _:
            raise TypeError(f"{node!r} is no filter of this package.")


def _comparison(subject: Subject, operator: str, value: Value, negated: bool) -> str:
    if subject == PersonField("tags"):
        return f"who {'do not have' if negated else 'have'} the tag {_value(value)}"
    if subject == PersonField("unsubscribed") and operator == "==" and not negated:
        return f"who have {'' if value.content else 'not '}unsubscribed"
    if isinstance(subject, PersonField) and subject.name in _MOMENT_WORDS and operator in _BY_TIME:
        return f"{_MOMENT_WORDS[subject.name][negated]} {_when(operator, value)}"
    return f"whose {_subject(subject)} {_predicate(operator, value, negated)}"


def _predicate(operator: str, value: Value, negated: bool) -> str:
    if operator == "contains":
        return f"{_verb('contains', negated)} {_value(value)}"
    if operator == "startswith":
        return f"{_verb('begins', negated)} with {_value(value)}"
    if operator in _BY_TIME and value.kind == "t":
        return f"{_verb('is', negated)} {_when(operator, value)}"
    words = _COMPARED[operator]
    if operator in _BY_TIME and value.kind == "s":
        words = _BY_ALPHABET[operator]
    if negated:
        words = f"is not one that {words}"
    return f"{words} {_value(value)}"


def _verb(verb: str, negated: bool) -> str:
    opposites = {"is": "is not", "contains": "does not contain", "begins": "does not begin"}
    return opposites[verb] if negated else verb


def _when(operator: str, value: Value) -> str:
    moment = value.content
    if not isinstance(moment, Moment) or not moment.offset:
        return f"{_BY_TIME[operator]} {_value(value)}"
    words = _BY_AGE if moment.offset < timedelta(0) else _BY_WAIT
    return f"{words[operator]} {_value(value)}"


def _did(node: Did, negated: bool) -> str:
    text = f"who {'did not do' if negated else 'did'} {_quoted(node.event)}"
    return text + _times(node) + _narrowed(node.window, node.tests)


def _visited(node: Visited, negated: bool) -> str:
    text = f"who {'did not visit' if negated else 'visited'}"
    return text + _times(node) + _narrowed(node.window, node.tests)


def _times(node: Did | Visited) -> str:
    if (node.bound, node.count) == ("at_least", 1):
        return ""
    times = "time" if node.count == 1 else "times"
    return f" {_BOUND_WORDS[node.bound]} {node.count} {times}"


def _narrowed(window: timedelta | None, tests: tuple[PropertyTest, ...]) -> str:
    text = "" if window is None else f" in the last {_duration(window)}"
    return f"{text} with [{' and '.join(_test(test.test) for test in tests)}]" if tests else text


def _test(node: Filter) -> str:
    # The property is what a clause is about; only the leading word is of no use here.
    return _clause(node).removeprefix("whose ")


def _subject(subject: Subject) -> str:
    match subject:
        case PersonField(name):
            return _FIELD_WORDS.get(name, name.replace("_", " "))
        case Attribute(name) | Property(name):
            return _quoted(name)
        case EventTime(which, event, window, tests):
            return f"{which} {_quoted(event)}{_narrowed(window, tests)}"
        case HostColumn(name, model):
            return f"account's {_quoted(name)}" + (f" ({_quoted(model)})" if model else "")


def _value(value: Value) -> str:
    match value.content:
        case bool() as flag:
            return "yes" if flag else "no"
        case str() as text:
            return _quoted(text)
        case Moment(offset):
            if not offset:
                return "now"
            side = "ago" if offset < timedelta(0) else "from now"
            return f"{_duration(abs(offset))} {side}"
        case datetime() as moment:
            return _time(moment)
        case number:
            return str(number)


def _time(moment: datetime) -> str:
    if moment.tzinfo is None:  # of a host's column, which has no zone either
        return _wall_clock(moment)
    zone = _ZONE.get()
    try:
        local = moment.astimezone(zone)
    except OverflowError:  # at the ends of the calendar; said in UTC, as it is kept
        zone, local = UTC, moment
    name = "UTC" if zone is UTC else str(zone)
    if local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset():
        # When clocks are set back, two instants read the same.
        name += f" ({local:%z})"
    return f"{_wall_clock(local)} {name}"


def _wall_clock(moment: datetime) -> str:
    text = f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
    if (moment.hour, moment.minute, moment.second, moment.microsecond) != (0, 0, 0, 0):
        text += f" {moment:%H:%M}"
        if moment.second or moment.microsecond:
            text += f":{moment:%S}"
        if moment.microsecond:
            text += f".{moment:%f}"
    return text


def _duration(span: timedelta) -> str:
    """Return `span` in days, hours, minutes and seconds; equal spans read the same."""
    seconds = span.seconds
    parts = [
        (span.days, "day"),
        (seconds // 3600, "hour"),
        (seconds % 3600 // 60, "minute"),
        (seconds % 60, "second"),
        (span.microseconds, "microsecond"),
    ]
    return " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in parts if count)


def _quoted(text: str) -> str:
    """Return `text` in quotes that nothing in it can close; what can't be seen is spelled out."""
    return "“" + "".join(map(_legible, text)) + "”"


def _legible(character: str) -> str:
    if character in "\\“”":
        return "\\" + character
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"
