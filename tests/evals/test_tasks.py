"""Which tasks a limit takes, and what an arm with the tools' schemas reads."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.contract.contract import Contract
from skillpm.evals.tasks import EvalTask, TasksByKey, sample, stored_tasks, with_tool_schemas
from skillpm.formats.document import read_model
from skillpm.model.contract import ContractDocument
from skillpm.model.task import Task

CONTRACT = {
    "contract": 1,
    "tools": [{"name": "dev", "description": "Start a server", "input_schema": {"type": "object", "properties": {}}}],
}


def tasks(tools: dict[str, int], *, suite: str = "s", tag: str = "") -> list[EvalTask]:
    made = []
    for tool, count in tools.items():
        for number in range(count):
            task = Task.of(
                skill="k",
                system="",
                request=f"{tool} {number}",
                expected={"tool": tool, "args": {}},
                split="suite",
                origin="suite",
                tags=(tag or f"t{number % 2}",),
            )
            made.append(EvalTask(suite, task, task.prompt))
    return made


def shares(every: list[EvalTask], limit: int, seed: int = 0) -> Counter[str]:
    return Counter(every[at].task.expected["tool"] for at in sample(every, limit, seed))


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 40), min_size=1), st.integers(1, 60), st.integers(0, 9))
def test_each_tool_gets_its_share_of_a_limited_task_set(tools: dict[str, int], limit: int, seed: int) -> None:
    every = tasks(tools)
    taken = shares(every, limit, seed)
    assert sum(taken.values()) == min(limit, len(every))
    for tool, count in tools.items():
        assert abs(taken[tool] - count * min(limit, len(every)) / len(every)) < 1 + 1e-9


@given(
    st.dictionaries(st.sampled_from("abcde"), st.integers(1, 20), min_size=1), st.integers(1, 60), st.integers(1, 60)
)
def test_a_smaller_sample_is_a_part_of_a_larger_one(tools: dict[str, int], one: int, other: int) -> None:
    every = tasks(tools)
    smaller, larger = (set(sample(every, limit, 3)) for limit in sorted((one, other)))
    assert smaller <= larger


def test_each_tag_gets_its_share_within_a_tool() -> None:
    every = tasks({"a": 20, "b": 20})
    taken = Counter((every[at].task.expected["tool"], every[at].task.tags[0]) for at in sample(every, 8, 0))
    assert set(taken.values()) == {2}


def test_the_seed_alone_decides_which_tasks_are_taken() -> None:
    every = tasks({"a": 30, "b": 30})
    assert sample(every, 10, 1) == sample(every, 10, 1) != sample(every, 10, 2)
    assert sample(every, 10, 1) == sorted(set(sample(every, 10, 1)))


def test_a_limit_holds_for_each_task_set() -> None:
    every = tasks({"a": 9}, suite="one") + tasks({"a": 2}, suite="two")
    assert Counter(every[at].suite for at in sample(every, 4, 0)) == {"one": 4, "two": 2}


@pytest.mark.parametrize("system", ["", "Answer briefly."])
def test_the_arm_with_schemas_reads_names_descriptions_and_schemas_before_its_own_prompt(system: str) -> None:
    contract = Contract(read_model(ContractDocument, json.dumps(CONTRACT)))
    task = Task.of(skill="k", system=system, request="go", expected=None, split="suite", origin="suite")
    (asked,) = with_tool_schemas([EvalTask("s", task, task.prompt)], {"k": contract})
    first, last = asked.prompt
    assert (first.role, last.content, asked.task) == ("system", "go", task)
    assert '"name": "dev", "description": "Start a server", "input_schema": {' in first.content
    assert first.content.endswith(system)


def test_stored_tasks_are_the_tasks_and_take_no_memory() -> None:
    """Whatever a row of JSON can hold comes back as it was."""

    def made(number: int) -> EvalTask:
        expected = {"tool": "t", "args": {"n": number, "f": float(number), "l": [None, True, 1 << 70, "\ud800"]}}
        task = Task.of(
            skill="k", system="s" * 20_000, request=f"{number} ü", expected=expected, split="suite", origin="suite"
        )
        return EvalTask("s", task, task.prompt)

    tracemalloc.start()
    try:
        tasks = stored_tasks(made(number) for number in range(500))
        assert repr([tasks[number] for number in (0, 499)]) == repr([made(0), made(499)])
        assert [item.task.request for item in tasks[7:9]] == ["7 ü", "8 ü"] and len(tasks) == 500
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()
    by_key = TasksByKey(item.task for item in [*tasks[:3], *tasks[:2]])
    assert by_key.get(made(2).task.key) == made(2).task and by_key.get(made(3).task.key) is None
