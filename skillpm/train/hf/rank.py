"""One of several processes that train: ``python -m skillpm.train.hf.rank SOCKET``, as ``train/processes.py`` starts it.

It opens the model, waits for the plan, and runs its stages with the others. What it needs to have judged or shown it
asks the process that launched it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import distributed

from skillpm.errors import SkillpmError, UsageError
from skillpm.model.episode import Episode
from skillpm.model.ports import Figure
from skillpm.model.run import RunStage
from skillpm.model.training import Material
from skillpm.train.hf.stages import Training, machine_record, open_model, run_stages
from skillpm.train.hf.together import agreed, place
from skillpm.train.kinds import BUILT_IN
from skillpm.train.plan import PlannedStage, TrainPlan
from skillpm.train.processes import Job
from skillpm.train.recipe import recipe_model
from skillpm.train.run_folder import RunFolder

_ORPHANED = 3  # exit code


class Launcher:
    """The process that launched this one.

    Args:
        address: of its socket.
    """

    def __init__(self, address: str) -> None:
        self._link = Client(address, "AF_UNIX")
        threading.Thread(target=_end_with, args=(Client(address, "AF_UNIX"),), daemon=True).start()

    def tell(self, name: str, *arguments: Any) -> None:
        """Say something that gets no answer."""
        self._link.send((name, arguments))

    def ask(self, name: str, *arguments: Any) -> Any:
        """Return the answer. Raises SkillpmError, as it was raised there."""
        self.tell(name, *arguments)
        return self.answer()

    def answer(self) -> Any:
        """Return what was asked for."""
        well, value = self._link.recv()
        if not well:
            raise value
        return value

    def observe(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Return what the environments show after the last answers; all processes ask, and get the same.

        Raises:
            SkillpmError: as in the process that launched this one.
        """
        return agreed(self.ask("observe", list(episodes)) if place() == 0 else [])


class _Shown:
    """The progress that the first process has shown; that of the others is the same."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def start(self, title: str, total: int | None) -> None:
        self._say("start", title, total)

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        self._say("advance", count, note, figures)

    def finish(self, note: str = "", seconds: float | None = None) -> None:
        self._say("finish", note, seconds)

    def _say(self, name: str, *arguments: Any) -> None:
        if place() == 0:
            self._launcher.ask(name, *arguments)


def _end_with(link: Connection) -> None:
    try:
        link.recv()
    except (EOFError, OSError):
        os._exit(_ORPHANED)


def main() -> None:
    """Train with the others, and say how it ended."""
    launcher = Launcher(sys.argv[1])
    launcher.tell("hello", int(os.environ["RANK"]), os.getpid())
    try:
        launcher.tell("done", _train(launcher))
    except SkillpmError as error:
        launcher.tell("failed", error)
        sys.exit(1)
    except KeyboardInterrupt:
        launcher.tell("interrupted")
    except Exception as error:
        launcher.tell("failed", RuntimeError(f"{type(error).__name__}: {error}"))
        raise
    else:
        distributed.destroy_process_group()


def _train(launcher: Launcher) -> list[RunStage]:
    document, model, adapter, teachers = launcher.ask("job")
    _require_gpus(int(os.environ["LOCAL_WORLD_SIZE"]))
    on_cpu = not torch.cuda.is_available()
    os.environ["ACCELERATE_USE_CPU"] = str(on_cpu)  # else the trainer of transformers sees one process there
    PartialState(cpu=on_cpu)
    recipe = recipe_model(BUILT_IN).model_validate(document)
    job = Job(recipe, model, adapter, teachers)
    opened = open_model(job)
    launcher.tell("ready", machine_record(job, opened) if place() == 0 else {})
    plans, folder, observing = launcher.answer()
    trainers = [BUILT_IN.trainers[stage.kind] for stage in recipe.stages]
    planned = [PlannedStage(*parts) for parts in zip(recipe.stages, trainers, plans, strict=True)]
    judge, prefetch, track = (partial(launcher.ask, name) for name in ("judge", "prefetch", "track"))
    observe = launcher.observe if observing else None
    training = Training(opened, judge, prefetch, RunFolder(Path(folder)), _Shown(launcher), track, observe)
    plan = TrainPlan(recipe, Material((), (), {}), tuple(planned))
    return run_stages(plan, [trainer.load() for trainer in trainers], training)


def _require_gpus(processes: int) -> None:
    gpus = torch.cuda.device_count()
    if 0 < gpus < processes:
        raise UsageError(
            f"{processes} processes need {processes} GPUs, and {gpus} is visible",
            hint="use fewer processes, or `CUDA_VISIBLE_DEVICES= skillpm train` to train on the CPU",
        )


if __name__ == "__main__":
    main()
