"""Training on the processor: our SFT, rollouts and GRPO beside a plain script of TRL, in one run of some minutes.

``parts/trainers.py`` says what both sides share. Each training is a process of its own, so its memory (the most that
was ever resident, with the libraries) and its CPU seconds are its own. GRPO of both sides begins from the adapter of a
short SFT and is paid the share of right arguments. A reward is the mean of the answers of the last five steps: of all
steps, and of those that had ended when the faster side was through.

TRL computes activations twice in its passes backward (``gradient_checkpointing``), as it does by default; ours keeps
them. With ``--no-gradient-checkpointing`` TRL keeps them too.

    python benchmarks/trainer.py [--model NAME] [--steps N] [--rounds N] [--no-gradient-checkpointing] [--output FOLDER]

Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from parts.trained import keep_figures
from parts.trainers import LAST, Bench, Size, line, pay_arguments, print_heading, print_line


@dataclass(frozen=True)
class Pieces:
    """Pieces of a benchmark, each run in a new process.

    Attributes:
        model: a name that skillpm knows, or a folder.
        size: how much is run.
        work: a folder.
        checkpointing: as ``Bench`` takes it.
    """

    model: str
    size: Size
    work: Path
    checkpointing: bool

    def run(self, name: str, *arguments: Any) -> Any:
        """Return what a method of ``Bench`` does."""
        return apart(self._piece, name, arguments)

    def _piece(self, name: str, arguments: tuple[Any, ...]) -> Any:
        from skillpm.ops.learning.models import ready_model
        from skillpm.settings import load_settings

        source = Path(ready_model(self.model, load_settings()))
        bench = Bench(source, self.size, self.work, pay_arguments, checkpointing=self.checkpointing)
        return getattr(bench, name)(*arguments)


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function does in a new process, which begins with the peak of this one: so this stays small."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(work, *arguments).result()


def surroundings() -> dict[str, Any]:
    """Return what the figures depend on."""
    from skillpm.ops.learning.train import library_versions
    from skillpm.train.hf.model import machine_settings

    return {**machine_settings("auto"), "versions": library_versions()}


def measure(pieces: Pieces) -> Iterator[dict[str, Any]]:
    """Yield the lines of the table."""
    size = pieces.size
    ours, stock = pieces.run("our_sft"), pieces.run("stock_sft")
    tokens = pieces.run("tokens")[0] * size.batch
    yield line("SFT, tokens of rows a second", tokens / stock.seconds(), tokens / ours.seconds())
    yield line("SFT, peak memory, GB", stock.memory, ours.memory, less=True)
    made = size.answers * size.tokens
    for adapted, which in ((False, "rollouts"), (True, "rollouts with an adapter")):
        peer, mine = pieces.run("rollouts", adapted)
        yield line(f"{which}, tokens a second", made / peer, made / mine)
    ours, stock = pieces.run("our_grpo"), pieces.run("stock_grpo")
    yield line("GRPO, seconds a step", stock.seconds(), ours.seconds(), less=True)
    peer, mine = (side.cpu_seconds() / size.answers for side in (stock, ours))
    yield line("GRPO, CPU seconds a completion", peer, mine, less=True)
    yield line("GRPO, peak memory, GB", stock.memory, ours.memory, less=True)
    equal = min(side.times[-1] for side in (stock, ours))
    steps = ((LAST, LAST), (size.steps, size.steps), (stock.done(equal), ours.done(equal)))
    names = (f"of the first {LAST} steps", f"after {size.steps} steps", f"after {equal:.0f} s")
    for name, (peer, mine) in zip(names, steps, strict=True):
        yield line(f"GRPO, mean reward {name}", stock.reward(peer), ours.reward(mine))


def main() -> None:
    """Print the table, and leave the figures in a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="a name that skillpm knows, or a folder")
    parser.add_argument("--steps", type=int, default=12, help=f"of GRPO, at least {LAST}")
    parser.add_argument("--rounds", type=int, default=2, help="of rollouts")
    parser.add_argument("--gradient-checkpointing", action=argparse.BooleanOptionalAction, default=True, help="of TRL")
    parser.add_argument("--output", type=Path, help="folder of trainer.json")
    given = parser.parse_args()
    if given.steps < LAST:
        parser.error(f"--steps {given.steps}: a reward is the mean of {LAST} steps")
    size = Size(
        learned=40, batch=4, rows=320, prompts=4, generations=4, tokens=32, steps=given.steps, rounds=given.rounds
    )
    with tempfile.TemporaryDirectory(prefix="skillpm-") as work:
        pieces = Pieces(given.model, size, Path(work), given.gradient_checkpointing)
        figures = {**apart(surroundings), "checkpointing": given.gradient_checkpointing, "size": asdict(size)}
        print(f"{figures['dtype']} on both sides, {figures['threads']} thread(s)", flush=True)
        print_heading()
        figures["lines"] = []
        for found in measure(pieces):
            print_line(found)
            figures["lines"].append(found)
    if given.output:
        keep_figures(given.output / "trainer.json", figures)


if __name__ == "__main__":
    main()
