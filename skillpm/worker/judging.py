"""Judging a batch inside the worker: the contract first, the skill's verifier on top, then the skill's own rewards.

The host computes the built-in rewards itself, so that no code of a skill can lie about them. Only where no code of the
skill runs here, they are sent along: the host would have to read each answer a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from skillpm.contract.command import Argv
from skillpm.contract.contract import Contract
from skillpm.contract.judge import AnyGold
from skillpm.contract.rewards import BUILTIN_FUNCTIONS
from skillpm.errors import DocumentError
from skillpm.model.episode import Episode, FinishReason
from skillpm.model.ports import Attempt, Simulator, Verifier
from skillpm.model.task import Message, Task
from skillpm.model.verdict import RewardFunction, Verdict, verdict_document
from skillpm.runtime.guarded import Pay, Shown, observe, pay_each, verify
from skillpm.worker.protocol import task_of


@dataclass(frozen=True, slots=True)
class _Plain:
    """What a built-in reward reads of a task or an episode; a skill's own code gets the real ones."""

    expected: Any = None
    completion: str = ""


class _Grades:
    """Verdicts with what is paid for them; equal ones stand here once."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self._places: dict[Any, int] = {}

    def place(self, verdict: Verdict, pay: Pay) -> int:
        """Return the place of a grade, which is added where it is new."""
        verdict = verdict.shortened()
        rewards, failures = pay
        reasons = [failure.reason for failure in failures]
        key = (verdict.status, verdict.score, *verdict.components.items(), *verdict.reasons, *rewards.items(), *reasons)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.documents)
            self.documents.append(
                {
                    "verdict": verdict_document(verdict),
                    "rewards": rewards,
                    "failures": [failure.model_dump() for failure in failures],
                }
            )
        return place


class BatchJudge:
    """Where one skill's answers are judged. The verifier and the rewards come with the file that brought each."""

    def __init__(
        self,
        contract: Contract | None,
        verifier: tuple[str, Verifier] | None = None,
        rewards: Sequence[tuple[str, RewardFunction]] = (),
    ) -> None:
        self._contract = contract
        self._verifier = verifier
        self._rewards = rewards

    def judge(self, tasks: list[dict[str, Any]], items: list[list[Any]]) -> dict[str, Any]:
        """Judge items ``[place of the task, answer, finish reason, verdict or None]``; return grades and items."""
        golds = [self._gold(task["expected"]) for task in tasks]
        grades = _Grades()
        has_code = self._verifier is not None or self._rewards
        judge = self._judge_with_code if has_code else self._judge_by_contract
        return {"items": judge(golds, tasks, items, grades), "grades": grades.documents}

    def observe(self, tasks: list[dict[str, Any]], items: list[list[Any]]) -> list[Shown]:
        """Return what the environment shows after the last answer of each item; no item has a verdict yet."""
        assert self._verifier is not None
        plugin, simulator = self._verifier
        known = [task_of(document) for document in tasks]
        episodes = [_episode(known[place], answer, reason) for place, answer, reason, _ in items]
        return [observe(cast(Simulator, simulator), Attempt(item.task, item), plugin) for item in episodes]

    def _judge_by_contract(
        self, golds: list[AnyGold | Verdict], tasks: list[dict[str, Any]], items: list[list[Any]], grades: _Grades
    ) -> list[tuple[int, Any]]:
        """Judge where no code of the skill has a say; an answer that comes again is not judged again."""
        plain = cast(list[Task], [_Plain(expected=task["expected"]) for task in tasks])
        # A verdict of the contract depends on nothing but the expected answer and the text, and the answers that a
        # policy samples for one task are often the same. A verifier may look at more, so it is asked about every item.
        known: dict[tuple[int, str], tuple[int, Any]] = {}
        judged: list[tuple[int, Any]] = []
        for place, answer, _, _ in items:
            completion = _completion(answer)
            item = known.get((place, completion))
            if item is None:
                verdict, argv = self._assess(golds[place], completion)
                task, episode = plain[place], cast(Episode, _Plain(completion=completion))
                rewards = {name: function(task, episode, verdict) for name, function in BUILTIN_FUNCTIONS.items()}
                item = known[place, completion] = (grades.place(verdict, (rewards, ())), argv)
            judged.append(item)
        return judged

    def _judge_with_code(
        self, golds: list[AnyGold | Verdict], documents: list[dict[str, Any]], items: list[list[Any]], grades: _Grades
    ) -> list[tuple[int, Any]]:
        tasks = [task_of(document) for document in documents]
        episodes = [_episode(tasks[place], answer, reason) for place, answer, reason, _ in items]
        assessed = [
            self._assess(golds[item[0]], episode.completion) for item, episode in zip(items, episodes, strict=True)
        ]
        decided = [None if item[3] is None else Verdict.model_validate(item[3]) for item in items]
        verdicts = self._verdicts(episodes, [verdict for verdict, _ in assessed], decided)
        return [
            (grades.place(verdict, pay_each(self._rewards, episode.task, episode, verdict)), argv)
            for episode, verdict, (_, argv) in zip(episodes, verdicts, assessed, strict=True)
        ]

    def _gold(self, expected: Any) -> AnyGold | Verdict:
        """Return the expected answer ready to be judged against, or the verdict that all its answers get."""
        if self._contract is None:
            return Verdict.abstained("the skill has neither a contract nor a verifier")
        try:
            return self._contract.gold(expected)
        except DocumentError as error:
            return Verdict.errored(error.rule)

    def _assess(self, gold: AnyGold | Verdict, completion: str) -> tuple[Verdict, Argv | None]:
        """Return what the contract finds, and the commands of the completion where an executor would run them."""
        if self._contract is None:
            assert isinstance(gold, Verdict)
            return gold, None
        if isinstance(gold, Verdict):
            return gold, self._contract.argv_of(completion)
        return self._contract.assess(gold, completion)

    def _verdicts(
        self, episodes: list[Episode], assessed: list[Verdict], decided: list[Verdict | None]
    ) -> list[Verdict]:
        """Return the final verdicts: the host's where it has decided, else the verifier's, else the contract's.

        The verifier is not asked where the host has decided, nor where the contract errs: the expected answer is broken
        then, and no judgement of an answer to it means anything.
        """
        verdicts = [host or contract for host, contract in zip(decided, assessed, strict=True)]
        if self._verifier is None:
            return verdicts
        open_places = [
            place for place, host in enumerate(decided) if host is None and assessed[place].status != "errored"
        ]
        attempts = [
            Attempt(episodes[place].task, episodes[place], assessed[place] if self._contract is not None else None)
            for place in open_places
        ]
        plugin, verifier = self._verifier
        for place, verdict in zip(open_places, verify(verifier, attempts, plugin), strict=True):
            verdicts[place] = verdict
        return verdicts


def _completion(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    return str(answer[-1][1]) if answer else ""


def _episode(task: Task, answer: Any, reason: FinishReason) -> Episode:
    if isinstance(answer, str):
        return Episode.answering(task, answer, reason)
    messages = tuple(Message.made(role=role, content=content) for role, content in answer)
    return Episode.made(task=task, messages=messages, finish_reason=reason, usage=None)
