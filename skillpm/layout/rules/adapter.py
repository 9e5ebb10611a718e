"""SK43: a package of a trained adapter. It holds data alone, and exactly what was packed, for one base model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from skillpm.errors import DocumentError
from skillpm.layout.filenames import ADAPTER
from skillpm.layout.rule import RuleSet
from skillpm.layout.subject import Subject
from skillpm.layout.tree import Tree, UnreadableFileError
from skillpm.model.finding import Problem

if TYPE_CHECKING:
    from skillpm.model.adapter import AdapterRelease

OWN = frozenset({"SKILL.md", "skill.yaml", ADAPTER})  # of the package; adapter.json names all others
CONFIGURATION = "adapter_config.json"
_DATA = OWN | {
    "README.md", "recipe.yaml", "answers.jsonl", CONFIGURATION, "chat_template_kwargs.json", "config.json",
    "generation_config.json", "model.safetensors.index.json",
}  # fmt: skip
_CODE = frozenset({"auto_map", "auto_mapping", "megatron_config"})  # peft and transformers import what these name
_HEADER = 4 << 20  # bytes of the header of a safetensors file
_AGAIN = "pack it again with `skillpm adapter pack`; if it came from a registry, do not use it"

RULES = RuleSet()


@RULES.install_error(
    "SK430",
    "adapter that is not whole",
    why="Weights are loaded into a model: nothing beside them may run, and none of them may be exchanged.",
)
def broken_adapter(subject: Subject) -> Iterator[Problem]:
    """Other files than data, weights that are not safetensors, and what adapter.json does not name as it is."""
    if subject.adapter is None:
        return
    release = _release(subject.tree)
    if isinstance(release, str):
        yield Problem(release, path=ADAPTER, hint=_AGAIN)
        return
    for path in sorted((subject.files | release.files.keys()) - OWN):
        found, expected = _digest(subject.tree, path), release.files.get(path, "no such file")
        if path not in _DATA and (not path.endswith(".safetensors") or "/" in path):
            yield Problem("an adapter has safetensors, their configuration and texts only", path=path, hint=_AGAIN)
        elif path in subject.weights and not _is_safetensors(subject.tree, path):
            yield Problem("is not safetensors", path=path, hint=_AGAIN)
        elif found != expected:
            yield Problem(f"has changed: its SHA-256 is {found}, adapter.json has {expected}", path=path, hint=_AGAIN)
    place = CONFIGURATION if release.kind == "adapter" else "config.json"
    configuration = _configuration(subject.tree, place)
    for name in sorted(_CODE & {key for key, value in configuration.items() if value}):
        yield Problem(f"`{name}` names code to be imported", path=place, hint=_AGAIN)
    bases = {"skill.yaml": subject.adapter}
    if release.kind == "adapter":
        bases[place] = str(configuration.get("base_model_name_or_path"))
        if configuration.get("peft_type") != "LORA":
            yield Problem("is not of the type LORA", path=place, hint=_AGAIN)
    for path, base in bases.items():
        if base != release.base_model:
            message = f"is of the base model {base[:200]}, adapter.json of {release.base_model[:200]}"
            yield Problem(message, path=path, hint=_AGAIN)


def _release(tree: Tree) -> AdapterRelease | str:
    """Return adapter.json, or what is wrong with it."""
    from skillpm.formats.document import read_model
    from skillpm.model.adapter import AdapterRelease

    if ADAPTER not in tree.paths():
        return "is missing, and skill.yaml says that this is an adapter"
    try:
        return read_model(AdapterRelease, tree.read(ADAPTER).decode("utf-8"), path=ADAPTER)
    except DocumentError as error:
        return error.rule
    except UnicodeDecodeError:
        return "not UTF-8"


def _configuration(tree: Tree, path: str) -> dict[str, Any]:
    """Return the configuration of an adapter or a model; empty where it cannot be read."""
    try:
        configuration = json.loads(tree.read(path))
    except (UnreadableFileError, ValueError, RecursionError):
        return {}
    return configuration if isinstance(configuration, dict) else {}


def _digest(tree: Tree, path: str) -> str:
    try:
        return hashlib.sha256(tree.read(path)).hexdigest()
    except UnreadableFileError:
        return "missing"


def _is_safetensors(tree: Tree, path: str) -> bool:
    """Does a file begin with the header of safetensors: its length in 8 bytes, then a JSON object of tensors?"""
    try:
        head = tree.head(path, _HEADER)
        size = int.from_bytes(head[:8], "little")
        header = json.loads(head[8 : 8 + size]) if size <= _HEADER - 8 else None
    except (UnreadableFileError, ValueError, RecursionError):
        return False
    tensors = [value for key, value in header.items() if key != "__metadata__"] if isinstance(header, dict) else []
    return bool(tensors) and all(isinstance(value, dict) and "data_offsets" in value for value in tensors)
