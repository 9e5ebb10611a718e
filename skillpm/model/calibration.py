"""calibration.json of an evaluation: how sure a model must be of an answer, so that it acts, asks or refuses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skillpm.formats.document import Document, Format

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Word = Literal["act", "confirm", "refuse"]


class Threshold(Document):
    """A confidence, and what the answers beyond it were worth.

    Attributes:
        confidence: the probability of the least likely token of an answer.
        answers: beyond it, the threshold itself with them.
        right: of these answers.
        bound: of the share of right ones: at least so many may act, at most so many are refused (95 %).
    """

    confidence: Share
    answers: Annotated[int, Field(ge=1)]
    right: Annotated[int, Field(ge=0)]
    bound: Share

    def sentence(self, confidence: float | None) -> str:
        """Return why an answer is refused."""
        worth = f"at most {self.bound:.0%} of answers up to {self.confidence:.4f} are right"
        return f"its confidence is {confidence or 0:.4f}, and {worth}"


class SkillCalibration(Document):
    """The thresholds of one skill, as it was when it was evaluated.

    Attributes:
        tree: the digest of the skill's content.
        answers: that the thresholds follow from.
        act: an answer at or above it may act; None where no answers are right often enough.
        refuse: an answer at or below it is refused; None where no answers are wrong often enough.
    """

    tree: str
    answers: int
    act: Threshold | None = None
    refuse: Threshold | None = None

    def decide(self, confidence: float | None) -> Word:
        """Return what an answer of this confidence may do."""
        if confidence is None:
            return "confirm"
        if self.act is not None and confidence >= self.act.confidence:
            return "act"
        return "refuse" if self.refuse is not None and confidence <= self.refuse.confidence else "confirm"


class Calibration(Document):
    """The thresholds of one arm.

    Attributes:
        arm: whose answers they follow from.
        adapter: the digest of the weights that gave these answers: thresholds hold for no others.
        target: the share of right answers that acting demands.
        skills: by name; one with too few answers is left out.
    """

    calibration: Format = 1
    arm: str
    adapter: str
    target: Share
    skills: dict[str, SkillCalibration]
