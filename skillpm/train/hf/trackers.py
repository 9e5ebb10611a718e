"""Programs that show a run while it goes on: trackio, tensorboard, wandb. None is used unless a recipe asks for it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from skillpm.errors import TrainingError
from skillpm.train.recipe import Recipe

PROJECT = "skillpm"
Track = Callable[[Mapping[str, Any]], None]  # takes a row of metrics.jsonl


class _Tracker(Protocol):
    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class _Boards:
    """Files of TensorBoard in the folder tensorboard/ of the run."""

    def __init__(self, run: Path, recipe: Recipe) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run / "tensorboard"))

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        for name, figure in figures.items():
            self._writer.add_scalar(f"{stage}/{name}", figure, step)

    def close(self) -> None:
        self._writer.close()


class _Runs:
    """A run of wandb, or of trackio, which has the same functions."""

    def __init__(self, library: str, run: Path, recipe: Recipe) -> None:
        self._library: Any = importlib.import_module(library)
        more = {"id": run.name} if library == "wandb" else {"embed": False}
        config = recipe.model_dump(mode="json")
        with redirect_stdout(sys.stderr):
            self._library.init(project=PROJECT, name=run.name, config=config, resume="allow", **more)

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        # Each stage counts its steps from 1, and these programs want one count that grows: they make their own.
        self._library.log({f"{stage}/{name}": figure for name, figure in {**figures, "step": step}.items()})

    def close(self) -> None:
        with redirect_stdout(sys.stderr):
            self._library.finish()


_MAKERS: Mapping[str, Callable[[Path, Recipe], _Tracker]] = {
    "tensorboard": _Boards,
    "trackio": lambda run, recipe: _Runs("trackio", run, recipe),
    "wandb": lambda run, recipe: _Runs("wandb", run, recipe),
}


def check_trackers(recipe: Recipe) -> None:
    """Raise TrainingError where a program that the recipe names is not installed."""
    for name in recipe.report_to:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise TrainingError(f"`report_to: {name}` needs {name}: {error}", hint=f"pip install {name}") from None


@contextmanager
def tracking(recipe: Recipe, run: Path, note: Callable[[str], None]) -> Iterator[Track]:
    """Open the programs that a recipe names, and yield what takes each row of figures.

    One that fails is left alone from then on: it shows a run, and must not end it.

    Args:
        recipe: of the run.
        run: its folder.
        note: says what failed.
    """
    going: dict[str, _Tracker] = {}

    def guarded(name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  whatever another program raises
            going.pop(name, None)
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            note(f"{name} shows no more of this run: {reason}")

    def begin(name: str) -> None:
        going[name] = _MAKERS[name](run, recipe)

    def track(row: Mapping[str, Any]) -> None:
        figures = {name: figure for name, figure in row.items() if name not in ("stage", "step")}
        for name, tracker in list(going.items()):
            guarded(name, partial(tracker.log, row["stage"], row["step"], figures))

    for asked in recipe.report_to:
        guarded(asked, partial(begin, asked))
    try:
        yield track
    finally:
        for name, tracker in list(going.items()):
            guarded(name, tracker.close)
