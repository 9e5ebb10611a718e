"""Evaluate a model on skills' suites and on held-out tasks: bare, and with the skills' text in its prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from skillpm.agent.completion_cache import CachedPolicy
from skillpm.errors import DocumentError, InconclusiveError, IntegrityError, UsageError
from skillpm.evals.asking import ArmLabel, Asking
from skillpm.evals.assemble import assemble
from skillpm.evals.examiner import Examiner, constrainable
from skillpm.evals.gate import GateResult, check_gates
from skillpm.evals.report import render_report
from skillpm.evals.tasks import (
    EvalTask,
    held_out_tasks,
    read_held_out,
    sample,
    stored_tasks,
    suite_tasks,
    with_skill_text,
    with_tool_schemas,
)
from skillpm.formats.document import Json
from skillpm.formats.lazy_sequence import LazySequence
from skillpm.layout.filenames import ADAPTER
from skillpm.model.contract import Tool
from skillpm.model.evaluation import Arm, Evaluation
from skillpm.model.ports import Policy
from skillpm.model.progress import Progress
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.ops.context import Context
from skillpm.ops.learning.adapter import trained_base
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.blind import spend
from skillpm.ops.learning.models import PolicyFactory, PolicyRequest, check_base, load_policy
from skillpm.ops.learning.report import model_report
from skillpm.ops.learning.session import JudgingSession, open_session
from skillpm.storage.files import write_atomic
from skillpm.storage.whole_folder import whole_folder
from skillpm.train.run_folder import EVALUATION


@dataclass(frozen=True, slots=True)
class Evaluator:
    """How models are evaluated here.

    Attributes:
        asking: how policies are asked.
        progress: counts the answers.
        command: what a person types to have this again.
        resume: take the answers that an earlier command has kept, and ask for the others.
    """

    context: Context
    asking: Asking
    progress: Progress
    policies: PolicyFactory = load_policy
    command: str = ""
    resume: bool = False

    def remember(self, policy: Policy, also: Mapping[str, Any]) -> Policy:
        """Return a policy whose answers are kept on disk as they end, so that a command that was ended can go on."""
        file = self.context.settings.completions / "completions.sqlite"
        return CachedPolicy(policy, file, also=also, read=self.resume)

    def policy(
        self,
        model: str,
        adapter: Path | None = None,
        tools: tuple[Tool, ...] = (),
        template: Mapping[str, Json] | None = None,
    ) -> Policy:
        """Load a model, with an adapter on top where one is named.

        ``template`` has arguments of the chat template where the person has typed none; ``tools`` are told to a server.

        Raises:
            IntegrityError: a packed adapter was trained on a base model with other bytes.
        """
        typed = self.asking.chat_template_kwargs
        policy = self.policies(
            PolicyRequest(
                model,
                adapter,
                self.asking.batch_size,
                self.asking.dtype,
                special_tokens=self.asking.answer_form != "json",
                tools=tools,
                template=template if typed is None else typed,
                say=self.context.note,
            ),
            self.context,
        )
        if adapter is not None:
            try:
                check_base(trained_base(adapter), model, getattr(policy, "settings", {}).get("model_digest"))
            except IntegrityError as error:
                if (adapter / ADAPTER).is_file():
                    raise
                self.context.note(f"warning: {error.message}")
        return policy

    def tell_of_blind_suites(self, session: JudgingSession) -> None:
        """Say which skills have suites that are not asked."""
        hidden = [name for name, item in session.contributions.items() if any(suite.blind for suite in item.suites)]
        if hidden and not self.asking.blind:
            self.context.note(f"blind suites of {', '.join(hidden)} are left out: `--blind` asks them, once")


@dataclass(frozen=True, slots=True)
class Exam:
    """The tasks that policies are asked, and what asks them and has the skills of a session judge the answers.

    Attributes:
        sizes: of the whole task sets, by skill and name; the tasks may be a sample.
    """

    evaluator: Evaluator
    session: JudgingSession
    examiner: Examiner
    tasks: Sequence[EvalTask]
    sizes: Mapping[tuple[str, str], int]

    @classmethod
    def of(
        cls, evaluator: Evaluator, session: JudgingSession, held_out: Iterable[Task], *, suites: bool = True
    ) -> Exam:
        """Return the exam of the session's suites and of held-out tasks.

        Raises:
            DocumentError: a suite is empty, or an expected answer breaks its contract.
            UsageError: there is no task at all.
        """
        tasks, sizes = _chosen_tasks(session, held_out, evaluator.asking, suites=suites)
        contracts = {name: item.contract for name, item in session.contributions.items()}
        scorer, asking, progress = session.scorer, evaluator.asking, evaluator.progress
        remember, observe = evaluator.remember, scorer.observer
        examiner = Examiner(scorer.judge, scorer.prefetch, asking, progress, contracts, remember, observe)
        return cls(evaluator, session, examiner, tasks, sizes)

    def base_arms(self, answerer: Answerer, template: Mapping[str, Json] | None = None) -> Iterator[Arm]:
        """Ask a model, and again with more in its prompt: the skills' text, the schemas of the tools."""
        model, name = answerer.model, "base" if answerer.adapter is None else "adapter"
        asking, contributions = self.evaluator.asking, self.session.contributions
        policy = self.evaluator.policy(model, answerer.adapter, template=template)
        yield from self.arms(policy, ArmLabel(name, model))
        if asking.skill_text:
            texts = {name: item.skill_text for name, item in contributions.items()}
            exam = replace(self, tasks=with_skill_text(self.tasks, texts))
            yield from exam.arms(policy, ArmLabel(f"{name}+skill", model, skill_text=True))
        if asking.tool_schemas:
            contracts = {name: item.contract for name, item in contributions.items()}
            exam = replace(self, tasks=with_tool_schemas(self.tasks, contracts))
            yield from exam.arms(policy, ArmLabel(f"{name}+tools", model, tool_schemas=True))

    def arms(self, policy: Policy, label: ArmLabel) -> Iterator[Arm]:
        """Ask a policy and, where that is wanted, again with answers that can only be what the contract accepts.

        Raises:
            UsageError: the tasks are blind, and the model is not frozen; or it cannot be held to a contract.
            PolicyError: they are, and were spent on another candidate.
        """
        asking, settings = self.evaluator.asking, self.evaluator.context.settings
        if asking.constrain:
            constrainable(policy)  # before it answers freely, which may cost
        if asking.blind:
            spend((settings.blind, settings.blind_here), policy, label, self.tasks)
        yield self.examiner.ask(policy, self.tasks, label)
        if asking.constrain:
            yield self.examiner.ask(policy, self.tasks, label.with_grammar())

    def asked(self, arms: Iterable[Arm]) -> list[Arm]:
        """Return the arms that were asked until the end, a limit or Ctrl-C; a last one may have a part of the answers.

        Raises:
            KeyboardInterrupt, InconclusiveError: no answer had ended by then.
        """
        asked: list[Arm] = []
        try:
            for arm in arms:
                asked.append(arm)
                if self.examiner.interrupted:
                    break
        except KeyboardInterrupt:
            self.examiner.interrupted = True
        refuse_unanswered(self.examiner, asked)
        return [arm for arm in asked if arm.records] if self.examiner.interrupted else asked

    def evaluation(self, arms: Iterable[Arm]) -> Evaluation:
        """Return the evaluation of what arms are asked. Raises as ``asked``."""
        return assemble(self.session.contributions, self.tasks, self.asked(arms), self.sizes)


