"""Train with another machine, which plans what is trained and writes the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from skillpm.ops.context import Context
from skillpm.ops.learning.models import ready_model
from skillpm.ops.learning.runs import find_adapter
from skillpm.train.kinds import BUILT_IN
from skillpm.train.launch import Launch
from skillpm.train.processes import Sources, follow
from skillpm.train.recipe import recipe_model


def join_training(context: Context, launch: Launch, ready: Callable[[], None]) -> None:
    """Start the processes of this machine, and return when they have trained.

    The recipe comes from the first machine. Of this one it needs the models that it names.

    Args:
        context: of this machine.
        launch: whose first machine is another one.
        ready: called when the models stand ready.

    Raises:
        UsageError: a model is not here, or is another one than on the first machine.
        TrainingError: the first machine cannot be reached, or a machine has failed.
        KeyboardInterrupt: Ctrl-C came to one of the machines.
    """
    settings = context.settings

    def find(document: Mapping[str, Any]) -> Sources:
        recipe = recipe_model(BUILT_IN).model_validate(document)
        teachers = {name: ready_model(name, settings) for name in recipe.teachers}
        return ready_model(recipe.model, settings), find_adapter(settings, recipe), teachers

    follow(launch, find, ready)
