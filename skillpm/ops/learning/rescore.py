"""``skillpm rescore``: judge the stored answers of an evaluation or of a run again, without a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from skillpm.errors import UsageError
from skillpm.evals.rescore import Moved, MovedAnswers, judge_again
from skillpm.evals.tasks import TasksByKey
from skillpm.formats.as_json import StreamedArray
from skillpm.model.evaluation import Evaluation
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.ops.context import Context
from skillpm.ops.learning.report import read_evaluation
from skillpm.ops.learning.session import JudgingSession, open_session
from skillpm.ops.learning.synth import read_tasks
from skillpm.storage.files import write_atomic
from skillpm.storage.whole_folder import whole_folder
from skillpm.train.run_folder import EVALUATION, ROWS, SEE_RUNS

_PLACES = (EVALUATION, "evals/rollouts.json", f"evals/*/{EVALUATION}")


@dataclass(frozen=True, slots=True)
class RescoredEvaluation:
    """One stored evaluation: as it was and as it is judged now. ``path`` is relative to what was named."""

    path: str
    before: Evaluation
    after: Evaluation
    moved: tuple[MovedAnswers, ...]
    unchanged: bool

    @property
    def answers(self) -> int:
        """How many answers it has."""
        return sum(len(arm.records) for arm in self.before.arms)

    @property
    def moves(self) -> int:
        """How many of them are judged otherwise."""
        return sum(map(len, self.moved))


@dataclass(frozen=True, slots=True)
class Rescored:
    """What became of the stored answers.

    Attributes:
        changed: skills whose content is not the one that judged then: name, tree then, tree now.
    """

    documents: tuple[RescoredEvaluation, ...]
    changed: tuple[tuple[str, str, str], ...]

    @property
    def moves(self) -> int:
        """How many answers are judged otherwise."""
        return sum(document.moves for document in self.documents)

    @property
    def moved(self) -> Iterator[Moved]:
        """The answers that are judged otherwise."""
        return (item for document in self.documents for arm in document.moved for item in arm)

    @property
    def unchanged(self) -> bool:
        """Are all documents the same bytes?"""
        return all(document.unchanged for document in self.documents)

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "unchanged": self.unchanged,
            "documents": [
                {"path": item.path, "answers": item.answers, "moved": item.moves, "unchanged": item.unchanged}
                for item in self.documents
            ],
            "changed_skills": [{"name": name, "then": then, "now": now} for name, then, now in self.changed],
            "moved": StreamedArray(item.document() for item in self.moved),
        }


def rescore(context: Context, path: Path, skills: Sequence[Skill], *, output: Path | None = None) -> Rescored:
    """Judge again.

    The path is a run folder, the output of an evaluation, or the file of one. ``stored_skills`` returns the skills. The
    output is a new folder for the documents as they are judged now.

    Raises:
        UsageError: nothing is stored there, a skill of it is not among ``skills``, or the output exists.
        DocumentError: a stored document is wrong.
    """
    stored = _stored(path)
    tasks = TasksByKey(_known_tasks(path))
    with whole_folder(output) if output else nullcontext() as folder:
        with open_session(context, skills) as session:
            documents = tuple(_again(name, evaluation, session, tasks) for name, evaluation in stored)
        if folder is not None:
            for document in documents:
                write_atomic(folder / document.path, document.after.chunks())
    trees = {skill.name: skill.tree for skill in skills}
    then = {skill.name: skill.tree for _, evaluation in stored for skill in evaluation.skills}
    changed = tuple((name, tree, trees[name]) for name, tree in sorted(then.items()) if trees[name] != tree)
    return Rescored(documents, changed)


def stored_skills(context: Context, path: Path, texts: Sequence[str]) -> list[Skill]:
    """Return the skills that judged what is stored, as they are now.

    The skills of ``texts`` take the place of the installed ones of the same names.

    Raises:
        UsageError: nothing is stored there, or a skill is meant that judged none of it.
        DocumentError: a stored document is wrong.
        UnknownSkillError: a skill is not here any more.
    """
    names = list(dict.fromkeys(skill.name for _, evaluation in _stored(path) for skill in evaluation.skills))
    chosen = {skill.name: skill for skill in map(context.skill, texts)}
    for name in chosen:
        if name not in names:
            raise UsageError(
                f"{name} has judged no answer in {path}", hint=f"stored there: {', '.join(names) or 'nothing'}"
            )
    return [chosen[name] if name in chosen else context.skill(name) for name in names]


def _stored(path: Path) -> list[tuple[str, Evaluation]]:
    """Return the evaluations in a folder, or the one of a file, with their names."""
    if not path.exists():
        raise UsageError(f"no run or evaluation at {path}", hint=SEE_RUNS)
    if path.is_file():
        return [(path.name, read_evaluation(path))]
    files = [file for place in _PLACES for file in sorted(path.glob(place)) if file.is_file()]
    if not files:
        raise UsageError(
            f"no stored answers in {path}", hint="`skillpm eval … --output DIR` and `skillpm eval --run RUN` store them"
        )
    return [(file.relative_to(path).as_posix(), read_evaluation(file)) for file in files]


def _known_tasks(path: Path) -> Iterator[Task]:
    """Yield the tasks of a run's data; an evaluation without a run has them in its records only."""
    return (task for name in ROWS.values() if (path / name).is_file() for task in read_tasks(path / name))


def _again(name: str, evaluation: Evaluation, session: JudgingSession, tasks: TasksByKey) -> RescoredEvaluation:
    again, moved = judge_again(evaluation, session.scorer.judge, tasks, dict(session.contributions))
    unchanged = all(then == now for then, now in zip_longest(evaluation.chunks(), again.chunks()))
    return RescoredEvaluation(name, evaluation, again, tuple(moved), unchanged)