def refuse_unanswered(examiner: Examiner, arms: Sequence[Arm]) -> None:
    """Refuse arms that were ended before there was any answer.

    Raises:
        KeyboardInterrupt: by Ctrl-C.
        InconclusiveError: by a limit.
    """
    if any(arm.records for arm in arms):
        return
    if examiner.interrupted:
        raise KeyboardInterrupt
    if limit := next((arm.settings["limit_reached"] for arm in arms if "limit_reached" in arm.settings), None):
        flag = f"--{str(limit).replace('_', '-')}"
        raise InconclusiveError(f"`{flag}` was reached before any answer, so nothing was written", hint="raise it")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation.

    Attributes:
        report: where its report.html was written, or None.
        interrupted: did Ctrl-C end it? It has the answers that had ended by then.
    """

    evaluation: Evaluation
    report: Path | None
    interrupted: bool = False

    @property
    def gates(self) -> list[GateResult]:
        """Every gate, held against the last arm."""
        return check_gates(self.evaluation, self.evaluation.arms[-1].name)


def evaluate_model(
    evaluator: Evaluator,
    skills: Sequence[Skill],
    model: str,
    *,
    held_out: Path | None = None,
    output: Path | None = None,
) -> Evaluated:
    """Evaluate a base model on skills' suites, and on held-out tasks where a file of them is given.

    The model is what ``Answerer.of_model`` reads, the held-out file JSON Lines of Tasks, and the output a new folder
    for evaluation.json and report.html.

    Raises:
        UsageError: there is no such model or file, nothing to ask, or the output exists.
        DocumentError: a row or a suite is wrong.
        TrainingError: no model can be loaded.
        InconclusiveError: a limit ended it before any answer.
    """
    answerer = Answerer.of_model(evaluator.context, model)
    rows = () if held_out is None else read_held_out(held_out, [skill.name for skill in skills])
    with (
        whole_folder(output) if output else nullcontext() as folder,
        open_session(evaluator.context, skills) as session,
    ):
        evaluator.tell_of_blind_suites(session)
        exam = Exam.of(evaluator, session, rows)
        evaluation = exam.evaluation(exam.base_arms(answerer))
        if evaluator.command:
            evaluation = evaluation.model_copy(update={"commands": (evaluator.command,)})
        if folder is not None:
            write_atomic(folder / EVALUATION, evaluation.chunks())
            write_atomic(folder / "report.html", render_report(model_report(evaluation)))
    return Evaluated(evaluation, output / "report.html" if output else None, exam.examiner.interrupted)


def _chosen_tasks(
    session: JudgingSession, held_out: Iterable[Task], asking: Asking, *, suites: bool
) -> tuple[Sequence[EvalTask], Counter[tuple[str, str]]]:
    """Return all tasks, or a sample of each task set where there is a limit, and the sizes of the whole sets."""
    of_suites: list[EvalTask] = []
    for contributions in session.contributions.values() if suites else ():
        for suite in contributions.suites:
            if not suite.tasks:
                raise DocumentError("a suite without tasks", path=f"{contributions.skill.name}/suites/{suite.name}")
        of_suites += suite_tasks(contributions, blind=asking.blind)
    tasks = stored_tasks(chain(of_suites, () if asking.blind else held_out_tasks(held_out)))
    if not tasks:
        kind, hint = "suite", "write suites/*.yaml, or give `--held-out FILE.jsonl`"
        if asking.blind:
            kind, hint = "blind suite", "write `blind: true` in a suite that no model was asked"
        raise UsageError(f"nothing to ask: no {kind} in {', '.join(session.contributions)}", hint=hint)
    sizes = Counter((task.task.skill, task.suite) for task in tasks)
    limit = asking.limit
    return tasks if limit is None else LazySequence(sample(tasks, limit, asking.seed), tasks.__getitem__), sizes
