"""Ask a policy every task, once or several times, and have every answer judged."""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from skillpm.contract.answer_schema import answer_schema
from skillpm.contract.contract import Contract
from skillpm.contract.native import AnswerForm, read_native
from skillpm.errors import PluginError, UsageError
from skillpm.evals.budget import Budget, Limits
from skillpm.evals.figures import GRAMMAR
from skillpm.evals.stored_records import StoredRecords
from skillpm.evals.tasks import EvalTask
from skillpm.formats.lazy_sequence import LazySequence
from skillpm.model.episode import Episode, Usage
from skillpm.model.evaluation import Arm, Record
from skillpm.model.ports import (
    Completion,
    ConstrainablePolicy,
    Judge,
    Observe,
    Policy,
    Prefetch,
    Progress,
    SamplingPolicy,
)
from skillpm.model.task import Message
from skillpm.model.verdict import Judgement

_AT_ONCE = 512  # answers that are judged together while others are written
Remember = Callable[[Policy, Mapping[str, Any]], Policy]
"""Makes a policy keep its answers; the mapping is what decides them beside its own settings."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How policies are asked.

    Attributes:
        max_new_tokens: an answer is cut off after this many tokens, and recorded as ``length``.
        batch_size: prompts completed at once.
        limit: at most this many tasks of each task set; all where None.
        skill_text: also ask with the skills' text in the prompt.
        tool_schemas: also ask with names, descriptions and schemas of the tools in the prompt.
        seed: chooses the tasks where there is a limit, and draws answers where there is a temperature.
        repeats: how often each task is asked.
        temperature: 0 for greedy answers.
        dtype: of a model's weights; ``auto`` is what the processor has units for.
        answer_form: how the model writes a tool call; ``json`` is the form of our prompts.
        chat_template_kwargs: of the model's template; where None, those of the training, else such as end thinking.
        constrain: also ask with answers that can only be what the contract accepts.
        turns: answers in one episode, at most, where a skill has an environment.
    """

    max_new_tokens: int = 128
    batch_size: int = 16
    limit: int | None = None
    skill_text: bool = False
    tool_schemas: bool = False
    seed: int = 0
    repeats: int = 1
    temperature: float = 0.0
    limits: Limits = field(default_factory=Limits)
    dtype: str = "auto"
    answer_form: AnswerForm = "json"
    constrain: Literal["contract"] | None = None
    chat_template_kwargs: Mapping[str, Any] | None = None
    turns: int = 4

    @property
    def settings(self) -> dict[str, Any]:
        """What an arm records of it."""
        price = self.limits.price
        settings = {
            "max_new_tokens": self.max_new_tokens,
            "batch_size": self.batch_size,
            "answer_form": None if self.answer_form == "json" else self.answer_form,
            "seed": self.seed if self.limit is not None or self.temperature else None,
            "limit": self.limit,
            "repeats": self.repeats if self.repeats > 1 else None,
            "temperature": self.temperature or None,
            "price": None if price is None else [price.prompt, price.answer],
        }
        return {name: value for name, value in settings.items() if value is not None}

    def seed_of(self, repeat: int) -> int:
        """Return the seed of one round of answers, below 2**31."""
        return random.Random(f"{self.seed} {repeat}").getrandbits(31)


