"""The page of a training run: one HTML file with its stages, curves, results and settings, finished or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skillpm.evals.curves import Curve, line_chart
from skillpm.evals.report import Setting, page_environment
from skillpm.model.run import RunFigure


@dataclass(frozen=True, slots=True)
class PageStage:
    """One stage.

    Attributes:
        seconds: that it took; None where it is not finished.
        figures: of its last step, and of its validation.
        result: in words.
    """

    name: str
    kind: str
    steps: int
    seconds: float | None
    figures: Mapping[str, float]
    result: str


@dataclass(frozen=True, slots=True)
class RunPage:
    """All that a run's page shows.

    Attributes:
        figures: of the evaluation that cards show, none where the run was not evaluated.
        whole: did that evaluation ask all tasks?
        recipe: the resolved recipe, as YAML.
    """

    title: str
    state: str
    model: str
    skills: Sequence[str]
    stages: Sequence[PageStage]
    curves: Sequence[Curve]
    figures: Sequence[RunFigure]
    whole: bool
    settings: Sequence[Setting]
    recipe: str


def render_run(page: RunPage) -> str:
    """Return the page. Same data, same bytes."""
    template = page_environment().get_template("run.html.j2")
    return template.render(page=page, charts=[line_chart(curve) for curve in page.curves])
