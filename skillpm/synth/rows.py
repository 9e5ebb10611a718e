"""The rows of one skill on one side of the split, and every gate that a row has to pass to get there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from skillpm.errors import DocumentError, VerifierError
from skillpm.model.episode import Episode
from skillpm.model.ports import Judge
from skillpm.model.task import Seed, Split, Task
from skillpm.model.verdict import Verdict
from skillpm.storage.temporary_database import DigestSet
from skillpm.synth.answers import Answer, Answers
from skillpm.synth.contamination import RUN, SuiteIndex
from skillpm.synth.dedupe import Deduplicator, Finding, normal_form
from skillpm.synth.offer import Offer
from skillpm.synth.pools import value_text
from skillpm.synth.profile import SplitProfile, top_reasons
from skillpm.synth.special_tokens import special_token
from skillpm.synth.spool import RowStore
from skillpm.synth.task_line import TaskWriter, read_task

REPHRASED = "rephrased"  # tag of a row whose request a model wrote


def refusals(judge: Judge, rows: Sequence[tuple[Task, str]], word: str) -> list[str | None]:
    """Return, for each task with its gold answer, why its verifier refuses it, or None where it passes with score 1.

    ``word`` is what a person types for the skill.

    Raises:
        VerifierError: not one of the rows could be judged: the verifier does not work.
    """
    verdicts = [item.verdict for item in judge([Episode.answering(task, answer) for task, answer in rows])]
    if verdicts and all(verdict.status == "errored" for verdict in verdicts):
        skill = rows[0][0].skill
        raise VerifierError(
            f"{skill}: no gold answer could be judged: {_reason(verdicts[0])}",
            hint=f"run `skillpm selftest {word}`",
            skill=skill,
        )
    return [None if verdict.status == "passed" and verdict.score == 1 else _refusal(verdict) for verdict in verdicts]


def _refusal(verdict: Verdict) -> str:
    return f"verifier {verdict.status}: {_reason(verdict)}"


def _reason(verdict: Verdict) -> str:
    return verdict.reasons[0] if verdict.reasons else f"score {verdict.score}"


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


class _Candidate(NamedTuple):
    """An offer that no gate has refused yet.

    Attributes:
        form: of its request.
        first: the answers before the last one.
    """

    offer: Offer
    form: str
    answer: Answer
    first: Sequence[Answer] = ()

    @property
    def texts(self) -> list[str]:
        """All that a model would read and write, but for what an environment shows."""
        return [self.offer.request, self.answer.text, *(answer.text for answer in self.first)]


class RowCollector:
    """Collects rows.

    Args:
        skill: whose rows.
        system: the system prompt of its tasks.
        answers: of the skill.
        split: which side.
        suites: requests that are never taken.
        elsewhere: the rows of the other side.
        is_trained: does another skill of the same contract train the value with this text?

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
        is_trained: Callable[[str], bool],
    ) -> None:
        self.kept = RowStore()
        self.rejected: Counter[str] = Counter()
        self.shown = DigestSet()
        self._measurement = answers.measurement()
        self._writer = TaskWriter(skill, system, split)
        self._answers = answers
        self._suites = suites
        self._elsewhere = elsewhere
        self._is_trained = is_trained
        self._duplicates = Deduplicator()

    def __contains__(self, form: str) -> bool:
        """Is there a row of this form?"""
        return hash(form) in self._duplicates

    def shared(self, other: RowCollector) -> Iterator[int]:
        """Yield the hashes of the forms of which another collector has a row too."""
        return (key for key in self._duplicates if key in other._duplicates)

    def avoid(self, tasks: Sequence[Seed]) -> None:
        """Remember tasks of suites, so that their near duplicates are not taken either."""
        for task in tasks:
            try:
                answer = self._answers.of(task.expected)
            except DocumentError:
                continue  # another skill's; an answer out of the contract has no near duplicate here
            self._duplicates.avoid(normal_form(task.request), self._answers.identity(answer))

    def take(self, offers: Sequence[Offer]) -> list[Row | str]:
        """Take rows, or count and return why not; a row stays for good once ``verify`` has kept it."""
        # One step for all offers, then the next: while a processor does one thing, its caches hold the code and the
        # data for it. Row by row takes twice as long.
        forms = [normal_form(offer.request) for offer in offers]
        answered = [*map(self._answered, offers, forms)]
        fit = answered if self._are_fit(answered) else [self._fit(item) for item in answered]
        new, dropped = self._without_duplicates(fit)
        rows = iter(self._stored([item for item in new if isinstance(item, _Candidate)]))
        outcomes = [item if isinstance(item, str) else next(rows) for item in new]
        for number in dropped:
            self.kept.drop(number)
        self.rejected.update(item for item in new if isinstance(item, str))
        return outcomes

    def replace(self, row: Row, request: str) -> Row | str:
        """Take a row that was just taken with another request; where that is refused, why, and the row as it was."""
        (other,) = self.take([row.offer._replace(request=request, tags=(*row.offer.tags, REPHRASED))])
        if isinstance(other, Row):
            self._drop(row.form)
        return other

    def _answered(self, offer: Offer, form: str) -> _Candidate | str:
        """Return an offer with its answer, or why the contract refuses that."""
        try:
            return _Candidate(offer, form, self._answers.of(offer.target), [*map(self._answers.of, offer.first)])
        except DocumentError as error:
            return error.rule

    def _are_fit(self, items: Sequence[_Candidate | str]) -> bool:
        """Would ``_refusal`` refuse none? False where it is not certain; most batches need only this look at them."""
        candidates = [item for item in items if isinstance(item, _Candidate)]
        texts = [text for item in candidates for text in item.texts]
        return (
            not self._elsewhere
            and special_token("\n".join(texts)) is None
            and self._suites.are_apart([candidate.form for candidate in candidates])
        )

    def _fit(self, item: _Candidate | str) -> _Candidate | str:
        return item if isinstance(item, str) else self._refusal(item) or item

    def _refusal(self, candidate: _Candidate) -> str | None:
        """Return why a request is not taken whatever other rows there are on this side."""
        form = candidate.form
        token = special_token(*candidate.texts)
        if token is not None:
            return f"holds the special token `{token}`"
        if form in self._suites:
            return "stands in a suite"
        if self._suites.shared_run(form) is not None:
            return f"shares {RUN} words in a row with a suite"
        if any(form in side for side in self._elsewhere):
            return "stands on the other side of the split"
        if any(self._is_trained(value_text(value)) for value in candidate.offer.values):
            return "shows a value that another skill of the same contract trains"
        return None

    def _without_duplicates(self, items: Sequence[_Candidate | str]) -> tuple[list[_Candidate | str], list[int]]:
        """Refuse duplicates; an ambiguous request takes an earlier row with it, whose number is returned."""
        new: list[_Candidate | str] = []
        dropped: list[int] = []
        number = self.kept.next_number
        for item in items:
            if isinstance(item, str):
                new.append(item)
                continue
            finding = self._duplicates.add(item.form, self._answers.identity(item.answer), number)
            if finding is Finding.NEW:
                new.append(item)
                number += 1
                continue
            new.append(finding.value)
            earlier = self._duplicates.forget(item.form) if finding is Finding.AMBIGUOUS else None
            if earlier is not None:
                dropped.append(earlier)
                self.rejected[finding.value] += 1
        return new, dropped

    def _stored(self, candidates: Sequence[_Candidate]) -> list[Row]:
        """Return rows that were written, and measured."""
        lines = [
            self._writer.line(offer.request, answer, offer.tags, offer.origin, first)
            for offer, _, answer, first in candidates
        ]
        self._measurement.add(
            [candidate.answer.expected for candidate in candidates],
            [len(candidate.offer.request) for candidate in candidates],
            [len(candidate.answer.text) for candidate in candidates],
        )
        self.shown.update([hash(value_text(value)) for item in candidates for value in item.offer.values])
        numbers = self.kept.extend([candidate.offer.family for candidate in candidates], lines)
        return [
            Row(number, offer, form, answer.text, line)
            for number, (offer, form, answer, _), line in zip(numbers, candidates, lines, strict=True)
        ]

    def verify(self, candidates: Sequence[Row], verifier: Judge | None, word: str) -> None:
        """Let the verifier judge rows that were just taken; keep those that pass and drop the others.

        None is the contract alone: it has judged each answer when it completed it. ``word`` is as in ``refusals``.
        """
        if verifier is None:
            return
        present = [row for row in candidates if row.number in self.kept]
        reasons = refusals(verifier, [(row.task, row.answer) for row in present], word)
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
            self._measurement.take_back(task.expected, len(task.request), len(self._answers.of(task.expected).text))
        return SplitProfile(
            asked=asked,
            shortage=shortage,
            families={name: count for name, count in sorted(self.kept.families.items()) if count},
            distinct_targets=self._duplicates.targets,
            rejected=top_reasons(self.rejected),
            rephrased=top_reasons(rephrased),
            **self._measurement.figures(),
        )
