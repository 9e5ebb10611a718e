"""The kinds of answers: how many of each are exact, what was answered instead, and the two mistakes that people mind.

A false refusal is a call that was asked for, and the model refused it or asked back. An invention is the reverse: the
model called a tool where it should have refused or asked. Skills whose tasks expect nothing but calls have no figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from skillpm.contract.answer import read_answer
from skillpm.evals.figures import share
from skillpm.evals.statistics import Interval
from skillpm.model.answer_kind import KINDS, is_reply, kind_of
from skillpm.model.evaluation import Evaluation, Record, TaskSet

NO_KIND = ""  # of an answer that is none of the kinds
_DECLINED = ("ask", "refuse")


@dataclass(frozen=True, slots=True)
class KindRow:
    """What one arm answered to one task set.

    Attributes:
        exact: the share of exact answers by the expected kind.
        answered: judged answers by (expected kind, answered kind).
        false_refusals: of the calls that were asked for; None without any.
        inventions: of the questions and refusals that were right; None without any.
    """

    task_set: TaskSet
    arm: str
    exact: Mapping[str, Interval]
    answered: Mapping[tuple[str, str], int]
    false_refusals: Interval | None
    inventions: Interval | None

    @property
    def expected(self) -> list[str]:
        """The kinds that were expected, in their order."""
        return [kind for kind in KINDS if kind in self.exact]

    @property
    def columns(self) -> list[str]:
        """The kinds that were expected or answered, in their order; ``NO_KIND`` comes last."""
        present = {kind for pair in self.answered for kind in pair}
        return [kind for kind in (*KINDS, NO_KIND) if kind in present]

    def tasks(self, kind: str) -> int:
        """Return how many judged answers a kind has."""
        return sum(count for (expected, _), count in self.answered.items() if expected == kind)


def kind_figures(evaluation: Evaluation) -> list[KindRow]:
    """Return a row for each task set and arm of the skills whose contracts and tasks know more than calls.

    An object with the keys of a refusal is none where the contract takes calls alone, or where there is no contract.
    """
    taken = {skill.name for skill in evaluation.skills if skill.kinds is None or len(skill.kinds) > 1}
    records = (record for arm in evaluation.arms for record in arm.records)
    skills = {record.skill for record in records if record.skill in taken and is_reply(record.expected)}
    rows = []
    for task_set in evaluation.task_sets:
        for arm in evaluation.arms if task_set.skill in skills else ():
            place = (task_set.skill, task_set.name)
            judged = [record for record in arm.records if record.judged and (record.skill, record.suite) == place]
            if judged:
                rows.append(_row(task_set, arm.name, judged))
    return rows


def _row(task_set: TaskSet, arm: str, records: Sequence[Record]) -> KindRow:
    pairs = [(kind_of(record.expected) or NO_KIND, _answered(record)) for record in records]
    groups: dict[str, list[tuple[bool, str]]] = {}
    for record, (expected, _) in zip(records, pairs, strict=True):
        groups.setdefault(expected, []).append((record.exact, record.cluster))
    exact = {kind: figure for kind, outcomes in groups.items() if (figure := share(outcomes)) is not None}

    def mistaken(expected: Collection[str], answered: Collection[str]) -> Interval | None:
        rated = zip(records, pairs, strict=True)
        return share([(pair[1] in answered, record.cluster) for record, pair in rated if pair[0] in expected])

    return KindRow(task_set, arm, exact, Counter(pairs), mistaken(("call",), _DECLINED), mistaken(_DECLINED, ("call",)))


def _answered(record: Record) -> str:
    return kind_of(read_answer(record.completion).value) or NO_KIND
