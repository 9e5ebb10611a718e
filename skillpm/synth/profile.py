"""The profile: what a synthesis made, of what, and what it threw away and why. Written as profile.json."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from pydantic import Field

from skillpm.formats.document import Document
from skillpm.model.answer_kind import AnswerKind, label_of
from skillpm.model.contract import Tool
from skillpm.model.task import Split
from skillpm.synth.coverage import Coverage, CoverageCounter, described
from skillpm.synth.split import PoolSplit

REASONS = 20  # that are told one by one


class Lengths(Document):
    """Lengths in characters."""

    min: int = 0
    mean: float = 0.0
    p50: int = 0
    p95: int = 0
    max: int = 0

    @classmethod
    def of(cls, counts: Counter[int]) -> Lengths:
        """Measure lengths that were counted; percentiles are members (nearest rank)."""
        if not counts:
            return cls()
        lengths = sorted(counts)
        ends = list(accumulate(counts[length] for length in lengths))
        at = {share: lengths[bisect_left(ends, -(-share * ends[-1] // 100))] for share in (50, 95)}
        mean = round(sum(length * count for length, count in counts.items()) / ends[-1], 1)
        return cls(min=lengths[0], mean=mean, p50=at[50], p95=at[95], max=lengths[-1])


class SplitProfile(Document):
    """One side of one skill.

    Attributes:
        shortage: why there are fewer rows than were asked for; empty if there are as many.
        families: rows by the task of synthesis.yaml or the rule that made them; seeds are ``seed``.
        rejected: why rows were thrown away; draws that broke a constraint count here too.
        rephrased: what became of the requests that a model wrote anew: ``kept``, or the reason why not.
        tools: rows by what their answer does: a tool's name, ``ask TOOL``, ``refuse REASON``, ``answer``.
        coverage: rows by tool, argument, and class of its value: ``value``, ``null``, ``asked``, or a member of its
            enum. Refusals and texts stand under the tool ``""``.
    """

    asked: int
    rows: int
    shortage: str = ""
    families: dict[str, int]
    tools: dict[str, int]
    distinct_targets: int
    request_characters: Lengths
    answer_characters: Lengths
    rejected: dict[str, int]
    rephrased: dict[str, int] = Field(default_factory=dict)
    coverage: Coverage = Field(default_factory=dict)


class SkillProfile(Document):
    """One skill.

    Attributes:
        pools: of values.
        phrasings: lists of phrasings by place, ``[training, held out]``; both are the whole list where it is shared.
        notes: sentences for people about the rules, the seeds and the suites.
    """

    tree: str
    train: SplitProfile
    held_out: SplitProfile
    pools: dict[str, PoolSplit] = Field(default_factory=dict)
    phrasings: dict[str, tuple[int, int]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def shortages(self) -> Iterator[tuple[SplitProfile, str]]:
        """Yield each side that has fewer rows than were asked for, with a sentence about it."""
        for name, side in (("train", self.train), ("held-out", self.held_out)):
            if side.shortage:
                yield side, f"{name}: {side.rows} of {side.asked} rows: {side.shortage}"

    def sentences(self) -> list[str]:
        """Return what people should know."""
        return [*(sentence for _, sentence in self.shortages()), *self.notes]

    def coverage_rows(self) -> list[tuple[str, str, str, int, int]]:
        """Return (tool, argument, class, training rows, held-out rows)."""
        return [
            (tool, argument, kind, count, self.held_out.coverage.get(tool, {}).get(argument, {}).get(kind, 0))
            for tool, arguments in self.train.coverage.items()
            for argument, counts in arguments.items()
            for kind, count in counts.items()
        ]


def untaught(train: SplitProfile, held_out: SplitProfile) -> list[str]:
    """Return a sentence for each class that held-out rows show and training rows never do."""
    return [
        f"held-out rows show {described(tool, argument, kind)} ({count} rows), training rows never do"
        for tool, arguments in held_out.coverage.items()
        for argument, counts in arguments.items()
        for kind, count in counts.items()
        if count and train.rows and not train.coverage.get(tool, {}).get(argument, {}).get(kind)
    ]


class OverlapCheck(Document):
    """What training shares with what it must not, counted in the finished rows: zeros.

    Attributes:
        suite_requests_in_rules: suite tasks that a rule can say with other values, each with the rule's request.
    """

    train_requests_in_held_out: int
    train_requests_in_suites: int
    held_out_requests_in_suites: int
    held_out_values_in_train: int
    suite_requests_in_rules: tuple[tuple[str, str], ...] = ()


class Profile(Document):
    """profile.json, whole; the digests are SHA-256 of the JSON Lines files."""

    profile: int = 1
    seed: int
    skills: dict[str, SkillProfile]
    overlap: OverlapCheck
    digests: dict[Split, str]


class Measurement:
    """Counts what rows show.

    Args:
        tools: of the contract.
        kinds: of the answers that it takes.
    """

    def __init__(self, tools: Sequence[Tool], kinds: Sequence[AnswerKind]) -> None:
        self._coverage = CoverageCounter(tools, kinds)
        self._called: Counter[str] = Counter()
        self._requests: Counter[int] = Counter()
        self._answers: Counter[int] = Counter()

    def add(self, expected: Sequence[Any], requests: Iterable[int], answers: Iterable[int]) -> None:
        """Count rows with requests and answers of these lengths."""
        for answer in expected:
            self._coverage.add(answer)
        self._called.update(map(label_of, expected))
        self._requests.update(requests)
        self._answers.update(answers)

    def take_back(self, expected: Any, request: int, answer: int) -> None:
        """Count a row no more."""
        self._coverage.add(expected, -1)
        self._called[label_of(expected)] -= 1
        self._requests[request] -= 1
        self._answers[answer] -= 1

    def figures(self) -> dict[str, Any]:
        """Return the fields of a ``SplitProfile`` that were counted."""
        return {
            "rows": self._requests.total(),
            "tools": {label: count for label, count in sorted(self._called.items()) if count},
            "request_characters": Lengths.of(+self._requests),
            "answer_characters": Lengths.of(+self._answers),
            "coverage": self._coverage.coverage,
        }


def top_reasons(reasons: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent reasons, the others in one."""
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = dict(ranked[:REASONS])
    if len(ranked) > REASONS:
        shown["other reasons"] = sum(count for _, count in ranked[REASONS:])
    return shown
