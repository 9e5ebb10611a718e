"""How sure a model must be of an answer: thresholds out of the answers of an evaluation.

An answer is as sure as its least likely token, since one wrong token makes a wrong command. The surest answers may act
if, with 95 % confidence, at least the target of them is right; the least sure ones are refused if at most half is.

Looking for the best threshold would find one by chance. So the numbers of answers are tried in an order that is fixed
beforehand, from few to many, each with Wilson's bound, and the first one that fails ends the search: then all that
passed hold together with 95 %.

Source: A. N. Angelopoulos, S. Bates, E. J. Candès, M. I. Jordan and L. Lei, Learn then Test: Calibrating predictive
algorithms to achieve risk control, arXiv 2110.01052 (2021), fixed sequence testing; Y. Geifman and R. El-Yaniv,
Selective classification for deep neural networks, NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import count
from typing import Any

from skillpm.errors import CheckError
from skillpm.evals.statistics import Clusters, Interval, effective_trials, wilson
from skillpm.model.calibration import Calibration, SkillCalibration, Threshold
from skillpm.model.evaluation import Arm, Evaluation, Record

_WRONG = 0.5  # at most so many of refused answers are right
_TRIES = 20  # numbers of answers that are tried


def calibrated(evaluation: Evaluation, arm: Arm, target: float, adapter: str) -> Calibration:
    """Return the thresholds of each skill that an arm, whose weights have a digest, answered often enough.

    Raises:
        CheckError: its model does not tell how sure it is, its answers are drawn by chance, or no skill has enough.
    """
    known = [item for item in arm.records if item.judged and item.repeat == 0 and item.confidence is not None]
    if arm.drawn or not known:
        problem = "are drawn by chance" if arm.drawn else "do not say how sure the model was"
        raise CheckError(f"the answers of {arm.name} {problem}", hint="run `skillpm eval --run RUN` again")
    least = fewest(target)
    skills = {}
    for skill in evaluation.skills:
        ours = sorted((item for item in known if item.skill == skill.name), key=_confidence)
        if len(ours) >= least:
            skills[skill.name] = _of_skill(skill.tree, ours, least, target)
    if not skills:
        counts = ", ".join(
            f"{item.name} has {sum(row.skill == item.name for row in known)}" for item in evaluation.skills
        )
        raise CheckError(
            f"{least} answers are needed to know that {target:.0%} are right, and {counts}",
            hint="evaluate more tasks: hold out more rows, or leave `--limit` out",
        )
    return Calibration(arm=arm.name, adapter=adapter, target=target, skills=skills)


def fewest(target: float) -> int:
    """Return how many answers, all right, it takes to know that this share of them is."""
    return next(size for size in count(1) if _bounds([1.0] * size, range(size)).low >= target)


def _of_skill(tree: str, ours: Sequence[Record], least: int, target: float) -> SkillCalibration:
    """Return the thresholds of a skill; its answers are sorted, the least sure first."""
    surest = ours[::-1]
    act = _furthest(surest, max(_reach(surest, least), len(ours) // 4), lambda bounds: bounds.low >= target)
    fewest_wrong = _reach(ours, fewest(1 - _WRONG))
    refuse = _furthest(ours, max(fewest_wrong, len(ours) // _TRIES), lambda bounds: bounds.high <= _WRONG)
    more: dict[str, Any] = {}
    if act is not None:
        more["act"] = _threshold(act, lambda bounds: bounds.low)
    if refuse is not None and (act is None or _confidence(refuse[-1]) < _confidence(act[-1])):
        more["refuse"] = _threshold(refuse, lambda bounds: bounds.high)
    return SkillCalibration(tree=tree, answers=len(ours), **more)


def _reach(ours: Sequence[Record], least: int) -> int:
    """Return how many of the first answers hold so many clusters: fewer say too little even if all are right."""
    clusters = set[str]()
    for size, item in enumerate(ours, 1):
        clusters.add(item.cluster)
        if len(clusters) >= least:
            return size
    return len(ours) + 1


def _furthest(ours: Sequence[Record], first: int, holds: Callable[[Interval], bool]) -> Sequence[Record] | None:
    """Return the longest beginning of the answers up to which the bounds hold; None if the first one fails."""
    step, passed = max(1, len(ours) // _TRIES), None
    for size in [*range(first, len(ours), step), len(ours)] if first <= len(ours) else ():
        edge = ours[size - 1].confidence
        equal = sum(item.confidence == edge for item in ours[size:])  # a threshold cannot tell equals apart
        tried = ours[: size + equal]
        if not holds(_bounds([float(item.exact) for item in tried], [item.cluster for item in tried])):
            break
        passed = tried
    return passed


def _threshold(ours: Sequence[Record], bound: Callable[[Interval], float]) -> Threshold:
    values = [float(item.exact) for item in ours]
    limit = bound(_bounds(values, [item.cluster for item in ours]))
    return Threshold(confidence=_confidence(ours[-1]), answers=len(ours), right=round(sum(values)), bound=limit)


def _bounds(values: Sequence[float], clusters: Sequence[Hashable]) -> Interval:
    interval = wilson(round(sum(values)), len(values), effective_trials(values, Clusters.of(clusters)))
    assert interval is not None
    return interval


def _confidence(record: Record) -> float:
    return record.confidence or 0.0
