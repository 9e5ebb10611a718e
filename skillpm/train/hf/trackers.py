"""Programs that show a run while it goes on: trackio, tensorboard, wandb. None is used unless a recipe asks for it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from skillpm.errors import TrainingError
from skillpm.train.processes import Track
from skillpm.train.recipe import Recipe

PROJECT = "skillpm"
Log = Callable[[str, int, Mapping[str, float]], None]  # takes a stage, a step and its figures


def _opened(name: str, run: Path, recipe: Recipe) -> tuple[Log, Callable[[], None]]:
    """Open a program, and return what takes figures, and what closes it."""
    if name == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        boards: Any = SummaryWriter(str(run / "tensorboard"))

        def draw(stage: str, step: int, figures: Mapping[str, float]) -> None:
            for figure, value in figures.items():
                boards.add_scalar(f"{stage}/{figure}", value, step)

        return draw, boards.close
    library: Any = importlib.import_module(name)  # trackio has the functions of wandb
    more = {"id": run.name} if name == "wandb" else {"embed": False}
    with redirect_stdout(sys.stderr):
        library.init(project=PROJECT, name=run.name, config=recipe.model_dump(mode="json"), resume="allow", **more)

    def log(stage: str, step: int, figures: Mapping[str, float]) -> None:
        # Each stage counts its steps from 1, and these programs want one count that grows: they make their own.
        library.log({f"{stage}/{figure}": value for figure, value in {**figures, "step": step}.items()})

    def close() -> None:
        with redirect_stdout(sys.stderr):
            library.finish()

    return log, close


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
    going: dict[str, tuple[Log, Callable[[], None]]] = {}

    def guarded(name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  whatever another program raises
            going.pop(name, None)
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            note(f"{name} shows no more of this run: {reason}")

    def begin(name: str) -> None:
        going[name] = _opened(name, run, recipe)

    def track(row: Mapping[str, Any]) -> None:
        figures = {name: figure for name, figure in row.items() if name not in ("stage", "step")}
        for name, (log, _) in list(going.items()):
            guarded(name, partial(log, row["stage"], row["step"], figures))

    for asked in recipe.report_to:
        guarded(asked, partial(begin, asked))
    try:
        yield track
    finally:
        for name, (_, close) in list(going.items()):
            guarded(name, close)
