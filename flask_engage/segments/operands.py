"""What stands on the left of a comparison: its operators make conditions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, NoReturn, TypeVar

from ..errors import InvalidFilter
from .conditions import compare, is_set, one_of
from .filter import NO_TRUTH, Attribute, Filter, Property, PropertyTest, Subject, Unchanged
from .values import checked_label, checked_name, duration

Made = TypeVar("Made", Filter, PropertyTest)


class Operand(Generic[Made]):
    """A value of each person (or event), to be compared with a literal."""

    __slots__ = ("_subject",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def _made(self, condition: Filter) -> Made:
        return condition  # type: ignore[return-value]

    def _compared(self, operator: str, other: object) -> Made:
        if isinstance(other, Operand):
            raise InvalidFilter("A filter compares with a fixed value, not with another field.")
        return self._made(compare(self._subject, operator, other))

    def __eq__(self, other: object) -> Made:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: object) -> Made:  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: object) -> Made:
        return self._compared("<", other)

    def __le__(self, other: object) -> Made:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Made:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Made:
        return self._compared(">=", other)

    def in_(self, values: Iterable[Any]) -> Made:
        """Match if the value is one of `values`; of none, nobody matches."""
        return self._made(one_of(self._subject, values))

    def contains(self, text: str) -> Made:
        """Match if the text has `text` in it, letter for letter; of tags: if it is one."""
        return self._compared("contains", text)

    def startswith(self, text: str) -> Made:
        """Match if the text begins with `text`, letter for letter."""
        return self._compared("startswith", text)

    def is_set(self) -> Made:
        """Match if there is a value."""
        return self._made(is_set(self._subject))

    def __bool__(self) -> NoReturn:
        raise TypeError(NO_TRUTH.format(what=f"{self!r}"))

    def __invert__(self) -> NoReturn:
        self._no_filter("~")

    def __and__(self, other: object) -> NoReturn:
        self._no_filter("&")

    def __or__(self, other: object) -> NoReturn:
        self._no_filter("|")

    __rand__ = __and__
    __ror__ = __or__

    def _no_filter(self, operator: str) -> NoReturn:
        raise TypeError(
            f"{operator} combines filters, and {self!r} is only a value: compare it with "
            "something (== True, .is_set()), in parentheses."
        )

    def __repr__(self) -> str:
        return f"<{self._subject}>"


class AttributeOperand(Operand[Filter]):
    """A custom attribute; see :func:`attr`."""

    __slots__ = ()

    def unchanged_for(
        self,
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> Filter:
        """Match if it is set and has had its value for so long, or longer."""
        assert isinstance(self._subject, Attribute)
        spell = duration(
            "unchanged_for()",
            weeks=weeks,
            days=days,
            hours=hours,
            minutes=minutes,
            seconds=seconds,
        )
        return Unchanged(self._subject.name, spell)


class PropertyOperand(Operand[PropertyTest]):
    """A property of an event; see :func:`prop`."""

    __slots__ = ()

    def _made(self, condition: Filter) -> PropertyTest:
        return PropertyTest(condition)


def attr(name: str) -> AttributeOperand:
    """Return the custom attribute `name` of each person, to be compared.

    Its kind shows at run time: a text is never equal to a number, nor is True to 1.
    """
    return AttributeOperand(Attribute(checked_name(name, "an attribute")))


def prop(name: str) -> PropertyOperand:
    """Return the property `name` of an event, to be compared in ``did(…).where(…)``."""
    return PropertyOperand(Property(checked_label(name, "a property", 1024)))
