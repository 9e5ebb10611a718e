"""Tries to fool a skill's verifier: its own cases, and probes made from every seed and suite task.

What does not hold is told with the smallest answer that shows it. Verdicts are compared over repeats, orders, sizes of
batches and new workers; of each answer only the first difference is told, for it explains the others.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from skillpm.model.episode import Episode
from skillpm.model.manifest import Promises
from skillpm.model.suite import Case
from skillpm.model.task import Message, Task
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions
from skillpm.runtime.claims import Broken, Counterexample, Place
from skillpm.runtime.conventions import CONVENTIONS
from skillpm.runtime.fuzz import fewest, shortest
from skillpm.runtime.looks import LOOKS, Look, judgement_text, look_at_verdict, still_wrong
from skillpm.runtime.probes import Probe, probes_of
from skillpm.runtime.scoring import Scorer
from skillpm.runtime.skillfiles import SkillFiles

__all__ = ["Gate"]

MAX_TOLD = 2  # broken claims of one code that are made small and told one by one
ALONE = 64  # probes that are judged one by one
BATCH = 64
SEARCH_SECONDS = 20.0  # for a smaller counterexample
TRIES = 3  # of which the fastest counts

_Smaller = Callable[[Probe, str], tuple[Probe, str, Sequence[Probe]]]
"""Takes a probe and what was seen of it; returns a smaller one, what is seen of that, and the batch that matters."""


class Gate:
    """One run over one skill; what was found stands in its attributes.

    Attributes:
        checked: claims by code.
        failed: claims by code that do not hold.
        broken: some of those by code, with the smallest answers that show it.
    """

    def __init__(self, contributions: Contributions, scorer: Scorer, promises: Promises, files: SkillFiles) -> None:
        self._contributions = contributions
        self._scorer = scorer
        self._promises = promises
        self._files = files
        self.checked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.broken: dict[str, list[Broken]] = {}
        self._tasks: dict[tuple[str, int | None], Task] = {}
        self._suspects: list[list[Probe]] = []  # batches that took longer than one verdict may

    def run(self) -> None:
        """Check everything."""
        probes = [*self._case_probes(), *self._task_probes()]
        judgements = self._judge(probes)
        self._check_each(probes, judgements)
        steady = [n for n, judgement in enumerate(judgements) if judgement.verdict.status != "errored"]
        self._check_repeats([probes[n] for n in steady], [judgements[n] for n in steady])
        self._check_time(len(steady))

    # what is probed

    def _case_probes(self) -> Iterator[Probe]:
        for row in self._files.case_rows():
            case = row.value
            place = Place(f"case `{case.name}`", row.path, row.line, case.request, case.expected)
            want = _CASE_WANTS[case.kind]
            probe = Probe(
                "SK701", f"{case.kind} `{case.name}`", place, want, "", before=case.completion, at_most=case.at_most
            )
            if case.kind == "determinism":
                self._check_case_repeats(probe, case)
            yield probe

    def _check_case_repeats(self, probe: Probe, case: Case) -> None:
        episode = self._episode(probe)
        found = self._scorer.judge_afresh([episode] * case.repeat)
        other = next((item for item in found if item != found[0]), None)
        if other is not None:
            self._tell("SK701", [(probe, f"{judgement_text(found[0])}, and then {judgement_text(other)}")])

    def _task_probes(self) -> Iterator[Probe]:
        floors = {"idle_at_most": self._promises.idle_at_most, "wrong_at_most": self._promises.wrong_at_most}
        for made in probes_of(self._contributions.contract, self._places(), **floors):
            if isinstance(made, Probe):
                yield made
                continue
            place, reason = made
            self.checked["SK711"] += 1
            self._tell("SK711", [(Probe("SK711", "the expected answer", place, "maximum", ""), reason)])

    def _places(self) -> list[Place]:
        """Return seeds and suite tasks."""
        rows = [*self._files.seed_rows(), *self._files.suite_rows()]
        found = [
            Place(f"{row.path}:{row.line or number}", row.path, row.line, row.value.request, row.value.expected)
            for number, row in enumerate(rows, 1)
        ]
        for suite in self._contributions.suites:
            plugin = self._contributions.origins.get(f"suite:{suite.name}", CONVENTIONS)
            if plugin != CONVENTIONS and not isinstance(suite.tasks, str):
                found += [
                    Place(f"{suite.name}:{number}", plugin if plugin.endswith(".py") else "", None, *_asked(task))
                    for number, task in enumerate(suite.tasks, 1)
                ]
        return found

    def _episode(self, probe: Probe) -> Episode:
        key = (probe.place.name, probe.place.line)
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = self._task(probe.place)
        answer = Message.model_construct(role="assistant", content=probe.text)
        return Episode.model_construct(task=task, messages=(answer,), finish_reason="stop", usage=None)

    def _task(self, place: Place) -> Task:
        return Task.of(
            skill=self._contributions.skill.name,
            system=self._contributions.prompt,
            request=place.request,
            expected=place.expected,
            split="suite",
            origin="suite",
        )

    def _judge(self, probes: Sequence[Probe]) -> list[Judgement]:
        return self._scorer.judge_afresh([self._episode(probe) for probe in probes])

    # what is claimed of each answer

    def _check_each(self, probes: Sequence[Probe], judgements: Sequence[Judgement]) -> None:
        self.checked.update(probe.code for probe in probes)
        judged = sum(1 for probe in probes if probe.code != "SK751")
        self.checked.update({"SK751": judged, "SK741": len(probes), "SK742": len(probes)})
        found: dict[str, list[tuple[Probe, str]]] = {}
        for probe, judgement in zip(probes, judgements, strict=True):
            for code, look in LOOKS.items():
                seen = look(probe, judgement)
                if seen is not None:
                    found.setdefault(code or probe.code, []).append((probe, seen))
        for code, items in found.items():
            self._tell(code, items, self._smaller_answer(LOOKS.get(code, look_at_verdict)))

    def _tell(self, code: str, items: Sequence[tuple[Probe, str]], smaller: _Smaller | None = None) -> None:
        """Count what was found, a probe and what was seen of it each; keep the shortest, made small, each text once."""
        self.failed[code] += len(items)
        told = self.broken.setdefault(code, [])
        for probe, seen in sorted(items, key=lambda item: len(item[0].text))[: MAX_TOLD - len(told)]:
            small, sight, among = (probe, seen, ()) if smaller is None else smaller(probe, seen)
            example = Counterexample(small.place, small.text, tuple(item.text for item in among))
            if all(item.example.completion != example.completion for item in told):
                told.append(Broken(code, small.how, example, sight))

    def _smaller_answer(self, look: Look) -> _Smaller:
        """Return what finds the least text of a probe that still shows what ``look`` sees."""

        def smaller(probe: Probe, seen: str) -> tuple[Probe, str, Sequence[Probe]]:
            def fails(texts: Sequence[str]) -> list[bool]:
                made = [probe.smaller(text) for text in texts]
                judged = self._judge(made)
                return [
                    still_wrong(self._contributions.contract, small) and look(small, judgement) is not None
                    for small, judgement in zip(made, judged, strict=True)
                ]

            small = probe.smaller(shortest(probe.free, _hurried(fails)))
            return small, (look(small, self._judge([small])[0]) or seen) if probe.free else seen, ()

        return smaller

    # what is claimed of them together

    def _check_repeats(self, probes: list[Probe], first: list[Judgement]) -> None:
        left, bits = list(range(len(probes))), [_bits(judgement) for judgement in first]
        for code, again, smaller in (
            ("SK731", self._judge, lambda _: self._smaller_repeat),
            ("SK732", self._backwards, self._smaller_batch),
            ("SK733", self._in_small_batches, self._smaller_batch),
            ("SK734", self._by_new_workers, lambda _: None),
        ):
            chosen = [probes[n] for n in left]
            self.checked[code] += len(left)
            moved = {n: then for n, then in zip(left, again(chosen), strict=True) if _bits(then) != bits[n]}
            if moved:
                items = [
                    (probes[n], f"{judgement_text(first[n])}, and then {judgement_text(then)}")
                    for n, then in moved.items()
                ]
                self._tell(code, items, smaller(chosen))
            left = [n for n in left if n not in moved]

    def _backwards(self, probes: list[Probe]) -> list[Judgement]:
        return self._judge(probes[::-1])[::-1]

    def _in_small_batches(self, probes: list[Probe]) -> list[Judgement]:
        """Judge some alone and all in small batches; a difference between the two is one from the whole, too."""
        found: list[Judgement] = []
        for start in range(0, len(probes), BATCH):
            batch = probes[start : start + BATCH]
            started = time.perf_counter()
            found += self._judge(batch)
            if time.perf_counter() - started > self._promises.seconds:
                self._suspects.append(batch)
        for n in range(0, len(probes), max(1, len(probes) // ALONE)):
            (alone,) = self._judge([probes[n]])
            found[n] = alone
        return found

    def _by_new_workers(self, probes: list[Probe]) -> list[Judgement]:
        with self._scorer.anew(workers=2) as others:
            return others.judge_afresh([self._episode(probe) for probe in probes])

    def _smaller_repeat(self, probe: Probe, seen: str) -> tuple[Probe, str, Sequence[Probe]]:
        def fails(texts: Sequence[str]) -> list[bool]:
            made = [probe.smaller(text) for text in texts]
            return [one != other for one, other in zip(self._judge(made), self._judge(made), strict=True)]

        return probe.smaller(shortest(probe.free, _hurried(fails))), seen, ()

    def _smaller_batch(self, batch: list[Probe]) -> _Smaller:
        """Return what finds the fewest neighbours, in their order, among which a probe is not judged as it is alone."""

        def smaller(probe: Probe, seen: str) -> tuple[Probe, str, Sequence[Probe]]:
            place = next(n for n, item in enumerate(batch) if item is probe)
            others = [n for n in range(len(batch)) if n != place]
            (alone,) = self._judge([probe])

            def fails(groups: Sequence[Sequence[int]]) -> list[bool]:
                return [self._moves(batch, place, list(group), alone) for group in groups]

            if not fails([others])[0]:
                return probe, seen, ()
            return probe, seen, [batch[n] for n in fewest(others, _hurried(fails))]

        return smaller

    def _moves(self, batch: list[Probe], place: int, others: list[int], alone: Judgement) -> bool:
        """Is the answer judged otherwise than alone among these, in their order or in reverse?"""
        chosen = sorted([*others, place])
        at = chosen.index(place)
        found = self._judge([batch[n] for n in chosen])[at]
        return found != alone or self._judge([batch[n] for n in reversed(chosen)])[-1 - at] != alone

    # how long it takes

    def _check_time(self, count: int) -> None:
        """Look closer at the batches that took long: no answer of a batch is slower than the batch."""
        self.checked["SK761"] += count
        slow: list[tuple[Probe, str]] = []
        for batch in self._suspects:
            slow += self._slow(batch) if len(slow) < MAX_TOLD else []
        if slow:
            self._tell("SK761", slow, self._smaller_slow)

    def _seconds(self, probes: Sequence[Probe], tries: int) -> float:
        """Return how long it takes to judge them in one message, the best of some tries."""
        episodes = [self._episode(probe) for probe in probes]
        best = float("inf")
        for _ in range(tries):
            started = time.perf_counter()
            self._scorer.judge_afresh(episodes)
            best = min(best, time.perf_counter() - started)
            if best <= self._promises.seconds:
                break
        return best

    def _slow(self, probes: list[Probe]) -> list[tuple[Probe, str]]:
        """Return those that take too long by themselves."""
        seconds = self._seconds(probes, TRIES if len(probes) == 1 else 1)
        if seconds <= self._promises.seconds:
            return []
        if len(probes) == 1:
            return [(probes[0], self._slow_text(seconds))]
        half = len(probes) // 2
        return self._slow(probes[:half]) + self._slow(probes[half:])

    def _smaller_slow(self, probe: Probe, seen: str) -> tuple[Probe, str, Sequence[Probe]]:
        def fails(texts: Sequence[str]) -> list[bool]:
            return [self._seconds([probe.smaller(text)], TRIES) > self._promises.seconds for text in texts]

        return probe.smaller(shortest(probe.free, _hurried(fails))), seen, ()

    def _slow_text(self, seconds: float) -> str:
        return f"judged in {seconds:.2f} s, where skill.yaml promises {self._promises.seconds:g} s"


_CASE_WANTS: dict[str, Any] = {
    "full_reward": "maximum", "zero_reward": "floor", "malformed": "refusal", "determinism": "verdict",
}  # fmt: skip


def _hurried(fails: Callable[[Sequence[Any]], list[bool]]) -> Callable[[Sequence[Any]], list[bool]]:
    """Return the question, which is answered with no once a search has taken long enough."""
    end = time.monotonic() + SEARCH_SECONDS
    return lambda candidates: fails(candidates) if time.monotonic() < end else [False] * len(candidates)


def _asked(task: Any) -> tuple[str, Any]:
    return task.request, task.expected


def _bits(judgement: Judgement) -> str:
    return judgement.model_dump_json()
