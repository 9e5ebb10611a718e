"""The page of a run shows what it did, loads nothing, and takes hostile text as text."""

from __future__ import annotations

from pathlib import Path

from skillpm.evals.curves import learning_curves
from skillpm.model.run import RunEvaluation, RunFigure, RunManifest, RunSkill, RunStage
from skillpm.ops.learning.run_page import run_page
from skillpm.settings import load_settings
from skillpm.train.run_folder import RunFolder
from tests.evals.test_report import read

ROWS = [
    {"stage": "sft", "step": step, "loss": 3.0 / step, "num_tokens": 100 * step, "seconds": seconds}
    for step, seconds in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 0.5), (5, 1.0)]  # it went on after the third
]
RECIPE = "stages: [{name: sft, kind: sft}, {name: grpo, kind: grpo}, {name: dpo, kind: dpo}]\n# </pre><script>\n"
STAGES = (
    RunStage(name="sft", kind="sft", steps=5, seconds=12.0),
    RunStage(name="grpo", kind="grpo", steps=2, seconds=3.0, kept=False),
)


def test_the_page_has_stages_curves_and_results_and_loads_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "<img src=x onerror=alert(1)>")
    figure = RunFigure(skill="server", task_set="held_out", arm="sft", tasks=50, exact=0.5, low=0.36, high=0.64)
    skill = RunSkill(name="server", version="1.0.0<i>", tree="a" * 64)
    folder.write("recipe.yaml", RECIPE)
    for row in [*ROWS, {"stage": "grpo", "step": 2, "reward": 0.5, "validation_before": 0.4, "validation_after": 0.3}]:
        folder.log(row)
    for stage in STAGES:
        folder.finish_stage(stage)
    more = {"settings": {"device": "cpu\u202e"}, "versions": {}, "files": {}}
    evaluations = (RunEvaluation(path="evals/1", whole=True, figures=(figure,)),)
    manifest = RunManifest(
        name="x", created="now", model="m<b>", seed=0, skills=(skill,), stages=STAGES, evaluations=evaluations, **more
    )
    folder.finish(manifest)
    checker = read(run_page(load_settings(project=tmp_path, environment={}), folder.path))
    text = " ".join(" ".join(checker.text).split())
    assert checker.active == []
    assert "Training run, finished" in text and "<img src=x onerror=alert(1)>" in text and "\u202e" not in text
    assert "m<b> trained on server 1.0.0<i>." in text and "</pre><script>" in text
    assert "0.40 → 0.30" in text and "taken back" in text and "not begun" in text and "36–64" in text
    assert "SFT: speed" in text


def test_a_step_after_a_run_went_on_has_no_speed() -> None:
    (speed,) = [curve for curve in learning_curves(ROWS) if curve.title == "SFT: speed"]
    assert speed.series[0].points == ((2, 100), (3, 50), (5, 200))
