"""The report: one HTML file that needs no network and no script, readable on a screen by day or night and on paper.

Everything in it that a model or a skill wrote is hostile: it is escaped, its control characters and bidirectional
overrides are shown as escapes, its length is bounded, and a policy in the page forbids it to load or run anything.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skillpm.evals.caveats import caveats
from skillpm.evals.compare import MINIMUM_PAIRS, comparisons
from skillpm.evals.curves import Curve, LineChart, line_chart
from skillpm.evals.failure_list import SHOWN_TAGS, failure_list
from skillpm.evals.failures import confusions
from skillpm.evals.figures import (
    Row,
    arm_label,
    figures,
    novelty_figures,
    points,
    tag_figures,
    task_set_label,
    tool_figures,
)
from skillpm.evals.kinds import kind_figures
from skillpm.evals.statistics import Interval
from skillpm.evals.stored_records import outcomes_of
from skillpm.formats.printable import printable
from skillpm.model.evaluation import Evaluation
from skillpm.model.suite import HELD_OUT

if TYPE_CHECKING:
    import jinja2

OPEN_FAILURES = 30  # of one page; where there are more, each is folded up to its request
SHOWN_CHARACTERS = 600  # of each text


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of what was run: a name and a value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that a report shows.

    Attributes:
        settings: what was run, such as seed and lock digest.
        curves: learning curves, none without a run.
        profile: the data profile of each skill, name to values; empty without a run.
        recipe: the resolved recipe, as YAML.
    """

    title: str
    evaluation: Evaluation
    settings: tuple[Setting, ...] = ()
    curves: tuple[Curve, ...] = ()
    profile: Mapping[str, Sequence[Setting]] = field(default_factory=dict)
    recipe: str = ""


@dataclass(frozen=True, slots=True)
class _Headline:
    """The first and the last arm on one skill's most telling task set."""

    skill: str
    task_set: str
    before: Interval | None
    after: Interval
    label: str


def render_report(run: ReportData) -> str:
    """Return the page. Same data, same bytes."""
    evaluation = run.evaluation
    rows = figures(evaluation)
    last = evaluation.arms[-1] if evaluation.arms else None
    charts: list[LineChart] = [line_chart(curve) for curve in run.curves]
    template = page_environment().get_template("report.html.j2")
    return template.render(
        run=run,
        evaluation=evaluation,
        arms=evaluation.arms,
        rows=rows,
        skills=_by_skill([*rows, *novelty_figures(evaluation)]),
        headlines=_headlines(rows, evaluation),
        charts=charts,
        comparisons=comparisons(evaluation),
        caveats=caveats(evaluation),
        minimum_pairs=MINIMUM_PAIRS,
        by_tool=[row for row in tool_figures(evaluation) if row.part],
        by_tag=tag_figures(evaluation),
        kinds=kind_figures(evaluation),
        shown_tags=SHOWN_TAGS,
        confusions=[item for item in confusions(outcomes_of(last)) if len(item.called) > 1] if last else [],
        failures=failure_list(evaluation),
        open_failures=OPEN_FAILURES,
        last_arm=last.name if last else "",
    )


@functools.cache
def page_environment() -> jinja2.Environment:
    """Return what renders the templates of pages: everything is escaped, and what is missing is an error."""
    import jinja2  # `skillpm run` reads evaluations and renders none

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skillpm.evals", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "arm_label": arm_label,
        "task_set_label": task_set_label,
        "percent": _percent,
        "span": _span,
        "signed": _signed,
        "p_value": _p_value,
        "visible": visible,
        "pretty": lambda value: visible(json.dumps(value, ensure_ascii=False)),
    }
    return environment


def visible(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """Show what cannot be seen as escapes, and say how much was left out."""
    shown = printable(text[:limit], keep="\n\t")
    return f"{shown} … ({len(text) - limit:,} more characters)" if len(text) > limit else shown


def _percent(share: float) -> str:
    return f"{share * 100:.1f}".removesuffix(".0")


def _span(interval: Interval) -> str:
    return f"{_percent(interval.low)}–{_percent(interval.high)}"


def _signed(share: float) -> str:
    return points(share).replace("-", "−")


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _by_skill(rows: Sequence[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.task_set.skill, []).append(row)
    return grouped


def _headlines(rows: Sequence[Row], evaluation: Evaluation) -> list[_Headline]:
    """Choose one figure for each skill: on held-out tasks where there are any, else on its first suite."""
    headlines = []
    for skill, skill_rows in _by_skill(rows).items():
        row = next((row for row in skill_rows if row.task_set.name == HELD_OUT), skill_rows[0])
        last = evaluation.arms[-1].name
        after = row.cells[last].exact if last in row.cells else None
        if after is None:
            continue
        first = evaluation.arms[0].name
        before = row.cells[first].exact if first != last and first in row.cells else None
        headlines.append(_Headline(skill, row.task_set.name, before, after, last))
    return headlines
