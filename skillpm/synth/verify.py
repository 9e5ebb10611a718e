"""Verification: the gold answer of every row is judged by the skill's own verifier before the row is kept."""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.errors import VerifierError
from skillpm.model.episode import Episode
from skillpm.model.ports import Judge
from skillpm.model.task import Message, Task
from skillpm.model.verdict import Verdict

__all__ = ["gold_episode", "refusals"]


def gold_episode(task: Task, answer: str) -> Episode:
    """Return the episode in which a policy gives the expected answer."""
    message = Message.made(role="assistant", content=answer)
    return Episode.made(task=task, messages=(message,), finish_reason="stop", usage=None)


def refusals(judge: Judge, rows: Sequence[tuple[Task, str]]) -> list[str | None]:
    """Return, for each task with its gold answer, why its verifier refuses it, or None where it passes with score 1.

    Raises:
        VerifierError: not one of the rows could be judged: the verifier does not work.
    """
    verdicts = [item.verdict for item in judge([gold_episode(task, answer) for task, answer in rows])]
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
