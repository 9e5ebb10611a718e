"""The files of a model's folder, and their digest, which covers all that the model is loaded from. No torch here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.formats.strict import json_object
from skillpm.storage.files import DiskErrors, file_sha256

_COVERED = frozenset({".json", ".safetensors", ".bin", ".jinja", ".model", ".tiktoken"})
_VOCABULARIES = frozenset({"vocab.txt", "merges.txt", "vocab.bpe"})  # other texts are for people
_NAMED = "transformers_weights"  # of config.json: weights under a name of their own


def model_digest(source: Path | str) -> str | None:
    """Return a digest over the configuration and the weights of a model or an adapter; None for a hub id.

    Raises:
        UsageError: the model has weights that do not lie in its folder.
        StorageError: a file cannot be read.
    """
    folder = Path(source)
    if not folder.is_dir():
        return None
    check_weight_files(folder)
    digest = hashlib.sha256()
    with DiskErrors("read", folder):
        for path in sorted(folder.iterdir()):
            if path.is_file() and (path.suffix in _COVERED or path.name in _VOCABULARIES):
                digest.update(f"{file_sha256(path)}  {path.name}\n".encode())
    return digest.hexdigest()


def check_weight_files(folder: Path) -> None:
    """Raise UsageError where an index or config.json names weights that the digest of the folder does not cover.

    A link in the folder is covered: its target is what is read.
    """
    for file, name in _named_files(folder):
        if "/" in name or Path(name).suffix not in _COVERED:
            raise UsageError(
                f"{file} names the weights `{name[:200]}`, which the digest of the model's folder does not cover",
                hint=f"copy them into {folder}, and name them in {file.name} without a folder",
            )


def _named_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of weights that are named, each with the file that names it. Damaged files name none."""
    for index in sorted(folder.glob("*.index.json")):
        shards = json_object(index).get("weight_map")
        names = set(shards.values()) if isinstance(shards, dict) else set()
        yield from ((index, name) for name in sorted(names) if isinstance(name, str))
    name = json_object(folder / "config.json").get(_NAMED)
    if isinstance(name, str):
        yield folder / "config.json", name
