"""The page of a run shows what it did, loads nothing, and takes hostile text as text."""

from __future__ import annotations

from skillpm.evals.curves import learning_curves
from skillpm.evals.report import Setting
from skillpm.evals.run_page import PageStage, RunPage, render_run
from skillpm.model.run import RunFigure
from tests.evals.test_report import read

ROWS = [
    {"stage": "sft", "step": step, "loss": 3.0 / step, "num_tokens": 100 * step, "seconds": seconds}
    for step, seconds in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 0.5), (5, 1.0)]  # it went on after the third
]


def test_the_page_has_stages_curves_and_results_and_loads_nothing() -> None:
    stages = [
        PageStage("sft", "sft", 5, 12.0, {"loss": 0.6}, "finished"),
        PageStage(
            "grpo", "grpo", 2, None, {"reward": 0.5, "validation_before": 0.4, "validation_after": 0.3}, "taken back"
        ),
    ]
    figures = (RunFigure(skill="server", task_set="held_out", arm="sft", tasks=50, exact=0.5, low=0.36, high=0.64),)
    page = render_run(
        RunPage(
            *("<img src=x onerror=alert(1)>", "unfinished", "m<b>", ["server 1.0.0"], stages),
            *(learning_curves(ROWS), figures, True, [Setting("device", "cpu\u202e")], "recipe: 1 # </pre><script>"),
        )
    )
    checker = read(page)
    text = " ".join(" ".join(checker.text).split())
    assert checker.active == []
    assert "Training run, unfinished" in text and "<img src=x onerror=alert(1)>" in text and "\u202e" not in text
    assert "0.40 → 0.30" in text and "taken back" in text and "36–64" in text
    assert "SFT: speed" in text


def test_a_step_after_a_run_went_on_has_no_speed() -> None:
    (speed,) = [curve for curve in learning_curves(ROWS) if curve.title == "SFT: speed"]
    assert speed.series[0].points == ((2, 100), (3, 50), (5, 200))
