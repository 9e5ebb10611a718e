"""The figures of an evaluation as JSON-ready documents and as rows of text, for programs and for terminals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from skillpm.evals.compare import Comparison
from skillpm.evals.figures import Cell, Row, arm_label, task_set_label
from skillpm.evals.gate import GateResult
from skillpm.evals.statistics import Interval
from skillpm.model.suite import Metric

Table = tuple[list[str], list[list[str]]]
_METRICS: dict[Metric, str] = {"exact_match": "exact", "reward": "reward", "valid_json": "valid JSON"}


def _interval(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def figures_document(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return one object for each task set and arm."""
    return [
        {
            "skill": row.task_set.skill,
            "task_set": row.task_set.name,
            "arm": arm,
            "tasks": cell.asked,
            "judged": cell.judged,
            "errored": cell.errored,
            "truncated": cell.truncated,
            "exact": _interval(cell.exact),
            "reward": _interval(cell.reward),
            "valid_json": _interval(cell.valid_json),
        }
        for row in rows
        for arm, cell in row.cells.items()
    ]


def comparisons_document(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """Return one object for each pair of arms."""
    return [
        {
            "skill": item.skill,
            "task_set": item.suite,
            "first": item.first,
            "second": item.second,
            "pairs": item.pairs,
            "gained": item.gained,
            "lost": item.lost,
            "difference": _interval(item.difference),
            "reward_difference": _interval(item.reward),
            "p": item.p,
            "finding": item.finding,
        }
        for item in comparisons
    ]


def gates_document(gates: Iterable[GateResult]) -> list[dict[str, Any]]:
    """Return one object for each gate."""
    return [
        {
            "skill": item.skill,
            "suite": item.suite,
            "arm": item.arm,
            "metric": item.gate.metric,
            "at_least": item.gate.at_least,
            "reached": item.reached,
            "passed": item.passed,
        }
        for item in gates
    ]


def _percent(interval: Interval) -> str:
    return f"{interval.estimate * 100:.1f} %"


def _exact(cell: Cell) -> str:
    if cell.exact is None:
        return "not judged"
    return f"{_percent(cell.exact)} [{cell.exact.low * 100:.1f}, {cell.exact.high * 100:.1f}]"


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
    return shown if cell is None or cell.asked == tasks or metric != "exact_match" else f"{shown} of {cell.asked}"


def _outages(cells: Iterable[Cell]) -> bool:
    return any(cell.judged < cell.asked for cell in cells)


def arm_table(rows: Sequence[Row]) -> Table:
    """Return one line for each task set and arm; the arm is named where there are several."""
    arms = {arm for row in rows for arm in row.cells}
    outages = _outages(cell for row in rows for cell in row.cells.values())
    columns = ["skill", "task set", *(["arm"] if len(arms) > 1 else []), "n", "exact [95 %]", "reward", "valid JSON"]
    lines = []
    for row in rows:
        for arm, cell in row.cells.items():
            name = [arm_label(arm)] if len(arms) > 1 else []
            shown = [_figure(cell, metric) if metric in row.task_set.metrics else "-" for metric in _METRICS]
            unjudged = [str(cell.asked - cell.judged)] if outages else []
            place = [row.task_set.skill, task_set_label(row.task_set.name)]
            lines.append([*place, *name, str(cell.asked), *shown, *unjudged])
    return [*columns, *(["not judged"] if outages else [])], lines


def metric_table(rows: Sequence[Row], arms: Sequence[str]) -> Table:
    """Return one line for each task set and metric, with a column for each arm."""
    lines = []
    for row in rows:
        for metric in row.task_set.metrics:
            figures = [_of_tasks(row.cells.get(arm), metric, row.task_set.tasks) for arm in arms]
            place = [row.task_set.skill, task_set_label(row.task_set.name), str(row.task_set.tasks)]
            lines.append([*place, _METRICS[metric], *figures])
        if _outages(row.cells.values()):
            missing = [str(cell.asked - cell.judged) if (cell := row.cells.get(arm)) else "-" for arm in arms]
            lines.append([row.task_set.skill, task_set_label(row.task_set.name), "", "not judged", *missing])
    return ["skill", "task set", "n", "metric", *map(arm_label, arms)], lines


def comparison_table(comparisons: Iterable[Comparison]) -> Table:
    """Return one line for each pair of arms."""
    columns = ["skill", "task set", "from", "to", "pairs", "gained", "lost", "difference [95 %]", "p", "finding"]
    lines = []
    for item in comparisons:
        found = item.difference
        difference = (
            "-" if found is None else f"{found.estimate * 100:+.1f} [{found.low * 100:+.1f}, {found.high * 100:+.1f}]"
        )
        lines.append(
            [
                item.skill,
                task_set_label(item.suite),
                arm_label(item.first),
                arm_label(item.second),
                str(item.pairs),
                str(item.gained),
                str(item.lost),
                difference,
                "<0.001" if item.p < 0.001 else f"{item.p:.3f}",
                item.finding,
            ]
        )
    return columns, lines
