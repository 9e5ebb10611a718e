"""A policy that cannot be kept, or that one signature would keep twice, is refused where it is written."""

from __future__ import annotations

import pytest

from skillpm.errors import DocumentError
from skillpm.formats.document import read_model
from skillpm.model.trust_policy import TrustPolicy


@pytest.mark.parametrize(
    ("witnesses", "problem"),
    [
        ("{keys: [a, b, a], needed: 2}", "`keys` has a witness twice"),
        ("{keys: [a, b], needed: 3}", "`needed: 3` is more than the 2 `keys`"),
    ],
)
def test_witnesses_that_cannot_be_had_are_refused_with_their_line(witnesses: str, problem: str) -> None:
    with pytest.raises(DocumentError, match=problem) as refused:
        read_model(TrustPolicy, f"cooldown: 1\nwitnesses:\n  team: {witnesses}\n", path="p.yaml")
    assert refused.value.line == 3


@pytest.mark.parametrize("witnesses", ["{keys: [a, b], needed: 2}", "{keys: [a, b], needed: 1}", "{keys: [a]}"])
def test_witnesses_that_can_be_had_are_taken(witnesses: str) -> None:
    assert read_model(TrustPolicy, f"witnesses: {{team: {witnesses}}}\n").witnesses is not None
