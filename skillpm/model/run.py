"""manifest.json of a run folder: written last, so a folder without it is a run that was not finished."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skillpm.formats.document import Document, Json
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
        adapter: relative to the run folder; that of the stage before where it was not ``kept``.
    """

    name: str
    kind: str
    trainer: str = ""
    adapter: str
    steps: int
    seconds: float
    kept: bool = True


class RunManifest(Document):
    """What a run was made of and what it left, each file by its SHA-256.

    Attributes:
        model_digest: of the known model, else of the configuration and the weights.
        sandbox: what confined the skills' code.
        settings: data type, device and number of threads of the training.
    """

    run: Annotated[int, Field(ge=1, le=1)] = 1
    name: str
    created: str
    model: str
    model_digest: Digest | None = None
    seed: int
    sandbox: str = ""
    settings: dict[str, Json] = Field(default_factory=dict)
    skills: tuple[RunSkill, ...]
    stages: tuple[RunStage, ...]
    versions: dict[str, str]
    files: dict[str, Digest]
