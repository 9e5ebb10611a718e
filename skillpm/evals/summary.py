"""The figures of an evaluation as JSON-ready documents and as rows of text, for programs and for terminals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from skillpm.evals.budget import spent
from skillpm.evals.caveats import caveats
from skillpm.evals.compare import Comparison, comparisons
from skillpm.evals.figures import (
    Cell,
    Row,
    arm_label,
    figures,
    novelty_figures,
    points,
    tag_figures,
    task_set_label,
    tool_figures,
)
from skillpm.evals.gate import GateResult
from skillpm.evals.kinds import KindRow, kind_figures
from skillpm.evals.statistics import Interval
from skillpm.formats.as_json import as_json
from skillpm.model.answer_kind import KINDS
from skillpm.model.evaluation import Evaluation
from skillpm.model.suite import Metric

Table = tuple[list[str], list[list[str]]]
_METRICS: dict[Metric, str] = {"exact_match": "exact", "reward": "reward", "valid_json": "valid JSON"}


def evaluation_document(evaluation: Evaluation, gates: Sequence[GateResult]) -> dict[str, Any]:
    """Return the figures of an evaluation as ``--json`` prints them."""
    return {
        "arms": [arm.name for arm in evaluation.arms],
        "data": evaluation.data,
        "figures": figures_document(figures(evaluation)),
        "by_novelty": figures_document(novelty_figures(evaluation)),
        "by_tool": figures_document(tool_figures(evaluation), "tool"),
        "by_tag": figures_document(tag_figures(evaluation), "tag"),
        "by_kind": kinds_document(kind_figures(evaluation)),
        "comparisons": as_json(comparisons(evaluation)),
        "spent": [{"arm": arm.name, **as_json(spent(arm)), "seconds": arm.seconds} for arm in evaluation.arms],
        "gates": [_gate_document(item) for item in gates],
        "caveats": caveats(evaluation),
    }


def figures_document(rows: Iterable[Row], part: str = "") -> list[dict[str, Any]]:
    """Return one object for each row and arm; ``part`` is what the parts of task sets are called."""
    return [
        {
            "skill": row.task_set.skill,
            "task_set": row.task_set.name,
            **({part: row.part} if part else {}),
            "arm": arm,
            "tasks": cell.tasks,
            "answers": cell.asked,
            **as_json(cell),
        }
        for row in rows
        for arm, cell in row.cells.items()
    ]


def kinds_document(rows: Iterable[KindRow]) -> list[dict[str, Any]]:
    """Return one object for each task set and arm."""
    return [
        {
            "skill": row.task_set.skill,
            "task_set": row.task_set.name,
            "arm": row.arm,
            "kinds": {
                kind: {"tasks": row.tasks[kind], "answers": row.answers(kind), "exact": as_json(row.exact[kind])}
                for kind in row.expected
            },
            "answered": [
                {"expected": expected, "answered": answered or None, "count": count}
                for (expected, answered), count in sorted(row.answered.items())
            ],
            "false_refusals": as_json(row.false_refusals),
            "inventions": as_json(row.inventions),
        }
        for row in rows
    ]


def _gate_document(item: GateResult) -> dict[str, Any]:
    return {
        "skill": item.skill,
        "suite": item.suite,
        "arm": item.arm,
        "metric": item.gate.metric,
        "at_least": item.gate.at_least,
        "reached": item.reached,
        "low": item.low,
        "outcome": item.outcome,
        "passed": item.passed,
    }


def _percent(interval: Interval) -> str:
    return f"{interval.estimate * 100:.1f} %"


def _exact(cell: Cell) -> str:
    if cell.exact is None:
        return "not judged" if cell.asked else "not asked"
    return _share(cell.exact)


def _share(interval: Interval) -> str:
    return f"{_percent(interval)} [{interval.low * 100:.1f}, {interval.high * 100:.1f}]"


def _figure(cell: Cell | None, metric: Metric) -> str:
    if cell is None:
        return "-"
    interval = cell.metric(metric)
    if metric == "exact_match":
        return _exact(cell)
    if interval is None:
        return "-"
    return f"{interval.estimate:.2f}" if metric == "reward" else _percent(interval)


def _of_tasks(cell: Cell | None, metric: Metric, tasks: int) -> str:
    """Return a figure, and of how many tasks it is where an arm was not asked all of them."""
    shown = _figure(cell, metric)
    return shown if cell is None or cell.tasks in (0, tasks) or metric != "exact_match" else f"{shown} of {cell.tasks}"


_COUNTS: dict[str, Callable[[Cell], int]] = {
    "not judged": lambda cell: cell.asked - cell.judged,
    "cut off": lambda cell: cell.truncated,
    "too long": lambda cell: cell.too_long,
    "not asked": lambda cell: cell.not_asked,
}
"""What is counted beside the figures; shown only where any arm has some."""


def _present(cells: Iterable[Cell]) -> list[str]:
    shown = list(cells)
    return [name for name, count in _COUNTS.items() if any(map(count, shown))]


def _most_repeats(cells: Iterable[Cell]) -> int:
    """Return the largest k that a figure of several answers to each task has; 0 without any."""
    return max((cell.repeated[-1].k for cell in cells if cell.repeated), default=0)


def _repeated(cell: Cell | None, k: int) -> list[str]:
    item = next((item for item in cell.repeated if item.k == k), None) if cell else None
    return ["-", "-"] if item is None else [_share(item.one), _share(item.every)]


def arm_table(rows: Sequence[Row]) -> Table:
    """Return one line for each task set and arm; the arm is named where there are several."""
    arms = {arm for row in rows for arm in row.cells}
    cells = [cell for row in rows for cell in row.cells.values()]
    counts, k = _present(cells), _most_repeats(cells)
    columns = ["skill", "task set", *(["arm"] if len(arms) > 1 else []), "tasks", "exact [95 %]"]
    columns += [*([f"pass@{k}", f"pass^{k}"] if k else []), "reward", "valid JSON"]
    lines = []
    for row in rows:
        for arm, cell in row.cells.items():
            name = [arm_label(arm)] if len(arms) > 1 else []
            shown = [_figure(cell, metric) if metric in row.task_set.metrics else "-" for metric in _METRICS]
            shown[1:1] = _repeated(cell, k) if k else []
            place = [row.task_set.skill, task_set_label(row.task_set.name)]
            lines.append([*place, *name, str(cell.tasks), *shown, *(str(_COUNTS[count](cell)) for count in counts)])
    return [*columns, *counts], lines


def metric_table(rows: Sequence[Row], arms: Sequence[str]) -> Table:
    """Return one line for each task set and metric, with a column for each arm."""
    lines = []
    for row in rows:
        place = [row.task_set.skill, task_set_label(row.task_set.name)]
        for metric in row.task_set.metrics:
            figures = [_of_tasks(row.cells.get(arm), metric, row.task_set.tasks) for arm in arms]
            lines.append([*place, str(row.task_set.tasks), _METRICS[metric], *figures])
        k = _most_repeats(row.cells.values())
        if k:
            repeated = [_repeated(row.cells.get(arm), k) for arm in arms]
            for name, shares in zip((f"pass@{k}", f"pass^{k}"), zip(*repeated, strict=True), strict=True):
                lines.append([*place, str(row.task_set.tasks), name, *shares])
        for name in _present(row.cells.values()):
            numbers = [str(_COUNTS[name](cell)) if (cell := row.cells.get(arm)) else "-" for arm in arms]
            lines.append([*place, "", name, *numbers])
    return ["skill", "task set", "tasks", "metric", *map(arm_label, arms)], lines


def tool_table(rows: Sequence[Row], arms: Sequence[str]) -> Table:
    """Return one line for each tool of a task set, with the share of exact answers of each arm."""
    lines = []
    for row in rows:
        shown = [_exact(cell) if (cell := row.cells.get(arm)) else "-" for arm in arms]
        tasks = max(cell.tasks for cell in row.cells.values())
        lines.append([row.task_set.skill, task_set_label(row.task_set.name), row.part, str(tasks), *shown])
    exact = map(arm_label, arms) if len(arms) > 1 else ["exact [95 %]"]
    return ["skill", "task set", "tool", "tasks", *exact], lines


def kind_table(rows: Sequence[KindRow]) -> Table:
    """Return one line for each task set and arm: exact answers of each kind, false refusals, inventions."""
    kinds = [kind for kind in KINDS if any(kind in row.exact for row in rows)]
    lines = []
    for row in rows:
        exact = [f"{_percent(row.exact[kind])} of {row.answers(kind)}" if kind in row.exact else "-" for kind in kinds]
        mistakes = ["-" if figure is None else _percent(figure) for figure in (row.false_refusals, row.inventions)]
        place = [row.task_set.skill, task_set_label(row.task_set.name), arm_label(row.arm)]
        lines.append([*place, *exact, *mistakes])
    return ["skill", "task set", "arm", *(f"exact {kind}" for kind in kinds), "false refusals", "inventions"], lines


def _points(share: Interval | None) -> str:
    """Return a difference of shares in percentage points, with its interval."""
    return "-" if share is None else f"{points(share.estimate)} [{points(share.low)}, {points(share.high)}]"


def comparison_table(pairs: Iterable[Comparison]) -> Table:
    """Return one line for each pair of arms; the p value is that of all of them together."""
    pairs = list(pairs)
    p = "p" if len(pairs) < 2 else "p (Holm)"
    columns = ["skill", "task set", "from", "to", "pairs", "gained", "lost", "difference [95 %]", p, "finding"]
    lines = [
        [
            item.skill,
            task_set_label(item.task_set),
            arm_label(item.first),
            arm_label(item.second),
            str(item.pairs),
            str(item.gained),
            str(item.lost),
            _points(item.difference),
            "<0.001" if item.p_adjusted < 0.001 else f"{item.p_adjusted:.3f}",
            item.finding,
        ]
        for item in pairs
    ]
    return columns, lines
