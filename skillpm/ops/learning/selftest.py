"""``skillpm selftest``: does a skill's verifier keep its promises?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skillpm.model.finding import Report
from skillpm.model.manifest import Promises
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.learning.session import open_session
from skillpm.runtime.catalogue import Contributions
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.selftest.claims import CLAIMS, Broken
from skillpm.selftest.run import SelftestRun
from skillpm.worker.scoring import Scorer


@dataclass(frozen=True, slots=True)
class Selftest:
    """What became of one skill's claims.

    Attributes:
        skill: whose.
        verifier: the file that judges; empty where nothing does.
        promises: what was held against it.
        checked: claims by code.
        failed: claims by code that do not hold.
        broken: some of those, with the smallest answers that show it.
    """

    skill: Skill
    verifier: str
    promises: Promises
    checked: dict[str, int]
    failed: dict[str, int]
    broken: tuple[Broken, ...]

    @property
    def unchecked(self) -> list[str]:
        """The codes of claims for which there was nothing to look at."""
        return sorted(code for code, count in self.checked.items() if not count)

    @property
    def ok(self) -> bool:
        """Do all claims hold?"""
        return not self.failed

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
            "claims": [
                {"code": code, "title": CLAIMS[code].title, "checked": count, "failed": self.failed.get(code, 0)}
                for code, count in sorted(self.checked.items())
            ],
            "findings": [item.document() for item in self.broken],
        }


def selftests(context: Context, skills: Sequence[Skill]) -> list[Selftest]:
    """Check skills to whose code the person has agreed. Raises what ``open_session`` and ``selftest`` raise."""
    with open_session(context, skills) as session:
        return [selftest(session.contributions[skill.name], session.scorer) for skill in skills]


def selftest(contributions: Contributions, scorer: Scorer) -> Selftest:
    """Check one skill.

    Args:
        contributions: the skill's.
        scorer: was made for the skill.

    Raises:
        PluginError: the skill's code cannot be loaded.
        DocumentError: cases.jsonl or skill.yaml is wrong.
    """
    described = scorer.describe(contributions.skill)
    files = SkillFiles(contributions.skill)
    manifest = files.manifest()
    promises = Promises() if manifest is None else manifest.verifier
    if not described.verifier:
        return Selftest(contributions.skill, "", promises, {}, {}, ())
    gate = SelftestRun(contributions, scorer, promises, files)
    gate.run()
    results = gate.results
    broken = tuple(item for code in sorted(results.broken) for item in results.broken[code])
    return Selftest(
        contributions.skill, described.verifier, promises, dict(results.checked), dict(results.failed), broken
    )
