"""Checkpoints of a stage: whole or not there, and training that goes on from the newest to the same bytes.

A checkpoint has the weights, the optimiser, the schedule, all random states and, between two updates of one rollout,
the rollout. It is written beside its place and renamed, and then the one before is removed, so that the disk holds two
at most. Of several processes the first decides when to save, and each adds its own state.

Ctrl-C during a step is obeyed when the step has ended and is saved; the second one at once.
"""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
import torch.utils.data
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import TrainerCallback
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from skillpm.errors import SkillpmError, StorageError
from skillpm.formats.document import Json
from skillpm.model.training import StageInput
from skillpm.storage.durable import flush
from skillpm.storage.files import read_text, write_atomic
from skillpm.train.hf.memory import lacks_memory
from skillpm.train.hf.model import reason_of
from skillpm.train.hf.sharded import is_sharded, set_shares, share_of, whole_state
from skillpm.train.hf.shared_files import collect_files
from skillpm.train.hf.together import agreed, count, gathered, leads_machine, meet, place
from skillpm.train.hf.zero import uses_zero

SAVE_ERRORS = (OSError, SafetensorError, RuntimeError)  # torch reports a full disk as a RuntimeError
_PREFIX, _DRAFT = "checkpoint-", ".saving"
_BEGIN_AGAIN = "remove this folder: the stage begins again without it"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Passes(torch.utils.data.Sampler[int]):
    """A sampler that draws each pass anew, and can begin with a later pass.

    Args:
        order: whose state moves on with each pass.
    """

    def __init__(self, order: torch.utils.data.Sampler[int]) -> None:
        self._order = order

    def __len__(self) -> int:
        return len(self._order)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        return iter(self._order)

    def skip(self, passes: int) -> None:
        """Draw passes that were made before."""
        for _ in range(passes):
            for _ in self._order:
                pass


class Resumable:
    """What a trainer of transformers or TRL needs to be resumed exactly; stands before it among the base classes.

    Attributes:
        kept: what a checkpoint has besides; it is changed in place.
    """

    kept: dict[str, Json] = {}  # noqa: RUF012  # of a trainer that keeps nothing

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write no card into a checkpoint."""

    def _get_train_sampler(self, *arguments: Any) -> Passes:
        self.passes = Passes(self._order(*arguments))
        return self.passes

    def _order(self, *arguments: Any) -> Any:
        """Return the order of one pass after the other; the trainer's own, where a subclass has none."""
        return super()._get_train_sampler(*arguments)  # type: ignore[misc]

    def _run_epoch(self, *arguments: Any, **options: Any) -> None:
        """Train on one pass over the rows; transformers would make a step more where the last one had been saved."""
        if self.state.global_step < self.state.max_steps:  # type: ignore[attr-defined]
            super()._run_epoch(*arguments, **options)  # type: ignore[misc]

    def _defer_fsdp_gradient_reduction(self) -> AbstractContextManager[None]:
        """Share the gradients of each pass out at once: whole ones would be kept from one pass to the next."""
        return nullcontext()

    def _get_output_dir(self, trial: Any) -> str:
        return str(Path(super()._get_output_dir(trial)) / _DRAFT)  # type: ignore[misc]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        draft = Path(self._get_output_dir(trial))
        work = draft.parent
        if leads_machine():
            shutil.rmtree(draft, ignore_errors=True)
        meet()
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
            (folder,) = draft.iterdir()
            if hasattr(self, "_buffered_inputs"):
                rollout = {"step": self._step, "batches": self._buffered_inputs, "kept": self.kept}
                torch.save(rollout, folder / _rollout(place()))
            collect_files(folder)
            if place() > 0:
                meet()
                return
            flush([folder])  # the files are on the disk before the name says that they are there
            older = _checkpoints(work)
            folder.replace(work / folder.name)
            meet()
        except SAVE_ERRORS as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise StorageError(
                f"no checkpoint can be written to {work}: {reason_of(error)}",
                hint="free some space; the run continues from the checkpoint before",
            ) from None
        for path in (draft, *older):
            shutil.rmtree(path, ignore_errors=True)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if is_sharded(self.model):  # type: ignore[attr-defined]
            state_dict = whole_state(self.model.state_dict())  # type: ignore[attr-defined]
            if place() > 0:
                return
        super()._save(output_dir, state_dict)  # type: ignore[misc]

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not is_sharded(self.model):  # type: ignore[attr-defined]
            super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
            return
        state = whole_state(self.optimizer.state_dict())  # type: ignore[attr-defined]
        if place() == 0:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)  # type: ignore[attr-defined]

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        if not uses_zero() and not (Path(checkpoint) / OPTIMIZER_NAME).is_file():
            raise StorageError(f"the checkpoint {checkpoint} has no state of an optimiser", hint=_BEGIN_AGAIN)
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
        for weight, state in self.optimizer.state.items():  # type: ignore[attr-defined]
            state.update({name: share_of(value, weight) for name, value in state.items()})
        if hasattr(self, "_buffered_inputs"):
            self._load_rollout(checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if is_sharded(self.model):  # type: ignore[attr-defined]
            for file in sorted(Path(resume_from_checkpoint).glob("model*.safetensors")):
                set_shares(self.model, load_file(file))  # type: ignore[attr-defined]
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]

    def _load_rollout(self, checkpoint: str) -> None:
        own = Path(checkpoint) / _rollout(place())
        for path in (own, *own.parent.glob("rollout-0-of-*.pt")):
            if path.is_file():
                rollout = torch.load(path, map_location=self.accelerator.device.type)  # type: ignore[attr-defined]
                self.kept.update(rollout["kept"])
                if path == own:  # else there were more or fewer processes, with other shares of the rows
                    self._step, self._buffered_inputs = rollout["step"], rollout["batches"]
                return
        raise StorageError(f"the checkpoint {checkpoint} has no rollout", hint=_BEGIN_AGAIN)


