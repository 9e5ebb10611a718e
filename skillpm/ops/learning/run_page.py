"""``skillpm runs show --html``: the page of a run, one HTML file, whether the run is finished or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skillpm.evals.curves import learning_curves, line_chart
from skillpm.evals.report import Setting, page_environment
from skillpm.ops.learning.stored_runs import ShownRun, show_run
from skillpm.settings import Settings
from skillpm.train.metrics import read_metrics
from skillpm.train.run_folder import MANIFEST, RECIPE, RunFolder


def run_page(settings: Settings, run: Path) -> str:
    """Return the page of a run. Same data, same bytes.

    Raises:
        UsageError: there is no such run.
        DocumentError: a document of the run is damaged.
    """
    shown = show_run(settings, run)
    folder = RunFolder(shown.folder)
    template = page_environment().get_template("run.html.j2")
    return template.render(
        run=shown.run,
        stages=list(_stages(shown, folder)),
        charts=[line_chart(curve) for curve in learning_curves(read_metrics(folder.path))],
        evaluation=folder.manifest.shown_evaluation if (folder.path / MANIFEST).is_file() else None,
        settings=list(_settings(shown)),
        recipe=folder.text(RECIPE),
    )


def _stages(shown: ShownRun, folder: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield the stages of the recipe, each with its result in words; one that is not finished has no seconds."""
    steps = shown.run.stages
    for stage in shown.recipe.get("stages", ()):
        if not isinstance(stage, Mapping):
            continue
        name, kind = str(stage.get("name", "")), str(stage.get("kind", ""))
        result, seconds = "not finished" if name in steps else "not begun", None
        if record := folder.finished_stage(name):
            result, seconds = "finished" if record.kept else "taken back", record.seconds
        row = {"name": name, "kind": kind, "steps": steps.get(name, 0), "figures": shown.last.get(name, {})}
        yield {**row, "seconds": seconds, "result": result}


def _settings(shown: ShownRun) -> Iterator[Setting]:
    yield Setting("created", shown.run.created)
    rest: dict[str, Any] = {name: value for name, value in shown.settings.items() if value not in (None, {})}
    yield from (Setting(name.replace("_", " "), str(value)) for name, value in rest.items())
    yield Setting("versions", ", ".join(f"{name} {version}" for name, version in shown.versions.items()))
