"""Adapters as packages: packed out of a run like a skill, checked where they arrive, and asked again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from skillpm.errors import IntegrityError, UsageError
from skillpm.formats.document import read_json_lines, read_model, typed_values
from skillpm.formats.typed_path import typed_path
from skillpm.formats.yaml_text import yaml_text
from skillpm.layout.check import examine
from skillpm.layout.filenames import ADAPTER, CALIBRATION, CONFIGURATION
from skillpm.layout.rule import Level
from skillpm.layout.rules.adapter import OWN, RULES
from skillpm.layout.subject import Subject
from skillpm.layout.tree import FolderTree
from skillpm.model.adapter import AdapterRelease, RecordedAnswer, TaughtSkill, weights_digest
from skillpm.model.calibration import Calibration
from skillpm.model.lock import Lock
from skillpm.model.name import parse_name
from skillpm.model.progress import NO_PROGRESS, Progress
from skillpm.model.requirement import parse_version
from skillpm.model.run import RunManifest
from skillpm.model.suite import HELD_OUT
from skillpm.ops.context import Context
from skillpm.ops.learning.models import PolicyRequest, check_base, load_policy
from skillpm.ops.learning.report import read_evaluation
from skillpm.ops.learning.runs import stored_adapter
from skillpm.ops.learning.synth import read_tasks
from skillpm.settings import Settings
from skillpm.storage.files import file_sha256, read_text, write_atomic
from skillpm.storage.whole_folder import whole_folder
from skillpm.train.base_model import KNOWN_MODELS, adapter_name, known_name, locate_model, portable_name
from skillpm.train.model_files import model_digest
from skillpm.train.run_folder import MANIFEST, RECIPE, ROWS, RunFolder

ANSWERS = "answers.jsonl"
_RECORDED = 20  # answers
_ALIKE = 0.8  # of them must come again: another processor rounds otherwise, and an answer near to a tie may flip


@dataclass(frozen=True, slots=True)
class PackedAdapter:
    """A packed adapter, and the name and the version of its package."""

    name: str
    version: str
    release: AdapterRelease


@dataclass(frozen=True, slots=True)
class CheckedAdapter:
    """A packed adapter whose files are those that it names.

    Attributes:
        outdated: of each skill that is installed with another content: the version that was learned, the one here.
        base_compared: is the digest of the base model in adapter.json that of a model that this machine knows?
        calibration: its thresholds of confidence, where it has some.
    """

    release: AdapterRelease
    outdated: dict[str, tuple[str, str]]
    base_compared: bool
    calibration: Calibration | None = None


def pack_adapter(run: Path, output: Path, name: str = "", version: str = "1.0.0") -> PackedAdapter:
    """Write the adapter of a finished run as a package that names no path of this machine.

    By default its name is ``SKILL-MODEL``, of the one skill that it was trained on.

    Raises:
        UsageError: there is no such run, it is unfinished, the output exists, or the name or the version is none.
        IntegrityError: a file of the run is not the one that it was finished with.
    """
    folder = RunFolder.open(run)
    manifest, adapter = folder.manifest, folder.saved_adapter()
    name, version = parse_name(name) if name else _package_name(manifest), str(parse_version(version))
    for path in _files(adapter):
        found, expected = file_sha256(path), manifest.files.get(path.relative_to(run).as_posix())
        if found != expected:
            raise IntegrityError(
                f"{path} has changed: its SHA-256 is {found}, expected {expected or 'no such file'}", hint="train again"
            )
    with whole_folder(output) as target:
        for path in _files(adapter):
            shutil.copyfile(path, target / path.name)
        write_atomic(target / RECIPE, _portable_recipe(folder, manifest))
        shown = folder.shown_evaluation
        if shown is not None and shown.with_name(CALIBRATION).is_file():
            shutil.copyfile(shown.with_name(CALIBRATION), target / CALIBRATION)
        write_atomic(target / ANSWERS, "".join(f"{row.model_dump_json()}\n" for row in _recorded(folder, manifest)))
        release = _release(manifest, {path.name: file_sha256(path) for path in _files(target)})
        write_atomic(target / ADAPTER, release.model_dump_json(indent=2, exclude_none=True) + "\n")
        for file, text in _package_files(name, version, release).items():
            write_atomic(target / file, text)
    return PackedAdapter(name, version, release)


_LIST = "run `skillpm list` to see what is installed"


def find_packed(context: Context, text: str) -> Path:
    """Return the folder of a packed adapter that a person names: an installed one, or one in a folder.

    Raises:
        UsageError: there is none, or an installed skill has this name.
        LockOutOfDateError: the adapter is not in the store.
    """
    entry = context.lock().skill(text)
    if entry is None:
        folder = typed_path(text)
        if not folder.is_dir():
            raise UsageError(f"no adapter `{text[:200]}` is installed, and no folder has this name", hint=_LIST)
        return folder
    if not entry.adapter:
        raise UsageError(
            f"{entry.name} {entry.version} is a skill, not an adapter",
            hint=f"`skillpm verify` checks installed skills; write `./{entry.name}` if you mean a folder",
        )
    return stored_adapter(context.store, entry)


def check_adapter(context: Context, folder: Path, base: str = "") -> CheckedAdapter:
    """Compare a packed adapter with what it says of itself, with the skills that are installed here, and its base.

    ``base`` is the base model as this machine knows it. Without it, only one of the known models can be compared.

    Raises:
        UsageError: the folder has no packed adapter.
        DocumentError: adapter.json is wrong.
        IntegrityError: a file is missing, changed or not named, or adapter.json has the digest of another base model.
    """
    release = read_release(folder)
    compared = _base_digest_is_right(context.settings, release, base)
    subject = Subject(FolderTree(folder), None)
    if subject.adapter is None:
        raise IntegrityError(f"{folder}: skill.yaml does not say that this is an adapter", hint=_AGAIN)
    report = examine(subject, RULES, path=str(folder), level=Level.LENIENT)
    for finding in report.errors:
        raise IntegrityError(f"{folder / finding.path} {finding.message}", hint=_AGAIN)
    file = folder / CALIBRATION
    calibration = read_model(Calibration, read_text(file), path=str(file)) if file.is_file() else None
    return CheckedAdapter(release, _outdated(release, context.lock()), compared, calibration)


_AGAIN = "do not use it; fetch it again, or train again"


def _base_digest_is_right(settings: Settings, release: AdapterRelease, base: str) -> bool:
    """Compare the digest of the base model in adapter.json with the known model's, and with that of ``base``.

    Returns False where there is neither. A known model has the name of one on the hub, which has a revision in the
    place of a digest.

    Raises:
        UsageError: there is no such model here.
        IntegrityError: the digests differ.
    """
    known = KNOWN_MODELS.get(known_name(release.base_model)) if release.base_revision is None else None
    if known is not None and release.base_digest != known.sha256:
        raise IntegrityError(
            f"{ADAPTER} says that the digest of {release.base_model} is {release.base_digest or 'none'}, "
            f"and it is {known.sha256}",
            hint=_AGAIN,
        )
    source = locate_model(base, settings.models) if base else None
    here = model_digest(source) if isinstance(source, Path) else None
    check_base(release.base_digest, base, here)
    return known is not None or here is not None


def read_release(folder: Path) -> AdapterRelease:
    """Return adapter.json of a packed adapter. Raises UsageError where it is missing, DocumentError if it is wrong."""
    path = folder / ADAPTER
    if not path.is_file():
        raise UsageError(
            f"there is no {ADAPTER} in {folder}, so it is not a packed adapter",
            hint="make one with `skillpm adapter pack RUN --output DIR`",
        )
    return read_model(AdapterRelease, read_text(path), path=str(path))


def adapter_digest(adapter: Path) -> str:
    """Return the digest of the weights in an adapter's folder."""
    return weights_digest({path.name: file_sha256(path) for path in adapter.glob("*.safetensors")})


