"""A trend as a drawing: the server computes the points, the page only shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 1000, 100
"""Of the drawing's own units; the page stretches it to its frame."""
_STEPS = 4


@dataclass(frozen=True, slots=True)
class Chart:
    """One line over equal steps."""

    line: str
    """Points of an SVG polyline."""
    area: str
    """Points of the polygon under it."""
    grid: tuple[float, ...]
    """Heights of the grid's lines."""
    marks: tuple[int, ...]
    """Values of the grid's lines, from the bottom up."""
    width: int = WIDTH
    height: int = HEIGHT


def chart_of(values: Sequence[int]) -> Chart:
    """Return the drawing of `values`, at least two."""
    step = _step(max(values, default=0))
    top = max(step, step * ceil(max(values) / step))
    marks = tuple(range(0, top + 1, step))
    points = [
        (WIDTH * (number + 0.5) / len(values), HEIGHT - HEIGHT * value / top)
        for number, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    area = f"{points[0][0]:.1f},{HEIGHT} {line} {points[-1][0]:.1f},{HEIGHT}"
    return Chart(line, area, tuple(HEIGHT - HEIGHT * mark / top for mark in marks), marks)


def _step(highest: int) -> int:
    """Return a round step that divides up to `highest` into about four."""
    raw = max(highest, 1) / _STEPS
    if raw <= 1:
        return 1
    size = 10 ** floor(log10(raw))
    return int(next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw) + 0.5)
