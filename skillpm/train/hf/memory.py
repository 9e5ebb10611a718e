"""Memory that is not enough: how it is told from other failures, and smaller passes that make the same step."""

from __future__ import annotations

import json
import math
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from skillpm.errors import TrainingError
from skillpm.formats.document import Json
from skillpm.model.training import Stage, StageOutput
from skillpm.storage.files import read_text, write_atomic
from skillpm.train.eval import Eval
from skillpm.train.hf.together import count

MOST_COPIED = 2**30  # weights of a model that stands in memory a second time for a while, in float32: 4 GB

_SIZES = "sizes.json"
_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # CUDA's, torch's, the system's


def peak_memory() -> int:
    """Return the bytes that were taken at most: of the accelerator, or of this process where there is none."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def lacks_memory(error: Exception) -> bool:
    """Is this failure one of memory? Such a failure says nothing about what a model can do."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY)


def no_memory(what: str, error: Exception, hint: str = "free some memory, or use a smaller model") -> TrainingError:
    """Return what a person is told of a failure that ``lacks_memory``."""
    reason = (str(error).splitlines() or ["none left"])[0][:200]
    return TrainingError(f"{what}: the memory is not enough: {reason}", hint=hint)


def within_memory(stage: Stage, run: Callable[[Stage], StageOutput], work: Path) -> StageOutput:
    """Run a stage; where the memory is not enough, run it again from its start with fewer rows in one pass.

    Args:
        stage: as it is asked.
        run: runs it from its start.
        work: of the stage; remembers the passes, so that a stage that was ended goes on with them.

    Raises:
        TrainingError: the memory is not enough for one row either.
    """
    if count() > 1:  # the others wait for this process and cannot begin again with it
        return _at_last(stage, run)
    asked, sizes = stage, work / _SIZES
    if sizes.is_file():
        with suppress(ValueError):  # of a damaged file: then they are found again
            stage = asked.model_copy(update=json.loads(read_text(sizes)))
    while (smaller := halved(stage)) is not None:
        try:
            return _noted(run(stage), asked, stage)
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
        stage = smaller  # outside of the handler: what the failed try held is free now
        write_atomic(sizes, json.dumps(_changed(asked, stage)))
    return _noted(_at_last(stage, run), asked, stage)


def _at_last(stage: Stage, run: Callable[[Stage], StageOutput]) -> StageOutput:
    """Run a stage that cannot be made smaller. Raises TrainingError where the memory is not enough."""
    try:
        return run(stage)
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        hint = "--set gradient_checkpointing=true, or a lower max_length"
        if isinstance(stage, Eval):
            hint = f"--set stages.{stage.name}.batch_size=1, or a lower max_new_tokens"
        raise no_memory(f"stage {stage.name}", error, hint) from None


def halved(stage: Stage) -> Stage | None:
    """Return a stage with fewer rows in one pass and the same optimiser step; None where there are none to spare."""
    settings = stage.model_dump()
    name = "micro_batch" if "micro_batch" in settings else "batch_size"
    has_step = name == "batch_size" and not isinstance(stage, Eval)
    size, passes = settings.get(name, 1), settings.get("accumulate")
    if size == 1 or (has_step and passes is None):
        return None
    part = next((size // factor for factor in range(2, math.isqrt(size) + 1) if size % factor == 0), 1)
    more = {"accumulate": passes * (size // part)} if has_step else {}
    return stage.model_copy(update={name: part, **more})


def _changed(asked: Stage, stage: Stage) -> dict[str, Json]:
    return {name: value for name, value in stage.model_dump().items() if value != getattr(asked, name)}


def _noted(output: StageOutput, asked: Stage, stage: Stage) -> StageOutput:
    words = ", ".join(f"{name} {value}" for name, value in _changed(asked, stage).items())
    note = f"the memory was not enough, so it took {words}" if words else ""
    return replace(output, note="; ".join(filter(None, (output.note, note))))
