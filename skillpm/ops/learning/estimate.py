"""What a planned run would take, without torch: memory from the sizes of the model, time from earlier runs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.ops.learning.stored_runs import finished_runs
from skillpm.settings import Settings
from skillpm.train.base_model import locate_model
from skillpm.train.kinds import SFT
from skillpm.train.launch import Launch
from skillpm.train.plan import TrainPlan
from skillpm.train.recipe import Recipe

_FLOAT = 4  # bytes: what is trained, its gradient, and the two moments of the optimiser
_NF4 = 0.52  # bytes a weight, with the scales of its blocks
_HEADER = 100_000_000  # bytes, as the format of safetensors allows at most
_NO_LINEAR = re.compile(r"embed|lm_head|\bwte\b|\bwpe\b|norm")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would take.

    Attributes:
        command: that starts the processes; None where this process trains.
        weights: bytes of the model in each process, a whole one to sample from beside its share; None where its files
            are not here.
        trained: bytes of what is trained there, with gradients and moments.
        seconds: of all stages; None where no finished run of this model had such stages.
        run: by whose speed.
    """

    command: tuple[str, ...] | None
    weights: int | None
    trained: int | None
    seconds: float | None
    run: str | None


def estimate(settings: Settings, plan: TrainPlan, launch: Launch | None) -> Estimate:
    """Estimate a run. Activations come on top of its memory: they depend on rows that no tokenizer has read."""
    recipe = plan.recipe
    folder = locate_model(recipe.model, settings.models)
    shapes = dict(_shapes(folder)) if isinstance(folder, Path) else {}
    weights = trained = None
    if shapes:
        count = sum(map(math.prod, shapes.values()))
        full, size = recipe.tune == "full", 2 if recipe.dtype == "bfloat16" else _FLOAT
        learned = count if full else _adapter(shapes, recipe)
        trained = int(learned * ((0 if full else 1) + _optimised(launch)) * _FLOAT)
        linear = sum(math.prod(shape) for name, shape in shapes.items() if _is_linear(name, shape))
        few = linear if recipe.lora.quantization == "nf4" else 0
        weights = (count - few) * size + int(few * _NF4)
        if launch is not None and launch.sharded:
            samples = any(stage.kind != SFT.name for stage in recipe.stages)
            weights = weights // launch.processes + (weights if samples else 0)
            trained //= launch.processes
    seconds, run = _time(settings, plan, launch.processes if launch else 1)
    return Estimate(tuple(launch.command("SOCKET")) if launch else None, weights, trained, seconds, run)


def _optimised(launch: Launch | None) -> float:
    """Return how many numbers gradients and optimiser take in a process for each that is trained."""
    if launch is None or launch.zero is None:
        return 3
    shared, whole = (3, 1) if launch.zero["stage"] == 1 else (4, 0)  # two moments, a copy of the weights; a gradient
    return shared / launch.processes + whole


def _shapes(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Yield the names and the shapes of a model's tensors, out of the headers of its files."""
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            try:
                header = json.loads(file.read(length)) if length <= _HEADER else {}
                yield from ((name, part["shape"]) for name, part in header.items() if name != "__metadata__")
            except (ValueError, LookupError, TypeError, AttributeError):
                continue


def _adapter(shapes: Mapping[str, list[int]], recipe: Recipe) -> int:
    """Return how many numbers an adapter has."""
    target = recipe.lora.target_modules
    named = target if isinstance(target, tuple) else ()
    total = 0
    for name, shape in shapes.items():
        module = name.removesuffix(".weight")
        layer = not recipe.layers or any(f".{number}." in name for number in recipe.layers)
        if _is_linear(name, shape) and layer and (not named or module.endswith(named)):
            total += recipe.lora.rank * sum(shape)
    return total


def _is_linear(name: str, shape: list[int]) -> bool:
    return len(shape) == 2 and not _NO_LINEAR.search(name)


def _time(settings: Settings, plan: TrainPlan, processes: int) -> tuple[float | None, str | None]:
    """Return the seconds of all stages at the speed of the newest run that had each kind of them, and its name."""
    recipe = plan.recipe
    wanted = {stage.settings.kind for stage in plan.stages}
    for name, manifest, stored in finished_runs(settings):
        same = manifest.get("model") == recipe.model and manifest.get("tune", "lora") == recipe.tune
        if not same or manifest.get("settings", {}).get("processes", 1) != processes:
            continue
        asked = {stage.get("name"): stage for stage in stored.get("stages", ())}
        speed = {
            stage["kind"]: stage["seconds"]
            / _rows(asked[stage["name"]], stage["steps"], trains=not stage.get("answers"))
            for stage in manifest.get("stages", ())
            if stage.get("steps") and stage.get("name") in asked
        }
        if wanted <= speed.keys():
            planned = (
                speed[stage.settings.kind]
                * _rows(stage.settings.model_dump(), stage.plan.steps, trains=stage.trainer.trains)
                for stage in plan.stages
            )
            return sum(planned), name
    return None, None


def _rows(stage: Mapping[str, Any], steps: int, *, trains: bool) -> int:
    """Return how many rows the steps of a stage take; those of a stage that does not train are answers."""
    if not trains:
        return steps
    if "prompts" in stage:
        return steps * int(stage["prompts"]) * int(stage.get("generations", 1))
    return steps * int(stage.get("batch_size", 1)) * int(stage.get("accumulate", 1))
