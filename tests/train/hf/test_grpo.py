"""How a step is shared, where rows were left out because they are too long for the model."""

from __future__ import annotations

from typing import Any

import pytest

from skillpm.errors import TrainingError
from skillpm.train.grpo import Grpo
from skillpm.train.hf import grpo


def test_rows_that_processes_cannot_share_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpo, "count", lambda: 4)
    given: Any = None
    with pytest.raises(TrainingError, match="2 rows that this model can read cannot be shared by 4 processes"):
        grpo._arguments(Grpo(kind="grpo", prompts=8, generations=3), given, 2)
