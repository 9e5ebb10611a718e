"""The verdict on an answer, and the rewards that are paid for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from skillpm.formats.document import Document
from skillpm.model.episode import Episode
from skillpm.model.task import Task

Status = Literal["passed", "failed", "ambiguous", "abstained", "errored"]
FailureKind = Literal["raised", "number", "range", "undeclared", "missing"]
MAX_REASON = 2000  # characters
MAX_REASONS = 64  # of a verdict, as it is sent and kept
MAX_COMPONENTS = 64
MAX_NAME = 200  # characters of a component's name

Number = Annotated[float, Field(allow_inf_nan=False)]
Reward = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


class Verdict(Document):
    """A verifier's finding.

    Attributes:
        status: passed (what was asked), failed, ambiguous (would do the same, is not what was asked), abstained (the
            verifier does not judge this task), errored (could not judge: an outage, never a zero).
        score: 0 to 1; None exactly when abstained or errored.
        components: named parts of the score, finite numbers.
        reasons: sentences for people.
    """

    status: Status
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None
    components: dict[str, Number] = Field(default_factory=dict)
    reasons: tuple[Annotated[str, Field(max_length=MAX_REASON)], ...] = ()

    @model_validator(mode="after")
    def _score_agrees_with_status(self) -> Verdict:
        if (self.score is None) != (self.status in ("abstained", "errored")):
            raise ValueError(f"a verdict that {self.status} cannot have the score {self.score}")
        return self

    def shortened(self) -> Verdict:
        """Return it with at most 64 reasons; the last one then counts those that are left out."""
        count = len(self.reasons)
        if count <= MAX_REASONS:
            return self
        rest = f"and {count - MAX_REASONS + 1} more"
        return self.model_copy(update={"reasons": (*self.reasons[: MAX_REASONS - 1], rest)})

    def excess(self) -> str | None:
        """Return what it has too much of to be kept, or None."""
        if len(self.reasons) > MAX_REASONS:
            return f"{len(self.reasons)} reasons, more than {MAX_REASONS}"
        if len(self.components) > MAX_COMPONENTS:
            return f"{len(self.components)} components, more than {MAX_COMPONENTS}"
        if any(len(name) > MAX_NAME for name in self.components):
            return f"a component whose name is longer than {MAX_NAME} characters"
        return None

    @classmethod
    def errored(cls, reason: str) -> Verdict:
        """Could not judge."""
        return cls.model_construct(status="errored", score=None, components={}, reasons=(reason[:MAX_REASON],))

    @classmethod
    def abstained(cls, reason: str) -> Verdict:
        """Does not judge this task."""
        return cls.model_construct(status="abstained", score=None, components={}, reasons=(reason[:MAX_REASON],))


class RewardFailure(Document):
    """A reward that paid None because it failed.

    Attributes:
        reward: its name.
        kind: raised (an exception), number (what it returned is not a finite number), range (not between -1 and 1),
            undeclared (paid by a worker, but not declared by its skill), missing (declared, but not paid).
        reason: a sentence for people; it also stands among the verdict's reasons.
    """

    reward: str
    kind: FailureKind
    reason: Annotated[str, Field(max_length=MAX_REASON)]


class Judgement(Document):
    """All that is known of one answer.

    Attributes:
        verdict: what is true.
        rewards: what each named reward pays; None where it does not apply or could not be judged.
        argv: the commands as an executor would run them, or None where it would refuse.
        failures: the rewards that are None because they failed.
    """

    verdict: Verdict
    rewards: dict[str, Number | None] = Field(default_factory=dict)
    argv: tuple[tuple[str, ...], ...] | None = None
    failures: tuple[RewardFailure, ...] = ()


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict in JSON-ready values."""
    return {
        "status": verdict.status,
        "score": verdict.score,
        "components": verdict.components,
        "reasons": verdict.reasons,
    }


@dataclass(frozen=True, slots=True)
class RewardFunction:
    """One named way to pay.

    Attributes:
        name: unique within its skill; a trainer sees ``skill:name``.
        function: returns a number from -1 to 1, or None where the reward does not apply.
        default: is this the one a recipe gets when it names none?
    """

    name: str
    function: Callable[[Task, Episode, Verdict], float | None]
    default: bool = False
