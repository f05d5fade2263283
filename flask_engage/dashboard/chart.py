"""A trend as a drawing: the server computes the points, the page only shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 1000, 100
"""Of the drawing's own units; the page stretches it to its frame."""
SPARK_WIDTH, SPARK_HEIGHT = 90, 20
LINE_WIDTH, LINE_HEIGHT, LINE_EDGE = 40, 14, 1.5
"""Of the line beside a segment's name."""
_STEPS = 4


@dataclass(frozen=True, slots=True)
class Chart:
    """One or several lines over equal steps, on one scale."""

    lines: tuple[str, ...]
    """Points of SVG polylines."""
    area: str
    """Points of the polygon under the first of them."""
    grid: tuple[float, ...]
    """Heights of the grid's lines."""
    marks: tuple[int, ...]
    """Values of the grid's lines, from the bottom up."""
    width: int = WIDTH
    height: int = HEIGHT


def chart_of(*series: Sequence[int]) -> Chart:
    """Return the drawing of `series`, each of the same length, at least two."""
    highest = max(max(values) for values in series)
    step = _step(highest)
    top = max(step, step * ceil(highest / step))
    marks = tuple(range(0, top + 1, step))
    lines = tuple(_line(values, top) for values in series)
    count = len(series[0])
    left, right = WIDTH * 0.5 / count, WIDTH * (count - 0.5) / count
    area = f"{left:.1f},{HEIGHT} {lines[0]} {right:.1f},{HEIGHT}"
    return Chart(lines, area, tuple(HEIGHT - HEIGHT * mark / top for mark in marks), marks)


def _line(values: Sequence[int], top: int) -> str:
    return " ".join(
        f"{WIDTH * (number + 0.5) / len(values):.1f},{HEIGHT - HEIGHT * value / top:.1f}"
        for number, value in enumerate(values)
    )


@dataclass(frozen=True, slots=True)
class Spark:
    """A trend so small that it has no words: one bar for each step."""

    bars: tuple[tuple[float, float], ...]
    """Left edge and height of each bar that is not empty, from the bottom up."""
    width: int = SPARK_WIDTH
    height: int = SPARK_HEIGHT
    bar: float = 2.0


def spark_of(values: Sequence[int]) -> Spark:
    """Return the little drawing of `values`."""
    highest = max(values, default=0)
    step = SPARK_WIDTH / max(len(values), 1)
    return Spark(
        tuple(
            # What happened at all can be seen.
            (round(number * step, 2), round(max(1.0, SPARK_HEIGHT * value / highest), 2))
            for number, value in enumerate(values)
            if value > 0
        ),
        bar=round(step * 0.7, 2),
    )


def line_of(values: Sequence[int]) -> str:
    """Return the points of a line so small that only its shape is seen, over its own range."""
    low, high = min(values), max(values)
    step = LINE_WIDTH / max(len(values) - 1, 1)
    room = LINE_HEIGHT - 2 * LINE_EDGE
    return " ".join(
        f"{number * step:.1f},{LINE_EDGE + room * (high - value) / (high - low or 1):.1f}"
        for number, value in enumerate(values)
    )


def _step(highest: int) -> int:
    """Return a round step that divides up to `highest` into about four."""
    raw = max(highest, 1) / _STEPS
    if raw <= 1:
        return 1
    size = 10 ** floor(log10(raw))
    return int(next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw) + 0.5)
