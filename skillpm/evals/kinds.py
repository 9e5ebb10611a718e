"""The kinds of answers: how many of each are exact, what was answered instead, and the two mistakes that people mind.

A false refusal is a call that was asked for, and the model refused it or asked back. An invention is the reverse: the
model called a tool where it should have refused or asked. Skills whose tasks expect nothing but calls have no figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from skillpm.evals.figures import share
from skillpm.evals.outcomes import NO_KIND, Part
from skillpm.evals.statistics import Interval
from skillpm.evals.stored_records import outcomes_of
from skillpm.model.answer_kind import KINDS
from skillpm.model.evaluation import Evaluation, TaskSet

_DECLINED = ("ask", "refuse")


@dataclass(frozen=True, slots=True)
class KindRow:
    """What one arm answered to one task set.

    Attributes:
        exact: the share of exact answers by the expected kind.
        tasks: how many were judged, by the expected kind.
        answered: judged answers by (expected kind, answered kind).
        false_refusals: of the calls that were asked for; None without any.
        inventions: of the questions and refusals that were right; None without any.
    """

    task_set: TaskSet
    arm: str
    exact: Mapping[str, Interval]
    tasks: Mapping[str, int]
    answered: Mapping[tuple[str, str], int]
    false_refusals: Interval | None
    inventions: Interval | None

    @property
    def expected(self) -> list[str]:
        """The kinds that were expected, in their order."""
        return [kind for kind in KINDS if kind in self.exact]

    @property
    def columns(self) -> list[str]:
        """The kinds that were expected or answered, in their order; ``NO_KIND`` comes last."""
        present = {kind for pair in self.answered for kind in pair}
        return [kind for kind in (*KINDS, NO_KIND) if kind in present]

    def answers(self, kind: str) -> int:
        """Return how many judged answers a kind has."""
        return sum(count for (expected, _), count in self.answered.items() if expected == kind)


def kind_figures(evaluation: Evaluation) -> list[KindRow]:
    """Return a row for each task set and arm of the skills whose contracts and tasks know more than calls.

    An object with the keys of a refusal is none where the contract takes calls alone, or where there is no contract.
    """
    taken = {skill.name for skill in evaluation.skills if skill.kinds is None or len(skill.kinds) > 1}
    profiles = [profile for arm in evaluation.arms for profile in outcomes_of(arm).profiles]
    skills = {
        profile.skill
        for profile in profiles
        if profile.skill in taken and profile.expected_kind not in (NO_KIND, "call")
    }
    if not skills:
        return []
    judged = {
        arm.name: outcomes_of(arm).groups(lambda profile: [(profile.skill, profile.suite)] if profile.judged else [])
        for arm in evaluation.arms
    }
    return [
        _row(task_set, arm.name, part)
        for task_set in evaluation.task_sets
        for arm in evaluation.arms
        if task_set.skill in skills and (part := judged[arm.name].get((task_set.skill, task_set.name)))
    ]


def _row(task_set: TaskSet, arm: str, part: Part) -> KindRow:
    answered = Counter[tuple[str, str]]()
    for profile, count in part.counts.items():
        answered[profile.expected_kind, profile.called_kind] += count

    def expecting(*kinds: str) -> Part:
        return part.only(lambda profile: profile.expected_kind in kinds)

    def mistaken(expected: Collection[str], answers: Collection[str]) -> Interval | None:
        return share(expecting(*expected).measured(lambda profile: float(profile.called_kind in answers)))

    kinds = dict.fromkeys(expected for expected, _ in answered)
    shares = {kind: share(expecting(kind).measured(lambda profile: float(profile.exact))) for kind in kinds}
    exact = {kind: figure for kind, figure in shares.items() if figure is not None}
    tasks = {kind: expecting(kind).tasks for kind in shares}
    return KindRow(
        task_set, arm, exact, tasks, answered, mistaken(("call",), _DECLINED), mistaken(_DECLINED, ("call",))
    )
