"""What a run folder tells a report: settings, learning curves, the data profile, the recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skillpm.evals.curves import learning_curves
from skillpm.evals.report import ReportData, Setting
from skillpm.formats.document import read_model
from skillpm.model.evaluation import Evaluation
from skillpm.model.run import RunManifest
from skillpm.storage.files import read_text
from skillpm.synth.profile import Profile, SkillProfile, SplitProfile
from skillpm.train.run_folder import RunFolder

_INPUTS = ("skillpm.lock", "recipe.yaml", "data/train.jsonl", "data/held_out.jsonl")


def run_report(folder: RunFolder, manifest: RunManifest, evaluation: Evaluation, before: Path | None) -> ReportData:
    """Gather what a report of a run shows.

    Raises:
        DocumentError: the data profile is not one.
        StorageError: a file cannot be read.
    """
    settings = [
        Setting("run", folder.path.resolve().name),
        Setting("created", manifest.created),
        Setting("seed", str(manifest.seed)),
        *(Setting(f"stage {stage.name}", f"{stage.steps} steps, {stage.seconds:.0f} s") for stage in manifest.stages),
        *(Setting(name, manifest.files[name]) for name in _INPUTS if name in manifest.files),
    ]
    earlier = f" --before {before}" if before else ""
    return ReportData(
        title=f"{manifest.name}: {', '.join(skill.name for skill in manifest.skills)}",
        evaluation=evaluation,
        settings=tuple(settings),
        curves=learning_curves(_metrics(folder.path / "metrics.jsonl")),
        profile=_profile(folder.path / "data" / "profile.json"),
        recipe=_text(folder.path / "recipe.yaml"),
        commands=("skillpm train --recipe recipe.yaml", f"skillpm eval --run RUN{earlier}"),
    )


def _text(path: Path) -> str:
    return read_text(path) if path.is_file() else ""


def _metrics(path: Path) -> list[Mapping[str, Any]]:
    """Read the rows of metrics.jsonl; a line that a crash cut short is left out."""
    rows: list[Mapping[str, Any]] = []
    for line in _text(path).splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _profile(path: Path) -> dict[str, tuple[Setting, ...]]:
    text = _text(path)
    if not text:
        return {}
    profile = read_model(Profile, text, path=str(path))
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
    return [*lines, *(Setting("note", note) for note in skill.notes)]


def _split(split: SplitProfile) -> str:
    middle = split.request_characters.p50
    return f"{split.rows:,} rows, {split.distinct_targets:,} distinct answers, requests of {middle} characters (median)"
