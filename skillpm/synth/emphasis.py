"""More rows where a model was wrong: the weights of a skill's rules follow the failures of an evaluation.

A rule whose answers were all right keeps its weight, one whose answers were all wrong gets up to four times as much.
Held-out answers name the rule that made their task. Others, such as those of suites, count for every rule that makes
answers of the same kind. No failed task becomes a row: what is held out stays held out, and suites never train.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from skillpm.model.answer_kind import label_of
from skillpm.model.evaluation import Record
from skillpm.model.synthesis import SynthesisDocument, TaskRule

MOST = 4.0  # times its own weight
_RULE = "rule:"  # begins the tag of a row that names its rule


def emphases(document: SynthesisDocument, records: Iterable[Record]) -> dict[str, float]:
    """Return by how much the weight of each rule is to be multiplied, for the rules that were wrong at all."""
    judged, wrong = Counter[str](), Counter[str]()
    names = {rule.name for rule in document.rules}
    for record in (record for record in records if record.judged):
        made_by = next((tag.removeprefix(_RULE) for tag in record.tags if tag.startswith(_RULE)), "")
        place = made_by if made_by in names else f" {label_of(record.expected)}"
        judged[place] += 1
        wrong[place] += not record.exact
    factors = {}
    for rule in document.rules:
        places = (rule.name, f" {_label(rule)}")
        asked, failed = sum(judged[place] for place in places), sum(wrong[place] for place in places)
        if failed:
            # one right answer more than there was: a rule that was asked once and failed is not known to be hard
            factors[rule.name] = 1.0 + (MOST - 1.0) * failed / (asked + 1)
    return factors


def emphasised(document: SynthesisDocument, factors: Mapping[str, float]) -> SynthesisDocument:
    """Return a document whose rules have their weights multiplied."""
    tasks = []
    for task in document.tasks:
        new: dict[str, object] = {"weight": task.weight * factors.get(task.name, 1.0)}
        if task.ask is not None:
            weight = task.ask.weight * factors.get(f"{task.name}-ask", 1.0)
            new["ask"] = task.ask.model_copy(update={"weight": weight})
        tasks.append(task.model_copy(update=new))
    return document.model_copy(update={"tasks": tuple(tasks)})


def _label(rule: TaskRule) -> str:
    if rule.kind == "ask":
        return f"ask {rule.tool}"
    return f"refuse {rule.refuse}" if rule.refuse is not None else rule.tool or "answer"
