"""manifest.json of a run folder: written last, so a folder without it is a run that was not finished."""

from __future__ import annotations

from pydantic import Field

from skillpm.formats.document import Document, Format, Json
from skillpm.model.release import Digest


class RunSkill(Document):
    """A skill that a run trained on; ``packages`` are those of its own Python environment."""

    name: str
    version: str
    tree: Digest
    packages: tuple[str, ...] = ()


class RunStage(Document):
    """A finished stage.

    Attributes:
        trainer: the distribution and version that ran it; empty where an older skillpm did not say.
        adapter: relative to the run folder; that of the stage before where it was not ``kept``. None where the stage
            changes no weights.
        answers: relative to the run folder: what such a stage was answered.
        steps: of the optimiser, or answers.
    """

    name: str
    kind: str
    trainer: str = ""
    adapter: str | None = None
    answers: str | None = None
    steps: int
    seconds: float
    kept: bool = True


class RunStart(Document):
    """start.json of a run folder: what a run began with; a run that goes on later must have the same.

    Attributes:
        skills: name, version and tree of each.
        files: the digest of each file that went in.
        lock: of the project's skillpm.lock, which stands in the folder too; None without one.
        model_digest: of the base model's configuration and weights, or the revision of a hub id.
        adapter_digest: of the adapter that the run began from.
        teachers: what names the bytes of the other models that stages learn from, by what the recipe calls them.
        settings: data type, device and number of threads.
    """

    start: Format = 1
    created: str
    skills: tuple[RunSkill, ...]
    files: dict[str, Digest]
    lock: Digest | None = None
    model_digest: str | None = None
    adapter_digest: Digest | None = None
    teachers: dict[str, str | None] = Field(default_factory=dict)
    settings: dict[str, Json] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


class RunRows(Document):
    """The rows of one skill: to learn from in SFT stages, to refine on, held out."""

    train: int
    refine: int
    held_out: int


class RunFigure(Document):
    """The share of exact answers of one arm on one task set with its 95 % interval; None where none was judged."""

    skill: str
    task_set: str
    arm: str
    tasks: int
    exact: float | None = None
    low: float | None = None
    high: float | None = None


class RunEvaluation(Document):
    """An evaluation of the run.

    Attributes:
        path: its folder, relative to the run folder.
        whole: were all tasks of all skills of the run asked?
    """

    path: str
    whole: bool
    figures: tuple[RunFigure, ...]


class RunManifest(Document):
    """What a run was made of and what it left, each file by its SHA-256.

    Attributes:
        base_model: the base model as every machine knows it: a hub id, or the name of a folder without its path.
        base_revision: of the hub id.
        tune: lora, or full where all weights were trained.
        rows: of each skill.
        evaluations: of the run, the oldest first.
        model_digest: of the known model, else of the configuration and the weights.
        sandbox: what confined the skills' code.
        settings: data type, device and number of threads of the training.
    """

    run: Format = 1
    name: str
    created: str
    model: str
    model_digest: Digest | None = None
    base_model: str | None = None
    base_revision: str | None = None
    tune: str = "lora"
    seed: int
    sandbox: str = ""
    settings: dict[str, Json] = Field(default_factory=dict)
    skills: tuple[RunSkill, ...]
    stages: tuple[RunStage, ...]
    versions: dict[str, str]
    rows: dict[str, RunRows] = Field(default_factory=dict)
    evaluations: tuple[RunEvaluation, ...] = ()
    files: dict[str, Digest]

    @property
    def adapters(self) -> dict[str, str]:
        """The adapter of each stage that leaves one, by the stage's name; the last is the run's."""
        return {stage.name: stage.adapter for stage in self.stages if stage.adapter is not None}

    @property
    def last(self) -> str:
        """The name of the stage whose adapter is the run's."""
        return next(reversed(self.adapters))

    @property
    def shown_evaluation(self) -> RunEvaluation | None:
        """The evaluation that cards and lists show: the newest whole one, else the newest."""
        whole = [item for item in self.evaluations if item.whole]
        return next(reversed(whole or self.evaluations), None)
