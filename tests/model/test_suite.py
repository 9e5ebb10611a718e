"""Suites: their names and what they report."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from skillpm.errors import DocumentError
from skillpm.formats.document import read_model
from skillpm.model.suite import HELD_OUT, ROLLOUTS, Suite


@pytest.mark.parametrize("name", [HELD_OUT, ROLLOUTS])
def test_a_suite_has_no_name_of_tasks_that_are_counted_in_another_way(name: str) -> None:
    """The rows that a synthesis holds out, beside which a suite stands, and those that training samples again."""
    with pytest.raises(ValidationError, match=f"`{name}` is the name of tasks that are no suite's"):
        Suite.model_validate({"name": name, "tasks": []})
    assert Suite.model_validate({"name": f"{name}_2", "tasks": []}).name == f"{name}_2"


def test_a_suite_that_reports_nothing_or_a_metric_twice_is_refused() -> None:
    text = "name: a\ntasks: []\n"
    with pytest.raises(DocumentError, match="names `reward` twice"):
        read_model(Suite, f"{text}metrics: [reward, valid_json, reward]\n")
    with pytest.raises(DocumentError, match="`metrics`: names no metric to report") as refused:
        read_model(Suite, f"{text}metrics: []\n")
    assert (refused.value.line, refused.value.hint) == (3, "remove the line: without it all metrics are reported")
    assert read_model(Suite, text).metrics == ("exact_match", "reward", "valid_json")
