"""``skillpm selftest``: does a skill's verifier keep its promises?"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from skillpm.model.episode import Episode
from skillpm.model.finding import Report
from skillpm.model.manifest import Promises
from skillpm.model.progress import NO_PROGRESS, Progress
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.model.verdict import Judgement, Verdict
from skillpm.ops.context import Context
from skillpm.ops.learning.session import open_session
from skillpm.runtime.catalogue import Contributions
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.selftest.claims import CLAIMS, Broken
from skillpm.selftest.run import Say, SelftestRun
from skillpm.synth.generate import synthesise
from skillpm.worker.scoring import Scorer

DRAWN = 160  # training rows that are drawn from synthesis rules
DRAWN_HELD_OUT = 40  # held-out rows


@dataclass(frozen=True, slots=True)
class Selftest:
    """What became of one skill's claims.

    Attributes:
        verifier: the file that judges; empty where nothing does.
        promises: what was held against it.
        checked: claims by code.
        failed: claims by code that do not hold.
        broken: some of those, with the smallest answers that show it.
        tasks: how many were tried, by origin: ``seed``, ``suite``, ``rule``.
        mistakes: wrong answers among those tried that an executor would run.
    """

    skill: Skill
    verifier: str
    promises: Promises
    checked: dict[str, int]
    failed: dict[str, int]
    broken: tuple[Broken, ...]
    tasks: Mapping[str, int] = field(default_factory=dict)
    mistakes: int = 0
    seconds: float = 0.0

    @property
    def unchecked(self) -> list[str]:
        """The codes of claims for which there was nothing to look at."""
        return sorted(code for code, count in self.checked.items() if not count)

    @property
    def claims(self) -> int:
        """The number of checked claims."""
        return sum(self.checked.values())

    @property
    def ok(self) -> bool:
        """Do all claims hold?"""
        return not self.failed

    @property
    def unproven(self) -> list[str]:
        """Why claims that hold prove less than they should: sentences."""
        if not self.verifier:
            return []
        reasons = []
        defaults = Promises()
        for name in ("idle_at_most", "wrong_at_most"):
            promised, default = getattr(self.promises, name), getattr(defaults, name)
            if promised > default:
                reasons.append(f"`verifier.{name}` of skill.yaml is {promised:g}, laxer than the default {default:g}")
        if not sum(self.tasks.values()):
            reasons.append("there was no task to try: it has no seeds, suites or synthesis rules")
        elif not self.mistakes:
            reasons.append("every answer that can be run is right, so nothing shows that it knows a wrong one")
        return reasons

    def report(self) -> Report:
        """Return the findings in the form of every check."""
        return Report(str(self.skill.place), self.skill.name, tuple(item.finding() for item in self.broken))

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints this report."""
        return {
            "skill": self.skill.name,
            "version": self.skill.version,
            "tree": self.skill.tree,
            "verifier": self.verifier,
            "promises": self.promises.model_dump(),
            "ok": self.ok,
            "unproven": self.unproven,
            "tasks": dict(self.tasks),
            "claims": [
                {"code": code, "title": CLAIMS[code].title, "checked": count, "failed": self.failed.get(code, 0)}
                for code, count in sorted(self.checked.items())
            ],
            "findings": [item.document() for item in self.broken],
        }


def selftests(context: Context, skills: Sequence[Skill], progress: Progress = NO_PROGRESS) -> list[Selftest]:
    """Check skills to whose code the person has agreed. Raises what ``open_session`` and ``selftest`` raise."""
    with open_session(context, skills) as session:
        return [selftest(session.contributions[skill.name], session.scorer, progress, context.note) for skill in skills]


def selftest(
    contributions: Contributions, scorer: Scorer, progress: Progress = NO_PROGRESS, say: Say = lambda sentence: None
) -> Selftest:
    """Check one skill; ``say`` is told how long it takes, if that is long.

    Raises:
        PluginError: the skill's code cannot be loaded.
        DocumentError: cases.jsonl, synthesis.yaml or skill.yaml is wrong.
    """
    skill = contributions.skill
    described = scorer.describe(skill)
    manifest = SkillFiles(skill).manifest()
    promises = Promises() if manifest is None else manifest.verifier
    if not described.verifier:
        return Selftest(skill, "", promises, {}, {}, ())
    started = time.monotonic()
    progress.start(f"{skill.name}: answers judged", None)
    gate = SelftestRun(contributions, scorer, promises, drawn_tasks(contributions, scorer), progress, say)
    gate.run()
    progress.finish()
    results = gate.results
    broken = tuple(item for code in sorted(results.broken) for item in results.broken[code])
    checked, failed = dict(results.checked), dict(results.failed)
    seconds = time.monotonic() - started
    tasks = gate.tasks.counts()
    return Selftest(skill, described.verifier, promises, checked, failed, broken, tasks, gate.mistakes, seconds)


def drawn_tasks(contributions: Contributions, scorer: Scorer) -> list[Task]:
    """Return tasks of a skill's synthesis rules, as training and evaluation get them.

    They follow from the content of the skill: the same content gives the same tasks, and its author, who would have to
    change the content to name them in a verifier, cannot know them.
    """
    if contributions.synthesis is None and not contributions.rules:
        return []
    digest = hashlib.sha256(contributions.skill.tree.encode()).digest()
    synthesis = synthesise(
        [replace(contributions, suites=())],  # what suites ask is avoided in training, and may be tried here
        _accept,
        rows=DRAWN + min(len(contributions.seeds), DRAWN),  # at most half of them are seeds
        held_out=DRAWN_HELD_OUT,
        seed=int.from_bytes(digest[:6]),
        run_rule=scorer.synthesise if contributions.rules else None,
    )
    return [task for task in (*synthesis.train, *synthesis.held_out) if task.origin == "rule"]


def _accept(episodes: Sequence[Episode]) -> list[Judgement]:
    """Accept every expected answer: whether the verifier does is what the gate asks."""
    passed = Verdict(status="passed", score=1.0)
    return [Judgement(verdict=passed) for _ in episodes]
