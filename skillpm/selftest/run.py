"""Tries to fool a skill's verifier: its own cases, and probes made from every seed and suite task.

Reports each failed claim with its smallest counterexample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from skillpm.model.manifest import Promises
from skillpm.model.suite import Case
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions
from skillpm.runtime.conventions import CONVENTIONS
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.selftest.checks import CHECKS, Check, check_verdict, judgement_text, still_wrong
from skillpm.selftest.claims import TaskRef
from skillpm.selftest.judge import ProbeJudge
from skillpm.selftest.probes import Probe, probes_of
from skillpm.selftest.repeatability import Repeatability
from skillpm.selftest.results import Results, Smaller, hurried
from skillpm.selftest.shrink import shortest
from skillpm.selftest.speed import Speed
from skillpm.worker.scoring import Scorer

_CASE_WANTS: dict[str, Any] = {
    "full_reward": "maximum", "zero_reward": "floor", "malformed": "refusal", "determinism": "verdict",
}  # fmt: skip


class SelftestRun:
    """One run over one skill.

    Attributes:
        results: what the run shows.
    """

    def __init__(self, contributions: Contributions, scorer: Scorer, promises: Promises, files: SkillFiles) -> None:
        self._contributions = contributions
        self._promises = promises
        self._files = files
        self._judge = ProbeJudge(contributions, scorer)
        self.results = Results()

    def run(self) -> None:
        """Check everything."""
        probes = [*self._case_probes(), *self._task_probes()]
        judgements = self._judge.judge(probes)
        self._check_each(probes, judgements)
        steady = [n for n, judgement in enumerate(judgements) if judgement.verdict.status != "errored"]
        repeatability = Repeatability(self._judge, self.results, self._promises.seconds)
        repeatability.check([probes[n] for n in steady], [judgements[n] for n in steady])
        Speed(self._judge, self.results, self._promises.seconds).check(repeatability.suspects, len(steady))

    def _case_probes(self) -> Iterator[Probe]:
        for row in self._files.case_rows():
            case = row.value
            place = TaskRef(f"case `{case.name}`", row.path, row.line, case.request, case.expected)
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

    def _task_probes(self) -> Iterator[Probe]:
        floors = {"idle_at_most": self._promises.idle_at_most, "wrong_at_most": self._promises.wrong_at_most}
        for item in probes_of(self._contributions.contract, self._places(), **floors):
            if isinstance(item, Probe):
                yield item
                continue
            place, reason = item
            self.results.checked["SK711"] += 1
            self.results.add("SK711", [(Probe("SK711", "the expected answer", place, "maximum", ""), reason)])

    def _places(self) -> list[TaskRef]:
        """Return seeds and suite tasks."""
        rows = [*self._files.seed_rows(), *self._files.suite_rows()]
        places = [
            TaskRef(f"{row.path}:{row.line or number}", row.path, row.line, row.value.request, row.value.expected)
            for number, row in enumerate(rows, 1)
        ]
        for suite in self._contributions.suites:
            plugin = self._contributions.origins.get(f"suite:{suite.name}", CONVENTIONS)
            if plugin != CONVENTIONS and not isinstance(suite.tasks, str):
                path = plugin if plugin.endswith(".py") else ""
                places += [
                    TaskRef(f"{suite.name}:{number}", path, None, task.request, task.expected)
                    for number, task in enumerate(suite.tasks, 1)
                ]
        return places

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
            self.results.add(code, items, self._smaller_answer(CHECKS.get(code, check_verdict)))

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