def lag(release: AdapterRelease, lock: Lock) -> str:
    """Return how the installed skills differ from those that an adapter was trained on; empty if they do not."""
    return "; ".join(
        f"trained on {name} {learned}, the skill is {here}"
        if learned != here
        else f"trained on other content of {name} {learned}"
        for name, (learned, here) in _outdated(release, lock).items()
    )


def _outdated(release: AdapterRelease, lock: Lock) -> dict[str, tuple[str, str]]:
    installed = {skill.name: skill for skill in lock.skills}
    return {
        skill.name: (skill.version, installed[skill.name].version)
        for skill in release.skills
        if skill.name in installed and installed[skill.name].tree != skill.tree
    }


def replay(
    context: Context, folder: Path, release: AdapterRelease, base: str = "", progress: Progress = NO_PROGRESS
) -> str:
    """Ask the base model with the adapter what was recorded, if that can be done here, and say what came of it.

    ``base`` is the base model as this machine knows it; by default the one that is prepared under its name.

    Raises:
        IntegrityError: the base model has another content, or the answers are others.
    """
    base = base or known_name(release.base_model)
    rows = [row for _, row in read_json_lines(RecordedAnswer, read_text(folder / ANSWERS), path=ANSWERS)]
    known = base in KNOWN_MODELS or Path(base).is_dir()
    source = locate_model(base, context.settings.models) if known else None
    if not rows or not isinstance(source, Path) or find_spec("torch") is None:
        reason = f"{base} is not prepared here" if rows else "the adapter has none"
        reason = "torch is not installed" if rows and isinstance(source, Path) else reason
        return f"the recorded answers were not replayed: {reason}"
    dtype = "float32" if rows[0].dtype == "float32" else "auto"  # bfloat16 without units for it is slow
    policy = load_policy(PolicyRequest(base, folder, len(rows), dtype, template=rows[0].template), context)
    check_base(release.base_digest, base, model_digest(source))
    most = max(row.max_new_tokens for row in rows)
    progress.start("asking recorded answers again", len(rows))
    alike = 0
    for place, answer in policy.complete([row.prompt for row in rows], max_new_tokens=most):
        alike += answer.text == rows[place].answer
        progress.advance()
    progress.finish()
    told = f"{alike} of {len(rows)} recorded answers came again"
    if alike < _ALIKE * len(rows):
        raise IntegrityError(
            f"only {told} from the adapter of {base} for {_taught(release)}",
            hint="the weights are not those that were evaluated; do not use it",
        )
    return told


