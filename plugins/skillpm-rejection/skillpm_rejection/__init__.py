"""A kind of training stage for skillpm: rejection-sampling fine-tuning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from skillpm import hookimpl

__all__ = ["skillpm_trainers"]


@hookimpl
def skillpm_trainers() -> Iterable[Any]:
    """Return the trainer; imported here, because most commands never ask for it."""
    from skillpm_rejection.stage import REJECTION

    return [REJECTION]
