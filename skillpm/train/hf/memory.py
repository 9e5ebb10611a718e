"""Memory that is not enough: how it is told from other failures, and what to change then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from skillpm.errors import TrainingError
from skillpm.model.training import Stage

_NO_MEMORY = ("out of memory", "can't allocate memory")  # CUDA's and the CPU's


def lacks_memory(error: Exception) -> bool:
    """Is this failure one of memory? Such a failure says nothing about what a model can do."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


@contextmanager
def explained_memory(stage: Stage) -> Iterator[None]:
    """Turn "out of memory" into what to change.

    Raises:
        TrainingError: the memory of the device is not enough for this stage.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise TrainingError(
            f"stage {stage.name}: the memory is not enough: {(str(error).splitlines() or ['none left'])[0][:200]}",
            hint=_smaller(stage),
        ) from None


def _smaller(stage: Stage) -> str:
    """Return the settings that make the same step in less memory."""
    place, settings = f"--set stages.{stage.name}", stage.model_dump()
    size = settings.get("batch_size", settings.get("micro_batch", 1))
    if size == 1:
        return "--set gradient_checkpointing=true, or a lower max_length"
    half = size // 2
    if "micro_batch" in settings:
        return f"{place}.micro_batch={half}, or --set gradient_checkpointing=true"
    more = settings.get("accumulate", 1) * -(-size // half)
    return f"{place}.batch_size={half} {place}.accumulate={more}, or --set gradient_checkpointing=true"
