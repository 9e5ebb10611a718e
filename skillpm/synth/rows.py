"""The rows of one skill on one side of the split, and every gate that a row has to pass to get there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError, VerifierError
from skillpm.model.episode import Episode
from skillpm.model.ports import Judge
from skillpm.model.task import Origin, Seed, Split, Task
from skillpm.model.verdict import Verdict
from skillpm.synth.contamination import RUN, SuiteIndex
from skillpm.synth.dedupe import Deduplicator, Finding, digest_of, normal_form
from skillpm.synth.special_tokens import special_token
from skillpm.synth.spool import RowStore, StoredRow

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
_ascii = json.JSONEncoder().encode


class Offer(NamedTuple):
    """What a family proposes: a request, its target, and the values that the request shows, by slot."""

    family: str
    request: str
    target: Any
    origin: Origin = "rule"
    tags: tuple[str, ...] = ()
    values: dict[str, Any] | None = None


class Row(NamedTuple):
    """A row that passed the gates."""

    offer: Offer
    form: str
    answer: str
    task: Task


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


def _stored(row: Row) -> StoredRow:
    offer, answer = row.offer, row.answer
    return StoredRow(offer.family, row.task.expected, len(offer.request), len(answer), digest_of(answer), offer.values)


def _line(task: Task) -> bytes:
    from skillpm.worker.protocol import task_document

    return f"{_ascii(task_document(task))}\n".encode("ascii")


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
        kept: the rows that were verified.
        families: how many of them each family gave.
        rejected: why others were not taken, counted.
    """

    def __init__(
        self, skill: str, system: str, answers: Answers, split: Split, suites: SuiteIndex, elsewhere: Sequence[RowStore]
    ) -> None:
        self.kept = RowStore()
        self._pending: dict[str, Row] = {}  # taken, by normal form, and not verified yet
        self.families: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self._skill = skill
        self._system = system
        self._answers = answers
        self._split: Split = split
        self._suites = suites
        self._elsewhere = elsewhere
        self._duplicates = Deduplicator()

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.kept) + len(self._pending)

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
        task = Task.of(
            skill=self._skill,
            system=self._system,
            request=offer.request,
            expected=completed,
            split=self._split,
            origin=offer.origin,
            tags=offer.tags,
        )
        row = self._pending[form] = Row(offer, form, answer, task)
        self.families[offer.family] += 1
        return row

    def replace(self, row: Row, request: str) -> Row | str:
        """Take a row that was just taken with another request; where that is refused, why, and the row as it was."""
        other = self.offer(row.offer._replace(request=request, tags=(*row.offer.tags, REPHRASED)))
        if isinstance(other, Row) and self._pending.pop(row.form, None) is not None:
            self.families[row.offer.family] -= 1
        return other

    def _refusal(self, form: str, answer: str) -> str | None:
        """Return why a request is not taken; an ambiguous one takes the earlier row with it."""
        if form in self._suites:
            return "stands in a suite"
        if self._suites.shared_run(form) is not None:
            return f"shares {RUN} words in a row with a suite"
        key = digest_of(form)
        if any(key in side for side in self._elsewhere):
            return "stands on the other side of the split"
        finding = self._duplicates.add(form, answer)
        if finding is Finding.AMBIGUOUS:
            self._drop(form, finding.value)
        return None if finding is Finding.NEW else finding.value

    def verify(self, candidates: Sequence[Row], verifier: Judge | None) -> None:
        """Let the verifier judge rows that were just taken; keep those that pass and drop the others.

        None is the contract alone: it has judged each answer when it completed it.
        """
        present = [row for row in candidates if self._pending.get(row.form) is row]
        reasons = refusals(verifier, [(row.task, row.answer) for row in present]) if verifier else [None] * len(present)
        for row, refusal in zip(present, reasons, strict=True):
            if refusal is not None:
                self._drop(row.form, refusal)
                continue
            del self._pending[row.form]
            self.kept.add(digest_of(row.form), _stored(row), _line(row.task), row.offer.origin)

    def _drop(self, form: str, reason: str) -> None:
        """Drop the row of a form, if there is one."""
        pending = self._pending.pop(form, None)
        family = self.kept.drop(digest_of(form)) if pending is None else pending.offer.family
        if family is not None:
            self.families[family] -= 1
            self.rejected[reason] += 1
