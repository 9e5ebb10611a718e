"""What still goes wrong: the wrong answers of the last arm, the tools that they call, and why they are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from skillpm.contract.answer import read_answer
from skillpm.evals.outcomes import NO_TOOL, Outcomes, Part, called_tool
from skillpm.evals.stored_records import stored_records
from skillpm.model.answer_kind import is_reply, label_of
from skillpm.model.evaluation import Evaluation, Record


@dataclass(frozen=True, slots=True)
class Confusion:
    """Which tools the judged answers of one skill call.

    Attributes:
        expected: the tools that were asked for; rows.
        called: the tools that were called; columns. ``NO_TOOL`` comes last.
        counts: answers by (expected tool, called tool).
    """

    skill: str
    expected: tuple[str, ...]
    called: tuple[str, ...]
    counts: Mapping[tuple[str, str], int]


def failures(evaluation: Evaluation) -> Iterator[Record]:
    """Yield the answers of the last arm that were judged and are not right, in order."""
    if evaluation.arms:
        records = stored_records(evaluation.arms[-1])
        yield from map(records.__getitem__, wrong(records.outcomes).places)


def wrong(outcomes: Outcomes) -> Part:
    """Return the answers that were judged and are not right."""
    return outcomes.whole().only(lambda profile: profile.judged and not profile.exact)


def reasons(record: Record) -> list[str]:
    """Return why an answer is wrong. If it calls the wrong tool, that comes first and what follows from it is left out.

    The reasons of a verdict are those of an executor, which compares the arguments with the tool that was called. They
    mislead a reader where another tool was asked for.
    """
    expected, called = label_of(record.expected), called_tool(record)
    if expected and called and expected != called:
        if is_reply(record.expected) or is_reply(read_answer(record.completion).value):
            return [f"`{called}` was answered where `{expected}` was expected"]
        return [f"`{called}` was called where `{expected}` was asked"]
    return list(record.verdict.reasons)


def confusions(outcomes: Outcomes) -> list[Confusion]:
    """Count the called tools of judged answers by the expected tool, for each skill whose answers call tools."""
    counts: dict[str, Counter[tuple[str, str]]] = {}
    for profile, count in outcomes.whole().counts.items():
        if profile.judged and profile.expected:
            counts.setdefault(profile.skill, Counter())[profile.expected, profile.called] += count
    return [_confusion(skill, pairs) for skill, pairs in counts.items()]


def _confusion(skill: str, pairs: Counter[tuple[str, str]]) -> Confusion:
    expected = sorted({pair[0] for pair in pairs})
    others = sorted({pair[1] for pair in pairs} - {*expected, NO_TOOL})
    none = [NO_TOOL] if any(pair[1] == NO_TOOL for pair in pairs) else []
    return Confusion(skill, tuple(expected), (*expected, *others, *none), pairs)
