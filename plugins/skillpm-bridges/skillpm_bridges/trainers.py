"""Other trainers: a recipe, its rows and its skills for TRL, Unsloth, NeMo RL and NeMo Automodel.

Each target has a function that takes the fields of the recipe which it has settings for. What is left is named in the
files and on the screen, unless it asks for nothing.

Sources: TRL 1.16; unsloth 2026.10 (``FastLanguageModel``); NVIDIA-NeMo/RL of August 2026, ``examples/configs``;
nemo-automodel 0.7 (``recipes/_typed_config.py``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillpm.plugin import Contributions, Recipe, Task, UsageError
from skillpm_bridges.rows import tasks_of

KINDS = ("sft", "grpo", "rloo")
_NOTHING: dict[str, Any] = {
    "lora_plus": 1.0, "refill": 0, "validate_on": 0, "max_error_share": 1.0, "dora": False, "rslora": False,
    "layers": [], "adapter": "", "report_to": [], "gradient_checkpointing": False, "chat_template_kwargs": {},
    "kl": 0.0, "updates": 1, "rollouts": "own", "warmup": 0.0, "dropout": 0.0, "caps": {}, "weights": {},
    "traces": False, "failures": "", "rephrase": None,
}  # fmt: skip
"""What a field asks for that needs no setting."""
_ROWS = {"rows", "held_out", "evaluate", "refine"}  # decided when the rows were made
_OWN = {"kind", "name", "recipe", "skills", "data", "lora", "stages", "checkpoint_seconds"}


class Fields:
    """The fields of a part of a recipe; it knows which of them were taken."""

    def __init__(self, place: str, values: Mapping[str, Any], known: Iterable[str] = ()) -> None:
        self._place, self._values, self._taken = place, values, {*_OWN, *known}

    def __getitem__(self, name: str) -> Any:
        self._taken.add(name)
        return self._values[name]

    def get(self, name: str, default: Any) -> Any:
        """Return a field that not every kind of stage has."""
        return self[name] if name in self._values else default

    def left(self) -> list[str]:
        """Return what nobody has taken, and what it is set to."""
        names = sorted(self._values.keys() - self._taken)
        left = [name for name in names if self._values[name] != _NOTHING.get(name, object())]
        return [f"{self._place}{name}: {json.dumps(self._values[name])}" for name in left]


@dataclass(frozen=True, slots=True)
class Job:
    """A recipe as fields, its stages that a target runs, and the rows of each set."""

    top: Fields
    lora: Fields
    stages: tuple[Fields, ...]
    rows: Mapping[str, Sequence[tuple[Contributions, Task]]]

    @classmethod
    def of(cls, given: Mapping[str, Contributions], recipe: Recipe, kinds: Sequence[str]) -> tuple[Job, list[str]]:
        """Return the job, and what of the recipe it leaves out. Raises UsageError if there is no stage for it."""
        document = recipe.model_dump(mode="json")
        parts = [item for item in document["stages"] if item["kind"] in kinds]
        if not parts:
            raise UsageError(f"the recipe has no stage of the kinds {', '.join(kinds)}", hint="name another `--recipe`")
        rows: dict[str, list[tuple[Contributions, Task]]] = {"train": [], "refine": [], "held_out": []}
        for skill in given.values():
            sets = {split: [(skill, task) for task in tasks] for split, tasks in tasks_of(skill).items()}
            every = sets.get("train", [])
            share = min(document["data"]["refine"], len(every) // 4)  # as `skillpm train` keeps them apart
            rows["train"] += every[: len(every) - share]
            rows["refine"] += every[len(every) - share :] if share else every
            rows["held_out"] += sets.get("held_out", [])
        if not rows["train"]:
            raise UsageError("there is no training task", hint="add seeds, or rows with `--data`")
        lora = Fields("lora.", document["lora"], () if recipe.tune == "lora" else document["lora"])
        stages = tuple(Fields(f"stages.{item['name']}.", item) for item in parts)
        left = [f"stages.{item['name']} ({item['kind']})" for item in document["stages"] if item["kind"] not in kinds]
        left += Fields("data.", document["data"], _ROWS).left()
        return cls(Fields("", document), lora, stages, {name: items for name, items in rows.items() if items}), left

    def left(self) -> list[str]:
        """Return the fields that have no setting in the target."""
        return [line for part in (self.top, self.lora, *self.stages) for line in part.left()]

    def lora_settings(self, **names: str) -> dict[str, Any] | None:
        """Return the settings of LoRA by the names that a target has for them; None where all weights are trained."""
        if self.top["tune"] == "full":
            return None
        return {own: self.lora[name] for name, own in names.items()}


def passes(stage: Fields, completions: int) -> int:
    """Return how many completions one pass has: the most that divide those of a step."""
    most: int = stage["micro_batch"]
    return max(size for size in range(1, most + 1) if completions % size == 0)


def clip(stage: Fields) -> tuple[float, float]:
    """Return the clipping of a stage; by default that of the paper of its loss."""
    loss = stage["loss"] if stage["kind"] == "grpo" else ""
    low, high = {"gspo": (3e-4, 4e-4), "cispo": (0.2, 5.0)}.get(loss, (0.2, 0.28))
    return stage["epsilon"] or low, stage["epsilon_high"] or high


def steps(stage: Fields, rows: int) -> int:
    """Return the optimiser steps of supervised fine-tuning on so many rows."""
    batch: int = stage["batch_size"] * stage["accumulate"]
    epochs: float = stage["epochs"]
    return math.ceil(math.ceil(rows / batch) * epochs)


def conversations(items: Iterable[tuple[Contributions, Task]]) -> Iterator[dict[str, Any]]:
    """Yield rows as OpenAI's messages, which end with the expected answer."""
    for _, task in items:
        yield {"messages": [*prompt_of(task), {"role": "assistant", "content": answer_of(task)}]}


def prompt_of(task: Task) -> list[dict[str, str]]:
    """Return the messages before the answer."""
    return [{"role": message.role, "content": message.content} for message in task.prompt]


def answer_of(task: Task) -> str:
    """Return the text of the expected answer."""
    return task.expected if isinstance(task.expected, str) else json.dumps(task.expected, ensure_ascii=False)


def comment(left: Sequence[str]) -> str:
    """Return comment lines that name what of the recipe has no equivalent."""
    head = "What of the recipe has no equivalent here:" if left else "Everything in the recipe has an equivalent here."
    return "".join(f"# {line}\n" for line in (head, *(f"  {item}" for item in left)))
