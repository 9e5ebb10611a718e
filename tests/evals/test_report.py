"""The report is whole, calm about hostile text, and says what the numbers say."""

from __future__ import annotations

import html.parser
import itertools
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.evals import failure_list as failure_list_module
from skillpm.evals.curves import Curve, Series, learning_curves, line_chart, round_ticks
from skillpm.evals.failure_list import failure_list
from skillpm.evals.failures import confusions, reasons
from skillpm.evals.report import ReportData, Setting, render_report, visible
from skillpm.evals.stored_records import outcomes_of
from skillpm.model.evaluation import Arm
from tests.scripted_policy import MakeArm, Server

VOID = {"meta", "input", "line", "rect", "circle", "polyline", "br"}


class Checker(html.parser.HTMLParser):
    """Collects what a page would load or run, and checks that its elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.active: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "iframe", "object", "embed", "link", "form", "base"):
            self.active.append(tag)
        self.active += [name for name, _ in attributes if name.startswith("on") or name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    return checker


def data(server: Server, *arms: Arm, **more: Any) -> ReportData:
    return ReportData("server", server.assembled(*arms), **more)


def test_a_page_loads_nothing_and_runs_nothing(server: Server, make_arm: MakeArm) -> None:
    page = render_report(data(server, make_arm("base", []), make_arm("sft", [1, 2, 3])))
    assert read(page).active == []
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></code></article><h1>owned",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- ",
    "]]>&#0;",
]


@pytest.mark.attack(37)
@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_model_wrote_is_text_and_nothing_else(server: Server, make_arm: MakeArm, text: str) -> None:
    report = data(server, make_arm("base", [], **{server.request(1): text}), recipe=text)
    evaluation = report.evaluation.model_copy(update={"commands": (text,)})
    page = render_report(replace(report, evaluation=evaluation))
    checker = read(page)
    assert checker.active == []
    assert "".join(checker.text).count(text) == 3


def test_control_characters_and_overrides_are_shown_as_escapes() -> None:
    assert visible("a\u202eb\x00c\x1b[31m") == "a\\u202eb\\x00c\\x1b[31m"
    assert visible("two\nlines\tü") == "two\nlines\tü"


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    assert visible("x" * 1_000_600) == f"{'x' * 600} … (1,000,000 more characters)"


def test_the_figures_of_every_arm_stand_in_the_table(server: Server, make_arm: MakeArm) -> None:
    page = render_report(data(server, make_arm("base", []), make_arm("sft", list(range(1, 10)))))
    text = re.sub(r"\s+", " ", "".join(read(page).text))
    assert "75 %" in text
    assert "46.8–91.1" in text
    assert "after SFT" in text
    assert "3 of 12 wrong after SFT" in text
    assert "start it on 10" in text
    assert "better" in text


def test_every_failure_is_on_the_page_and_can_be_filtered_without_a_script(server: Server, make_arm: MakeArm) -> None:
    page = render_report(data(server, make_arm("sft", [1, 2])))
    assert page.count('<details class="failure') == 10
    marks = re.findall(r'<details class="failure s t g ([^"]*)"', page)
    assert set(marks) == {"s0 t0"}
    assert "main:has(#only-t0:checked) .failures .t:not(.t0) { display: none; }" in page


def test_above_the_bound_a_page_shows_a_part_of_each_task_set_and_tool_and_says_so(
    server: Server, make_arm: MakeArm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failure_list_module, "SHOWN_FAILURES", 4)
    arm = make_arm("sft", [])
    records = tuple(
        record.model_copy(update={"expected": {"tool": "stop" if place > 9 else "dev", "args": {}}})
        for place, record in enumerate(arm.records)
    )
    found = failure_list(data(server, arm.model_copy(update={"records": records})).evaluation)
    assert (found.count, found.shown) == (12, 4)
    assert Counter(failure.record.expected["tool"] for group in found.groups for failure in group.failures) == {
        "dev": 2,
        "stop": 2,
    }
    assert "4 of 12 wrong answers" in render_report(data(server, arm))


WHY = [
    ('{"tool": "stop", "args": {"port": 1}}', "`stop` was called where `dev` was asked"),
    ('<think>stop?</think>{"tool": "stop"}', "`stop` was called where `dev` was asked"),
    ('{"tool": "dev", "args": {"port": 3, "quiet": null}}', "`port` is 3 where 1 was expected"),
    ("I do not know", "not JSON: a value is missing"),
]


@pytest.mark.parametrize(("answer", "reason"), WHY)
def test_why_names_the_wrong_tool_first(server: Server, make_arm: MakeArm, answer: str, reason: str) -> None:
    record = make_arm("sft", [], **{server.request(1): answer}).records[0]
    assert reasons(record) == [reason]


def test_the_tools_that_were_called_are_counted_by_the_tool_that_was_asked(server: Server, make_arm: MakeArm) -> None:
    answers = {server.request(1): '{"tool": "stop"}', server.request(2): "no"}
    arm = make_arm("sft", list(range(3, 13)), **answers)
    (found,) = confusions(outcomes_of(arm))
    assert (found.expected, found.called) == (("dev",), ("dev", "stop", ""))
    assert dict(found.counts) == {("dev", "dev"): 10, ("dev", "stop"): 1, ("dev", ""): 1}
    assert "tools that were called" in render_report(data(server, arm))


def test_a_sample_of_a_task_set_says_of_how_many_tasks(server: Server, make_arm: MakeArm) -> None:
    report = data(server, make_arm("sft", []))
    (task_set,) = report.evaluation.task_sets
    sampled = report.evaluation.model_copy(update={"task_sets": (task_set.model_copy(update={"of": 60}),)})
    text = "".join(read(render_report(replace(report, evaluation=sampled))).text)
    assert "12 of 60 tasks" in text
    assert "server, handwritten: 12 of 60 tasks, spread over tools and tags" in text


def test_an_arm_that_was_not_asked_a_task_set_is_said_so(server: Server, make_arm: MakeArm) -> None:
    base, sft = make_arm("base", []), make_arm("sft", [])
    page = render_report(data(server, base.model_copy(update={"records": ()}), sft))
    assert "not asked" in page


def test_a_perfect_arm_has_no_failures_to_show(server: Server, make_arm: MakeArm) -> None:
    page = render_report(data(server, make_arm("sft", list(range(1, 13)))))
    assert "Every judged answer of the last arm is exact." in page


def test_the_same_data_give_the_same_bytes(server: Server, make_arm: MakeArm) -> None:
    settings = (Setting("seed", "7"),)
    report = data(server, make_arm("base", [1]), settings=settings, profile={"server": settings})
    assert render_report(report) == render_report(report)


ROWS = [
    *({"stage": "sft", "step": step, "loss": 2 / step, "mean_token_accuracy": 1 - 1 / step} for step in range(1, 9)),
    *(
        {
            "stage": "grpo",
            "step": step,
            "loss": 0.0,
            "rewards/a:graded/mean": 0.5,
            "rewards/b:graded/mean": 0.1 * step,
            "completions/mean_length": 40 + step,
        }
        for step in range(1, 5)
    ),
]


def test_supervised_stages_show_loss_and_accuracy_others_rewards_and_length() -> None:
    curves = learning_curves(ROWS)
    assert [curve.title for curve in curves] == [
        "SFT: loss",
        "SFT: token accuracy",
        "GRPO: reward",
        "GRPO: length of completions",
    ]
    assert [series.label for series in curves[2].series] == ["a:graded", "b:graded"]
    assert curves[0].series[0].points[0] == (1.0, 2.0)


@pytest.mark.parametrize("value", [None, "0.3", True, float("nan"), float("inf")])
def test_a_value_that_is_no_finite_number_is_no_point(value: object) -> None:
    rows = [{"stage": "sft", "step": step, "loss": 1.0} for step in (1, 2, 3)]
    (curve,) = learning_curves([*rows, {"stage": "sft", "step": 4, "loss": value}])
    assert [x for x, _ in curve.series[0].points] == [1, 2, 3]


def test_a_single_point_is_no_curve() -> None:
    assert learning_curves(ROWS[:1]) == ()


def test_curves_stand_in_the_page_with_their_units(server: Server, make_arm: MakeArm) -> None:
    page = render_report(data(server, make_arm("sft", []), curves=learning_curves(ROWS)))
    checker = read(page)
    for text in ("optimiser step", "loss (nats)", "mean length (tokens)", "b:graded"):
        assert text in "".join(checker.text)


FLOATS = st.floats(-1e6, 1e6, allow_nan=False)


@given(FLOATS, FLOATS)
def test_ticks_are_few_even_steps_that_cover_the_range(low: float, high: float) -> None:
    low, high = sorted((low, high))
    ticks = round_ticks(low, high)
    steps = [after - before for before, after in itertools.pairwise(ticks)]
    assert 2 <= len(ticks) <= 9
    assert ticks[0] <= low + 1e-9
    assert ticks[-1] >= high - 1e-9
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)


@pytest.mark.parametrize("values", [(1e-5, 2e-5), (123456.0, 123456.7), (0.99991, 0.999918), (-0.125, 3.0)])
def test_the_labels_of_the_ticks_differ_and_have_room(values: tuple[float, float]) -> None:
    """Beside the label of the axis, which takes 20 units: a digit of 12 units' height is not wider than 7."""
    chart = line_chart(Curve("t", "y", (Series("", tuple(enumerate(values))),)))
    labels = [tick.label for tick in chart.y_ticks]
    assert len(set(labels)) == len(labels)
    assert chart.left - 8 - 7 * max(map(len, labels)) >= 20


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(-100, 100)), min_size=2, unique_by=lambda point: point[0]))
def test_every_point_lies_inside_the_frame(points: list[tuple[int, float]]) -> None:
    chart = line_chart(Curve("t", "y", (Series("", tuple(sorted(points))),)))
    for pair in chart.lines[0].points.split():
        x, y = map(float, pair.split(","))
        assert chart.left - 0.01 <= x <= chart.right + 0.01
        assert chart.top - 0.01 <= y <= chart.bottom + 0.01
