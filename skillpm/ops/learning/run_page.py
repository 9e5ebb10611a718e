"""``skillpm runs show --html``: the page of a run, whether it is finished or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skillpm.evals.curves import learning_curves
from skillpm.evals.report import Setting
from skillpm.evals.run_page import PageStage, RunPage, render_run
from skillpm.ops.learning.stored_runs import ShownRun, show_run
from skillpm.settings import Settings
from skillpm.train.metrics import read_metrics
from skillpm.train.run_folder import MANIFEST, RECIPE, RunFolder


def run_page(settings: Settings, run: Path) -> str:
    """Return the page of a run.

    Raises:
        UsageError: there is no such run.
        DocumentError: a document of the run is damaged.
    """
    shown = show_run(settings, run)
    folder = RunFolder(shown.folder)
    evaluation = folder.manifest.shown_evaluation if (folder.path / MANIFEST).is_file() else None
    return render_run(
        RunPage(
            title=shown.run.name,
            state=shown.run.state,
            model=shown.run.model,
            skills=[f"{name} {version}" for name, version in shown.run.skills.items()],
            stages=list(_stages(shown, folder)),
            curves=learning_curves(read_metrics(folder.path)),
            figures=() if evaluation is None else evaluation.figures,
            whole=evaluation is not None and evaluation.whole,
            settings=list(_settings(shown)),
            recipe=folder.text(RECIPE),
        )
    )


def _stages(shown: ShownRun, folder: RunFolder) -> Iterator[PageStage]:
    asked = [stage for stage in shown.recipe.get("stages", ()) if isinstance(stage, Mapping)]
    for stage in asked:
        name, kind = str(stage.get("name", "")), str(stage.get("kind", ""))
        record = folder.finished_stage(name)
        begun = name in shown.run.stages
        if record is not None:
            result = "finished" if record.kept else "taken back"
        else:
            result = "not finished" if begun else "not begun"
        seconds = None if record is None else record.seconds
        yield PageStage(name, kind, shown.run.stages.get(name, 0), seconds, shown.last.get(name, {}), result)


def _settings(shown: ShownRun) -> Iterator[Setting]:
    yield Setting("created", shown.run.created)
    rest: dict[str, Any] = {name: value for name, value in shown.settings.items() if value not in (None, {})}
    yield from (Setting(name.replace("_", " "), str(value)) for name, value in rest.items())
    yield Setting("versions", ", ".join(f"{name} {version}" for name, version in shown.versions.items()))
