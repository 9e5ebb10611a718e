"""Ask a policy every task once, greedily, and have every answer judged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from skillpm.contract.answer_schema import answer_schema
from skillpm.contract.contract import Contract
from skillpm.contract.native import AnswerForm, read_native
from skillpm.errors import PluginError, UsageError
from skillpm.evals.figures import GRAMMAR
from skillpm.evals.tasks import EvalTask
from skillpm.model.episode import Episode, Usage
from skillpm.model.evaluation import Arm, Record
from skillpm.model.ports import Completion, ConstrainablePolicy, Judge, Policy, Prefetch, Progress
from skillpm.model.task import Message
from skillpm.model.verdict import Judgement, Verdict


@dataclass(frozen=True, slots=True)
class Asking:
    """How policies are asked.

    Attributes:
        max_new_tokens: an answer is cut off after this many tokens, and recorded as ``length``.
        batch_size: prompts completed at once.
        limit: at most this many tasks of each task set; all where None.
        skill_text: also ask with the skills' text in the prompt.
        tool_schemas: also ask with names, descriptions and schemas of the tools in the prompt.
        seed: chooses the tasks where there is a limit.
        dtype: of a model's weights; ``auto`` is what the processor has units for.
        answer_form: how the model writes a tool call; ``json`` is the form of our prompts.
        chat_template_kwargs: of the model's template; where None, those of the training, else such as end thinking.
        constrain: also ask with answers that can only be what the contract accepts.
    """

    max_new_tokens: int = 128
    batch_size: int = 16
    limit: int | None = None
    skill_text: bool = False
    tool_schemas: bool = False
    seed: int = 0
    dtype: str = "auto"
    answer_form: AnswerForm = "json"
    constrain: Literal["contract"] | None = None
    chat_template_kwargs: Mapping[str, Any] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What an arm records of it."""
        settings: dict[str, Any] = {"max_new_tokens": self.max_new_tokens, "batch_size": self.batch_size}
        if self.answer_form != "json":
            settings["answer_form"] = self.answer_form
        return settings if self.limit is None else {**settings, "limit": self.limit, "seed": self.seed}


@dataclass(frozen=True, slots=True)
class ArmLabel:
    """Which arm the answers belong to; recorded, not acted upon.

    Attributes:
        name: of the arm.
        model: the base model as the person named it.
        skill_text: does the prompt hold the skill's text?
        tool_schemas: does it hold the schemas of the tools?
        adapter: the adapter on top of the model, relative to the run folder, or None.
        constrained: can answers only be what the contract accepts?
    """

    name: str
    model: str
    skill_text: bool = False
    tool_schemas: bool = False
    adapter: str | None = None
    constrained: bool = False

    def with_grammar(self) -> ArmLabel:
        """Return the label of the same arm, held to the contract."""
        return replace(self, name=self.name + GRAMMAR, constrained=True)


class Examiner:
    """Asks policies tasks.

    Args:
        judge: judges any mix of skills, in order.
        prefetch: takes each answer when it has ended, to be judged while others are written; None to judge at the end.
        asking: how policies are asked.
        progress: counts the answers.
        contracts: of the skills that are asked about; they read answers of another form than ``json``.

    Attributes:
        interrupted: did Ctrl-C end the last arm? It has the answers that had ended by then.
        answered: positions of the tasks that the last arm answers, in order.
    """

    def __init__(
        self,
        judge: Judge,
        prefetch: Prefetch | None,
        asking: Asking,
        progress: Progress,
        contracts: Mapping[str, Contract | None] = MappingProxyType({}),
    ) -> None:
        self.interrupted = False
        self.answered: list[int] = []
        self._contracts = contracts
        self._judge = judge
        self._prefetch = prefetch
        self._asking = asking
        self._progress = progress

    def ask(self, policy: Policy, tasks: Sequence[EvalTask], label: ArmLabel) -> Arm:
        """Return what the policy answered to every task, judged, in the order of the tasks.

        Ctrl-C ends the arm. It then has the answers that had ended, and ``interrupted`` is set.

        Raises:
            PluginError: the policy left a prompt without an answer, or answered one twice or one that was not asked.
        """
        started = time.monotonic()
        answers = self._episodes(self._held(policy, tasks) if label.constrained else policy, tasks, label.name)
        self.answered = sorted(answers)
        episodes = [answers[index] for index in self.answered]
        judgements = self._judge(episodes)
        interruption = {"interrupted": True} if self.interrupted else {}
        return Arm(
            name=label.name,
            model=label.model,
            skill_text=label.skill_text,
            tool_schemas=label.tool_schemas,
            constrained=label.constrained,
            adapter=label.adapter,
            settings={**self._asking.settings, **getattr(policy, "settings", {}), **interruption},
            records=tuple(
                record(tasks[index].suite, episode, judgement)
                for index, episode, judgement in zip(self.answered, episodes, judgements, strict=True)
            ),
            seconds=round(time.monotonic() - started, 3),
        )

    def _episodes(self, policy: Policy, tasks: Sequence[EvalTask], title: str) -> dict[int, Episode]:
        """Return the answers by the position of their task, in whichever order they end."""
        answers: dict[int, Episode] = {}
        surplus = 0
        prompts = [task.prompt for task in tasks]
        self._progress.start(title, len(tasks))
        try:
            for index, completion in policy.complete(prompts, max_new_tokens=self._asking.max_new_tokens):
                self._progress.advance()
                if index not in range(len(tasks)) or index in answers:
                    surplus += 1
                    continue
                episode = answers[index] = _episode(tasks[index], self._in_our_form(tasks[index], completion))
                if self._prefetch is not None and episode.task.expected is not None:
                    self._prefetch([episode])
        except KeyboardInterrupt:
            self.interrupted = True
        self._progress.finish()
        if surplus or (len(answers) != len(tasks) and not self.interrupted):
            raise PluginError(
                f"the policy {policy.name} answered {len(answers) + surplus} of {len(tasks)} prompts",
                hint="the policy is at fault; nothing was written",
            )
        return answers

    def _held(self, policy: Policy, tasks: Sequence[EvalTask]) -> Policy:
        """Return a policy that asks for each skill's tasks under the grammar of its contract."""
        if not isinstance(policy, ConstrainablePolicy):
            raise UsageError(f"{policy.name} cannot be held to a contract", hint="remove `--constrain`")
        return _BySkill(policy, [task.task.skill for task in tasks], self._contracts)

    def _in_our_form(self, task: EvalTask, completion: Completion) -> Completion:
        """Return a completion with the model's own form of a tool call read into the contract's."""
        contract = self._contracts.get(task.task.skill)
        if contract is None or self._asking.answer_form == "json":
            return completion
        return replace(completion, text=read_native(self._asking.answer_form, completion.text, contract.tools))


