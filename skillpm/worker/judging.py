"""Judging a batch inside the worker: the contract first, the skill's verifier on top, then the rewards.

One bad item must not cost the others theirs: where a verifier fails on a batch, or returns another number of verdicts,
it is asked again with one attempt at a time, and what still fails is errored alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from skillpm.contract.argv import Argv
from skillpm.contract.contract import Contract
from skillpm.contract.judge import Gold
from skillpm.contract.rewards import BUILTIN
from skillpm.errors import DocumentError
from skillpm.model.episode import Episode, FinishReason
from skillpm.model.ports import Attempt, Verifier
from skillpm.model.task import Message, Task
from skillpm.model.verdict import RewardFunction, Verdict, verdict_document
from skillpm.runtime.collect import Given

_BUILTIN = frozenset(reward.function for reward in BUILTIN)


@dataclass(frozen=True, slots=True)
class _Plain:
    """What the built-in rewards read of a task or an episode; a skill's own code gets the real ones."""

    expected: Any = None
    completion: str = ""


class _Grades:
    """Verdicts with what is paid for them; equal ones stand here once."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self._places: dict[Any, int] = {}

    def place(self, verdict: Verdict, rewards: dict[str, float | None], reasons: tuple[str, ...]) -> int:
        """Return the place of a grade, which is added where it is new."""
        key = (verdict.status, verdict.score, *verdict.components.items(), *reasons, *rewards.values())
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.documents)
            document = {**verdict_document(verdict), "reasons": reasons}
            self.documents.append({"verdict": document, "rewards": rewards})
        return place


class BatchJudge:
    """Where one skill's answers are judged.

    Args:
        contract: the skill's, or None.
        verifier: of plugin.py or verifier.py; None where the contract alone judges.
        rewards: RewardFunctions with the file that brought each.
    """

    def __init__(self, contract: Contract | None, verifier: Verifier | None, rewards: Sequence[Given]) -> None:
        self._contract = contract
        self._verifier = verifier
        self._rewards = [(item.plugin, item.record) for item in rewards]
        self._plain_rewards = [(item.record.name, item.record.function) for item in rewards]
        self._has_code = verifier is not None or any(reward.function not in _BUILTIN for _, reward in self._rewards)

    def judge(self, tasks: list[dict[str, Any]], items: list[list[Any]]) -> dict[str, Any]:
        """Judge items ``[place of the task, answer, finish reason, verdict or None]``; return grades and items."""
        golds = [self._gold(task["expected"]) for task in tasks]
        grades = _Grades()
        if self._has_code:
            judged = [
                (grades.place(verdict, *self._paid(task, episode, verdict)), argv)
                for task, episode, verdict, argv in self._found_by_code(golds, tasks, items)
            ]
        else:
            judged = self._judged_by_contract(golds, tasks, items, grades)
        return {"grades": grades.documents, "items": judged}

    def _judged_by_contract(
        self, golds: list[Gold | Verdict], tasks: list[dict[str, Any]], items: list[list[Any]], grades: _Grades
    ) -> list[tuple[int, Any]]:
        """Judge where no code of the skill has a say; an answer that comes again is not judged again."""
        plain = [_Plain(expected=task["expected"]) for task in tasks]
        known: dict[tuple[int, str], tuple[int, Any]] = {}
        judged: list[tuple[int, Any]] = []
        for place, answer, _, given in items:
            completion = _completion(answer)
            found = known.get((place, completion)) if given is None else None
            if found is None:
                verdict, argv = self._assess(golds[place], completion)
                verdict = verdict if given is None else Verdict.model_validate(given)
                task, episode = cast(Task, plain[place]), cast(Episode, _Plain(completion=completion))
                rewards = {name: pay(task, episode, verdict) for name, pay in self._plain_rewards}
                found = (grades.place(verdict, rewards, verdict.reasons), argv)
                if given is None:
                    known[place, completion] = found
            judged.append(found)
        return judged

    def _found_by_code(
        self, golds: list[Gold | Verdict], tasks: list[dict[str, Any]], items: list[list[Any]]
    ) -> Iterator[tuple[Task, Episode, Verdict, Any]]:
        made = [_task(task) for task in tasks]
        episodes = [_episode(made[place], answer, reason) for place, answer, reason, _ in items]
        found = [
            self._assess(golds[item[0]], episode.completion) for item, episode in zip(items, episodes, strict=True)
        ]
        verdicts = [
            verdict if item[3] is None else Verdict.model_validate(item[3])
            for item, (verdict, _) in zip(items, found, strict=True)
        ]
        if self._verifier is not None:
            given = [item[3] is not None for item in items]
            verdicts = self._verified(self._verifier, episodes, verdicts, given)
        for episode, verdict, (_, argv) in zip(episodes, verdicts, found, strict=True):
            yield episode.task, episode, verdict, argv

    def _gold(self, expected: Any) -> Gold | Verdict:
        """Return the expected answer ready to be judged against, or the verdict that all its answers get."""
        if self._contract is None:
            return Verdict.abstained("the skill has neither a contract nor a verifier")
        try:
            return self._contract.gold(expected)
        except DocumentError as error:
            return Verdict.errored(error.rule)

    def _assess(self, gold: Gold | Verdict, completion: str) -> tuple[Verdict, Argv | None]:
        """Return what the contract finds, and the commands of the completion where an executor would run them."""
        if self._contract is None:
            assert isinstance(gold, Verdict)
            return gold, None
        if isinstance(gold, Verdict):
            return gold, self._contract.argv_of(completion)
        return self._contract.assess(gold, completion)

    def _verified(
        self, verifier: Verifier, episodes: list[Episode], found: list[Verdict], given: list[bool]
    ) -> list[Verdict]:
        """Let the verifier judge what is open to it: not what a host has judged, nor an expectation that is broken."""
        open_to = [index for index, verdict in enumerate(found) if not given[index] and verdict.status != "errored"]
        attempts = [
            Attempt(episodes[index].task, episodes[index], found[index] if self._contract is not None else None)
            for index in open_to
        ]
        verdicts = list(found)
        for index, verdict in zip(open_to, _ask(verifier, attempts), strict=True):
            verdicts[index] = verdict
        return verdicts

    def _paid(self, task: Task, episode: Episode, verdict: Verdict) -> tuple[dict[str, float | None], tuple[str, ...]]:
        """Return the rewards by name, and the verdict's reasons with those of rewards that failed."""
        if verdict.score is None:
            return {reward.name: None for _, reward in self._rewards}, verdict.reasons
        failures: list[str] = []
        rewards = {
            reward.name: reward.function(task, episode, verdict)
            if reward.function in _BUILTIN
            else _pay(plugin, reward, episode, verdict, failures)
            for plugin, reward in self._rewards
        }
        return rewards, (*verdict.reasons, *failures)


