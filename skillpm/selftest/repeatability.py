"""Does an answer get the same verdict each time: in every repeat, order, size of batch and worker?

Each answer is reported for its first difference alone, since that explains the later ones.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

from skillpm.model.verdict import Judgement
from skillpm.selftest.checks import judgement_text
from skillpm.selftest.judge import ProbeJudge
from skillpm.selftest.probes import Probe
from skillpm.selftest.results import Results, Smaller, hurried
from skillpm.selftest.shrink import fewest, shortest

ALONE = 64  # probes that are judged one by one
_USUAL = (64, 8, 16, 4, 32, 2, 48, 24, 12, 6, 3)  # answers of a batch in training
BATCHES = (*_USUAL, *(size for size in range(2, 65) if size not in _USUAL))
NEW_WORKERS = 2_000  # probes that new workers judge, evenly of all
LONG_RUN = 16_000  # answers that are judged to see whether a verdict changes with time
FEW_RUN = 32  # batches of answers to one task
LONG_RUN_SECONDS = 5.0
LONG_RUN_PROBES = 512
LONG_RUN_TEXT = 2_000  # characters of an answer of the long run
GENERATIONS = 64  # answers of a batch of the long run

_Judge = Callable[[list[Probe]], list[Judgement]]


class Repeatability:
    """Judges probes again and again.

    ``seconds`` is what one verdict may take.

    Attributes:
        suspects: batches that took longer than one verdict may.
    """

    def __init__(self, judge: ProbeJudge, results: Results, seconds: float) -> None:
        self._judge = judge
        self._results = results
        self._seconds = seconds
        self.suspects: list[list[Probe]] = []

    def check(self, probes: list[Probe], first: list[Judgement]) -> None:
        """Compare the first judgements of probes with later ones."""
        # What already differs when the same batch is judged again would differ in every later check, too. So each check
        # is asked about the answers that passed all checks before it.
        left, bits = list(range(len(probes))), [_bits(judgement) for judgement in first]
        checks: tuple[tuple[str, _Judge, Callable[[list[Probe]], Smaller | None]], ...] = (
            ("SK731", self._judge.judge, lambda _: self._smaller_repeat),
            ("SK732", lambda probes: self._judge.judge(probes[::-1])[::-1], self._smaller_batch),
            ("SK733", self._in_small_batches, self._smaller_batch),
            ("SK734", self._judge.judge_by_new_workers, lambda _: None),
        )
        for code, again, smaller in checks:
            if code == "SK734":  # the caches of a new worker are empty, so each answer costs what it cost at first
                left = left[:: -(-len(left) // NEW_WORKERS) or 1]
            chosen = [probes[n] for n in left]
            self._results.checked[code] += len(left)
            moved = {n: then for n, then in zip(left, again(chosen), strict=True) if _bits(then) != bits[n]}
            if moved:
                items = [
                    (probes[n], f"{judgement_text(first[n])}, and then {judgement_text(then)}")
                    for n, then in moved.items()
                ]
                self._results.add(code, items, smaller(chosen))
            left = [n for n in left if n not in moved]
        if self._judge.has_code and not self._results.failed:  # one that is refused anyway need not wait for more
            self._check_long_run([probes[n] for n in left], [bits[n] for n in left])

    def _check_long_run(self, probes: list[Probe], bits: list[str]) -> None:
        """Judge wrong answers as a training run does: few answers of one task at once, for thousands of answers."""
        chosen = [n for n, probe in enumerate(probes) if probe.want == "floor" and len(probe.text) <= LONG_RUN_TEXT]
        end, judged = time.monotonic() + LONG_RUN_SECONDS, 0
        chosen = chosen[:: max(1, len(chosen) // LONG_RUN_PROBES)]
        groups = [chosen[start : start + GENERATIONS] for start in range(0, len(chosen), GENERATIONS)]
        # what counts the answers to one task, or one answer, is seen only where there are few of them
        few = [n for n in chosen if probes[n].place.task.key == probes[chosen[0]].place.task.key][: GENERATIONS // 4]
        moved: dict[int, str] = {}
        for group in (*[few * 4] * FEW_RUN, *itertools.islice(itertools.cycle(groups), LONG_RUN // GENERATIONS)):
            for n, then in zip(group, self._judge.judge([probes[n] for n in group]), strict=True):
                if _bits(then) != bits[n]:
                    moved.setdefault(n, judgement_text(then))
            judged += len(group)
            if moved or time.monotonic() > end:
                break
        self._results.checked["SK735"] += len(chosen)
        if moved:
            items = [(probes[n], f"after about {judged} answers {then}") for n, then in moved.items()]
            self._results.add("SK735", items)

    def _in_small_batches(self, probes: list[Probe]) -> list[Judgement]:
        """Judge some alone and all in small batches; a difference between the two is one from the whole, too."""
        judgements: list[Judgement] = []
        sizes = itertools.cycle(BATCHES)
        while batch := probes[len(judgements) :][: next(sizes)]:
            started = time.perf_counter()
            judgements += self._judge.judge(batch)
            if time.perf_counter() - started > self._seconds:
                self.suspects.append(batch)
        for n in range(0, len(probes), max(1, len(probes) // ALONE)):
            (alone,) = self._judge.judge([probes[n]])
            judgements[n] = alone
        return judgements

    def _smaller_repeat(self, probe: Probe, seen: str) -> tuple[Probe, str, Sequence[Probe]]:
        judge = self._judge.judge

        def fails(texts: Sequence[str]) -> list[bool]:
            probes = [probe.smaller(text) for text in texts]
            return [one != other for one, other in zip(judge(probes), judge(probes), strict=True)]

        return probe.smaller(shortest(probe.free, hurried(fails))), seen, ()

    def _smaller_batch(self, batch: list[Probe]) -> Smaller:
        """Return what finds the fewest neighbours, in their order, among which a probe is not judged as it is alone."""

        def smaller(probe: Probe, seen: str) -> tuple[Probe, str, Sequence[Probe]]:
            place = next(n for n, item in enumerate(batch) if item is probe)
            others = [n for n in range(len(batch)) if n != place]
            # The search compares with the judgement alone and not with the first one in the whole batch: the fewest
            # neighbours that change it are then a counterexample that can be read by itself.
            (alone,) = self._judge.judge([probe])

            def fails(groups: Sequence[Sequence[int]]) -> list[bool]:
                return [self._moves(batch, place, list(group), alone) for group in groups]

            if not fails([others])[0]:  # it differed in a batch of another size, or by chance
                return probe, seen, ()
            return probe, seen, [batch[n] for n in fewest(others, hurried(fails))]

        return smaller

    def _moves(self, batch: list[Probe], place: int, others: list[int], alone: Judgement) -> bool:
        """Is the answer judged otherwise than alone among these, in their order or in reverse?"""
        # Both orders: a verifier that looks at the answer in front of this one shows it in only one of them.
        chosen = sorted([*others, place])
        at = chosen.index(place)
        forwards = self._judge.judge([batch[n] for n in chosen])[at]
        return forwards != alone or self._judge.judge([batch[n] for n in reversed(chosen)])[-1 - at] != alone


def _bits(judgement: Judgement) -> str:
    return judgement.model_dump_json()
