"""The first-party rules and suites: suites ask what no rule says, and rules make rows that their language knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.formats.document import read_model
from skillpm.model.suite import Suite
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.task import Seed
from skillpm.synth.family import random_of
from skillpm.synth.rule_language import RuleLanguage
from skillpm.synth.sample import Sampler, Side
from skillpm.synth.split import divide

SKILLS = Path(__file__).parents[2] / "skills"
NAMES = ("git-cli", "incident-triage", "langgraph-cli", "shell-tools")


def document(name: str) -> SynthesisDocument:
    """Return the rules of a first-party skill."""
    return read_model(SynthesisDocument, (SKILLS / name / "synthesis.yaml").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_no_rule_can_say_a_suite_request_with_other_values(name: str) -> None:
    language = RuleLanguage(document(name))
    suite = read_model(Suite, (SKILLS / name / "suites" / "handwritten.yaml").read_text())
    tasks = [task for task in suite.tasks if isinstance(task, Seed)]
    assert tasks
    assert {
        task.request: phrasing for task in tasks if (phrasing := language.phrasing_of(task.request, task.expected))
    } == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_language_of_the_rules_knows_what_they_make(name: str) -> None:
    """Without slips; else the test above would hold for any suite."""
    rules = document(name).model_copy(update={"slips": 0.0})
    language, division, chance = RuleLanguage(rules), divide(rules), random_of(name).random
    samples = [
        sample
        for rule in rules.tasks
        for _ in range(15)
        if (sample := Sampler(Side(rules, division, "train"), rule).draw(chance))
    ]
    unknown = [sample.request for sample in samples if language.phrasing_of(sample.request, sample.target) is None]
    assert len(unknown) <= len(samples) // 50, unknown