class _Saving(TrainerCallback):
    """Has a checkpoint saved when it is time, and obeys a signal after it.

    Attributes:
        begun: has a step begun? Then all of a checkpoint was read.
    """

    begun = False

    def __init__(self, trainer: Any, save_after: float) -> None:
        self._trainer = trainer
        self._save_after = save_after
        self._saved = time.monotonic()
        self._before: dict[int, Any] = {}
        self._received: int | None = None
        self._agreed: int | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._trainer.passes.skip(int(state.epoch or 0))

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.begun = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        due = time.monotonic() - self._saved >= self._save_after
        asked = gathered((self._received, due or control.should_save))  # Ctrl-C may come to any machine
        self._agreed = next((number for number, _ in asked if number is not None), None)
        control.should_save = asked[0][1] or self._agreed is not None

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved = time.monotonic()
        if self._agreed is not None:  # what has come since is for the next step: all processes end at once
            self._obey(self._agreed)

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Defer the signals that end a command until a step has ended and is saved."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Who has launched several processes interrupts the first, and ends them all by SIGTERM.
        asked = _SIGNALS if count() == 1 else (signal.SIGINT,)
        self._before = {number: signal.signal(number, self._receive) for number in asked}
        try:
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: Any) -> None:
        if self._received is not None:
            self._obey(number)
        self._received = number

    def _obey(self, number: int) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        signal.raise_signal(number)


def train_on(trainer: Any, given: StageInput) -> None:
    """Run a trainer to its end, from its newest checkpoint where it has one.

    Args:
        trainer: of transformers or TRL, ``Resumable``, with ``given.work`` as its output folder.
        given: the stage's input.

    Raises:
        StorageError: a checkpoint cannot be written, or the newest one cannot be read.
        KeyboardInterrupt: Ctrl-C came; the last step is saved.
    """
    saving = _Saving(trainer, given.save_after)
    trainer.add_callback(saving)
    checkpoints = _checkpoints(given.work)
    newest = max(checkpoints, key=lambda path: int(path.name.removeprefix(_PREFIX)), default=None)
    try:
        with saving.deferring():
            trainer.train(resume_from_checkpoint=None if newest is None else str(newest))
    except Exception as error:
        if newest is None or saving.begun or lacks_memory(error) or isinstance(error, SkillpmError):
            raise
        raise StorageError(f"the checkpoint {newest} cannot be read: {reason_of(error)}", hint=_BEGIN_AGAIN) from None


def remembered(work: Path, name: str, make: Callable[[], Json]) -> Json:
    """Return what a stage works out once, when it begins; a resumed stage reads it again.

    Raises:
        StorageError: it cannot be stored.
    """
    path = work / f"{name}.json"
    found = _NOTHING
    if path.is_file():
        with suppress(ValueError):  # of a damaged file
            found = json.loads(read_text(path))
    stored = agreed(found)
    if stored != _NOTHING:
        return stored
    value = agreed(make())
    if place() == 0:
        work.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(value))
    return value


_NOTHING: Json = "nothing is stored"


def _checkpoints(work: Path) -> list[Path]:
    return [path for path in work.glob(f"{_PREFIX}*") if path.name.removeprefix(_PREFIX).isdigit()]


def _rollout(process: int) -> str:
    return f"rollout-{process}-of-{count()}.pt"
