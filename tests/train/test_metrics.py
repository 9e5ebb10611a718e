"""What a stage reports goes into the log; what a person sees of it has speed and memory beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillpm.train.metrics import StageReport


class Notes:
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[tuple[int, str]] = []

    def start(self, title: str, total: int | None) -> None:
        pass

    def advance(self, count: int = 1, note: str = "") -> None:
        self.notes.append((count, note))

    def finish(self, note: str = "") -> None:
        pass


def test_a_step_shows_speed_and_memory_beside() -> None:
    rows: list[Mapping[str, Any]] = []
    shown = Notes()
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
    assert shown.notes[0] == (1, "loss 0.5  memory 1.5 GB")
    assert shown.notes[1][1].startswith("loss 0.25  tokens/s ") and shown.notes[1][1].endswith("  memory 1.5 GB")
    assert shown.notes[2] == (0, "held-out 0.75  memory 1.5 GB")
