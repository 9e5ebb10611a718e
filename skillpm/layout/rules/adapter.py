"""SK43: a package of a trained adapter. It holds data alone, and exactly what was packed, for one base model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from skillpm.errors import DocumentError
from skillpm.formats.strict import json_object
from skillpm.formats.utf8_text import utf8_text
from skillpm.layout.filenames import ADAPTER, CALIBRATION, CONFIGURATION
from skillpm.layout.rule import RuleSet
from skillpm.layout.subject import Subject
from skillpm.layout.tree import Tree, UnreadableFileError, file_digest, file_size
from skillpm.model.finding import Problem

if TYPE_CHECKING:
    from skillpm.formats.document import Document
    from skillpm.model.adapter import AdapterRelease

Model = TypeVar("Model", bound="Document")

OWN = frozenset({"SKILL.md", "skill.yaml", ADAPTER})  # of the package; adapter.json names all others
_DATA = OWN | {
    "README.md", "recipe.yaml", "answers.jsonl", CALIBRATION, CONFIGURATION, "chat_template_kwargs.json", "config.json",
    "generation_config.json", "model.safetensors.index.json",
}  # fmt: skip
_CODE = frozenset({"auto_map", "auto_mapping", "megatron_config"})  # peft and transformers import what these name
_KERNEL = re.compile(r"_implementation(_internal)?\Z")  # of attention and experts: a name with `/` is code on a hub
_PATTERNS = frozenset({"layer_replication", "layers_pattern", "rank_pattern", "alpha_pattern"})
_MODULE = re.compile(r"[A-Za-z0-9_.]{1,200}")
_MOST_RANK = 1024
_MOST_ALPHA = 100_000
ANSWERS = 20
_LONGEST = 1 << 20  # bytes of all recorded answers
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
        found = _digest(subject.tree, path) if path in subject.files else "missing"
        expected = release.files.get(path, "no such file")
        if path not in _DATA and (not path.endswith(".safetensors") or "/" in path):
            yield Problem("an adapter has safetensors, their configuration and texts only", path=path, hint=_AGAIN)
        elif path in subject.weights and not _is_safetensors(subject.tree, path):
            yield Problem("is not safetensors", path=path, hint=_AGAIN)
        elif found != expected:
            yield Problem(f"has changed: its SHA-256 is {found}, adapter.json has {expected}", path=path, hint=_AGAIN)
    yield from _configured(subject, release)
    if release.recipe != release.files.get("recipe.yaml"):
        yield Problem("`recipe` is not the digest that `files` has of recipe.yaml", path=ADAPTER, hint=_AGAIN)
    if "answers.jsonl" in subject.files and not _are_few_answers(subject.tree):
        yield Problem(f"holds more than {ANSWERS} answers, or long ones", path="answers.jsonl", hint=_AGAIN)
    if CALIBRATION in subject.files and (problem := _miscalibrated(subject.tree, release)):
        yield Problem(problem, path=CALIBRATION, hint=_AGAIN)


def _configured(subject: Subject, release: AdapterRelease) -> Iterator[Problem]:
    """Yield what is wrong with the configurations: code that they name, another type or another base model."""
    configurations = {
        path: _configuration(subject.tree, path) for path in (CONFIGURATION, "config.json") if path in subject.files
    }
    for path, configuration in configurations.items():
        named = _CODE & {key for key, value in configuration.items() if value}
        for name in sorted(named | kernel_names(configuration)):
            yield Problem(f"`{name}` names code to be imported", path=path, hint=_AGAIN)
    required = set(subject.required)
    taught = {skill.name for skill in release.skills}
    if required != taught:
        names = ", ".join(sorted(required ^ taught))
        yield Problem(
            f"`requires` and the skills of adapter.json differ: {names[:200]}", path="skill.yaml", hint=_AGAIN
        )
    bases = {"skill.yaml": str(subject.adapter)}
    if release.kind == "adapter":
        configuration = configurations.get(CONFIGURATION, {})
        bases[CONFIGURATION] = str(configuration.get("base_model_name_or_path"))
        for problem in _lora_problems(configuration):
            yield Problem(problem, path=CONFIGURATION, hint=_AGAIN)
    elif CONFIGURATION in configurations:
        yield Problem("belongs to an adapter, and this is a whole model", path=CONFIGURATION, hint=_AGAIN)
    for path, base in bases.items():
        if base != release.base_model:
            message = f"is of the base model {base[:200]}, adapter.json of {release.base_model[:200]}"
            yield Problem(message, path=path, hint=_AGAIN)


def kernel_names(configuration: Any) -> set[str]:
    """Return the keys of a model's configuration, at any depth, under which a kernel on a hub is named: code."""
    names, waiting = set(), [("", configuration)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(key if _KERNEL.search(key) else str(name), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(key, inner) for inner in value]
        elif isinstance(value, str) and "/" in value and _KERNEL.search(key):
            names.add(key)
    return names


def _lora_problems(configuration: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a LoRA adapter that training writes does not have: patterns, which cost time, and sizes beyond use."""
    if configuration.get("peft_type") != "LORA":
        yield "is not of the type LORA"
    for name in sorted(_PATTERNS & {key for key, value in configuration.items() if value}):
        yield f"`{name}` is not taken"
    modules = configuration.get("target_modules")
    names = modules if isinstance(modules, list) else [None]
    if modules != "all-linear" and not all(isinstance(name, str) and _MODULE.fullmatch(name) for name in names):
        yield "`target_modules` is not a list of names"
    rank, alpha = configuration.get("r", 8), configuration.get("lora_alpha", 8)
    if type(rank) is not int or not 1 <= rank <= _MOST_RANK:
        yield f"`r` is not a whole number from 1 to {_MOST_RANK}"
    if type(alpha) not in (int, float) or not 0 < alpha <= _MOST_ALPHA:
        yield f"`lora_alpha` is not a number above 0, at most {_MOST_ALPHA}"


def _are_few_answers(tree: Tree) -> bool:
    """Are there as many recorded answers as packing writes, at most?"""
    try:
        text = tree.head("answers.jsonl", _LONGEST + 1)
    except UnreadableFileError:
        return False
    return len(text) <= _LONGEST and text.count(b"\n") <= ANSWERS


def _release(tree: Tree) -> AdapterRelease | str:
    """Return adapter.json, or what is wrong with it."""
    from skillpm.model.adapter import AdapterRelease

    if ADAPTER not in tree.paths():
        return "is missing, and skill.yaml says that this is an adapter"
    return _document(AdapterRelease, tree, ADAPTER)


def _miscalibrated(tree: Tree, release: AdapterRelease) -> str:
    """Return what is wrong with the thresholds of confidence: their form, or that they follow from other weights."""
    from skillpm.model.adapter import weights_digest
    from skillpm.model.calibration import Calibration

    calibration = _document(Calibration, tree, CALIBRATION)
    if isinstance(calibration, str):
        return calibration
    return "" if calibration.adapter == weights_digest(release.files) else "has the thresholds of other weights"


def _document(model: type[Model], tree: Tree, path: str) -> Model | str:
    from skillpm.formats.document import read_model

    try:
        return read_model(model, utf8_text(tree.read(path)), path=path)
    except DocumentError as error:
        return error.rule
    except UnreadableFileError as error:
        return str(error)


def _configuration(tree: Tree, path: str) -> dict[str, Any]:
    """Return the configuration of an adapter or a model; empty where it cannot be read."""
    with suppress(UnreadableFileError):
        return json_object(tree.read(path))
    return {}


def _digest(tree: Tree, path: str) -> str:
    try:
        return file_digest(tree, path)
    except UnreadableFileError:
        return "missing"


def _is_safetensors(tree: Tree, path: str) -> bool:
    """Is a file the length of a header in 8 bytes, a JSON object of tensors, and their data to the last byte?"""
    try:
        size = int.from_bytes(tree.head(path, 8), "little")
        header = json.loads(tree.head(path, 8 + size)[8:]) if size <= _HEADER - 8 else None
    except (UnreadableFileError, ValueError, RecursionError):
        return False
    tensors = [value for key, value in header.items() if key != "__metadata__"] if isinstance(header, dict) else []
    ends = [_end_of(value) for value in tensors]
    return bool(ends) and None not in ends and file_size(tree, path) == 8 + size + max(end or 0 for end in ends)


def _end_of(tensor: Any) -> int | None:
    """Return where the data of a tensor ends, counted from the end of the header; None if it does not say."""
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    is_pair = isinstance(offsets, list) and len(offsets) == 2 and all(type(offset) is int for offset in offsets)
    return offsets[1] if offsets and is_pair and 0 <= offsets[0] <= offsets[1] else None
