"""A kind of training stage for skillpm: rejection-sampling fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from skillpm.plugin import hookimpl

if TYPE_CHECKING:
    from skillpm.plugin import StageInput, StageOutput, Trainer
    from skillpm_rejection.settings import Rejection


@hookimpl
def skillpm_trainers() -> Iterable[Trainer]:
    """Return the trainer; what it is made of is imported here, because most commands never ask for it."""
    from skillpm.plugin import Trainer
    from skillpm_rejection.settings import Rejection, plan_rejection

    return [Trainer("rejection", Rejection, plan_rejection, load)]


def load() -> Callable[[Rejection, StageInput], StageOutput]:
    """Import torch, and return what runs the stage."""
    from skillpm_rejection.rounds import run

    return run
