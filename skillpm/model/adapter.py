"""adapter.json of a packed adapter: what it is, what it was made of, and what it reached."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field

from skillpm.formats.document import Document, Format, Json
from skillpm.model.release import Digest
from skillpm.model.run import RunFigure, RunRows, RunStage
from skillpm.model.task import Message


class TaughtSkill(Document):
    """A skill that an adapter has learned: the content is named by the digest of its tree."""

    name: str
    version: str
    tree: Digest


class RecordedAnswer(Document):
    """One line of answers.jsonl: what the model with the adapter answered where it was trained.

    Attributes:
        prompt: the messages that it was asked with.
        max_new_tokens: of the answer.
        template: arguments of the chat template; the adapter's own where None.
        dtype: of the weights; None where that was not recorded.
    """

    prompt: tuple[Message, ...]
    answer: str
    max_new_tokens: Annotated[int, Field(ge=1, le=32768)]
    template: dict[str, Json] | None = None
    dtype: Literal["float32", "bfloat16"] | None = None


class AdapterRelease(Document):
    """A packed adapter.

    Attributes:
        adapter: the version of this format.
        name: of the run.
        created: when the run was finished.
        kind: an adapter of the base model, or a whole model in its place.
        base_model: as every machine knows it: a hub id, or the name of a folder.
        base_revision: of the hub id.
        base_digest: of the base model's configuration and weights.
        skills: what it was trained on.
        data: the digest of the rows to learn from and of those held out.
        recipe: the digest of recipe.yaml.
        rows: of each skill.
        stages: that made it.
        versions: of skillpm, Python and the libraries.
        evaluation: the share of exact answers with its 95 % interval, of each task set.
        files: the digest of every other file but SKILL.md and skill.yaml.
    """

    adapter: Format = 1
    name: str
    created: str
    kind: Literal["adapter", "model"]
    base_model: str
    base_revision: str | None = None
    base_digest: Digest | None = None
    skills: tuple[TaughtSkill, ...]
    data: dict[str, Digest]
    recipe: Digest
    rows: dict[str, RunRows]
    stages: tuple[RunStage, ...]
    versions: dict[str, str]
    evaluation: tuple[RunFigure, ...] = ()
    files: dict[str, Digest]


def weights_digest(files: Mapping[str, str]) -> str:
    """Return the digest of an adapter's weights, which the digests of its files by name contain."""
    weights = (f"{name} {digest}\n" for name, digest in sorted(files.items()) if name.endswith(".safetensors"))
    return sha256("".join(weights).encode()).hexdigest()
