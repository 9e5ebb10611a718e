"""The geometry of a line chart: round ticks, and points in the coordinates of an SVG. The markup is the template's."""

from __future__ import annotations

import math
from dataclasses import dataclass

from skillpm.evals.curves import Curve

__all__ = ["Line", "LineChart", "Tick", "line_chart", "round_ticks"]

WIDTH, HEIGHT = 440, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 40


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """One series: the text of an SVG polyline, and its last value."""

    label: str
    points: str
    last_x: float
    last_y: float
    last: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """Everything that a template needs to draw a curve."""

    title: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def round_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about ``count`` multiples of 1, 2 or 5 times a power of ten that cover ``[low, high]``."""
    if high - low < 1e-6 * max(abs(low), abs(high), 1e-3):  # as good as one value: make room around it
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [round(index * step, 12) for index in range(math.floor(low / step), math.ceil(high / step) + 1)]


def line_chart(curve: Curve) -> LineChart:
    """Lay a curve out. The y axis starts at zero where the values come near to it."""
    xs = [x for series in curve.series for x, _ in series.points]
    ys = [y for series in curve.series for _, y in series.points]
    lowest = min(ys)
    x_ticks = [tick for tick in round_ticks(min(xs), max(xs)) if min(xs) <= tick <= max(xs)]
    y_ticks = round_ticks(0.0 if 0 <= lowest <= max(ys) / 2 else lowest, max(ys))

    def place_x(x: float) -> float:
        return round(_LEFT + (x - min(xs)) / (max(xs) - min(xs)) * (WIDTH - _LEFT - _RIGHT), 2)

    def place_y(y: float) -> float:
        share = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 2)

    return LineChart(
        title=curve.title,
        x_label=curve.x_label,
        y_label=curve.y_label,
        x_ticks=tuple(Tick(place_x(x), f"{x:g}") for x in x_ticks),
        y_ticks=tuple(Tick(place_y(y), f"{y:g}") for y in y_ticks),
        lines=tuple(
            Line(
                label=series.label,
                points=" ".join(f"{place_x(x)},{place_y(y)}" for x, y in series.points),
                last_x=place_x(series.points[-1][0]),
                last_y=place_y(series.points[-1][1]),
                last=f"{series.points[-1][1]:.3g}",
            )
            for series in curve.series
        ),
    )
