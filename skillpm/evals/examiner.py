"""Ask a policy every task, once or several times, and have every answer judged."""

from __future__ import annotations

import signal
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

from skillpm.contract.answer_schema import answer_schema
from skillpm.contract.contract import Contract
from skillpm.contract.native import read_native
from skillpm.errors import PluginError, UsageError
from skillpm.evals.asking import ArmLabel, Asking
from skillpm.evals.budget import Budget
from skillpm.evals.records import episode_of
from skillpm.evals.rounds import Answers, Turn
from skillpm.evals.tasks import EvalTask
from skillpm.formats.lazy_sequence import LazySequence
from skillpm.model.evaluation import Arm
from skillpm.model.ports import (
    BoundedPolicy,
    Completion,
    ConstrainablePolicy,
    Judge,
    Observe,
    Policy,
    Prefetch,
    SamplingPolicy,
)
from skillpm.model.progress import Progress
from skillpm.model.task import Message

_PATIENCE = 2.0  # seconds
Remember = Callable[[Policy, Mapping[str, Any]], Policy]
"""Makes a policy keep its answers; the mapping is what decides them beside its own settings."""


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
            KeyboardInterrupt: these were not judged soon after Ctrl-C.
            PluginError: the policy left a prompt without an answer, or answered one twice or one that was not asked.
            UsageError: it can be held to no contract, answers greedily alone, or counts no tokens under a limit.
        """
        started = time.monotonic()
        repeats = self._asking.repeats
        answers = Answers(self._judge, tasks, repeats, ahead=self._prefetch is not None)
        self._progress.start(label.name, len(tasks) * repeats)
        if isinstance(policy, BoundedPolicy):
            policy = policy.bounded(lambda: self._budget.reached is not None, self._budget.deadline)
        for repeat in range(repeats):
            if not self.interrupted and self._budget.reached is None:
                self._play(policy, label, answers, repeat)
        self._progress.finish()
        with self._without_delay():
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

    def _play(self, policy: Policy, label: ArmLabel, answers: Answers, repeat: int) -> None:
        """Ask every task once, and again where its environment shows something more."""
        tasks = answers.tasks
        places: Sequence[int] = range(len(tasks))
        paid = isinstance(policy, BoundedPolicy)
        for left in reversed(range(self._asking.turns)):
            turn = Turn(answers, repeat, places, self._observe if left else None)
            self._collect(self._drawn(policy, tasks, label, repeat), tasks, turn, wait=paid)
            with self._without_delay():
                turn.observe()
            places = list(turn.going)
            tasks = turn.tasks_that_go_on()
            if not tasks or self.interrupted or self._budget.reached is not None:
                return

    @contextmanager
    def _without_delay(self) -> Iterator[None]:
        """Press Ctrl-C again for a person who has pressed it, and has waited for verdicts: the answers are stored."""
        again = threading.Timer(_PATIENCE, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
        try:
            if self.interrupted:
                again.start()
            yield
        finally:
            again.cancel()

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

    def _collect(self, policy: Policy, tasks: Sequence[EvalTask], turn: Turn, *, wait: bool) -> None:
        """Ask every task once, and add the answers in whichever order they end.

        At a limit, ``wait`` takes what the policy still gives, because it asks nothing more by itself.
        """
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
                episode = episode_of(task, self._in_our_form(task, completion))
                if self._prefetch is not None and self._observe is None and episode.task.expected is not None:
                    self._prefetch([episode])
                turn.add(index, episode)
                if self._budget.reached is not None and not wait:
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
        policy = constrainable(policy)
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


def constrainable(policy: Policy) -> ConstrainablePolicy:
    """Return a policy that can be held to a contract. Raises UsageError if this one cannot."""
    if not isinstance(policy, ConstrainablePolicy):
        raise UsageError(f"{policy.name} cannot be held to a contract", hint="remove `--constrain`")
    return policy


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
