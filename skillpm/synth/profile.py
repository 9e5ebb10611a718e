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
from skillpm.storage.temporary_database import DigestSet
from skillpm.synth.coverage import Coverage, described, measure_coverage
from skillpm.synth.split import PoolSplit
from skillpm.synth.spool import StoredRow

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


def measure(
    rows: Iterable[StoredRow],
    *,
    asked: int,
    shortage: str,
    rejected: Mapping[str, int],
    tools: Sequence[Tool],
    rephrased: Mapping[str, int],
    kinds: Sequence[AnswerKind] = ("call",),
) -> SplitProfile:
    """Profile rows in one pass."""
    families: Counter[str] = Counter()
    called: Counter[str] = Counter()
    targets = DigestSet()
    requests: Counter[int] = Counter()
    answers: Counter[int] = Counter()

    def expected_answers() -> Iterator[Any]:
        for row in rows:
            families[row.family] += 1
            called[label_of(row.expected)] += 1
            targets.add(row.target)
            requests[row.request] += 1
            answers[row.answer] += 1
            yield row.expected

    coverage = measure_coverage(expected_answers(), tools, kinds)
    return SplitProfile(
        asked=asked,
        shortage=shortage,
        rows=requests.total(),
        families=dict(sorted(families.items())),
        tools=dict(sorted(called.items())),
        distinct_targets=len(targets),
        request_characters=Lengths.of(requests),
        answer_characters=Lengths.of(answers),
        rejected=top_reasons(rejected),
        rephrased=top_reasons(rephrased),
        coverage=coverage,
    )


def top_reasons(reasons: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent reasons, the others in one."""
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = dict(ranked[:REASONS])
    if len(ranked) > REASONS:
        shown["other reasons"] = sum(count for _, count in ranked[REASONS:])
    return shown
