"""The workers of one skill: one, or as many as are wanted, each with a share of every call.

A call is cut into as many messages as there are workers, or into more where the limits of a message ask for it. Which
worker judges what is left to chance, since a verdict depends on task and answer alone; ``selftest`` holds verifiers to
that.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

from skillpm.errors import PluginError, SkillpmError, VerifierError
from skillpm.model.episode import Episode
from skillpm.model.manifest import Permissions
from skillpm.model.skill import Skill
from skillpm.model.task import Seed, Task
from skillpm.model.verdict import Judgement, Verdict
from skillpm.runtime.described import Described, Named
from skillpm.runtime.guarded import Shown
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.sandbox.limits import Limits
from skillpm.worker.engine import Worker
from skillpm.worker.environments import Environment
from skillpm.worker.protocol import Synthesised
from skillpm.worker.settings import WorkerSettings
from skillpm.worker.supervisor import Call, Supervisor

T = TypeVar("T")


class WorkerPool:
    """The workers of one skill."""

    def __init__(self, skill: Skill, limits: Limits, settings: WorkerSettings) -> None:
        limits = _promised(skill, limits)
        self.skill = skill
        self._limits = limits
        self._settings = settings
        self._prepared: tuple[Permissions, Environment | None] | SkillpmError | None = None
        self._building = threading.Lock()
        self._judging = threading.Lock()
        self._turn = threading.Lock()
        self._supervisors = [Supervisor(self._spawn, limits) for _ in range(settings.workers)]
        self._rewards: tuple[Named, ...] | None = None  # that the first worker described
        self._threads: ThreadPoolExecutor | None = None
        self._calls: set[Call] = set()  # in flight

    @property
    def processes(self) -> list[Worker]:
        """The workers that run."""
        return [item.process for item in self._supervisors if item.process is not None]

    def describe(self) -> Described:
        """Return what the skill contributes.

        Raises:
            VerifierError: its code cannot be loaded, or its environment cannot be built.
        """
        self._prepare()
        with self._call(0) as call:
            return self._supervisors[0].started(call).described

    def judge(self, episodes: Sequence[Episode], verdicts: Sequence[Verdict] | None = None) -> list[Judgement]:
        """Judge episodes of this skill, in order; what cannot be judged is errored, never raised.

        ``verdicts`` are what a host's verifier decided; the workers then only pay rewards.
        """

        def judged(supervisor: Supervisor, start: int, stop: int, call: Call) -> list[Judgement]:
            return supervisor.judge(episodes[start:stop], verdicts and verdicts[start:stop], call)

        return self._shared(episodes, judged)

    def observe(self, episodes: Sequence[Episode]) -> list[Shown]:
        """Return what the skill's environment shows after the last answer of each episode; nothing is raised."""

        def observed(supervisor: Supervisor, start: int, stop: int, call: Call) -> list[Shown]:
            return supervisor.observe(episodes[start:stop], call)

        return self._shared(episodes, observed)

    def _shared(self, episodes: Sequence[Episode], work: Callable[[Supervisor, int, int, Call], list[T]]) -> list[T]:
        """Share a call among the workers, and return what they made of the episodes, in order."""
        # A verdict depends on task and answer alone, so any worker may take any batch. Workers come out of a queue and
        # are not tied to batches: a slow batch, or a worker that is started again, holds up no other. One call is in
        # at a time (`_judging`), because its time begins with `_call`: two calls that shared workers would pay with
        # their own time for the other's work. A single batch, or a single worker, needs no thread.
        self._prepare()
        idle: SimpleQueue[Supervisor] = SimpleQueue()
        for supervisor in self._supervisors:
            idle.put(supervisor)
        with self._judging, self._call(len(episodes)) as call:  # no call's time runs while it waits for another

            def worked(batch: tuple[int, int]) -> list[T]:
                supervisor = idle.get()
                try:
                    return work(supervisor, *batch, call)
                finally:
                    idle.put(supervisor)

            batches = list(self._batches(episodes))
            if min(len(batches), len(self._supervisors)) <= 1:
                return [item for batch in batches for item in worked(batch)]
            if self._threads is None:
                self._threads = ThreadPoolExecutor(len(self._supervisors))
            return [item for part in self._threads.map(worked, batches) for item in part]

    def synthesise(self, rule: str, seeds: Sequence[Seed], *, seed: int, count: int) -> list[Task]:
        """Let a rule of plugin.py make tasks. Raises PluginError if the rule failed, or the worker did."""
        request = {"do": "synthesise", "rule": rule, "seed": seed, "count": count}
        document = {**request, "seeds": [item.model_dump(mode="json") for item in seeds]}
        self._prepare()
        with self._call(count) as call:
            reply = self._supervisors[0].ask(Synthesised, document, count, call)
        if reply.error is not None:
            raise PluginError(f"{self.skill.name}: rule `{rule}`: {reply.error}", plugin="plugin.py")
        if len(reply.tasks) > count:
            raise PluginError(f"{self.skill.name}: rule `{rule}`: more than {count} tasks", plugin="plugin.py")
        return list(reply.tasks)

    def cancel(self) -> None:
        """Leave the calls that are in flight no time: what they have not judged is errored at once."""
        with self._turn:
            for call in self._calls:
                call.cancel()

    def close(self) -> None:
        """End the workers, and the calls in flight with them; the next call would start them again."""
        self.cancel()
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None
        for supervisor in self._supervisors:
            supervisor.close()

    @contextmanager
    def _call(self, items: int) -> Iterator[Call]:
        """Begin a call about this many items; an interrupt does not wait for its verdicts."""
        call = Call(self._limits, items, len(self._supervisors))
        with self._turn:
            self._calls.add(call)
        try:
            yield call
        except BaseException:
            call.cancel()
            raise
        finally:
            with self._turn:
                self._calls.discard(call)

    def _prepare(self) -> tuple[Permissions, Environment | None] | SkillpmError:
        """Build the environment, once, before a call's time runs; return what workers get, or why there are none."""
        with self._building:
            if self._prepared is None:
                try:
                    manifest, environment = self._settings.prepare(self.skill)
                    self._prepared = self._settings.permitted(manifest), environment
                except SkillpmError as error:
                    self._prepared = error
            return self._prepared

    def _spawn(self, cancelled: threading.Event) -> Worker:
        prepared = self._prepare()
        try:
            if isinstance(prepared, SkillpmError):
                raise prepared
            permissions, environment = prepared
            place = self._settings
            process = place.engine(self.skill, permissions, self._limits, place.sandbox, environment, cancelled)
            return self._as_described_first(process)
        except SkillpmError as error:
            raise VerifierError(
                f"{self.skill.name} cannot be run: {error.message}", hint=error.hint, skill=self.skill.name
            ) from None

    def _as_described_first(self, process: Worker) -> Worker:
        """Return the worker, refused where it declares other rewards than the first one did."""
        with self._building:
            if self._rewards is None:
                self._rewards = process.described.rewards
        if process.described.rewards != self._rewards:
            process.close()
            raise PluginError("its workers declare different rewards")
        return process

    def _batches(self, episodes: Sequence[Episode]) -> Iterator[tuple[int, int]]:
        """Yield (start, stop) of messages that keep the limits; a single long answer is a message by itself."""
        share = min(self._limits.batch_items, -(-len(episodes) // len(self._supervisors)))
        start = characters = 0
        for index, episode in enumerate(episodes):
            size = sum(len(message.content) for message in episode.messages)
            full = index - start >= share or characters + size > self._limits.batch_characters
            if full and index > start:
                yield start, index
                start, characters = index, 0
            characters += size
        if start < len(episodes):
            yield start, len(episodes)


def _promised(skill: Skill, limits: Limits) -> Limits:
    """Return the limits with the time for a verdict that skill.yaml states, if that is more."""
    try:
        manifest = SkillFiles(skill).manifest()
    except SkillpmError:
        return limits  # it is told when the workers are prepared
    if manifest is None or "seconds" not in manifest.verifier.model_fields_set:
        return limits
    return dataclasses.replace(limits, item_seconds=max(limits.item_seconds, manifest.verifier.seconds))
