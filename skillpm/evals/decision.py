"""May this model be let through? The one word for a candidate, from its gates, its floors and a paired baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from skillpm.evals.compare import MINIMUM_PAIRS, Comparison, Unpaired
from skillpm.evals.figures import points, task_set_label
from skillpm.evals.floor import Floor
from skillpm.evals.gate import GateResult

Word = Literal["GO", "NO-GO", "INCONCLUSIVE"]
_OF_GATES: dict[str, Word] = {"passed": "GO", "failed": "NO-GO", "inconclusive": "INCONCLUSIVE"}
_LEAST_SPARE = 0.001  # between difference and margin; nearer to it, no number of tasks that one has will do


@dataclass(frozen=True, slots=True)
class Finding:
    """What one gate or one comparison says, and the figures that it says it by."""

    word: Word
    sentence: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision and its findings: NO-GO if one of them is, else INCONCLUSIVE if one is or there is none, else GO.

    Attributes:
        caveats: what a reader has to know of the evaluations, and decides nothing.
    """

    findings: tuple[Finding, ...]
    caveats: tuple[str, ...] = ()

    @property
    def word(self) -> Word:
        """The word for the candidate."""
        words = {finding.word for finding in self.findings}
        return "NO-GO" if "NO-GO" in words else "INCONCLUSIVE" if words != {"GO"} else "GO"


def decide(
    gates: Sequence[GateResult],
    comparisons: Sequence[Comparison],
    margin: float,
    unpaired: Sequence[Unpaired] = (),
    floors: Sequence[Floor] = (),
) -> Decision:
    """Decide by gates and floors that a candidate has to reach and by baselines that it may not fall behind.

    Args:
        gates: of the candidate's suites.
        comparisons: of a baseline (first) with the candidate (second).
        margin: how much of the share of exact answers it may lose to the baseline, 0 to 1.
        unpaired: the task sets of the baseline that say too little, since the candidate was not judged on all of them.
        floors: of an earlier evaluation.
    """
    by_gates = [Finding(_OF_GATES[gate.outcome], gate.sentence) for gate in gates]
    by_pairs = [_not_worse(item, margin) for item in comparisons]
    silent = [Finding("INCONCLUSIVE", item.sentence("the baseline")) for item in unpaired]
    return Decision((*by_gates, *map(_reaches, floors), *by_pairs, *silent))


def _reaches(floor: Floor) -> Finding:
    """Hold the candidate's share against a floor: what its interval leaves open was taken off the floor already."""
    reached, least = floor.reached, f"the floor is {floor.least:.3f}"
    if reached is None or floor.judged < MINIMUM_PAIRS:
        few = f"{floor.judged} answers were judged, and {MINIMUM_PAIRS} are the least that say anything"
        return Finding("INCONCLUSIVE", f"{floor.place}: {few}; {least}")
    share = f"{reached.estimate:.3f} [{reached.low:.3f}, {reached.high:.3f}] of {floor.judged} answers are exact"
    if floor.open:
        return Finding("INCONCLUSIVE", f"{floor.place}: {share}, and {floor.open} say nothing; {least}")
    if floor.other:
        tasks = "1 task was" if floor.other == 1 else f"{floor.other} tasks were"
        return Finding("INCONCLUSIVE", f"{floor.place}: {share}; {least} of other tasks: {tasks} asked of one alone")
    word: Word = "GO" if reached.estimate >= floor.least else "NO-GO" if reached.high < floor.least else "INCONCLUSIVE"
    return Finding(word, f"{floor.place}: {share}; {least}")


def _not_worse(item: Comparison, margin: float) -> Finding:
    """Test for non-inferiority: the whole 95 % interval of the difference decides, not its middle.

    Source: G. Piaggio et al., Reporting of noninferiority and equivalence randomized trials, JAMA 308 (2012) 2594-2604.
    """
    place = f"{item.skill}, {task_set_label(item.task_set)}"
    difference = item.difference
    if difference is None or item.pairs < MINIMUM_PAIRS:
        sentence = f"{place}: {item.pairs} tasks in common, and {MINIMUM_PAIRS} are the least that say anything"
        return Finding("INCONCLUSIVE", sentence)
    word: Word = "GO" if difference.low >= -margin else "NO-GO" if difference.high < -margin else "INCONCLUSIVE"
    spare = difference.estimate + margin
    more = ""
    if word == "INCONCLUSIVE" and abs(spare) >= _LEAST_SPARE:  # a width shrinks with the root of the number of tasks
        side = difference.estimate - (difference.low if spare > 0 else difference.high)
        more = f"; about {math.ceil(item.pairs * (side / spare) ** 2):,} tasks would tell, if the difference stays"
    return Finding(
        word,
        f"{place}: {points(difference.estimate)} points [{points(difference.low)}, {points(difference.high)}] "
        f"over {item.pairs} tasks, "
        f"{item.gained} gained and {item.lost} lost; it may lose {margin * 100:g} points{more}",
    )