def trained_base(adapter: Path) -> str | None:
    """Return the digest of the base model that an adapter, packed or of a run, was trained on; None if nothing says it.

    Raises:
        DocumentError: adapter.json or the manifest of the run is wrong.
    """
    if (adapter / ADAPTER).is_file():
        return read_release(adapter).base_digest
    run = run_of(adapter)
    return None if run is None else run.manifest.model_digest


def run_of(adapter: Path) -> RunFolder | None:
    """Return the finished run in which an adapter lies, the last one or that of a stage; None where there is none."""
    runs = (folder for folder in list(adapter.parents)[:3] if (folder / RECIPE).is_file())  # others have manifests, too
    return next((RunFolder(folder) for folder in runs if (folder / MANIFEST).is_file()), None)


def _package_name(manifest: RunManifest) -> str:
    if len(manifest.skills) != 1:
        names = ", ".join(skill.name for skill in manifest.skills)
        raise UsageError(f"the run trained several skills: {names}", hint="name the package with `--name NAME`")
    return parse_name(adapter_name(manifest.skills[0].name, manifest.base_model or manifest.model)).rpartition("/")[2]


def _package_files(name: str, version: str, release: AdapterRelease) -> dict[str, str]:
    """Return what makes a package of an adapter: a description for people, and the manifest for registries."""
    description = f"Trained {release.kind} of {release.base_model}: answers requests for {_taught(release)}."
    requires = "".join(f'  {skill.name}: ""\n' for skill in release.skills)
    head = f"---\nname: {name}\ndescription: {json.dumps(description)}\n---\n"
    return {
        "SKILL.md": f"{head}\nNo text for an agent: `skillpm run` loads the weights. README.md is their card.\n",
        "skill.yaml": f"manifest: 1\nversion: {version}\nadapter: {json.dumps(release.base_model)}\n"
        f"requires:\n{requires}",
    }


def _taught(release: AdapterRelease) -> str:
    return ", ".join(f"{skill.name} {skill.version}" for skill in release.skills)


def _recorded(folder: RunFolder, manifest: RunManifest) -> Iterator[RecordedAnswer]:
    """Yield answers of the last stage to held-out rows, from the evaluation that the card shows.

    Answers in another form than ours were read into it, so they would not come again, and none is recorded.
    """
    shown, rows = folder.shown_evaluation, folder.path / ROWS[HELD_OUT]
    if shown is None or not rows.is_file():
        return
    arm = read_evaluation(shown).arm(manifest.last)
    settings = arm.settings if arm else {}
    if arm is None or "answer_form" in settings:
        return
    template, dtype = settings.get("template_arguments"), settings.get("dtype")
    prompts = {task.key: task.prompt for task in read_tasks(rows)}
    records = (item for item in arm.records if item.suite == HELD_OUT and item.task in prompts)
    for record in islice(records, _RECORDED):
        yield RecordedAnswer(
            prompt=prompts[record.task],
            answer=record.completion,
            max_new_tokens=int(str(settings.get("max_new_tokens", 128))),
            template=template if isinstance(template, dict) else None,
            dtype=dtype if dtype in ("float32", "bfloat16") else None,
        )


def _release(manifest: RunManifest, files: dict[str, str]) -> AdapterRelease:
    shown, last = manifest.shown_evaluation, manifest.last
    return AdapterRelease(
        name=manifest.name,
        created=manifest.created,
        kind="adapter" if CONFIGURATION in files else "model",
        base_model=manifest.base_model or portable_name(manifest.model),
        base_revision=manifest.base_revision,
        base_digest=manifest.model_digest,
        skills=tuple(TaughtSkill(name=item.name, version=item.version, tree=item.tree) for item in manifest.skills),
        data={split: manifest.files[name] for split, name in ROWS.items()},
        recipe=files[RECIPE],
        rows=manifest.rows,
        stages=manifest.stages,
        versions=manifest.versions,
        evaluation=tuple(figure for figure in shown.figures if figure.arm in (last, "base")) if shown else (),
        files=files,
    )


def _portable_recipe(folder: RunFolder, manifest: RunManifest) -> str:
    """Return the recipe with names in the place of the paths of models, adapters and skills."""
    recipe = typed_values(folder.recipe)
    recipe |= {"model": portable_name(manifest.model), "skills": [skill.name for skill in manifest.skills]}
    if recipe.get("adapter"):
        recipe["adapter"] = Path(str(recipe["adapter"])).name
    data = recipe.get("data") or {}
    data |= {name: Path(str(data[name])).name for name in ("failures", "rules") if data.get(name)}
    if data.get("rephrase"):
        address, _, served = str(data["rephrase"]["model"]).partition("#")
        data["rephrase"]["model"] = served or portable_name(address)
    return yaml_text(recipe)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in OWN)
