"""One of several processes that train: ``python -m skillpm.train.hf.rank SOCKET``, as ``train/processes.py`` starts it.

It opens the model, waits for the plan, and runs its stages with the others. What it needs to have judged or shown it
asks the process that launched it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import distributed

from skillpm.errors import SkillpmError, TrainingError, UsageError
from skillpm.model.episode import Episode
from skillpm.model.progress import Figure
from skillpm.model.run import RunStage
from skillpm.model.training import Material
from skillpm.model.verdict import Judgement
from skillpm.train.hf.machines import GONE, Machines, check_models
from skillpm.train.hf.shared_files import share_folder
from skillpm.train.hf.stages import Training, machine_record, open_model, run_stages
from skillpm.train.hf.together import agreed, gathered, leads_machine, machine, place
from skillpm.train.hf.zero import use_zero
from skillpm.train.kinds import BUILT_IN
from skillpm.train.plan import PlannedStage, TrainPlan
from skillpm.train.processes import INTERRUPTED, Job, Judging
from skillpm.train.recipe import recipe_model
from skillpm.train.run_folder import RunFolder

_ORPHANED = 3  # exit code
_GRACE = 3.0  # seconds after a connection broke: what has broken it is told first


class Launcher:
    """The process that launched this one.

    Args:
        address: of its socket.
    """

    def __init__(self, address: str) -> None:
        self._link = Client(address, "AF_UNIX")
        self._turn = threading.Lock()
        self.other = Client(address, "AF_UNIX")

    def tell(self, name: str, *arguments: Any) -> None:
        """Say something that gets no answer."""
        with self._turn:
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

    def ask_once(self, name: str, *arguments: Any) -> Any:
        """Have the first process ask its launcher, and return the answer; all processes call this.

        Raises:
            SkillpmError: as it was raised there.
        """
        error, value = agreed(self._outcome(name, arguments) if place() == 0 else (None, None))
        if error is not None:
            raise error
        return value

    def _outcome(self, name: str, arguments: Sequence[Any]) -> tuple[SkillpmError | None, Any]:
        try:
            return None, self.ask(name, *arguments)
        except SkillpmError as error:
            return error, None

    def judge(self, episodes: Sequence[Episode]) -> list[Judgement]:
        """Return the judgements of the episodes that this process has; all processes ask at once.

        Raises:
            SkillpmError: as in the process that launched the first one.
        """
        parts = gathered(list(episodes))
        judged = iter(self.ask_once("judge", [episode for part in parts for episode in part]))
        return [list(islice(judged, len(part))) for part in parts][place()]

    def prefetch(self, episodes: Sequence[Episode]) -> None:
        """Have episodes judged before they are asked for, if the workers are on this machine."""
        if machine() == 0:
            self.ask("prefetch", episodes)


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


def main() -> None:
    """Train with the others, and say how it ended."""
    launcher = Launcher(sys.argv[1])
    launcher.tell("hello", int(os.environ["RANK"]), os.getpid())
    others = Machines()
    threading.Thread(target=_end_with, args=(launcher.other, others), daemon=True).start()
    others.watch(partial(_end_with_others, launcher))
    try:
        records = _train(launcher, others, Path(sys.argv[1]).parent / "run")
        others.part()
        launcher.tell("done", records)
    except KeyboardInterrupt:
        others.part()
        launcher.tell("interrupted")
    except Exception as error:
        launcher.tell("failed", _told(error, others))
        if not isinstance(error, SkillpmError):
            raise
        sys.exit(1)
    else:
        distributed.destroy_process_group()


def _told(error: Exception, others: Machines) -> Exception:
    """Return what the launcher is told of a failure, and tell the other machines, unless one of them caused it."""
    if isinstance(error, distributed.DistError) or "gloo" in str(error):
        time.sleep(_GRACE)
        error = others.lost(error)
    elif not isinstance(error, SkillpmError):
        error = RuntimeError(f"{type(error).__name__}: {error}")
    others.tell_end(error)
    return error


def _end_with(link: Connection, others: Machines) -> None:
    """End with the process that launched this one, and tell the other machines."""
    try:
        interrupted = link.recv() == INTERRUPTED
    except (EOFError, OSError):
        interrupted = False
    with suppress(RuntimeError):  # the store may have gone before
        others.tell_end(None if interrupted else TrainingError(GONE))
    os._exit(_ORPHANED)


def _end_with_others(launcher: Launcher, error: SkillpmError | None) -> None:
    with suppress(OSError):
        launcher.tell(*(("interrupted",) if error is None else ("failed", error)))
    os._exit(_ORPHANED)


def _train(launcher: Launcher, others: Machines, mirror: Path) -> list[RunStage]:
    """Train what the first process was asked for; ``mirror`` stands for the run folder on the other machines."""
    others.call_roll()
    _require_gpus(int(os.environ["LOCAL_WORLD_SIZE"]))
    on_cpu = not torch.cuda.is_available()
    os.environ["ACCELERATE_USE_CPU"] = str(on_cpu)  # else the trainer of transformers sees one process there
    PartialState(cpu=on_cpu)
    document, sharded, zero, prompts = launcher.ask_once("recipe")
    if zero is not None:
        use_zero(zero)
    recipe = recipe_model(BUILT_IN).model_validate(document)
    model, adapter, teachers = launcher.ask("sources", document)
    job = Job(recipe, model, adapter, teachers, sharded, prompts)
    opened = open_model(job)
    record = machine_record(job, opened) if leads_machine() else {}
    check_models(others, record)
    launcher.tell("ready", record)
    asked: Any = launcher.answer() if place() == 0 else None
    others.wait_for_plan()
    plans, folder, observing = agreed(asked)
    trainers = [BUILT_IN.trainers[stage.kind] for stage in recipe.stages]
    planned = [PlannedStage(*parts) for parts in zip(recipe.stages, trainers, plans, strict=True)]
    track = partial(launcher.ask, "track")
    observe = partial(launcher.ask_once, "observe") if observing else None
    run = RunFolder(folder if machine() == 0 else mirror)
    run.path.mkdir(exist_ok=True)
    judging = Judging(launcher.judge, launcher.prefetch, observe)
    training = Training(opened, judging, run, _Shown(launcher), track)
    share_folder(run.path / "stages")
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