class _BySkill:
    """A policy that holds each answer to the contract of its task's skill.

    Args:
        policy: what answers.
        skills: of each prompt.
        contracts: by skill; a skill without one is asked freely.
    """

    def __init__(
        self, policy: ConstrainablePolicy, skills: Sequence[str], contracts: Mapping[str, Contract | None]
    ) -> None:
        self.name = policy.name
        self.settings = getattr(policy, "settings", {})
        self._policy = policy
        self._skills = skills
        self._contracts = contracts

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        """Yield completions, one skill after the other."""
        for skill in dict.fromkeys(self._skills):
            mine = [index for index, name in enumerate(self._skills) if name == skill]
            contract = self._contracts.get(skill)
            policy: Policy = self._policy
            if contract is not None:
                policy = self._policy.constrained(answer_schema(contract.tools.values(), contract.replies.kinds))
            for position, completion in policy.complete([prompts[i] for i in mine], max_new_tokens=max_new_tokens):
                yield mine[position], completion


def _episode(task: EvalTask, completion: Completion) -> Episode:
    usage = Usage(prompt_tokens=completion.prompt_tokens, completion_tokens=completion.completion_tokens)
    return Episode.answering(task.task, _well_formed(completion.text), _finish_reason(completion.finish_reason), usage)


def record(suite: str, episode: Episode, judgement: Judgement) -> Record:
    """Return the form in which an answer to a task of a task set and its judgement are kept."""
    task, usage = episode.task, episode.usage
    return Record(
        task=task.key,
        skill=task.skill,
        suite=suite,
        request=task.request,
        expected=task.expected,
        completion=_well_formed(episode.completion),
        argv=judgement.argv,
        verdict=judgement.verdict,
        rewards=judgement.rewards,
        exact=judgement.verdict.status == "passed",
        valid_json=_valid_json(judgement.verdict),
        finish_reason=_finish_reason(episode.finish_reason),
        prompt_tokens=0 if usage is None else usage.prompt_tokens,
        completion_tokens=0 if usage is None else usage.completion_tokens,
        tags=task.tags,
    )


def judged_again(record: Record, judgement: Judgement) -> Record:
    """Return the record of the same answer with another judgement."""
    verdict = judgement.verdict
    return record.model_copy(
        update={
            "argv": judgement.argv,
            "verdict": verdict,
            "rewards": judgement.rewards,
            "exact": verdict.status == "passed",
            "valid_json": _valid_json(verdict),
        }
    )


def _valid_json(verdict: Verdict) -> bool | None:
    only_json = verdict.components.get("only_json")
    return None if only_json is None else only_json == 1


def _finish_reason(reason: str) -> Literal["stop", "length", "too_long"]:
    return "length" if reason == "length" else "too_long" if reason == "too_long" else "stop"


def _well_formed(text: str) -> str:
    """Replace lone surrogates, which no file and no wire can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
