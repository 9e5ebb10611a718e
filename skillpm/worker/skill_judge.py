"""One skill's judgements made whole: its workers' verdicts, a host plugin's verifier, and what is paid for them.

The built-in rewards are computed here, in skillpm's own process, from the verdict and the answer: no code of a skill
can change them. The skill's own rewards come from its worker, and those of host plugins are called here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import cast

from skillpm.contract.rewards import BUILTIN_FUNCTIONS
from skillpm.errors import PluginError, SkillpmError
from skillpm.layout.filenames import CODE
from skillpm.model.episode import Episode
from skillpm.model.ports import Attempt, Simulator, Verifier
from skillpm.model.verdict import Judgement, RewardFunction
from skillpm.runtime.collect import unique
from skillpm.runtime.conventions import CONVENTIONS
from skillpm.runtime.guarded import Shown, observe, pay_each, verify
from skillpm.runtime.host import Host
from skillpm.worker.pool import WorkerPool

Rewards = Sequence[tuple[str, RewardFunction]]
"""Rewards, each with the name of the plugin that brought it."""


class SkillJudge:
    """Judges the episodes of one skill. Plugins of the host may bring rewards, and a verifier if the skill has none.

    Raises:
        PluginError: two plugins bring a verifier for the skill, or rewards of one name.
    """

    def __init__(self, pool: WorkerPool, host: Host | None) -> None:
        self._pool = pool
        self._rewards: Rewards = ()
        self._verifier: tuple[str, Verifier] | None = None
        self._skill_pays = False
        if host is None:
            return
        brought_rewards = [item for item in host.rewards(pool.skill) if item.plugin != CONVENTIONS]
        self._rewards = [(item.plugin, item.record) for item in unique("reward", brought_rewards)]
        brought = host.verifier(pool.skill)
        if brought is None:
            return
        with contextlib.suppress(PluginError):  # code that cannot be loaded: every judgement is errored already
            described = pool.describe()
            self._skill_pays = bool(described.rewards)
            if described.verifier not in CODE:
                self._verifier = (brought.plugin, brought.record)

    def judge(self, episodes: Sequence[Episode], judgements: Sequence[Judgement]) -> list[Judgement]:
        """Return the workers' judgements of these episodes, made whole."""
        if self._verifier is not None:
            judgements = self._with_host_verdicts(*self._verifier, episodes, judgements)
        return [
            paid(episode, judgement, self._rewards) for episode, judgement in zip(episodes, judgements, strict=True)
        ]

    @property
    def observes(self) -> bool:
        """Has the verifier an environment?"""
        if self._verifier is not None:
            return callable(getattr(self._verifier[1], "observe", None))
        with contextlib.suppress(SkillpmError):  # then nothing of the skill can be judged either
            return self._pool.describe().observes
        return False

    def observe(self, episodes: Sequence[Episode]) -> list[Shown]:
        """Return what the environment shows after the last answer of each episode; nothing is raised."""
        if self._verifier is None:
            return self._pool.observe(episodes)
        plugin, simulator = self._verifier
        return [observe(cast(Simulator, simulator), Attempt(item.task, item), plugin) for item in episodes]

    def _with_host_verdicts(
        self, plugin: str, verifier: Verifier, episodes: Sequence[Episode], judgements: Sequence[Judgement]
    ) -> list[Judgement]:
        attempts = [
            Attempt(episode.task, episode, item.verdict) for episode, item in zip(episodes, judgements, strict=True)
        ]
        verdicts = verify(verifier, attempts, plugin)
        if self._skill_pays:  # the skill's own rewards are paid for the verdicts that count
            judgements = self._pool.judge(episodes, verdicts)
            # a worker that could not pay for a verdict leaves it errored, else it cannot change it
            verdicts = [
                item.verdict if item.verdict.status == "errored" else verdict
                for item, verdict in zip(judgements, verdicts, strict=True)
            ]
        return [
            Judgement.made(
                verdict=verdict,
                rewards=item.rewards if self._skill_pays else {},
                argv=item.argv,
                failures=item.failures if self._skill_pays else (),
            )
            for item, verdict in zip(judgements, verdicts, strict=True)
        ]


def paid(episode: Episode, judgement: Judgement, rewards: Rewards = ()) -> Judgement:
    """Return a worker's judgement, whose verdict is final, with the built-in rewards and these of host plugins.

    The skill's own are in it already.
    """
    verdict, task = judgement.verdict, episode.task
    amounts = judgement.rewards  # with the built-in ones only from a worker that runs no code of a skill
    if not amounts.keys() >= BUILTIN_FUNCTIONS.keys():
        builtin = {name: function(task, episode, verdict) for name, function in BUILTIN_FUNCTIONS.items()}
        amounts = dict(sorted({**amounts, **builtin}.items()))
    elif not rewards and not judgement.failures:
        return judgement
    failures = judgement.failures
    if rewards:
        more, failed = pay_each(rewards, task, episode, verdict)
        amounts = {**amounts, **more}
        failures += failed
    if failures:
        reasons = (*verdict.reasons, *(failure.reason for failure in failures))
        verdict = verdict.model_copy(update={"reasons": reasons})
    return Judgement.made(verdict=verdict, rewards=amounts, argv=judgement.argv, failures=failures)
