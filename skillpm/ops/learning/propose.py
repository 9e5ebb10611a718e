"""``skillpm run``: ask a model for the command lines of one request. Nothing is executed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.contract.answer import read_answer
from skillpm.contract.contract import Contract
from skillpm.errors import CheckError, UsageError
from skillpm.model.ports import Completion
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.learning.answer_rows import Answerer
from skillpm.ops.learning.evaluate import Evaluator
from skillpm.ops.learning.runs import find_run
from skillpm.ops.learning.session import open_session
from skillpm.train.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a model would run for a request.

    Attributes:
        adapter: the run's that answered, or None for the base model alone.
        tool: that the answer calls; None where it calls none.
        arguments: of the tool, as they were written.
        argv: the commands as an executor would run them, or None where it would refuse.
        confirm: does the contract want a person asked first? ``always`` or ``never``.
        problems: why an executor would refuse; empty where it would run the commands.
    """

    skill: str
    request: str
    model: str
    adapter: Path | None
    completion: str
    tool: str | None
    arguments: Any
    argv: tuple[tuple[str, ...], ...] | None
    confirm: str | None
    problems: tuple[str, ...]


def find_answerer(context: Context, skill: Skill, model: str | None, run: Path | None) -> Answerer:
    """Return who answers: a base model, a run, or the newest finished run that trained the skill.

    Raises:
        UsageError: there is no such run, or no run has trained the skill.
        DocumentError: the manifest of a run is wrong.
    """
    if model is not None:
        return Answerer(model)
    if run is not None:
        return Answerer.of_run(find_run(context.settings, run))
    for manifest in sorted((context.settings.runs).glob("*/manifest.json"), reverse=True):
        if any(item.name == skill.name for item in RunFolder(manifest.parent).manifest.skills):
            return Answerer.of_run(manifest.parent)
    raise UsageError(
        f"no run here has trained {skill.name}", hint=f"run `skillpm train {skill.name}`, or use `--model smollm2-135m`"
    )


def propose(evaluator: Evaluator, skill: Skill, answerer: Answerer, request: str) -> Proposal:
    """Ask for the command lines of a request.

    Raises:
        CheckError: the skill has no contract, so an answer means no command.
        UsageError: there is no such model, or the request is empty or too long for it.
        ConsentError: skill code would run that nobody agreed to.
        TrainingError: no model can be loaded.
    """
    if not request.strip():
        raise UsageError("the request is empty", hint="such as `skillpm run SKILL 'what the skill shall do'`")
    with open_session(evaluator.context, [skill]) as session:
        contributions = session.contributions[skill.name]
        contract = contributions.contract
        if contract is None:
            raise CheckError(
                f"{skill.name} has no contract.yaml, so it has no tools", hint="`skillpm show` lists what a skill has"
            )
        policy = evaluator.policy(answerer.model, answerer.adapter)
        prompt = contributions.task(request, None).prompt
        _, completion = next(iter(policy.complete([prompt], max_new_tokens=evaluator.asking.max_new_tokens)))
        if completion.finish_reason == "too_long":
            raise UsageError("the request is too long for the model", hint="ask for less at once")
        return _proposal(contract, skill.name, request, answerer, completion)


def _proposal(contract: Contract, skill: str, request: str, answerer: Answerer, completion: Completion) -> Proposal:
    answer = read_answer(completion.text)
    value = answer.value or {}
    name = value.get("tool")
    tool = contract.tools.get(name) if isinstance(name, str) else None
    argv = contract.argv_of(completion.text)
    cut_off = ["it was cut off at the token limit"] if completion.finish_reason == "length" else []
    refused = [answer.reason] if not answer.only_json else contract.problems(answer.value)
    without_command = ["the tool has no command line"] if argv is None else []
    return Proposal(
        skill=skill,
        request=request,
        model=answerer.model,
        adapter=answerer.adapter,
        completion=completion.text,
        tool=name if isinstance(name, str) else None,
        arguments=value.get("args"),
        argv=argv,
        confirm=None if tool is None else tool.confirm,
        problems=tuple([*refused, *cut_off] if refused else without_command),
    )
