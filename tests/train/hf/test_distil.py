"""Distillation on a tiny real model: the loss is the plain one, it falls, and a stage that was ended goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from skillpm.errors import DocumentError, TrainingError, UsageError
from skillpm.model.task import before_prompt, skill_content
from skillpm.model.training import StageInput
from skillpm.train.distil import Distil
from skillpm.train.hf.distil import _lesson, run_distil
from skillpm.train.hf.packing import PrefixPacking, SeparateRows
from skillpm.train.hf.stages import open_model
from skillpm.train.kinds import BUILT_IN
from skillpm.train.plan import TrainPlan, make_plan
from skillpm.train.processes import Job
from skillpm.train.recipe import load_recipe
from tests.random_models import TINY, save_random_model
from tests.train.hf.test_checkpoint import Killed, Killing, go, same
from tests.train.hf.test_stages import judge, make_rows, plan_of, run, tell_nobody
from tests.train.hf.test_stages_kinds import changed

pytestmark = pytest.mark.filterwarnings("default")

TEXT = 'To start a server write {"tool": "dev", "args": {"port": 8123}} and nothing else.'


def stage_of(**settings: Any) -> Distil:
    small = {"steps": 3, "prompts": 4, "max_new_tokens": 12, "validate_on": 0, "learning_rate": 3e-3}
    return Distil.model_validate({"kind": "distil", **small, **settings})


def told_plan(*stages: Any, rows: int = 8, **settings: Any) -> TrainPlan:
    plan = plan_of(*stages)
    told = [replace(row, text=f"{TEXT} {row.task.skill}") for row in make_rows(rows)]
    return changed(make_plan(plan.recipe, BUILT_IN, told, [], plan.material.rewards), **settings)


def given_of(plan: TrainPlan, model: Path, work: Path, teachers: Any = None) -> StageInput:
    opened = open_model(Job(plan.recipe, model, None, teachers or {}))
    with torch.no_grad():  # as after a stage: the adapter is not the zero that it begins with
        for name, parameter in opened.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
    return StageInput(
        *(opened.model, opened.conversation, plan.stages[0].plan, judge, tell_nobody, 0, work),
        lambda step, figures: None,
        teachers=opened.teachers,
    )


@pytest.mark.parametrize(("packed", "tune"), [(True, "lora"), pytest.param(False, "full", marks=pytest.mark.slow)])
def test_the_gradient_is_that_of_the_plain_divergence(
    tiny_model: Path, tmp_path: Path, packed: bool, tune: str
) -> None:
    """Each answer alone behind its whole prompt, the teacher as the model was, by autograd; nothing is shared."""
    plan = told_plan(stage_of(), tune=tune)
    given = given_of(plan, tiny_model, tmp_path)
    model, talk = given.model.eval(), given.conversation
    lesson = _lesson(stage_of(), given, given.plan.rows)
    assert isinstance(lesson.student.layout, PrefixPacking) and isinstance(lesson.teacher.layout, PrefixPacking)
    if not packed:
        lesson = replace(lesson, teacher=replace(lesson.teacher, layout=SeparateRows(talk.tokenizer.pad_token_id)))
    numbers = [0, 1, 2, 5]
    answers = lesson.answers(model, numbers, 0)
    before = [behind(model, told(talk, lesson.rows[n]), a).detach() for n, a in zip(numbers, answers, strict=True)]
    with torch.no_grad():  # training has moved the model since; the teacher stays
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.1)
    total = torch.tensor(0.0)
    for number, answer, teacher in zip(numbers, answers, before, strict=True):
        student = behind(model, talk.prompt(lesson.rows[number].task.prompt), answer)
        total = total + (student.exp() * (student - teacher)).sum()
    expected = gradient(model, total)
    found = lesson.divergence(model, lesson.batches(numbers, answers))
    torch.testing.assert_close(found, total, rtol=1e-4, atol=1e-4)
    assert float((gradient(model, found) - expected).norm() / expected.norm()) < 1e-4
    assert total.item() > 0.1


def told(conversation: Any, row: Any) -> list[int]:
    tokens: list[int] = conversation.prompt(before_prompt(skill_content(row.task.skill, row.text), row.task.prompt))
    return tokens


def behind(model: Any, prompt: list[int], answer: list[int]) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
    scores: torch.Tensor = logits.log_softmax(dim=-1)
    return scores


def gradient(model: Any, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    grads = [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    return torch.cat(grads)


@pytest.mark.slow
def test_the_model_comes_near_to_its_teacher(tiny_model: Path, tmp_path: Path) -> None:
    """Here one of small weights, for which all tokens are nearly as likely."""
    stage = stage_of(steps=8, prompts=8, learning_rate=3e-3, teacher="calm", max_new_tokens=24)
    teachers = {"calm": save_random_model(tmp_path / "calm", TINY, gain=0.1)}
    log = run(told_plan(stage, tune="full"), tiny_model, tmp_path, teachers=teachers)
    losses = [row["loss"] for row in log if "loss" in row]
    assert len(losses) == 8 and sum(losses[-3:]) < 0.92 * sum(losses[:3])
    assert 0 < log[0]["completions/mean_length"] <= 24 and log[0]["num_tokens"] > 0
    assert not list((tmp_path / "stages/distil/adapter").glob("*/"))


def test_expected_answers_are_not_needed(tiny_model: Path, tmp_path: Path) -> None:
    """Nor need they be any that the tokenizer could write."""
    stage = stage_of(steps=1, max_new_tokens=4)
    plan = told_plan(stage)
    given = given_of(plan, tiny_model, tmp_path)
    rows = tuple(replace(row, answer="<|im_end|>") for row in given.plan.rows)
    assert run_distil(stage, replace(given, plan=replace(given.plan, rows=rows))).steps == 1


def test_a_larger_model_teaches_without_the_text(tiny_model: Path, tmp_path: Path) -> None:
    """The same weights teach nothing: the divergence is zero, up to rounding."""
    plan = told_plan(stage_of(teacher="large", context=False))
    given = given_of(plan, tiny_model, tmp_path, {"large": tiny_model})
    with torch.no_grad():
        for name, parameter in given.model.named_parameters():
            if "lora_B" in name:
                parameter.zero_()
    lesson = _lesson(stage_of(teacher="large", context=False), given, given.plan.rows)
    answers = lesson.answers(given.model, [0, 1], 0)
    assert lesson.divergence(given.model, lesson.batches([0, 1], answers)).item() == pytest.approx(0, abs=1e-4)


def test_a_teacher_of_another_tokenizer_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    other = AutoTokenizer.from_pretrained(tiny_model)
    other.add_tokens(["<new>"])
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(UsageError, match="has another tokenizer: 1 entries of the vocabularies differ"):
        open_model(Job(told_plan(stage_of()).recipe, tiny_model, None, {"other": tmp_path / "other"}))


def test_what_cannot_teach_is_refused() -> None:
    with pytest.raises(DocumentError, match="without `context` the teacher `self` has nothing to teach"):
        load_recipe(None, "stages: [{kind: distil, context: false}]", (), BUILT_IN)


def test_rows_without_room_for_the_text_are_left_out_and_none_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no row fits into 40 tokens with what its teacher reads"):
        run(told_plan(stage_of(max_length=40)), tiny_model, tmp_path)


@pytest.mark.slow
def test_distillation_that_is_killed_goes_on_to_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    plan = told_plan(stage_of(steps=5, micro_batch=2), checkpoint_seconds=0.0)
    go(plan, tiny_model, tmp_path / "straight")
    with pytest.raises(Killed):
        go(plan, tiny_model, tmp_path / "killed", Killing("distil", 3))
    go(plan, tiny_model, tmp_path / "killed")
    assert same(tmp_path / "killed", tmp_path / "straight", "distil")
