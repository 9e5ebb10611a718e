"""Judging episodes of any mix of skills, each in its skill's worker: one message for each skill and batch, and a memo.

"Could not judge" is a value here: whatever a skill's code does, the result is a Verdict that is errored, never an
exception that ends a training run and never a zero that would train a policy.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

from skillpm.errors import UsageError
from skillpm.model.episode import Episode
from skillpm.model.ports import Attempt, Observe
from skillpm.model.skill import Skill
from skillpm.model.task import Seed, Task
from skillpm.model.verdict import Judgement, Verdict
from skillpm.runtime.described import Described
from skillpm.runtime.host import Host
from skillpm.sandbox.limits import Limits
from skillpm.trust.consent import Consents
from skillpm.worker.pool import WorkerPool
from skillpm.worker.prefetch import Prefetch
from skillpm.worker.settings import WorkerSettings
from skillpm.worker.skill_judge import SkillJudge

_MOVING_ITEMS = 4  # of a message to a worker whose clock moves


class Scorer:
    """A pool of workers for each skill, that lives as long as the context.

    ``consents`` are asked when the context is entered.

    Raises:
        ConsentError: on entering, where nobody has agreed to run a skill's code.
    """

    def __init__(
        self,
        skills: Sequence[Skill],
        *,
        consents: Consents,
        limits: Limits | None = None,
        host: Host | None = None,
        settings: WorkerSettings | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._consents = consents
        self._host = host
        self._settings = replace(settings or WorkerSettings(), wheels=consents.wheels)
        self._pools = {skill.name: WorkerPool(skill, self._limits, self._settings) for skill in skills}
        self._prefetches = {name: Prefetch(pool) for name, pool in self._pools.items()}
        self._judges: dict[str, SkillJudge] = {}
        self._memo = _Memo(self._limits)

    def __enter__(self) -> Scorer:
        self._consents.demand(pool.skill for pool in self._pools.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, and whatever is in flight; the next call would start them again."""
        for prefetch in self._prefetches.values():
            prefetch.close()
        for pool in self._pools.values():
            pool.close()

    def anew(self) -> Scorer:
        """Return a scorer of the same skills with two new workers for each, whose clock moves, and an empty memo.

        Messages are small, because process numbers are others in each message.
        """
        skills = [pool.skill for pool in self._pools.values()]
        settings = replace(self._settings, workers=2)
        limits = replace(self._limits, moving_clock=True, batch_items=_MOVING_ITEMS)
        return Scorer(skills, consents=self._consents, limits=limits, host=self._host, settings=settings)

    def describe(self, skill: Skill) -> Described:
        """Return what a skill's worker says that it contributes. Raises PluginError if its code cannot be loaded."""
        return self._pool(skill.name).describe()

    def synthesise(self, skill: str, rule: str, seeds: Sequence[Seed], *, seed: int, count: int) -> list[Task]:
        """Let a rule of a host's plugin or of a skill's plugin.py make tasks. Raises PluginError if it fails."""
        pool = self._pool(skill)
        tasks = None
        if self._host is not None:
            tasks = self._host.synthesise(pool.skill, rule, seeds, seed=seed, count=count)
        return pool.synthesise(rule, seeds, seed=seed, count=count) if tasks is None else tasks

    def judge(self, episodes: Sequence[Episode]) -> list[Judgement]:
        """Judge episodes, in order. The same answer to the same task is judged once.

        Raises:
            UsageError: an episode of a skill that this scorer was not made for.
        """
        keys = [_key(episode) for episode in episodes]
        known = self._memo.get_all(keys)
        for key, episode in zip(keys, episodes, strict=True):
            if episode.finish_reason == "error":
                known[key] = Judgement(verdict=Verdict.errored(episode.messages[-1].content))
        for name, group in _unknown(keys, episodes, known).items():
            pool = self._pool(name)
            ahead = self._prefetches[name].take(group)
            if any(judgement.verdict.status == "errored" for judgement in ahead.values()):
                ahead = {}  # what failed ahead, in whatever company, is judged in its own: so no result changes
            rest = {key: episode for key, episode in group.items() if key not in ahead}
            ahead.update(zip(rest, pool.judge(list(rest.values())), strict=True))
            judgements = self._judge_of(pool).judge(list(group.values()), [ahead[key] for key in group])
            fresh = dict(zip(group, judgements, strict=True))
            known.update(fresh)
            self._memo.put_all(fresh)
        result = [known[key] for key in keys]
        tell = None if self._host is None else self._host.scored_observer()
        if tell is not None:
            for episode, judgement in zip(episodes, result, strict=True):
                tell(Attempt(episode.task, episode, judgement.verdict), judgement)
        return result

    @property
    def observer(self) -> Observe | None:
        """``observe``, where one of the skills has an environment."""
        return self.observe if any(self._judge_of(pool).observes for pool in self._pools.values()) else None

    def observe(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Return the episodes, in order, each with what its skill's environment shows after the last answer, if any.

        Raises:
            UsageError: an episode of a skill that this scorer was not made for.
        """
        observed = dict(enumerate(episodes))
        for name in dict.fromkeys(episode.task.skill for episode in episodes):
            places = [place for place, episode in enumerate(episodes) if episode.task.skill == name]
            if (judge := self._judge_of(self._pool(name))).observes:
                shown = judge.observe([episodes[place] for place in places])
                for place, (text, failure) in zip(places, shown, strict=True):
                    if failure is not None:
                        observed[place] = episodes[place].shown(failure, "error")
                    elif text is not None:
                        observed[place] = episodes[place].shown(text)
        return list(observed.values())

    def prefetch(self, episodes: Sequence[Episode]) -> None:
        """Have workers begin with episodes that ``judge`` will be asked for; returns at once and changes no result.

        What has come since the workers were last given something is given to them together. ``judge`` then waits for
        what they are at, and for what nobody has begun with.

        Raises:
            UsageError: an episode of a skill that this scorer was not made for.
        """
        keys = [_key(episode) for episode in episodes]
        for name, group in _unknown(keys, episodes, self._memo.get_all(keys)).items():
            self._pool(name)
            self._prefetches[name].put(group)

    def judge_afresh(self, episodes: Sequence[Episode]) -> list[Judgement]:
        """Judge episodes of one skill without the memo, for those who ask whether a verifier repeats itself."""
        if not episodes:
            return []
        pool = self._pool(episodes[0].task.skill)
        return self._judge_of(pool).judge(episodes, pool.judge(episodes))

    def _judge_of(self, pool: WorkerPool) -> SkillJudge:
        """Return the judge of a skill; the host's plugins are asked what they bring when it is first needed."""
        name = pool.skill.name
        if name not in self._judges:
            self._judges[name] = SkillJudge(pool, self._host)
        return self._judges[name]

    def _pool(self, name: str) -> WorkerPool:
        try:
            return self._pools[name]
        except KeyError:
            raise UsageError(f"skill `{name}` is not among those that are scored: {', '.join(self._pools)}") from None


class _Memo:
    """Judgements by (task key, digest of the answer), the least recently used forgotten first. Outages are not kept."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._judgements: OrderedDict[Hashable, Judgement] = OrderedDict()
        self._turn = threading.Lock()

    def get_all(self, keys: Iterable[Hashable]) -> dict[Hashable, Judgement]:
        with self._turn:
            known = {key: self._judgements[key] for key in keys if key in self._judgements}
            for key in known:
                self._judgements.move_to_end(key)
        return known

    def put_all(self, judgements: dict[Hashable, Judgement]) -> None:
        with self._turn:
            for key, judgement in judgements.items():
                if judgement.verdict.status != "errored":
                    self._judgements[key] = judgement
            while len(self._judgements) > self._limits.memo_items:
                self._judgements.popitem(last=False)


def _key(episode: Episode) -> Hashable:
    """Return (task key, digest of all that was answered): a memo holds no texts."""
    messages = episode.messages
    if len(messages) == 1:
        text = f"{episode.finish_reason} {messages[0].role} {messages[0].content}"
    else:
        parts = (f"{message.role} {len(message.content)} {message.content}" for message in messages)
        text = f"{episode.finish_reason} {len(messages)} {''.join(parts)}"
    return (episode.task.key, hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def _unknown(
    keys: Sequence[Hashable], episodes: Sequence[Episode], known: Mapping[Hashable, Judgement]
) -> dict[str, dict[Hashable, Episode]]:
    """Return the episodes that are not known, each once, by skill and key."""
    unknown: dict[str, dict[Hashable, Episode]] = {}
    for key, episode in zip(keys, episodes, strict=True):
        if key not in known:
            unknown.setdefault(episode.task.skill, {})[key] = episode
    return unknown
