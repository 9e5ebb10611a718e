"""One skill's worker over the time of a scorer: started when first needed, replaced when it fails, never trusted.

A batch that ends a worker is tried once more as it is (somebody may have killed the process), then in ever smaller
parts, so that only the guilty items are errored. The number of restarts in one call is bounded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TypeVar

from skillpm.errors import PluginError, SkillpmError, VerifierError
from skillpm.model.episode import Episode
from skillpm.model.manifest import Permissions
from skillpm.model.skill import Skill
from skillpm.model.task import Seed, Task
from skillpm.model.verdict import Judgement, Verdict
from skillpm.runtime.frame import encode
from skillpm.runtime.limits import Limits
from skillpm.runtime.process import WorkerProcess, new_number
from skillpm.runtime.protocol import Described, Judged, Reply, Synthesised, judge_request, read_reply
from skillpm.runtime.requirements import check_requirements

__all__ = ["Crew"]

_PARTS = 8  # into how many parts a failing batch is cut; more parts, fewer deadlines waited for
R = TypeVar("R", bound=Reply)


class Crew:
    """The worker of one skill. Calls from several threads take turns."""

    def __init__(self, skill: Skill, limits: Limits) -> None:
        self.skill = skill
        self._limits = limits
        self._process: WorkerProcess | None = None
        self._broken: VerifierError | None = None  # why it cannot be started; asked once
        self._turn = threading.RLock()
        self._starts_left = 0  # of processes, in the present call of ``judge``

    def describe(self) -> Described:
        """Return what the skill contributes.

        Raises:
            PluginError: its code cannot be loaded.
        """
        with self._turn:
            return self._worker().described

    def judge(self, episodes: Sequence[Episode], verdicts: Sequence[Verdict] | None = None) -> list[Judgement]:
        """Judge episodes of this skill; what cannot be judged is errored, never raised.

        Args:
            episodes: of this skill.
            verdicts: what a host's verifier found; the worker then only pays rewards.
        """
        with self._turn:
            self._starts_left = self._limits.restarts + 1
            judgements: list[Judgement] = []
            for start, stop in self._batches(episodes):
                found = None if verdicts is None else verdicts[start:stop]
                judgements += self._judge(episodes[start:stop], found, again=True)
            return judgements

    def synthesise(self, rule: str, seeds: Sequence[Seed], *, seed: int, count: int) -> list[Task]:
        """Let a rule of plugin.py make tasks.

        Raises:
            PluginError: the rule failed, or the worker did.
        """
        request = {"do": "synthesise", "rule": rule, "seed": seed, "count": count}
        document = {**request, "seeds": [item.model_dump(mode="json") for item in seeds]}
        with self._turn:
            reply = self._call(Synthesised, document, self._seconds(count))
            if reply.error is not None:
                raise PluginError(f"{self.skill.name}: rule `{rule}`: {reply.error}", plugin="plugin.py")
            return list(reply.tasks)

    def close(self) -> None:
        """End the worker."""
        with self._turn:
            if self._process is not None:
                self._process.close()
                self._process = None

    def _worker(self) -> WorkerProcess:
        if self._broken is not None:
            raise self._broken
        if self._process is None:
            self._starts_left -= 1
            try:
                manifest = check_requirements(self.skill)
                permissions = Permissions() if manifest is None else manifest.permissions
                self._process = WorkerProcess(self.skill, permissions, self._limits)
            except SkillpmError as error:
                self._broken = VerifierError(
                    f"{self.skill.name} cannot be run: {error.message}", hint=error.hint, skill=self.skill.name
                )
                raise self._broken from None
        return self._process

    def _batches(self, episodes: Sequence[Episode]) -> Iterator[tuple[int, int]]:
        """Yield (start, stop) of messages that keep the limits; a single long answer is a message by itself."""
        start = characters = 0
        for index, episode in enumerate(episodes):
            size = sum(len(message.content) for message in episode.messages)
            full = index - start >= self._limits.batch_items or characters + size > self._limits.batch_characters
            if full and index > start:
                yield start, index
                start, characters = index, 0
            characters += size
        if start < len(episodes):
            yield start, len(episodes)

    def _judge(
        self, episodes: Sequence[Episode], verdicts: Sequence[Verdict] | None, *, again: bool
    ) -> list[Judgement]:
        try:
            return self._ask(episodes, verdicts)
        except VerifierError as error:
            failure = error
        hopeless = self._broken is not None or self._starts_left <= 0
        if again and not hopeless and failure.details.get("kind") == "crash":
            return self._judge(episodes, verdicts, again=False)
        if hopeless or len(episodes) == 1:
            unjudged = Judgement.model_construct(verdict=Verdict.errored(failure.message), rewards={}, argv=None)
            return [unjudged] * len(episodes)
        step = -(-len(episodes) // _PARTS)
        judgements: list[Judgement] = []
        for start in range(0, len(episodes), step):
            found = None if verdicts is None else verdicts[start : start + step]
            judgements += self._judge(episodes[start : start + step], found, again=False)
        return judgements

    def _ask(self, episodes: Sequence[Episode], verdicts: Sequence[Verdict] | None) -> list[Judgement]:
        if self._process is None and self._starts_left <= 0 and self._broken is None:
            raise VerifierError("the worker failed too often", kind="crash")
        request = judge_request(0, episodes, verdicts)
        reply = self._call(Judged, request, self._seconds(len(episodes)))
        if reply.error is not None:
            raise VerifierError(reply.error, kind="refused")
        judgements = reply.judgements()
        if len(judgements) != len(episodes):
            self.close()
            raise VerifierError(
                f"the worker sent {len(judgements)} judgements for {len(episodes)} answers", kind="reply"
            )
        return judgements

    def _call(self, kind: type[R], request: dict[str, object], seconds: float) -> R:
        worker = self._worker()
        number = new_number()
        try:
            payload = encode({**request, "number": number})
        except (TypeError, ValueError, RecursionError) as error:
            raise VerifierError(f"cannot be told to the worker: {error}", kind="request") from None
        if len(payload) > self._limits.frame_bytes:
            raise VerifierError(f"more than {self._limits.frame_bytes} bytes", kind="request")
        try:
            return read_reply(kind, worker.call(payload, seconds), number)
        except VerifierError:
            self.close()
            raise

    def _seconds(self, items: int) -> float:
        return self._limits.batch_seconds + items * self._limits.item_seconds
