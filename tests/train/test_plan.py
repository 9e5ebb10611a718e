"""What of its rows a run learns from, worked out without torch."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import pytest

from skillpm.errors import UsageError
from skillpm.model.task import Task
from skillpm.model.training import Stage, TrainRow
from skillpm.train.distil import Distil
from skillpm.train.dpo import Dpo
from skillpm.train.eval import Eval
from skillpm.train.grpo import Grpo
from skillpm.train.kinds import BUILT_IN
from skillpm.train.plan import TrainPlan, check_lengths, check_stages, make_plan
from skillpm.train.recipe import Data, Recipe
from skillpm.train.sft import Sft


def rows() -> list[TrainRow]:
    return [
        TrainRow(
            Task.of(skill=name, system="", request=f"{name} {n}", expected=n, split="train", origin="rule"), str(n)
        )
        for name in ("even", "odd")
        for n in range(8)
    ]


def plan(**data: object) -> TrainPlan:
    recipe = Recipe(stages=(Sft(kind="sft", batch_size=1),), data=Data.model_validate({"refine": 0, **data}))
    return make_plan(recipe, BUILT_IN, rows(), [], {})


@pytest.mark.parametrize(
    ("data", "times"),
    [
        ({}, {"even": [1] * 8, "odd": [1] * 8}),
        ({"caps": {"even": 3}}, {"even": [1] * 3, "odd": [1] * 8}),
        ({"weights": {"odd": 2}}, {"even": [1] * 8, "odd": [2] * 8}),
        ({"weights": {"odd": 0.5}}, {"even": [1] * 8, "odd": [1] * 4}),
        ({"weights": {"odd": 1.5}, "caps": {"odd": 2}}, {"even": [1] * 8, "odd": [1, 2]}),
    ],
)
def test_a_skill_has_the_rows_that_its_cap_and_its_weight_say(
    data: dict[str, object], times: dict[str, list[int]]
) -> None:
    made = plan(**data)
    counts = Counter((row.task.skill, row.task.key) for row in made.material.train)
    assert {name: sorted(n for (skill, _), n in counts.items() if skill == name) for name in times} == times
    assert made.stages[0].plan.steps == sum(map(sum, times.values()))
    assert len(made.material.refine) == 16


@pytest.mark.parametrize("field", ["caps", "weights"])
def test_a_skill_that_makes_no_rows_has_neither_cap_nor_weight(field: str) -> None:
    with pytest.raises(UsageError, match="a cap or a weight of evn, which makes no rows") as error:
        plan(**{field: {"evn": 2}})
    assert error.value.hint == "did you mean `even`?"


def test_a_skill_that_is_to_be_learned_keeps_a_row() -> None:
    with pytest.raises(UsageError, match="leaves odd without a row"):
        plan(weights={"odd": 0.001})


@pytest.mark.parametrize(
    ("stages", "data", "problem"),
    [
        ([Eval(kind="eval")], {}, "no stage of the recipe trains"),
        ([Eval(kind="eval"), Sft(kind="sft")], {"evaluate": 0}, "stage eval: there is no held-out row to ask"),
        ([Sft(kind="sft"), Eval(kind="eval", limit=3)], {"held_out": 0}, "stage eval: there is no held-out row to ask"),
        ([Sft(kind="sft"), Eval(kind="eval", limit=3)], {"evaluate": 0}, None),
    ],
)
def test_a_recipe_trains_something_and_a_stage_that_measures_has_rows(
    stages: list[Stage], data: dict[str, object], problem: str | None
) -> None:
    recipe = Recipe(stages=tuple(stages), data=Data.model_validate(data))
    with pytest.raises(UsageError, match=problem) if problem else nullcontext():
        check_stages(recipe, BUILT_IN, {})


@pytest.mark.parametrize("stage", [Sft(kind="sft", max_length=5), Dpo(kind="dpo", max_length=5)])
def test_a_stage_takes_as_many_tokens_as_the_shortest_row_has_words(stage: Stage) -> None:
    recipe = Recipe(stages=(stage,))
    long, short = "Answer with one call.\nlist all\n{}", 'Do it: {"tool": "x", "n": 10}'
    check_lengths(recipe, [long, short])
    check_lengths(recipe, [])
    with pytest.raises(UsageError, match="no row fits into 5 tokens: the shortest has 6 words or more") as error:
        check_lengths(recipe, [long, f"{short} now"])
    assert error.value.hint == f"--set stages.{stage.name}.max_length=1024"
    with pytest.raises(UsageError) as error:
        check_lengths(recipe, ["word " * 2000])
    assert error.value.hint == f"--set stages.{stage.name}.max_length=8000"


ONCE: list[Stage] = [Grpo(kind="grpo", turns=1), Dpo(kind="dpo"), Distil(kind="distil", steps=1)]


@pytest.mark.parametrize("stage", [Sft(kind="sft"), Grpo(kind="grpo", turns=2), *ONCE])
def test_a_stage_that_takes_one_answer_gets_no_rows_with_answers_that_come_first(stage: Stage) -> None:
    looks = [replace(row, first=("look",)) for row in rows()[:6]]
    recipe = Recipe(stages=(stage,), data=Data(refine=0))

    [planned] = make_plan(recipe, BUILT_IN, [*looks, *rows()[6:]], [], {"even": ["graded"]}).stages

    assert len(planned.plan.rows) == (10 if stage in ONCE else 16)
    with nullcontext() if stage not in ONCE else pytest.raises(UsageError, match=f"stage {stage.name}: every row"):
        make_plan(recipe, BUILT_IN, looks, [], {"even": ["graded"]})
