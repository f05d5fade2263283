"""Looking up segments inside of filters: no unknown names, no circles, no explosion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..errors import InvalidFilter
from .filter import MAX_VALUES, Extent, Filter
from .values import did_you_mean

MAX_CONDITIONS_IN_ALL = 400
"""Conditions once every segment is written out; what SQLite's limit on depth leaves room for."""


class Segments:
    """The segments by name, and which of them is being read at the moment."""

    def __init__(self, named: Mapping[str, Filter]) -> None:
        self._named = named
        self._open: list[str] = []

    @contextmanager
    def opened(self, name: str) -> Iterator[Filter]:
        """Give the filter of the segment `name`.

        :raises InvalidFilter: if there is none, or if it is being read already.
        """
        if name in self._open:
            circle = " → ".join([*self._open[self._open.index(name) :], name])
            raise InvalidFilter(f"Segments go round in a circle: {circle}.")
        found = self._named.get(name)
        if found is None:
            raise InvalidFilter(f"There is no segment {name!r}: {did_you_mean(name, self._named)}")
        self._open.append(name)
        try:
            yield found
        finally:
            self._open.pop()


class Budget:
    """How much a filter may come to with all of its segments written out."""

    def __init__(self) -> None:
        self._conditions = 0
        self._values = 0

    def spend(self, extent: Extent) -> None:
        """Count one condition in.

        :raises InvalidFilter: if it is one too many.
        """
        self._conditions += extent.conditions
        self._values += extent.values
        if self._conditions > MAX_CONDITIONS_IN_ALL or self._values > MAX_VALUES:
            raise InvalidFilter(
                f"With its segments, the filter comes to more than {MAX_CONDITIONS_IN_ALL} "
                f"conditions or {MAX_VALUES} values."
            )