def _completion(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    return str(answer[-1][1]) if answer else ""


def _task(document: dict[str, Any]) -> Task:
    prompt = tuple(Message.made(**message) for message in document["prompt"])
    return Task.made(**{**document, "prompt": prompt, "tags": tuple(document["tags"])})


def _episode(task: Task, answer: Any, reason: FinishReason) -> Episode:
    if isinstance(answer, str):
        return Episode.answering(task, answer, reason)
    messages = tuple(Message.made(role=role, content=content) for role, content in answer)
    return Episode.made(task=task, messages=messages, finish_reason=reason, usage=None)


def _ask(verifier: Verifier, attempts: list[Attempt]) -> list[Verdict]:
    if not attempts:
        return []
    try:
        verdicts = verifier.verify(attempts)
        if isinstance(verdicts, list | tuple) and len(verdicts) == len(attempts):
            return [_checked(verdict, attempt) for verdict, attempt in zip(verdicts, attempts, strict=True)]
        problem = _miscount(verdicts, len(attempts))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - skill code may raise anything
        problem = f"the verifier raised {type(error).__name__}: {error}"
    if len(attempts) == 1:
        return [Verdict.errored(_text(problem))]
    return [verdict for attempt in attempts for verdict in _ask(verifier, [attempt])]


def _miscount(verdicts: Any, wanted: int) -> str:
    if not isinstance(verdicts, list | tuple):
        return f"the verifier returned {type(verdicts).__name__} where a list of {_counted(wanted, 'verdict')} belongs"
    return f"the verifier returned {_counted(len(verdicts), 'verdict')} for {_counted(wanted, 'attempt')}"


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _checked(verdict: Any, attempt: Attempt) -> Verdict:
    """Return the verdict, or an errored one: what is not the contract's own was made by skill code."""
    found = attempt.verdict
    if found is not None and verdict is found:
        return found
    if not isinstance(verdict, Verdict):
        return Verdict.errored(_text(f"the verifier returned {verdict!r:.80} where a Verdict belongs"))
    try:
        checked = Verdict.model_validate(verdict_document(verdict), strict=True)
    except (ValidationError, AttributeError, TypeError) as error:
        return Verdict.errored(_text(f"the verifier returned a wrong verdict: {_first_line(error)}"))
    if all(reason.isascii() for reason in checked.reasons):
        return checked
    return checked.model_copy(update={"reasons": tuple(_text(reason) for reason in checked.reasons)})


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"`{'.'.join(str(step) for step in first['loc'])}`: {first['msg']}"
    return str(error)


def is_failed_reward(reason: str) -> bool:
    """Is this reason of a verdict one that tells of a reward that failed?"""
    return reason.startswith("reward `")


def _pay(plugin: str, reward: RewardFunction, episode: Episode, verdict: Verdict, failures: list[str]) -> float | None:
    try:
        paid = reward.function(episode.task, episode, verdict)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - skill code may raise anything
        failures.append(_text(f"reward `{reward.name}` of {plugin} raised {type(error).__name__}: {error}"))
        return None
    if paid is None:
        return None
    if isinstance(paid, bool) or not isinstance(paid, int | float) or not math.isfinite(paid):
        failures.append(_text(f"reward `{reward.name}` of {plugin} returned {paid!r:.80}, which is no finite number"))
        return None
    return float(paid)


def _text(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()[:2000]