@dataclass(frozen=True, slots=True)
class ArmLabel:
    """Which arm the answers belong to; recorded, not acted upon.

    Attributes:
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
        contracts: of the skills that are asked about; they read answers of another form than ``json``.
        remember: makes policies keep their answers.
        observe: says what the skills' environments show after an answer; None where no skill has one.

    Attributes:
        interrupted: did Ctrl-C end the last arm? It has the answers that had ended by then.
        answered: the position of the task of each answer of the last arm, in order.
    """

    def __init__(
        self,
        judge: Judge,
        prefetch: Prefetch | None,
        asking: Asking,
        progress: Progress,
        contracts: Mapping[str, Contract | None] = MappingProxyType({}),
        remember: Remember = lambda policy, also: policy,
        observe: Observe | None = None,
    ) -> None:
        self.interrupted = False
        self.answered: Sequence[int] = ()
        self._contracts = contracts
        self._judge = judge
        self._prefetch = prefetch
        self._asking = asking
        self._progress = progress
        self._remember = remember
        self._observe = observe
        self._budget = Budget(asking.limits)

    def ask(self, policy: Policy, tasks: Sequence[EvalTask], label: ArmLabel) -> Arm:
        """Return what the policy answered to every task, judged, in the order of the tasks.

        Ctrl-C ends the arm, and so does a limit. It then has the answers that had ended.

        Raises:
            PluginError: the policy left a prompt without an answer, or answered one twice or one that was not asked.
            UsageError: it can be held to no contract, answers greedily alone, or counts no tokens under a limit.
        """
        started = time.monotonic()
        repeats = self._asking.repeats
        answers = _Answers(self._judge, tasks, repeats, ahead=self._prefetch is not None)
        self._progress.start(label.name, len(tasks) * repeats)
        for repeat in range(repeats):
            if not self.interrupted and self._budget.reached is None:
                self._play(policy, label, answers, repeat)
        self._progress.finish()
        records = answers.in_order()
        self.answered = answers.positions
        interruption: dict[str, Any] = {"interrupted": True} if self.interrupted else {}
        if len(records) < len(tasks) * repeats and not self.interrupted:
            interruption = {"limit_reached": self._budget.reached}
        return Arm(
            **asdict(label),
            settings={**self._asking.settings, **getattr(policy, "settings", {}), **interruption},
            records=records,
            seconds=round(time.monotonic() - started, 3),
        )

    def _play(self, policy: Policy, label: ArmLabel, answers: _Answers, repeat: int) -> None:
        """Ask every task once, and again where its environment shows something more."""
        tasks = answers.tasks
        places: Sequence[int] = range(len(tasks))
        for left in reversed(range(self._asking.turns)):
            turn = _Turn(answers, repeat, places, self._observe if left else None)
            self._collect(self._drawn(policy, tasks, label, repeat), tasks, turn)
            turn.observe()
            places = list(turn.going)
            tasks = turn.tasks_that_go_on()
            if not tasks or self.interrupted or self._budget.reached is not None:
                return

    def _drawn(self, policy: Policy, tasks: Sequence[EvalTask], label: ArmLabel, repeat: int) -> Policy:
        """Return the policy as it answers in one round."""
        asking = self._asking
        also: dict[str, Any] = {} if label.adapter is None else {"adapter": label.adapter}
        if asking.repeats > 1:
            also["repeat"] = repeat
        if asking.temperature:
            if not isinstance(policy, SamplingPolicy):
                raise UsageError(f"{policy.name} answers greedily alone", hint="remove `--temperature`")
            also |= {"temperature": asking.temperature, "seed": asking.seed_of(repeat)}
            policy = policy.sampled(asking.temperature, asking.seed_of(repeat))
        if label.constrained:
            policy, forms = self._held(policy, tasks)
            also["forms"] = forms
        return self._remember(policy, also)

    def _collect(self, policy: Policy, tasks: Sequence[EvalTask], turn: _Turn) -> None:
        """Ask every task once, and add the answers in whichever order they end."""
        surplus, answered = 0, bytearray(len(tasks))
        new = 0 if tasks and tasks[0].before else 1
        prompts = LazySequence(range(len(tasks)), lambda place: tasks[place].reads)
        completions = policy.complete(prompts, max_new_tokens=self._asking.max_new_tokens)
        try:
            for index, completion in completions:
                self._progress.advance(new)
                self._budget.take(completion)
                if index not in range(len(tasks)) or answered[index]:
                    surplus += 1
                    continue
                answered[index] = True
                task = tasks[index]
                episode = _episode(task, self._in_our_form(task, completion))
                if self._prefetch is not None and self._observe is None and episode.task.expected is not None:
                    self._prefetch([episode])
                turn.add(index, episode)
                if self._budget.reached is not None:
                    break
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            close = getattr(completions, "close", None)
            if close is not None:
                close()
        ended, count = self.interrupted or self._budget.reached is not None, sum(answered)
        if surplus or (count != len(tasks) and not ended):
            raise PluginError(
                f"the policy {policy.name} answered {count + surplus} of {len(tasks)} prompts",
                hint="fix the policy; nothing was written",
            )

    def _held(self, policy: Policy, tasks: Sequence[EvalTask]) -> tuple[Policy, dict[str, Any]]:
        """Return a policy that asks for each skill's tasks under the grammar of its contract, and the schemas."""
        if not isinstance(policy, ConstrainablePolicy):
            raise UsageError(f"{policy.name} cannot be held to a contract", hint="remove `--constrain`")
        forms = {
            name: answer_schema(contract.tools.values(), contract.replies.kinds)
            for name, contract in self._contracts.items()
            if contract is not None
        }
        places: dict[str, array[int]] = {}
        for place, task in enumerate(tasks):
            places.setdefault(task.task.skill, array("I")).append(place)
        return _BySkill(policy, places, forms), forms

    def _in_our_form(self, task: EvalTask, completion: Completion) -> Completion:
        """Return a completion with the model's own form of a tool call read into the contract's."""
        contract = self._contracts.get(task.task.skill)
        if contract is None or self._asking.answer_form == "json":
            return completion
        return replace(completion, text=read_native(self._asking.answer_form, completion.text, contract.tools))


