"""A verifier that takes an answer of one kind for another, or half a question for a whole one, is caught."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillpm.model.answer_kind import KINDS, kind_of
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.host import Host
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.selftest.claims import TaskRef
from skillpm.selftest.mutations import Mutations, _changed_scalars
from skillpm.selftest.tasks import gate_task, gate_tasks
from tests.conftest import write_tree
from tests.gate import HEAD, ORDER, ORDERS, examined
from tests.serving import lines

TASKS = [
    *({"request": f"order number {number}", "expected": {"tool": "order", "args": order}}
      for number, order in enumerate(ORDERS, 1)),
    {"request": "order it", "expected": {"tool": "order", "ask": ["title", "city"]}},
    {"request": "tell me a joke", "expected": {"refuse": "off_topic"}},
    {"request": "cancel every order", "expected": {"refuse": "not_allowed"}},
    {"request": "what may a note say?", "expected": {"answer": "Notes have no limit."}},
]  # fmt: skip
FILES = {
    "SKILL.md": "---\nname: serving\ndescription: Serve things.\n---\nServe.\n",
    "skill.yaml": "manifest: 1\nversion: 1.0.0\n",
    "contract.yaml": ORDER.replace("contract: 1\n", "contract: 1\nanswers: [call, ask, refuse, answer]\n"),
    "seeds/seeds.jsonl": lines(*TASKS),
}
FOOLED: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "a call for a refusal": ("SK728", lambda gold, value: "refuse" in gold and "args" in value),
    "a refusal for everything": ("SK728", lambda gold, value: "refuse" in value),
    "a question for a call": ("SK728", lambda gold, value: "args" in gold and "ask" in value),
    "a text for a question": ("SK728", lambda gold, value: "ask" in gold and "answer" in value),
    "any question": ("SK723", lambda gold, value: "ask" in gold and "ask" in value),
    "any reason": ("SK723", lambda gold, value: "refuse" in gold and "refuse" in value),
    "any text": ("SK723", lambda gold, value: "answer" in gold and "answer" in value),
}


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, str, Any]]:
    """(expected answer, code of the claim, wrong answer) of every change that the contract calls a mistake."""
    root = tmp_path_factory.mktemp("skills") / "serving"
    write_tree(root, FILES)
    skill = Skill("serving", "1.0.0", "0" * 64, root)
    contributions = build_catalogue([skill], Host())["serving"]
    contract, tasks = contributions.contract, gate_tasks(contributions, SkillFiles(skill), ()).written
    assert contract is not None and len(tasks) == len(TASKS)
    mutations = Mutations(contract, tasks)
    changed = [(task.value, code, value) for task in tasks for code, _, value in mutations.of(task)]
    return [item for item in changed if contract.judge(item[0], json.dumps(item[2])).status == "failed"]


@pytest.mark.parametrize("case", FOOLED)
def test_answers_are_tried_that_would_show_a_verifier_to_take_too_much(
    case: str, changes: list[tuple[Any, str, Any]]
) -> None:
    code, takes = FOOLED[case]
    assert [value for gold, claim, value in changes if claim == code and takes(gold, value)]


def test_every_kind_is_tried_in_place_of_every_other(changes: list[tuple[Any, str, Any]]) -> None:
    pairs = {(kind_of(gold), kind_of(value)) for gold, code, value in changes if code == "SK728"}
    assert pairs == {(one, other) for one in KINDS for other in KINDS if one != other}


def test_an_answer_of_many_keys_is_changed_at_some_of_them() -> None:
    """Each change is a copy of the answer, so as many as it has keys would fill the memory."""
    value = {f"key {number}": {"inner": 1} for number in range(2000)}
    task = Task.of(skill="demo", system="", request="r", expected=value, split="train", origin="seed")
    changes = Mutations(None, ()).of(gate_task(None, TaskRef("a task", "", None, task)))
    assert 0 < sum(1 for _ in changes) < 1000


def test_a_number_that_is_no_float_is_changed() -> None:
    assert [*_changed_scalars({"type": "number"}, 10**400, (), strict=True)]


@pytest.mark.slow
def test_a_contract_with_all_kinds_keeps_every_claim_and_a_verifier_that_takes_calls_for_refusals_does_not(
    tmp_path: Path,
) -> None:
    report = examined(tmp_path / "honest" / "serving", FILES)
    assert report.ok and not report.unproven, [item.finding().message for item in report.broken]
    body = "def one(a, x):\n    taken = runs(a) or 'refuse' in a.expected and 'args' in (parsed(x) or ())\n"
    rest = "    return PASS if taken else a.verdict\ndef verify(attempts, contract):\n"
    verifier = f"{HEAD}{body}{rest}    return [one(a, a.completion) for a in attempts]\n"
    report = examined(tmp_path / "fooled" / "serving", {**FILES, "verifier.py": verifier})
    assert "SK728" in {item.code for item in report.broken}
