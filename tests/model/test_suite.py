"""Suites: their names."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from skillpm.model.suite import HELD_OUT, ROLLOUTS, Suite


@pytest.mark.parametrize("name", [HELD_OUT, ROLLOUTS])
def test_a_suite_has_no_name_of_tasks_that_are_counted_in_another_way(name: str) -> None:
    """The rows that a synthesis holds out, beside which a suite stands, and those that training samples again."""
    with pytest.raises(ValidationError, match=f"`{name}` is the name of tasks that are no suite's"):
        Suite.model_validate({"name": name, "tasks": []})
    assert Suite.model_validate({"name": f"{name}_2", "tasks": []}).name == f"{name}_2"
