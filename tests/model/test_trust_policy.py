"""A policy that cannot be kept is refused where it is written; no source that might be allowed is refused too early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

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


_TEXTS = some.text("a@*?[]", min_size=1, max_size=4)


@given(
    some.lists(_TEXTS, max_size=2), some.none() | some.lists(_TEXTS, max_size=2), _TEXTS, some.text("a@[]", max_size=4)
)
def test_what_is_refused_by_its_beginning_is_refused_as_a_whole(
    deny: list[str], allow: list[str] | None, beginning: str, rest: str
) -> None:
    policy = TrustPolicy(deny=tuple(deny), allow=None if allow is None else tuple(allow))
    if policy.refuses_below(beginning):
        assert policy.refuses([beginning + rest])
