"""The rows of one skill on one side of the split, and every gate that a row has to pass to get there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError, VerifierError
from skillpm.model.episode import Episode
from skillpm.model.ports import Judge
from skillpm.model.task import Origin, Seed, Split, Task
from skillpm.model.verdict import Verdict
from skillpm.storage.temporary_database import DigestSet
from skillpm.synth.contamination import RUN, SuiteIndex
from skillpm.synth.dedupe import Deduplicator, Finding, normal_form
from skillpm.synth.pools import value_text
from skillpm.synth.profile import Measurement, SplitProfile, top_reasons
from skillpm.synth.special_tokens import special_token
from skillpm.synth.spool import RowStore
from skillpm.synth.task_line import TaskWriter, read_task

REPHRASED = "rephrased"  # tag of a row whose request a model wrote


def refusals(judge: Judge, rows: Sequence[tuple[Task, str]]) -> list[str | None]:
    """Return, for each task with its gold answer, why its verifier refuses it, or None where it passes with score 1.

    Raises:
        VerifierError: not one of the rows could be judged: the verifier does not work.
    """
    verdicts = [item.verdict for item in judge([Episode.answering(task, answer) for task, answer in rows])]
    if verdicts and all(verdict.status == "errored" for verdict in verdicts):
        skill = rows[0][0].skill
        raise VerifierError(
            f"{skill}: no gold answer could be judged: {_reason(verdicts[0])}",
            hint=f"run `skillpm selftest {skill}`",
            skill=skill,
        )
    return [None if verdict.status == "passed" and verdict.score == 1 else _refusal(verdict) for verdict in verdicts]


def _refusal(verdict: Verdict) -> str:
    return f"verifier {verdict.status}: {_reason(verdict)}"


def _reason(verdict: Verdict) -> str:
    return verdict.reasons[0] if verdict.reasons else f"score {verdict.score}"


_encode = json.JSONEncoder(ensure_ascii=False).encode


class Offer(NamedTuple):
    """What a family proposes: a request, its target, and the values that rows of the other side may not show."""

    family: str
    request: str
    target: Any
    origin: Origin = "rule"
    tags: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()


class Row(NamedTuple):
    """A row that passed the gates.

    Attributes:
        number: in the store.
        form: of its request.
        answer: the text of its expected answer.
        line: its task in JSON.
    """

    number: int
    offer: Offer
    form: str
    answer: str
    line: bytes

    @property
    def task(self) -> Task:
        """The task."""
        return read_task(self.line)


@dataclass(frozen=True, slots=True)
class Answers:
    """Expected answers of one skill: completed, and written as a model should write them."""

    contract: Contract | None

    def complete(self, target: Any) -> Any:
        """Return the target with every argument. Raises DocumentError where it breaks the contract."""
        return target if self.contract is None else self.contract.complete(target)

    @staticmethod
    def write(completed: Any) -> str:
        """Return the text of a completed target."""
        return completed if isinstance(completed, str) else _encode(completed)

    def measurement(self) -> Measurement:
        """Return what measures rows with such answers."""
        if self.contract is None:
            return Measurement((), ("call",))
        return Measurement([*self.contract.tools.values()], self.contract.replies.kinds)


class RowCollector:
    """Collects rows.

    Args:
        skill: whose rows.
        system: the system prompt of its tasks.
        answers: of the skill.
        split: which side.
        suites: requests that are never taken.
        elsewhere: the rows of the other side.

    Attributes:
        kept: the rows; those that the verifier has not judged yet are among them.
        rejected: why others were not taken, counted.
        shown: the values of the rows that the other side may not show.
    """

    def __init__(
        self,
        skill: str,
        system: str,
        answers: Answers,
        split: Split,
        suites: SuiteIndex,
        elsewhere: Sequence[RowCollector],
    ) -> None:
        self.kept = RowStore()
        self.rejected: Counter[str] = Counter()
        self.shown = DigestSet()
        self._measurement = answers.measurement()
        self._writer = TaskWriter(skill, system, split)
        self._answers = answers
        self._suites = suites
        self._elsewhere = elsewhere
        self._duplicates = Deduplicator()

    def __contains__(self, form: str) -> bool:
        """Is there a row of this form?"""
        return hash(form) in self._duplicates

    def shared(self, other: RowCollector) -> Iterator[int]:
        """Yield the hashes of the forms of which another collector has a row too."""
        return (key for key in self._duplicates if key in other._duplicates)

    def avoid(self, tasks: Sequence[Seed]) -> None:
        """Remember tasks of this skill's suites, so that their near duplicates are not taken either."""
        for task in tasks:
            try:
                answer = self._answers.write(self._answers.complete(task.expected))
            except DocumentError:
                continue  # `skillpm validate` tells; an answer out of the contract has no near duplicate here
            self._duplicates.add(normal_form(task.request), answer)

    def offer(self, offer: Offer) -> Row | str:
        """Take a row, or count and return why not. It stays for good once ``verify`` has kept it."""
        try:
            completed = self._answers.complete(offer.target)
        except DocumentError as error:
            self.rejected[error.rule] += 1
            return error.rule
        form, answer = normal_form(offer.request), self._answers.write(completed)
        token = special_token(offer.request, answer)
        refusal = self._refusal(form, answer) if token is None else f"holds the special token `{token}`"
        if refusal is not None:
            self.rejected[refusal] += 1
            return refusal
        line = self._writer.line(offer.request, completed, answer, offer.tags, offer.origin)
        self._measurement.add(completed, len(offer.request), len(answer))
        for value in offer.values:
            self.shown.add(hash(value_text(value)))
        return Row(self.kept.add(offer.family, line), offer, form, answer, line)

    def replace(self, row: Row, request: str) -> Row | str:
        """Take a row that was just taken with another request; where that is refused, why, and the row as it was."""
        other = self.offer(row.offer._replace(request=request, tags=(*row.offer.tags, REPHRASED)))
        if isinstance(other, Row):
            self._drop(row.form)
        return other

    def _refusal(self, form: str, answer: str) -> str | None:
        """Return why a request is not taken; an ambiguous one takes the earlier row with it."""
        if form in self._suites:
            return "stands in a suite"
        if self._suites.shared_run(form) is not None:
            return f"shares {RUN} words in a row with a suite"
        if any(form in side for side in self._elsewhere):
            return "stands on the other side of the split"
        finding = self._duplicates.add(form, answer, self.kept.next_number)
        if finding is Finding.AMBIGUOUS and self._drop(form):
            self.rejected[finding.value] += 1
        return None if finding is Finding.NEW else finding.value

    def verify(self, candidates: Sequence[Row], verifier: Judge | None) -> None:
        """Let the verifier judge rows that were just taken; keep those that pass and drop the others.

        None is the contract alone: it has judged each answer when it completed it.
        """
        if verifier is None:
            return
        present = [row for row in candidates if row.number in self.kept]
        reasons = refusals(verifier, [(row.task, row.answer) for row in present])
        for row, refusal in zip(present, reasons, strict=True):
            if refusal is not None and self._drop(row.form):
                self.rejected[refusal] += 1

    def _drop(self, form: str) -> bool:
        """Drop the row of a form, if there is one."""
        number = self._duplicates.forget(form)
        if number is not None:
            self.kept.drop(number)
        return number is not None

    def profile(self, *, asked: int, shortage: str, rephrased: Mapping[str, int]) -> SplitProfile:
        """Return what the rows show; it is asked for once, when all of them are there."""
        for task in map(read_task, self.kept.dropped()):
            self._measurement.add(task.expected, len(task.request), len(self._answers.write(task.expected)), by=-1)
        return SplitProfile(
            asked=asked,
            shortage=shortage,
            families={name: count for name, count in sorted(self.kept.families.items()) if count},
            distinct_targets=self._duplicates.targets,
            rejected=top_reasons(self.rejected),
            rephrased=top_reasons(rephrased),
            **self._measurement.figures(),
        )
