"""``skillpm calibrate``: thresholds of confidence out of a run's evaluation, kept beside it."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from skillpm.errors import UsageError
from skillpm.evals.calibration import calibrated
from skillpm.formats.document import read_model
from skillpm.layout.filenames import CALIBRATION
from skillpm.model.calibration import Calibration, SkillCalibration
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.learning.adapter import adapter_digest
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.report import read_evaluation
from skillpm.ops.learning.runs import find_run
from skillpm.storage.files import read_text
from skillpm.train.run_folder import RunFolder


def calibrate(context: Context, run: Path, target: float) -> tuple[Calibration, Path]:
    """Derive the thresholds of a run's last stage from the evaluation that its card shows; return them and their file.

    Raises:
        UsageError: there is no such run, or it has no evaluation.
        CheckError: the evaluation says too little.
    """
    folder = RunFolder.open(find_run(context.settings, run))
    shown = folder.shown_evaluation
    again = f"run `skillpm eval --run {quote(str(run))}`"
    if shown is None:
        raise UsageError(f"{run} has no evaluation", hint=again)
    evaluation = read_evaluation(shown)
    arm = evaluation.arm(folder.manifest.last)
    if arm is None:
        raise UsageError(f"the evaluation of {run} has not asked its last stage", hint=again)
    calibration = calibrated(evaluation, arm, target, adapter_digest(folder.saved_adapter()))
    file = shown.with_name(CALIBRATION)
    folder.add({file.relative_to(folder.path).as_posix(): calibration.model_dump_json(indent=2) + "\n"})
    return calibration, file


def calibration_of(context: Context, answerer: Answerer, skill: Skill) -> SkillCalibration | None:
    """Return the thresholds of a skill for a run's or a packed adapter's answers; None where there are none that hold.

    Raises:
        DocumentError: a document of the run or of the adapter is wrong.
    """
    if answerer.adapter is None:
        return None
    file = answerer.adapter / CALIBRATION
    if answerer.run is not None and (shown := RunFolder.open(answerer.run).shown_evaluation) is not None:
        file = shown.with_name(CALIBRATION)
    if not file.is_file():
        return None
    calibration = read_model(Calibration, read_text(file), path=str(file))
    if calibration.adapter != adapter_digest(answerer.adapter):
        context.note(f"{file} has the thresholds of other weights: they are not used")
        return None
    thresholds = calibration.skills.get(skill.name)
    if thresholds is not None and thresholds.tree != skill.tree:
        context.note(f"the model was calibrated on other content of {skill.name}: its thresholds are not used")
        return None
    return thresholds
