"""What a stage reports goes into the log; what a person sees of it has speed and memory beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from skillpm.errors import TrainingError
from skillpm.model.progress import Figure
from skillpm.train.metrics import StageReport


class Figures:
    """Progress that keeps its figures."""

    def __init__(self) -> None:
        self.figures: list[tuple[int, Sequence[Figure]]] = []

    def start(self, title: str, total: int | None) -> None:
        pass

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        self.figures.append((count, figures))

    def finish(self, note: str = "", seconds: float | None = None) -> None:
        pass


def test_a_step_shows_speed_and_memory_beside() -> None:
    rows: list[Mapping[str, Any]] = []
    shown = Figures()
    report = StageReport("sft", rows.append, shown, lambda: 1_500_000_000)
    report(0, {"pairs": 3})
    report(1, {"loss": 0.5, "num_tokens": 100, "nan": float("nan")})
    report(2, {"loss": 0.25, "num_tokens": 300})
    report(2, {"validation_before": 0.5, "validation_after": 0.75})
    assert [set(row) - {"stage", "step"} for row in rows] == [
        {"pairs"},
        {"loss", "num_tokens", "seconds"},
        {"loss", "num_tokens", "seconds"},
        {"validation_before", "validation_after"},
    ]
    memory = Figure("memory", 1_500_000_000, "B")
    assert shown.figures[0] == (1, (Figure("loss", 0.5), memory))
    loss, speed, last = shown.figures[1][1]
    assert (loss, speed.name, speed.unit, last) == (Figure("loss", 0.25), "tokens/s", "/s", memory) and speed.value > 0
    assert shown.figures[2] == (0, (Figure("held-out", 0.75), memory))


@pytest.mark.parametrize("norm", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_ends_a_stage(norm: float) -> None:
    rows: list[Mapping[str, Any]] = []
    report = StageReport("sft", rows.append, Figures(), lambda: 1)
    report(1, {"loss": 0.5, "grad_norm": 1e9})
    report(1, {"grad_norm": None, "round": 1})  # as a plugin may say it
    with pytest.raises(TrainingError, match="stage sft: the gradient of step 2 is not finite"):
        report(2, {"loss": 0.5, "grad_norm": norm})
    assert len(rows) == 2


def test_a_stage_that_measures_shows_its_shares() -> None:
    shown = Figures()
    StageReport("eval", lambda row: None, shown, lambda: 1)(4, {"exact": 0.25, "score": 0.5, "errored": 1})
    assert shown.figures == [(4, (Figure("exact", 0.25), Figure("held-out", 0.5), Figure("memory", 1, "B")))]