class _Answers:
    """The answers of an arm: some wait for their judgement, the others are records in a file.

    Args:
        judge: judges any mix of skills, in order.
        ahead: are answers judged while others are written?

    Attributes:
        positions: of the tasks of the answers, in the order of ``in_order``.
    """

    def __init__(self, judge: Judge, tasks: Sequence[EvalTask], repeats: int, *, ahead: bool) -> None:
        self.tasks = tasks
        self.positions: Sequence[int] = ()
        self._judge = judge
        self._repeats = repeats
        self._kept = _AT_ONCE if ahead else 0  # of the newest answers: the workers have something to do meanwhile
        self._waiting: dict[tuple[int, int], Episode] = {}  # by the position of the task, and the repeat
        self._records = StoredRecords.of(())
        self._places = array("i", [-1]) * (len(tasks) * repeats)  # of the records, in the order of tasks and repeats

    def add(self, index: int, repeat: int, episode: Episode) -> None:
        """Add an answer."""
        self._waiting[index, repeat] = episode
        if len(self._waiting) >= _AT_ONCE + self._kept:
            self._record(list(self._waiting)[:_AT_ONCE])

    def in_order(self) -> StoredRecords:
        """Return the records of all answers, in the order of the tasks and repeats."""
        self._record(sorted(self._waiting))
        answered = array("I", (number for number, place in enumerate(self._places) if place >= 0))
        self.positions = array("I", (number // self._repeats for number in answered))
        return self._records.picked(map(self._places.__getitem__, answered))

    def _record(self, places: Sequence[tuple[int, int]]) -> None:
        """Have answers judged, and keep their records."""
        judgements = self._judge([self._waiting[place] for place in places])
        for (index, repeat), judgement in zip(places, judgements, strict=True):
            episode = self._waiting.pop((index, repeat))
            self._places[index * self._repeats + repeat] = len(self._records)
            self._records.append(record(self.tasks[index].suite, episode, judgement, repeat))


class _Turn:
    """The answers of one round: those that end their episodes are added, the others wait for the next round.

    Args:
        answers: take the episodes that have ended.
        places: of the tasks that are asked, among all.
        observe: says what comes next; None in the last round.

    Attributes:
        going: the episodes that go on, by place.
    """

    def __init__(self, answers: _Answers, repeat: int, places: Sequence[int], observe: Observe | None) -> None:
        self.going: dict[int, Episode] = {}
        self._answers, self._repeat, self._places = answers, repeat, places
        self._observe = observe
        self._waiting: dict[int, Episode] = {}

    def add(self, index: int, episode: Episode) -> None:
        """Add an answer to the task of this index."""
        if self._observe is None or episode.finish_reason != "stop":
            self._answers.add(self._places[index], self._repeat, episode)
            return
        self._waiting[self._places[index]] = episode
        if len(self._waiting) >= _AT_ONCE:
            self.observe()

    def tasks_that_go_on(self) -> Sequence[EvalTask]:
        """Return the tasks of the episodes that go on, each with what was said before."""
        tasks, going = self._answers.tasks, self.going
        return LazySequence(list(going), lambda place: replace(tasks[place], before=going[place]))

    def observe(self) -> None:
        """Ask the environments about the answers that wait."""
        shown = [] if self._observe is None else self._observe(list(self._waiting.values()))
        for place, episode in zip(self._waiting, shown, strict=True):
            if episode.goes_on:
                self.going[place] = episode
            else:
                self._answers.add(place, self._repeat, episode)
        self._waiting.clear()


class _BySkill:
    """A policy that holds each answer to the contract of its task's skill.

    Args:
        places: of the prompts, by skill.
        forms: JSON Schemas of answers by skill; a skill without one is asked freely.
    """

    def __init__(
        self, policy: ConstrainablePolicy, places: Mapping[str, Sequence[int]], forms: Mapping[str, Any]
    ) -> None:
        self.name = policy.name
        self.settings = getattr(policy, "settings", {})
        self._policy = policy
        self._places = places
        self._forms = forms

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        """Yield completions, one skill after the other."""
        for skill, mine in self._places.items():
            form = self._forms.get(skill)
            policy: Policy = self._policy if form is None else self._policy.constrained(form)
            asked = LazySequence(mine, prompts.__getitem__)
            for position, completion in policy.complete(asked, max_new_tokens=max_new_tokens):
                yield mine[position], completion


def _episode(task: EvalTask, completion: Completion) -> Episode:
    usage = Usage(
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        confidence=completion.confidence,
    )
    text, reason = _well_formed(completion.text), _finish_reason(completion.finish_reason)
    if task.before is None:
        return Episode.answering(task.task, text, reason, usage)
    if reason == "too_long":  # then what was answered before is all
        return task.before.model_copy(update={"messages": task.before.messages[:-1]})
    return task.before.answered(text, reason, usage)


def record(suite: str, episode: Episode, judgement: Judgement, repeat: int = 0) -> Record:
    """Return the form in which an answer to a task of a task set and its judgement are kept."""
    task, usage = episode.task, episode.usage
    return Record(
        task=task.key,
        skill=task.skill,
        suite=suite,
        request=task.request,
        expected=task.expected,
        completion=_well_formed(episode.completion),
        **_judged(judgement),
        finish_reason=_finish_reason(episode.finish_reason),
        messages=episode.messages if len(episode.messages) > 1 else (),
        prompt_tokens=0 if usage is None else usage.prompt_tokens,
        completion_tokens=0 if usage is None else usage.completion_tokens,
        tags=task.tags,
        repeat=repeat,
        confidence=None if usage is None else usage.confidence,
    )


def judged_again(record: Record, judgement: Judgement) -> Record:
    """Return the record of the same answer with another judgement."""
    return record.model_copy(update=_judged(judgement))


def _judged(judgement: Judgement) -> dict[str, Any]:
    """Return the fields of a record that a judgement decides."""
    verdict = judgement.verdict
    only_json = verdict.components.get("only_json")
    return {
        "argv": judgement.argv,
        "verdict": verdict,
        "rewards": judgement.rewards,
        "exact": verdict.status == "passed",
        "valid_json": None if only_json is None else only_json == 1,
    }


def _finish_reason(reason: str) -> Literal["stop", "length", "too_long"]:
    return "length" if reason == "length" else "too_long" if reason == "too_long" else "stop"


def _well_formed(text: str) -> str:
    """Replace lone surrogates, which no file and no wire can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
