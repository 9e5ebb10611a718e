"""``skillpm compare`` and ``skillpm gate``: two stored evaluations held against each other, without a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from skillpm.errors import UsageError
from skillpm.evals.caveats import different_settings, samples, unchecked
from skillpm.evals.compare import Comparison, Paired, Unpaired, compare, together, unpaired
from skillpm.evals.decision import Decision, Finding, decide
from skillpm.evals.floor import floors
from skillpm.evals.gate import check_gates
from skillpm.evals.stored_records import stored_records
from skillpm.model.evaluation import Arm, Evaluation
from skillpm.model.name import did_you_mean
from skillpm.ops.learning.report import stored_evaluation
from skillpm.settings import Settings

FIRST, SECOND = "A", "B"
"""What tables call the two: arms of two evaluations may have one name."""


@dataclass(frozen=True, slots=True)
class ChosenArm:
    """An arm of a stored evaluation, and the file that it is in."""

    file: Path
    evaluation: Evaluation
    arm: Arm


@dataclass(frozen=True, slots=True)
class Flip:
    """A task that one of the two arms got exactly right and the other did not, or less often.

    Attributes:
        change: ``gained`` where the second was right, or more often.
        first: what the first arm answered.
        second: what the second arm answered.
    """

    skill: str
    task_set: str
    change: Literal["gained", "lost"]
    request: str
    expected: Any
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Two arms, paired task by task.

    Attributes:
        comparisons: one for each task set that both were judged on.
        unpaired: the task sets of the first with tasks that the second was not judged on.
        caveats: what else differs between them.
    """

    first: ChosenArm
    second: ChosenArm
    comparisons: tuple[Comparison, ...]
    unpaired: tuple[Unpaired, ...]
    flips: Iterable[Flip]
    caveats: tuple[str, ...]


def choose_arm(settings: Settings, target: Path, name: str | None) -> ChosenArm:
    """Return an arm of the evaluation that a person means; its last one where no name is given.

    Raises:
        UsageError: there is no such evaluation or arm.
        DocumentError: it is not an evaluation.
    """
    stored = stored_evaluation(settings, target)
    arms = stored.evaluation.arms
    arm = stored.evaluation.arm(name) if name is not None else (arms[-1] if arms else None)
    if arm is None:
        known = [item.name for item in arms]
        hint = did_you_mean(name or "", known, f"its arms are {', '.join(known) or 'none'}")
        raise UsageError(f"{stored.path} has no arm `{name or ''}`", hint=hint)
    return ChosenArm(stored.path, stored.evaluation, arm)


def compare_arms(first: ChosenArm, second: ChosenArm) -> Compared:
    """Pair two arms on every task that both were judged on. Raises UsageError if they share no task."""
    one, other = (chosen.arm.model_copy(update={"name": name}) for chosen, name in ((first, FIRST), (second, SECOND)))
    rewards = {skill.name: skill.reward for skill in second.evaluation.skills}
    comparisons = [
        compare(one, other, skill=task_set.skill, task_set=task_set.name, reward=rewards.get(task_set.skill))
        for task_set in second.evaluation.task_sets
    ]
    comparisons = together(item for item in comparisons if item.pairs)
    if not comparisons:
        raise UsageError(
            f"{first.file} and {second.file} share no task that both were judged on",
            hint="evaluate both on the same skills and the same `--held-out FILE`",
        )
    alone = unpaired(first.arm, comparisons)
    caveats = [item.sentence(FIRST) for item in alone] + _caveats(first, second)
    return Compared(first, second, tuple(comparisons), tuple(alone), Flips(one, other), tuple(caveats))


class Flips:
    """The tasks on which two arms differ, read when they are asked for."""

    def __init__(self, first: Arm, second: Arm) -> None:
        self._first, self._second = stored_records(first), stored_records(second)
        self._pairs = Paired(self._first.outcomes, self._second.outcomes)

    def __iter__(self) -> Iterator[Flip]:
        pairs = self._pairs
        for pair in pairs:
            difference = pairs.difference(pair)
            if difference == 0:
                continue
            right = difference > 0  # of several answers, one that shows the change
            then = next(place for place in pair.first if pairs.first.profile(place).exact is not right)
            now = next(place for place in pair.second if pairs.second.profile(place).exact is right)
            old, new = self._first[then], self._second[now]
            change: Literal["gained", "lost"] = "gained" if right else "lost"
            yield Flip(new.skill, new.suite, change, new.request, new.expected, old.completion, new.completion)


def _caveats(first: ChosenArm, second: ChosenArm) -> list[str]:
    open_ = [f"{side.file}: {text}" for side in (first, second) for text in unchecked([side.arm])]
    return [*_differences(first, second), *open_, *_sampled(first, second)]


def _differences(first: ChosenArm, second: ChosenArm) -> list[str]:
    """Return what differs between two arms beside the model."""
    trees = {skill.name: skill.tree for skill in first.evaluation.skills}
    notes = [
        f"{skill.name} has other content in the two evaluations: {trees[skill.name][:12]}, {skill.tree[:12]}"
        for skill in second.evaluation.skills
        if trees.get(skill.name, skill.tree) != skill.tree
    ]
    differences = [text for text in different_settings(first.arm, second.arm) if not text.startswith("model digest")]
    return notes + ([f"they were asked differently: {'; '.join(differences)}"] if differences else [])


def decide_candidate(
    candidate: ChosenArm, baseline: ChosenArm | None, margin: float, earlier: ChosenArm | None = None
) -> Decision:
    """Decide whether a candidate is let through: by its suites' gates, by a baseline, by the floors of an earlier arm.

    Raises:
        UsageError: there is none of these, one is the candidate itself, or the baseline shares no task with it.
    """
    for flag, other in (("--baseline", baseline), ("--floors", earlier)):
        if other is not None and other.file.samefile(candidate.file) and other.arm.name == candidate.arm.name:
            raise UsageError(
                f"`{flag}` is the candidate itself: {candidate.arm.name} in {candidate.file}",
                hint="name another evaluation, or the arm to decide about with `--arm`",
            )
    gates = check_gates(candidate.evaluation, candidate.arm.name)
    compared = None if baseline is None else compare_arms(baseline, candidate)
    if not gates and compared is None and earlier is None:
        raise UsageError(
            f"{candidate.file}: no suite has a gate, and there is no baseline and no floor",
            hint="write `gate: {at_least: 0.9}` in a suite, or use `--baseline EVALUATION` or `--floors EVALUATION`",
        )
    least = [] if earlier is None else floors(earlier.evaluation, earlier.arm, candidate.evaluation, candidate.arm)
    pairs, alone = ((), ()) if compared is None else (compared.comparisons, compared.unpaired)
    decision = decide(gates, pairs, margin, alone, least)
    sides = [side for side in (candidate, baseline, earlier) if side is not None]
    open_ = [f"{side.file}: {text}; evaluate again" for side in sides for text in unchecked([side.arm])]
    others = [side for side in (baseline, earlier) if side is not None]
    differences = [f"{side.file}: {text}" for side in others for text in _differences(side, candidate)]
    caveats = (*differences, *_sampled(*sides))
    return Decision((*decision.findings, *(Finding("INCONCLUSIVE", text) for text in open_)), caveats)


def _sampled(*sides: ChosenArm) -> list[str]:
    return [f"{side.file}: {text}" for side in sides for text in samples(side.evaluation)]
