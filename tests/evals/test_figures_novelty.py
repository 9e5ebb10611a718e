"""Held-out rows by what training never shows of them, and the intervals of rows that one template made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from skillpm.evals.asking import ArmLabel, Asking
from skillpm.evals.assemble import assemble
from skillpm.evals.examiner import Examiner
from skillpm.evals.figures import figures, novelty_figures
from skillpm.evals.statistics import wilson
from skillpm.evals.summary import arm_table, evaluation_document
from skillpm.evals.tasks import held_out_tasks
from skillpm.model.evaluation import Evaluation
from skillpm.ops.learning.session import JudgingSession
from tests.present import present
from tests.scripted_policy import Count, Server


def asked(
    server: Server, ready: JudgingSession, count: Count, tags: Mapping[int, tuple[str, ...]], right: Sequence[int]
) -> Evaluation:
    tasks = [server.task(port).model_copy(update={"tags": tags[port]}) for port in tags]
    every = list(held_out_tasks(tasks))
    examiner = Examiner(ready.scorer.judge, None, Asking(max_new_tokens=200), count)
    arm = examiner.ask(server.policy(right), every, ArmLabel("sft", "scripted"))
    return assemble(ready.contributions, every, [arm])


def test_figures_of_held_out_rows_are_split_by_what_is_new(server: Server, ready: JudgingSession, count: Count) -> None:
    news: dict[int, tuple[str, ...]] = {
        1: ("new:value",),
        2: ("new:value",),
        3: ("new:phrasing",),
        4: ("new:both",),
        5: (),
    }
    evaluation = asked(server, ready, count, news, [1, 4])
    parts = {row.task_set.name: row.cells["sft"] for row in novelty_figures(evaluation)}
    assert {name: (cell.asked, present(cell.exact).estimate) for name, cell in parts.items()} == {
        "held_out, new value": (2, 0.5),
        "held_out, new phrasing": (1, 0.0),
        "held_out, new value and phrasing": (1, 1.0),
    }
    assert figures(evaluation)[0].cells["sft"].asked == 5
    lines = arm_table([*figures(evaluation), *novelty_figures(evaluation)])[1]
    assert [line[1] for line in lines] == ["held out", *(name.replace("_", " ") for name in parts)]
    document = json.loads(json.dumps(evaluation_document(evaluation, [])))
    assert [item["task_set"] for item in document["by_novelty"]] == list(parts)


def test_rows_of_few_templates_give_a_wider_interval_than_as_many_templates(
    server: Server, ready: JudgingSession, count: Count
) -> None:
    one = {port: ("template:a" if port < 7 else "template:b",) for port in range(1, 13)}
    own = {port: (f"template:{port}",) for port in range(1, 13)}
    right = list(range(1, 7))
    wide = present(figures(asked(server, ready, count, one, right))[0].cells["sft"].exact)
    plain = present(figures(asked(server, ready, count, own, right))[0].cells["sft"].exact)
    assert plain == wilson(6, 12)
    assert wide.estimate == 0.5
    assert wide.low < plain.low < plain.high < wide.high
