"""What the user's own plugins add to a skill's judgements: a verifier where the skill brings none, and rewards."""

from __future__ import annotations

import math
from collections.abc import Sequence

from skillpm.errors import PluginError
from skillpm.model.episode import Episode
from skillpm.model.ports import Attempt, Verifier
from skillpm.model.verdict import Judgement, RewardFunction, Verdict
from skillpm.runtime.host import Host
from skillpm.worker.pool import WorkerPool

_OWN = ("plugin.py", "verifier.py")  # a skill's own verifier wins over a host's


class Hosted:
    """The host's share in one skill's judgements.

    Raises:
        PluginError: two plugins bring a verifier for the skill, or rewards of one name.
    """

    def __init__(self, host: Host, pool: WorkerPool) -> None:
        self._pool = pool
        self._rewards = host.named("reward", "skillpm_rewards", pool.skill)
        given = host.verifier(pool.skill)
        self._plugin = given.plugin if given else ""
        self._verifier: Verifier | None = given.record if given and not self._skill_has_its_own() else None

    def _skill_has_its_own(self) -> bool:
        try:
            return self._pool.describe().verifier in _OWN
        except PluginError:
            return True  # its code cannot be loaded: every judgement is errored already

    def has_anything(self) -> bool:
        """Does the host add anything?"""
        return self._verifier is not None or bool(self._rewards)

    def judge(self, episodes: Sequence[Episode], judgements: list[Judgement]) -> list[Judgement]:
        """Return the judgements with the host's verdicts and rewards."""
        if self._verifier is not None:
            verdicts = _verify(self._verifier, self._plugin, episodes, judgements)
            judgements = self._pool.judge(episodes, verdicts)
        if not self._rewards:
            return judgements
        return [self._paid(episode, item) for episode, item in zip(episodes, judgements, strict=True)]

    def _paid(self, episode: Episode, judgement: Judgement) -> Judgement:
        rewards = dict(judgement.rewards)
        for item in self._rewards:
            rewards[item.record.name] = _pay(item.record, episode, judgement.verdict)
        return judgement.model_copy(update={"rewards": rewards})


def _verify(
    verifier: Verifier, plugin: str, episodes: Sequence[Episode], judgements: Sequence[Judgement]
) -> list[Verdict]:
    attempts = [
        Attempt(episode.task, episode, item.verdict) for episode, item in zip(episodes, judgements, strict=True)
    ]
    try:
        verdicts = list(verifier.verify(attempts))
    except Exception as error:  # noqa: BLE001 - "could not judge" is a value
        return [Verdict.errored(f"{plugin}: {type(error).__name__}: {error}")] * len(attempts)
    if len(verdicts) != len(attempts) or not all(isinstance(verdict, Verdict) for verdict in verdicts):
        return [Verdict.errored(f"{plugin} did not return one Verdict for each attempt")] * len(attempts)
    return verdicts


def _pay(reward: RewardFunction, episode: Episode, verdict: Verdict) -> float | None:
    if verdict.score is None:
        return None
    try:
        paid = reward.function(episode.task, episode, verdict)
    except Exception:  # noqa: BLE001 - a reward that fails does not apply
        return None
    return None if paid is None or not math.isfinite(paid) else float(paid)
