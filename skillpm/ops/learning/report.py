"""``skillpm report``: a stored evaluation read again: its figures, and its page, without a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from skillpm.errors import DocumentError, UsageError
from skillpm.evals.curves import learning_curves
from skillpm.evals.report import ReportData, Setting
from skillpm.evals.stored_records import read_stored
from skillpm.formats.document import read_model
from skillpm.model.evaluation import Evaluation
from skillpm.model.run import RunManifest
from skillpm.ops.learning.runs import find_run
from skillpm.settings import Settings
from skillpm.synth.profile import Profile, SkillProfile, SplitProfile
from skillpm.train.metrics import read_metrics
from skillpm.train.run_folder import DATA_PROFILE, EVALUATION, INPUTS, MANIFEST, RECIPE, RunFolder


@dataclass(frozen=True, slots=True)
class StoredEvaluation:
    """An evaluation, its file, and the run that it is of, or None."""

    evaluation: Evaluation
    path: Path
    run: RunFolder | None

    @property
    def report(self) -> ReportData:
        """What its page shows."""
        return model_report(self.evaluation) if self.run is None else run_report(self.run, self.evaluation)


def stored_evaluation(settings: Settings, target: Path) -> StoredEvaluation:
    """Read the evaluation that a person means.

    The target is a file, the output of an evaluation, or a run: of its evaluations the one that cards show.

    Raises:
        UsageError: there is none.
        DocumentError: it is not an evaluation.
    """
    path = find_run(settings, target)
    file = path if path.is_file() else _file_in(path)
    return StoredEvaluation(read_evaluation(file), file, _run_of(file))


def read_evaluation(path: Path) -> Evaluation:
    """Read an evaluation from its file, or from the folder that holds evaluation.json.

    Raises:
        UsageError: there is none.
        DocumentError: it is not an evaluation.
    """
    file, way = path / EVALUATION if path.is_dir() else path, "`skillpm eval SKILL --model M --output DIR`"
    if not file.is_file():
        raise UsageError(f"no evaluation at {file}", hint=f"write one with {way}")
    try:
        return read_stored(file)
    except DocumentError as error:
        error.hint = error.hint or f"name a file as {way} writes it, DIR/{EVALUATION}"
        raise


def _file_in(folder: Path) -> Path:
    """Return the file of the evaluation that a folder stands for."""
    if not folder.is_dir() or (folder / EVALUATION).is_file():
        return folder / EVALUATION
    if (shown := RunFolder(folder).shown_evaluation) is not None:
        return shown
    files = sorted(folder.glob(f"evals/*/{EVALUATION}"))
    if files:
        return files[-1]
    is_run = (folder / MANIFEST).is_file()
    hint = f"run `skillpm eval --run {quote(str(folder))}`" if is_run else "name a folder that `skillpm eval -o` wrote"
    raise UsageError(f"no evaluation in {folder}", hint=hint)


def _run_of(file: Path) -> RunFolder | None:
    """Return the finished run in whose folder evals an evaluation is."""
    parents = file.resolve().parents
    folder = next((path.parent for path in list(parents)[:2] if path.name == "evals"), None)
    return RunFolder(folder) if folder is not None and (folder / MANIFEST).is_file() else None


def model_report(evaluation: Evaluation) -> ReportData:
    """Return the report of a base model."""
    model = evaluation.arms[0].model if evaluation.arms else "no model"
    return ReportData(f"{model} on {', '.join(skill.name for skill in evaluation.skills)}", evaluation)


def run_report(folder: RunFolder, evaluation: Evaluation) -> ReportData:
    """Return the report of a run: its inputs, its learning curves and its data stand beside the figures."""
    manifest = folder.manifest
    return ReportData(
        title=f"{manifest.name}: {', '.join(skill.name for skill in manifest.skills)}",
        evaluation=evaluation,
        settings=tuple(_settings(folder, manifest)),
        curves=learning_curves(read_metrics(folder.path)),
        profile=_profile(folder),
        recipe=folder.text(RECIPE),
    )


def _settings(folder: RunFolder, manifest: RunManifest) -> list[Setting]:
    return [
        Setting("run", folder.path.resolve().name),
        Setting("created", manifest.created),
        Setting("seed", str(manifest.seed)),
        *(Setting(f"stage {stage.name}", f"{stage.steps} steps, {stage.seconds:.0f} s") for stage in manifest.stages),
        *(Setting(name, manifest.files[name]) for name in ("skillpm.lock", *INPUTS) if name in manifest.files),
    ]


def _profile(folder: RunFolder) -> dict[str, tuple[Setting, ...]]:
    text = folder.text(DATA_PROFILE)
    if not text:
        return {}
    profile = read_model(Profile, text, path=str(folder.path / DATA_PROFILE))
    return {name: tuple(_skill_lines(skill)) for name, skill in profile.skills.items()}


def _skill_lines(skill: SkillProfile) -> list[Setting]:
    held_out = [f"{name} {pool.held_out:,}" for name, pool in skill.pools.items() if pool.held_out and not pool.shared]
    lines = [
        Setting("training", _split(skill.train)),
        Setting("held out", _split(skill.held_out)),
        Setting("held-out values", ", ".join(held_out) or "none"),
    ]
    if skill.phrasings:
        learned, unseen = (sum(counts[side] for counts in skill.phrasings.values()) for side in (0, 1))
        lines.append(Setting("phrasings", f"{learned:,} to learn from, {unseen:,} held out"))
    reasons = {**skill.held_out.rejected, **skill.train.rejected}
    lines += [Setting("thrown away", f"{reason}: {count:,}") for reason, count in list(reasons.items())[:4]]
    return [*lines, *(Setting("note", note) for note in skill.sentences())]


def _split(split: SplitProfile) -> str:
    middle = split.request_characters.p50
    return f"{split.rows:,} rows, {split.distinct_targets:,} distinct answers, requests of {middle} characters (median)"
