"""Write what was trained as one model, for programs that take no adapters."""

from __future__ import annotations

import tempfile
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.formats.typed_path import typed_path
from skillpm.ops.context import Context
from skillpm.ops.learning.adapter import trained_base
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.models import check_base, ready_model, torch_module
from skillpm.ops.learning.runs import LATEST, find_run
from skillpm.storage.files import DiskErrors
from skillpm.storage.whole_folder import whole_folder
from skillpm.train.base_model import KNOWN_MODELS, portable_name
from skillpm.train.model_files import model_digest
from skillpm.train.run_folder import MANIFEST, RunFolder


def merge_model(context: Context, source: str, output: Path, dtype: str) -> None:
    """Write the model of a finished run or of an adapter, which is merged in, and its tokenizer.

    Args:
        context: knows where models and runs are.
        source: an adapter as ``Answerer.of_adapter`` reads it, else a run.
        output: the new folder.
        dtype: float32 or bfloat16.

    Raises:
        UsageError: there is no such run or adapter, it is unfinished, or the output exists.
        IntegrityError: the base model has changed since.
        TrainingError: torch and its companions are not installed, or the merged model answers otherwise.
    """
    trained = Answerer.of_adapter(context, source, "")
    if trained is None:
        trained = Answerer.of_run(find_run(context.settings, typed_path(source)))
    where = _base_model(context, trained)
    with whole_folder(output) as target:
        torch_module("merge", "merged").merge_adapter(where, trained.adapter, target, dtype)


def export_model(context: Context, source: str, output: Path, file_type: str) -> None:
    """Write a model, or that of a finished run or an adapter, which is merged in, as one GGUF file.

    Args:
        context: knows where models and runs are.
        source: an adapter as ``Answerer.of_adapter`` reads it, else a run, else a model.
        output: the new file.
        file_type: f32, f16, bf16 or q8_0.

    Raises:
        UsageError: there is no such run or model, it cannot be written as GGUF, or the output exists.
        IntegrityError: the base model has changed since.
        TrainingError: torch and its companions are not installed, or the file answers differently from the model.
    """
    answerer = Answerer.of_adapter(context, source, "") or _run(context, source) or Answerer(source)
    run = answerer.run
    name = output.stem if run is None else f"{RunFolder(run).manifest.name} {portable_name(answerer.model)}"
    if output.exists():
        raise UsageError(f"{output} exists already", hint="choose another `--output`, or move it")
    where = _base_model(context, answerer)
    with DiskErrors("write", output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as work:
            file = Path(work) / output.name
            torch_module("merge", "exported").export_gguf(where, answerer.adapter, file, name, file_type)
            file.replace(output)


def _base_model(context: Context, answerer: Answerer) -> Path | str:
    """Return the folder or hub id of the base model, whose bytes are those that the adapter was trained on."""
    where = ready_model(answerer.model, context.settings)
    if answerer.adapter is not None:
        check_base(trained_base(answerer.adapter), answerer.model, model_digest(where))
    return where


def _run(context: Context, source: str) -> Answerer | None:
    """Return the model of the run that a word stands for; None where it stands for a model."""
    path, runs = typed_path(source), context.settings.runs
    if source in KNOWN_MODELS or (path / "config.json").is_file():
        return None
    is_run = source == LATEST or (path / MANIFEST).is_file() or (runs / source).is_dir()
    return Answerer.of_run(find_run(context.settings, path)) if is_run else None
