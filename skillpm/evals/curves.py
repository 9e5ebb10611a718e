"""Learning curves out of the rows of ``metrics.jsonl``: what a stage of supervision or of rewards lets one watch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeGuard

_REWARD = re.compile(r"rewards/(?P<column>.+)/mean\Z")


@dataclass(frozen=True, slots=True)
class Series:
    """One line: (step, value) pairs in the order of the steps."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over the steps of the optimiser; the other axis carries its unit."""

    title: str
    y_label: str
    series: tuple[Series, ...]


def learning_curves(rows: Iterable[Mapping[str, Any]]) -> tuple[Curve, ...]:
    """Return the curves of each stage, in the order in which stages first appear; a curve needs two points."""
    stages: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        stages.setdefault(str(row.get("stage", "training")), []).append(row)
    curves = [curve for stage, stage_rows in stages.items() for curve in _stage_curves(stage.upper(), stage_rows)]
    return tuple(curve for curve in curves if curve.series)


def _stage_curves(stage: str, rows: Sequence[Mapping[str, Any]]) -> list[Curve]:
    columns = sorted({match["column"] for row in rows for key in row if (match := _REWARD.match(key))})
    speed = _speed(f"{stage}: speed", rows)
    if columns:
        rewards = {column: f"rewards/{column}/mean" for column in columns}
        return [
            _curve(f"{stage}: reward", "mean reward of the batch", rows, rewards),
            _curve(f"{stage}: length of completions", "mean length (tokens)", rows, {"": "completions/mean_length"}),
            _curve(f"{stage}: divergence from its start", "nats a token", rows, {"": "kl"}),
            speed,
        ]
    return [
        _curve(f"{stage}: loss", "loss (nats)", rows, {"": "loss"}),
        _curve(f"{stage}: token accuracy", "share of tokens", rows, {"": "mean_token_accuracy"}),
        speed,
    ]


def _speed(title: str, rows: Sequence[Mapping[str, Any]]) -> Curve:
    """Return the tokens a second of each step; where a run went on, its clock began anew, and one step has no speed."""
    tokens, seconds = (dict(_points(rows, key)) for key in ("num_tokens", "seconds"))
    points = [
        (step, (tokens[step] - tokens[last]) / (seconds[step] - seconds[last]))
        for last, step in pairwise(sorted(tokens.keys() & seconds.keys()))
        if seconds[step] > seconds[last]
    ]
    series = (Series("", tuple(points)),) if len(points) > 1 else ()
    return Curve(title, "tokens a second", series)


def _curve(title: str, y_label: str, rows: Sequence[Mapping[str, Any]], keys: Mapping[str, str]) -> Curve:
    series = [Series(label, _points(rows, key)) for label, key in keys.items()]
    return Curve(title, y_label, tuple(line for line in series if len(line.points) > 1))


def _points(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[tuple[float, float], ...]:
    points = {}
    for row in rows:
        step, value = row.get("step"), row.get(key)
        if _is_number(step) and _is_number(value):
            points[float(step)] = float(value)
    return tuple(sorted(points.items()))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


WIDTH, HEIGHT = 440, 250


_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 12, 12, 40
_CHARACTER = 7  # widths of all in the units of the picture: the label of the axis, and a character of its ticks


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
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    left: int
    width: int = WIDTH
    height: int = HEIGHT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def round_ticks(low: float, high: float) -> list[float]:
    """Return about five multiples of 1, 2 or 5 times a power of ten that cover ``[low, high]``."""
    if high - low < 1e-6 * max(abs(low), abs(high), 1e-3):  # as good as one value: make room around it
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [round(index * step, 12) for index in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _labels(ticks: Sequence[float]) -> list[str]:
    """Return the labels of ticks, with as many digits as it takes to tell them apart."""
    tries = ([f"{tick:.{digits}g}" for tick in ticks] for digits in range(6, 18))
    return next(labels for labels in tries if len(set(labels)) == len(ticks))


def line_chart(curve: Curve) -> LineChart:
    """Lay a curve out. The y axis starts at zero where the values come near to it."""
    xs = [x for series in curve.series for x, _ in series.points]
    ys = [y for series in curve.series for _, y in series.points]
    lowest = min(ys)
    x_ticks = [tick for tick in round_ticks(min(xs), max(xs)) if min(xs) <= tick <= max(xs)]
    y_ticks = round_ticks(0.0 if 0 <= lowest <= max(ys) / 2 else lowest, max(ys))
    y_labels = _labels(y_ticks)
    left = _LEFT + _CHARACTER * max(map(len, y_labels))

    def place_x(x: float) -> float:
        return round(left + (x - min(xs)) / (max(xs) - min(xs)) * (WIDTH - left - _RIGHT), 2)

    def place_y(y: float) -> float:
        share = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 2)

    return LineChart(
        title=curve.title,
        y_label=curve.y_label,
        x_ticks=tuple(Tick(place_x(x), f"{x:g}") for x in x_ticks),
        y_ticks=tuple(Tick(place_y(y), label) for y, label in zip(y_ticks, y_labels, strict=True)),
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
        left=left,
    )
