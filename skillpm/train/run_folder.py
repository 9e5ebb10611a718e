"""The folder of one run: everything that went in, everything that came out, and manifest.json last.

recipe.yaml  skillpm.lock  data/{train,held_out}.jsonl  data/profile.json  start.json  metrics.jsonl
accelerate.yaml and deepspeed.json (of processes that share the training, as they were when it began)
stages/NAME/{adapter/ or answers.jsonl,stage.json}  adapter/ (of the last stage that has one)  evals/rollouts.json
evals/TIME/{evaluation.json,report.html}  report.html  card.md  manifest.json

While a stage runs, stages/NAME/work/ has its checkpoints. A run that has start.json and no manifest can be resumed.

An evaluation never replaces another. report.html and card.md show the newest whole one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from skillpm.errors import BusyError, DocumentError, StorageError, UsageError
from skillpm.storage.files import DiskErrors, append_line, file_sha256, read_text, storage_error, write_atomic
from skillpm.storage.process_lock import ProcessLock, turns
from skillpm.train.metrics import read_metrics

if TYPE_CHECKING:  # `skillpm runs` needs no pydantic
    from skillpm.formats.document import D
    from skillpm.model.run import RunManifest, RunStage, RunStart

MANIFEST, START, RECIPE, EVALUATION = "manifest.json", "start.json", "recipe.yaml", "evaluation.json"
ROWS = {"train": "data/train.jsonl", "held_out": "data/held_out.jsonl"}  # by split
INPUTS, DATA_PROFILE = (RECIPE, *ROWS.values()), "data/profile.json"
_LOCK = ".training"
_STAMP, _STAMP_LENGTH, _BEFORE = "%Y%m%d-%H%M%S", 15, datetime.min
SEE_RUNS = "run `skillpm runs list` to see the runs of this project"


class RunFolder:
    """A run's folder.

    Attributes:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, parent: Path, slug: str, after: Path | None = None) -> RunFolder:
        """Make a new folder ``<time>-<slug>``, whose name comes after those of all runs before it.

        ``after`` is another folder of runs, into which it may be moved.

        Raises:
            StorageError: the disk refused.
        """
        return cls(_new_folder(parent, f"-{slug}", after))

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open a finished run.

        Raises:
            UsageError: there is no such run, or it was not finished.
        """
        if not path.is_dir():
            raise UsageError(f"no run folder at {path}", hint=SEE_RUNS)
        if not (path / MANIFEST).is_file():
            if not (path / START).is_file():
                raise UsageError(f"{path} is not a finished run: it has no manifest.json", hint=SEE_RUNS)
            again = f"run `skillpm train --resume {quote(str(path))}`"
            raise UsageError(f"the run {path} is unfinished: it has no manifest.json", hint=again)
        return cls(path)

    @classmethod
    def open_unfinished(cls, path: Path) -> RunFolder:
        """Open a run that was ended before it was finished.

        Raises:
            UsageError: there is no such run, it is finished, or it ended before its data were there.
        """
        if not path.is_dir():
            raise UsageError(f"no run folder at {path}", hint=SEE_RUNS)
        if (path / MANIFEST).is_file():
            raise UsageError(f"the run {path} is finished", hint=f"run `skillpm eval --run {quote(str(path))}`")
        if not (path / START).is_file():
            raise UsageError(f"the run {path} ended before its training data were written", hint="train again")
        return cls(path)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep other processes from training in this folder.

        Raises:
            BusyError: another process does.
        """
        with closing(ProcessLock(self.path / _LOCK)) as lock:
            if not lock.try_exclusive():
                raise BusyError(f"another skillpm trains in {self.path}", hint="wait until it ends, or end it")
            yield
            lock.path.unlink(missing_ok=True)

    @property
    def is_in_use(self) -> bool:
        """Does a process train in this folder?"""
        if not (self.path / _LOCK).is_file():
            return False
        with closing(ProcessLock(self.path / _LOCK)) as lock:
            return not lock.try_exclusive()

    @property
    def manifest(self) -> RunManifest:
        """The manifest of a finished run. Raises DocumentError, StorageError."""
        from skillpm.model.run import RunManifest

        return self._read(RunManifest, MANIFEST)

    @property
    def start(self) -> RunStart:
        """What the run began with. Raises DocumentError, StorageError."""
        from skillpm.model.run import RunStart

        return self._read(RunStart, START)

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe, scalars as they are written; empty if it is not a mapping. Raises DocumentError, StorageError."""
        from skillpm.formats.strict_yaml import read_yaml

        document = read_yaml(read_text(self.path / RECIPE), path=str(self.path / RECIPE))
        return document if isinstance(document, dict) else {}

    @property
    def without_recipe(self) -> str:
        """A warning for a person who reads the run, where its recipe cannot be read; else empty."""
        try:
            _ = self.recipe
        except (DocumentError, StorageError) as error:
            return f"warning: the recipe of the run is left out: {error.message}"
        return ""

    @property
    def shown_evaluation(self) -> Path | None:
        """The file of the evaluation that the run's page shows, if it has one. Raises DocumentError, StorageError."""
        shown = self.manifest.shown_evaluation if (self.path / MANIFEST).is_file() else None
        return None if shown is None else self.path / shown.path / EVALUATION

    def text(self, name: str) -> str:
        """Return the text of a file; empty where it is missing. Raises StorageError."""
        return read_text(self.path / name) if (self.path / name).is_file() else ""

    def _read(self, model: type[D], name: str) -> D:
        from skillpm.formats.document import read_model

        path = self.path / name
        try:
            return read_model(model, read_text(path), path=str(path))
        except DocumentError as error:
            error.hint = self._if_damaged
            raise

    @property
    def _if_damaged(self) -> str:
        prune = f"`skillpm runs prune {quote(str(self.path))}`"
        return f"the run is damaged: `skillpm runs list` shows the others, {prune} removes it"

    def begin(self, start: RunStart) -> None:
        """Write start.json, when everything that went in is there. Raises StorageError."""
        self.write(START, start.model_dump_json(indent=2) + "\n")

    def write(self, name: str, data: bytes | Iterable[str]) -> None:
        """Write one file of the run. Raises StorageError."""
        write_atomic(self.path / name, data)

    def log(self, row: Mapping[str, Any]) -> None:
        """Append one row to metrics.jsonl. Raises StorageError."""
        append_line(self.path / "metrics.jsonl", json.dumps(row, sort_keys=True))

    def adapter(self, stage: str) -> Path:
        """Return the folder of a stage's adapter."""
        return self._stage(stage) / "adapter"

    def work(self, stage: str) -> Path:
        """Return the folder in which a stage keeps its checkpoints, made where it is missing. Raises StorageError."""
        path = self._stage(stage) / "work"
        with DiskErrors("make", path):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def finished_stage(self, stage: str) -> RunStage | None:
        """Return what a stage did; None where it is not finished. Raises DocumentError, StorageError."""
        from skillpm.model.run import RunStage

        path = self._stage(stage) / "stage.json"
        return self._read(RunStage, path.relative_to(self.path).as_posix()) if path.is_file() else None

    def finish_stage(self, record: RunStage) -> None:
        """Record what a stage did, and remove its checkpoints. Raises StorageError."""
        path = self._stage(record.name)
        write_atomic(path / "stage.json", record.model_dump_json(indent=2) + "\n")
        shutil.rmtree(path / "work", ignore_errors=True)

    def logged(self, stage: str) -> set[tuple[int, frozenset[str]]]:
        """Return the step and the names of the figures of each row that metrics.jsonl has of a stage."""
        return {(row["step"], frozenset(row)) for row in read_metrics(self.path) if row["stage"] == stage}

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Return the digests of files, where they exist, by their names."""
        return {name: file_sha256(self.path / name) for name in names if (self.path / name).is_file()}

    def _stage(self, name: str) -> Path:
        return self.path / "stages" / name

    def saved_adapter(self, name: str = "adapter") -> Path:
        """Return the folder of an adapter of a finished run; the last one by default.

        Raises:
            UsageError: it is missing.
        """
        path = self.path / name
        if not path.is_dir():
            raise UsageError(f"the run has no adapter at {path}", hint=self._if_damaged)
        return path

    def publish_adapter(self, stage: str) -> None:
        """Make ``adapter/`` the adapter of this stage."""
        target = self.path / "adapter"
        target.mkdir(exist_ok=True)
        for file in sorted(self.adapter(stage).iterdir()):
            if file.is_file():
                temporary = target / f".{file.name}.new"
                shutil.copyfile(file, temporary)
                temporary.replace(target / file.name)

    def finish(self, manifest: RunManifest) -> RunManifest:
        """Write manifest.json, last of all, with the digests of all files. Raises StorageError."""
        return self._record(manifest, self._digests())

    def new_evaluation(self) -> str:
        """Make a new folder for an evaluation, and return its name relative to the run. Raises StorageError."""
        return _new_folder(self.path / "evals").relative_to(self.path).as_posix()

    def add(
        self,
        texts: Mapping[str, Iterable[str]],
        change: Callable[[RunManifest], RunManifest] = lambda manifest: manifest,
    ) -> RunManifest:
        """Add files to a finished run, and their digests to its manifest.

        Args:
            texts: of the files, by name; a long one in pieces.
            change: of the manifest as it is when the files are there; other processes may have changed it.

        Raises:
            StorageError: the disk refused.
        """
        for name, text in texts.items():
            self.write(name, text)
        digests = {name: file_sha256(self.path / name) for name in texts}
        with turns(self.path):
            manifest = change(self.manifest)
            return self._record(manifest, dict(sorted({**manifest.files, **digests}.items())))

    def _record(self, manifest: RunManifest, files: Mapping[str, str]) -> RunManifest:
        complete = manifest.model_copy(update={"files": files})
        self.write(MANIFEST, complete.model_dump_json(indent=2, exclude_none=True) + "\n")
        return complete

    def _digests(self) -> dict[str, str]:
        files = sorted(path for path in self.path.rglob("*") if path.is_file() and path.name not in (MANIFEST, _LOCK))
        return {path.relative_to(self.path).as_posix(): file_sha256(path) for path in files}


def _new_folder(parent: Path, suffix: str = "", after: Path | None = None) -> Path:
    """Make a folder that is named after the time, and after all others there and in ``after``: a clock may be set back.

    Raises:
        StorageError: the disk refused.
    """
    while True:
        with DiskErrors("make", parent):
            parent.mkdir(parents=True, exist_ok=True)
            there = [*parent.iterdir(), *(after.iterdir() if after and after.is_dir() else ())]
            others = max((_next(path.name) for path in there), default=_BEFORE)
        path = parent / f"{max(datetime.now(UTC).replace(tzinfo=None), others).strftime(_STAMP)}{suffix}"
        try:
            path.mkdir()
        except FileExistsError:  # another process was faster
            continue
        except OSError as error:
            raise storage_error("make", path, error) from None
        return path


def _next(name: str) -> datetime:
    """Return the second after the one that the name of a folder begins with; long ago where it begins with none."""
    try:
        return datetime.strptime(name[:_STAMP_LENGTH], _STAMP) + timedelta(seconds=1)
    except (ValueError, OverflowError):
        return _BEFORE
