"""Learning curves out of the rows of ``metrics.jsonl``: what a stage of supervision or of rewards lets one watch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

__all__ = ["Curve", "Series", "learning_curves"]

_REWARD = re.compile(r"rewards/(?P<column>.+)/mean\Z")


@dataclass(frozen=True, slots=True)
class Series:
    """One line: (step, value) pairs in the order of the steps."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over the same axes, which carry their units."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]


def learning_curves(rows: Iterable[Mapping[str, Any]]) -> tuple[Curve, ...]:
    """Return the curves of each stage, in the order in which stages first appear; a curve needs two points."""
    stages: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        stages.setdefault(str(row.get("stage", "training")), []).append(row)
    made = [curve for stage, stage_rows in stages.items() for curve in _stage_curves(stage.upper(), stage_rows)]
    return tuple(curve for curve in made if curve.series)


def _stage_curves(stage: str, rows: Sequence[Mapping[str, Any]]) -> list[Curve]:
    columns = sorted({match["column"] for row in rows for key in row if (match := _REWARD.match(key))})
    if columns:
        rewards = {column: f"rewards/{column}/mean" for column in columns}
        return [
            _curve(f"{stage}: reward", "mean reward of the batch", rows, rewards),
            _curve(f"{stage}: length of completions", "mean length (tokens)", rows, {"": "completions/mean_length"}),
        ]
    return [
        _curve(f"{stage}: loss", "cross-entropy (nats a token)", rows, {"": "loss"}),
        _curve(f"{stage}: token accuracy", "share of tokens", rows, {"": "mean_token_accuracy"}),
    ]


def _curve(title: str, y_label: str, rows: Sequence[Mapping[str, Any]], keys: Mapping[str, str]) -> Curve:
    series = [Series(label, _points(rows, key)) for label, key in keys.items()]
    return Curve(title, "optimiser step", y_label, tuple(line for line in series if len(line.points) > 1))


def _points(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[tuple[float, float], ...]:
    points = {}
    for row in rows:
        step, value = row.get("step"), row.get(key)
        if _is_number(step) and _is_number(value):
            points[float(step)] = float(value)
    return tuple(sorted(points.items()))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
