"""Tries to fool a skill's verifier: its own cases, and probes made from seeds, suite tasks and rows of synthesis.

Reports each failed claim with its smallest counterexample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from skillpm.model.manifest import Promises
from skillpm.model.progress import NO_PROGRESS, Progress
from skillpm.model.suite import Case
from skillpm.model.task import Task
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.selftest.checks import CHECKS, Check, check_verdict, judgement_text, still_wrong
from skillpm.selftest.claims import TaskRef
from skillpm.selftest.judge import ProbeJudge
from skillpm.selftest.literals import code_texts
from skillpm.selftest.padding import check_padding
from skillpm.selftest.payment import check_payment, whole_groups
from skillpm.selftest.probes import Probe, Probes
from skillpm.selftest.repeatability import Repeatability
from skillpm.selftest.results import Results, Smaller, hurried
from skillpm.selftest.shrink import shortest
from skillpm.selftest.speed import TRIES, Speed
from skillpm.selftest.tasks import GateTasks, gate_tasks
from skillpm.worker.scoring import Scorer

ROUNDS = 4  # how often most answers are judged
LONG = 900  # seconds of which a person is told before
Say = Callable[[str], None]
_CASE_WANTS: dict[str, Any] = {
    "full_reward": "maximum", "zero_reward": "floor", "malformed": "refusal", "determinism": "verdict",
}  # fmt: skip


class SelftestRun:
    """One run over one skill.

    Args:
        progress: is told how many answers were judged.
        say: is told how long it takes, if that is long.

    Attributes:
        mistakes: how many of the wrong answers an executor would run.
    """

    def __init__(
        self,
        contributions: Contributions,
        scorer: Scorer,
        promises: Promises,
        drawn: Sequence[Task] = (),
        progress: Progress = NO_PROGRESS,
        say: Say = lambda sentence: None,
    ) -> None:
        self._say = say
        self._contributions = contributions
        self._promises = promises
        self._files = SkillFiles(contributions.skill)
        self._judge = ProbeJudge(scorer, progress, has_code=bool(self._files.code()))
        self.results = Results()
        self.mistakes = 0
        self.tasks: GateTasks = gate_tasks(contributions, self._files, drawn)

    def run(self) -> None:
        """Check everything."""
        made = self._task_probes()
        self.mistakes = sum(probe.runs for probe in made)
        if self._judge.has_code and self._is_slow(made):
            return
        probes = [*self._case_probes(), *self._understood(made)]
        self.mistakes = sum(probe.runs for probe in probes)
        judgements = self._judge.judge(probes)
        self._check_each(probes, judgements)
        check_payment(self._contributions.rewards, probes, judgements, self.results)
        check_padding(probes, judgements, self.results)
        steady = [n for n, judgement in enumerate(judgements) if judgement.verdict.status != "errored"]
        repeatability = Repeatability(self._judge, self.results, self._promises.seconds)
        repeatability.check([probes[n] for n in steady], [judgements[n] for n in steady])
        Speed(self._judge, self.results, self._promises.seconds).check(repeatability.suspects, len(steady))

    def _is_slow(self, probes: Sequence[Probe]) -> bool:
        """Report a verifier that takes too long for one right answer: thousands of others need not wait for it."""
        right = next((probe for probe in probes if probe.want == "maximum"), None)
        if right is None:
            return False
        started = time.perf_counter()
        (judgement,) = self._judge.judge([right])
        taken = time.perf_counter() - started
        if taken <= self._promises.seconds:
            self._tell_of_hours(right, taken, len(probes))
            return False
        if judgement.verdict.status == "errored":
            self.results.checked["SK751"] += 1
            self.results.add("SK751", [(right, judgement_text(judgement))])
        elif self._judge.seconds([right], tries=TRIES, enough=self._promises.seconds) > self._promises.seconds:
            Speed(self._judge, self.results, self._promises.seconds).check([[right]], 1)
        if not self.results.failed:  # the first time it waited for its worker
            self._tell_of_hours(right, taken, len(probes))
        return bool(self.results.failed)

    def _tell_of_hours(self, probe: Probe, taken: float, probes: int) -> None:
        """Say how long it takes where that is long. A first answer waits for its worker, so it is judged again."""
        if taken * ROUNDS * probes > LONG:
            taken = min(taken, self._judge.seconds([probe], tries=1, enough=0))
        hours = taken * ROUNDS * probes / 3600
        if hours * 3600 > LONG:
            name = self._contributions.skill.name
            self._say(
                f"{name}: {taken:.1f} s for each of some {ROUNDS * probes} answers are about {hours:.1f} hours; "
                "`--workers N` judges N at a time"
            )

    def _case_probes(self) -> Iterator[Probe]:
        for row in self._files.case_rows():
            case = row.value
            task = self._contributions.task(case.request, case.expected)
            place = TaskRef(f"case `{case.name}`", row.path, row.line, task)
            want = _CASE_WANTS[case.kind]
            probe = Probe(
                "SK701", f"{case.kind} `{case.name}`", place, want, "", before=case.completion, at_most=case.at_most
            )
            if case.kind == "determinism":
                self._check_case_repeats(probe, case)
            yield probe

    def _check_case_repeats(self, probe: Probe, case: Case) -> None:
        first, *repeats = self._judge.judge([probe] * case.repeat)
        other = next((item for item in repeats if item != first), None)
        if other is not None:
            self.results.add("SK701", [(probe, f"{judgement_text(first)}, and then {judgement_text(other)}")])

    def _task_probes(self) -> list[Probe]:
        for place, reason in self.tasks.broken:
            self.results.checked["SK711"] += 1
            self.results.add("SK711", [(Probe("SK711", "the expected answer", place, "maximum", ""), reason)])
        contributions = self._contributions
        texts, seed = code_texts(self._files), contributions.skill.tree
        return Probes(contributions.contract, self.tasks, self._promises, texts, seed).all()

    def _understood(self, probes: list[Probe]) -> list[Probe]:
        """Leave out the tasks for which the verifier pays nonsense."""
        controls = {probe.place.task.key: replace(probe, before=probe.nonsense) for probe in probes if probe.nonsense}
        judgements = self._judge.judge([*controls.values()]) if controls else []
        paid = {
            key
            for (key, probe), judgement in zip(controls.items(), judgements, strict=True)
            if check_verdict(probe, judgement) is not None
        }
        return [probe for probe in probes if probe.place.task.key not in paid]

    def _check_each(self, probes: Sequence[Probe], judgements: Sequence[Judgement]) -> None:
        judged = sum(1 for probe in probes if probe.code != "SK751")
        self.results.checked.update(probe.code for probe in probes)
        self.results.checked.update({"SK751": judged, "SK741": len(probes), "SK742": len(probes)})
        broken: dict[str, list[tuple[Probe, str]]] = {}
        for probe, judgement in zip(probes, judgements, strict=True):
            for code, check in CHECKS.items():
                seen = check(probe, judgement)
                if seen is not None:
                    broken.setdefault(code or probe.code, []).append((probe, seen))
        for code, items in broken.items():
            groups = whole_groups(probes, [probe for probe, _ in items])
            shown = [item for item in items if code in CHECKS or item[0].group in groups]
            if shown:
                self.results.add(code, shown, self._smaller_answer(CHECKS.get(code, check_verdict)))

    def _smaller_answer(self, check: Check) -> Smaller:
        """Return what finds the least text of a probe that still shows what ``check`` sees."""

        def smaller(probe: Probe, seen: str) -> tuple[Probe, str, Sequence[Probe]]:
            def fails(texts: Sequence[str]) -> list[bool]:
                probes = [probe.smaller(text) for text in texts]
                judgements = self._judge.judge(probes)
                return [
                    still_wrong(self._contributions.contract, small) and check(small, judgement) is not None
                    for small, judgement in zip(probes, judgements, strict=True)
                ]

            small = probe.smaller(shortest(probe.free, hurried(fails)))
            return small, (check(small, self._judge.judge([small])[0]) or seen) if probe.free else seen, ()

        return smaller
