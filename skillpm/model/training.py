"""What a stage of a training run is asked, planned and run with; a kind of stage is a ``Trainer`` of ``ports``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from skillpm.errors import UsageError
from skillpm.formats.document import Document
from skillpm.model.episode import Episode
from skillpm.model.ports import Judge, Observe, Prefetch
from skillpm.model.task import Task

Positive = Annotated[int, Field(ge=1, le=10_000_000)]
RowLength = Annotated[int, Field(ge=4, le=10_000_000)]
"""Tokens of a row at most; the shortest has the mark of a turn, a request, an answer and its end."""
Rate = Annotated[float, Field(gt=0, lt=1)]
STAGE_NAME = r"^[a-z0-9][a-z0-9_-]{0,31}$"
ModelName = Annotated[str, Field(min_length=1)]  # a path of no letters would be the current folder
SELF = "self"
"""A teacher: the model itself, as it was when its stage began."""
StageName = Annotated[str, Field(pattern=STAGE_NAME)]


class Stage(Document):
    """One stage of a recipe; the settings of each kind are a subclass of its own.

    A subclass narrows ``kind`` to ``Literal["name-of-the-trainer"]``, and gives ``name`` a default.

    Attributes:
        kind: of the stage.
        name: unique within the recipe; `--set stages.NAME.key=value` uses it.
    """

    kind: str
    name: StageName


@dataclass(frozen=True, slots=True)
class TrainRow:
    """A task and the one text that a model is trained to answer.

    Attributes:
        text: what its skill says of itself.
        first: the answers before, each of which the skill's environment answers.
    """

    task: Task
    answer: str
    text: str = ""
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RewardColumn:
    """One column that a trainer sees; it pays the rows of its own skill and says None to all others."""

    skill: str
    reward: str
    weight: float

    @property
    def name(self) -> str:
        """The qualified name, which is also the name in the metrics."""
        return f"{self.skill}:{self.reward}"


@dataclass(frozen=True, slots=True)
class Material:
    """What the stages of a run may learn from, and what they are measured with.

    Attributes:
        train: rows for stages that imitate answers.
        refine: rows that those never see, for stages that learn from verdicts; the same rows where none were kept.
        rewards: the names of each skill's rewards.
        held_out: rows for stages that measure; the first few of a skill are a fair sample of them.
        evaluate: how many of them a stage asks of each skill, unless it says so itself.
    """

    train: tuple[TrainRow, ...]
    refine: tuple[TrainRow, ...]
    rewards: Mapping[str, Sequence[str]]
    held_out: tuple[TrainRow, ...] = ()
    evaluate: int = 0

    def columns(self, stage: str, weights: Mapping[str, float]) -> tuple[RewardColumn, ...]:
        """Return the columns of a stage that pays rewards of these names, for every skill that has them.

        Raises:
            UsageError: no skill has a reward of that name.
        """
        for name in weights:
            if not any(name in names for names in self.rewards.values()):
                known = sorted({name for names in self.rewards.values() for name in names})
                raise UsageError(
                    f"stage `{stage}` pays `{name}`, which no skill of this run has", hint=f"known: {', '.join(known)}"
                )
        return tuple(
            RewardColumn(skill, name, weight)
            for skill, names in sorted(self.rewards.items())
            for name, weight in weights.items()
            if name in names
        )


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What a stage will do.

    Attributes:
        steps: of the optimiser, at most so many where it cannot be known; answers of a stage that measures.
        rows: that it learns from or is measured with, out of its material.
        columns: the rewards that it pays.
    """

    steps: int
    rows: tuple[TrainRow, ...]
    columns: tuple[RewardColumn, ...] = ()


@dataclass(frozen=True, slots=True)
class StageInput:
    """What a stage is run with.

    Attributes:
        model: a PEFT model; its adapter is trained in place.
        conversation: renders prompts and answers for the model, and has its ``tokenizer``.
        plan: the stage as planned.
        judge: judges a batch of episodes; an answer that it has judged before costs nothing.
        prefetch: told of episodes that ``judge`` will be asked for, to be judged while others are written.
        seed: of all chance.
        work: a folder for files that nobody needs when the stage has ended: empty when the stage begins, as the stage
            left it when a run that was ended is resumed.
        report: takes the number of steps that are done, and figures, which go into metrics.jsonl.
        save_after: seconds between two checkpoints in ``work``.
        observe: says what the skills' environments show after an answer; None where no skill has one.
        teachers: the folders or hub ids of the other models that the recipe names, by what it calls them.
        vllm: samples for the stages whose recipe says so; None where none does.
    """

    model: Any
    conversation: Any
    plan: StagePlan
    judge: Judge
    prefetch: Prefetch
    seed: int
    work: Path
    report: Callable[[int, Mapping[str, Any]], None]
    save_after: float = 60.0
    teachers: Mapping[str, Path | str] = field(default_factory=dict)
    observe: Observe | None = None
    vllm: Any = None


@dataclass(frozen=True, slots=True)
class StageOutput:
    """What a stage did.

    Attributes:
        steps: of the optimiser, or answers.
        kept: where not, the adapter is put back as it was before the stage.
        note: a few words for the person, such as why it was not kept.
        answers: what a stage that measures was answered, one episode for each of its rows.
    """

    steps: int
    kept: bool = True
    note: str = ""
    answers: tuple[Episode, ...] = ()


@dataclass(frozen=True, slots=True)
class Trainer:
    """A kind of stage; ``kind: NAME`` in a recipe asks for it.

    Attributes:
        name: the kind.
        settings: the stage's settings, a subclass of ``Stage`` whose ``kind`` is ``Literal[name]``.
        plan: works the stage out, before anything is trained and without torch.
        load: imports what running takes, and returns what runs the stage; called before anything is made.
        origin: the distribution and version that bring it; skillpm fills it in.
        trains: does it change weights, and leave an adapter? One that does not measures them, and leaves answers.
    """

    name: str
    settings: type[Stage]
    plan: Callable[[Any, Material], StagePlan]
    load: Callable[[], Callable[[Any, StageInput], StageOutput]]
    origin: str = ""
    trains: bool = True
