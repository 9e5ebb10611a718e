"""What was typed after ``skillpm install`` is told apart once."""

from __future__ import annotations

import pytest

from skillpm.errors import UsageError
from skillpm.model.requirement import Requirement
from skillpm.ops.project.asked import Asked


def test_requirements_and_places_keep_their_order() -> None:
    asked = Asked.read(["b>=1", "./mine", "a@2.0", "git+https://example.org/x"], ["one"])
    assert asked.requirements == (Requirement.of("b", ">=1"), Requirement.of("a", "==2.0"))
    assert asked.places == ("./mine", "git+https://example.org/x")
    assert (asked.names, asked.every) == (("one",), False)


@pytest.mark.parametrize(
    ("texts", "names", "every", "message"),
    [
        (["Not A Name"], (), False, "not a requirement"),
        (["a@^1.2"], (), False, "is a range of npm"),
        (["a@latest"], (), False, "is a range of npm"),
        (["a^1.2"], (), False, "is a range of npm"),
        (["a"], ["one"], False, "need a source"),
        ([], (), True, "need a source"),
    ],
)
def test_what_cannot_be_meant_is_refused(texts: list[str], names: list[str], every: bool, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Asked.read(texts, names, every=every)


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("^1.2.3", ">=1.2.3,<2"), ("^0.2.3", ">=0.2.3,<0.3"), ("^0.0.3", ">=0.0.3,<0.0.4"), ("^0", ">=0,<1"),
        ("~1.2.3", ">=1.2.3,<1.3"), ("~1", ">=1,<2"), ("1.x", "==1.*"), ("1.2.*", "==1.2.*"),
    ],
)  # fmt: skip
def test_a_range_of_npm_is_answered_with_the_same_range(typed: str, written: str) -> None:
    with pytest.raises(UsageError) as refused:
        Requirement.parse(f"a@{typed}")
    assert f"write `a{written}`" in (refused.value.hint or "")
    with pytest.raises(UsageError) as refused:
        Requirement.of("a", typed)
    assert f"write `{written}`" in (refused.value.hint or "")
    assert Requirement.parse(f"a{written}").specifier
