"""Several answers to each task: their figures, how arms of them are paired, what is not asked for, and what is kept."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.agent.completion_cache import CachedPolicy
from skillpm.errors import UsageError
from skillpm.evals.asking import ArmLabel, Asking
from skillpm.evals.assemble import assemble
from skillpm.evals.budget import Budget, Limits, Price
from skillpm.evals.caveats import caveats
from skillpm.evals.compare import compare
from skillpm.evals.examiner import Examiner, Remember
from skillpm.evals.figures import Cell, figures, tool_figures
from skillpm.evals.gate import check_gates
from skillpm.evals.report import ReportData, render_report
from skillpm.evals.statistics import pass_at, pass_hat
from skillpm.evals.summary import arm_table, evaluation_document, metric_table, tool_table
from skillpm.model.evaluation import Arm, Evaluation
from skillpm.model.ports import Completion, Policy
from skillpm.model.suite import Gate
from skillpm.model.task import Message
from skillpm.ops.learning.session import JudgingSession
from tests.present import present
from tests.scripted_policy import Count, Server

Ask = Callable[..., Arm]


class Coin:
    """Answers each port rightly with its own chance; what it answers follows from the prompt and the seed alone."""

    name = "coin"

    def __init__(self, server: Server, chances: Mapping[int, float]) -> None:
        self.asked = 0
        self._answers = {server.request(port): (chance, server.answer(port)) for port, chance in chances.items()}
        self._drawn: tuple[float, int] | None = None
        self._root = self

    def sampled(self, temperature: float, seed: int) -> Self:
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, _drawn=(temperature, seed))
        return other

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        for index, prompt in enumerate(prompts):
            self._root.asked += 1
            chance, right = self._answers.get(prompt[-1].content, (0.0, ""))
            luck = random.Random(f"{self._drawn} {prompt[-1].content}").random()
            yield index, Completion(right if luck < chance else "no", 10, 5, "stop")


class Silent(Coin):
    """Counts no tokens."""

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        for index, completion in super().complete(prompts, max_new_tokens=max_new_tokens):
            yield index, replace(completion, prompt_tokens=0, completion_tokens=0)


@pytest.fixture
def ask(server: Server, ready: JudgingSession, count: Count, tmp_path: Path) -> Ask:
    def remember(policy: Policy, also: Mapping[str, object]) -> Policy:
        return CachedPolicy(policy, tmp_path / "kept.sqlite", also=also)

    def ask(policy: Policy, asking: Asking, name: str = "base", *, resume: bool = False) -> Arm:
        kept: Remember = remember if resume else lambda policy, also: policy
        examiner = Examiner(ready.scorer.judge, None, asking, count, remember=kept)
        return examiner.ask(policy, server.tasks(), ArmLabel(name, "coin"))

    return ask


def evaluation_of(server: Server, ready: JudgingSession, *arms: Arm) -> Evaluation:
    return assemble(ready.contributions, server.tasks(), arms)


def only_cell(evaluation: Evaluation, arm: str = "base") -> Cell:
    return figures(evaluation)[0].cells[arm]


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n), st.integers(1, n))))
def test_the_estimators_are_the_shares_of_all_choices_of_k_answers(case: tuple[int, int, int]) -> None:
    right, answers, k = case
    choices = list(itertools.combinations([number < right for number in range(answers)], k))
    assert pass_at(right, answers, k) == pytest.approx(sum(map(any, choices)) / len(choices))
    assert pass_hat(right, answers, k) == pytest.approx(sum(map(all, choices)) / len(choices))


def test_both_estimators_are_unbiased() -> None:
    chance = random.Random(0)
    draws = [sum(chance.random() < 0.3 for _ in range(6)) for _ in range(20_000)]
    assert sum(pass_at(right, 6, 3) for right in draws) / 20_000 == pytest.approx(1 - 0.7**3, abs=0.01)
    assert sum(pass_hat(right, 6, 3) for right in draws) / 20_000 == pytest.approx(0.3**3, abs=0.01)


def test_each_task_is_asked_so_often_and_the_same_seed_gives_the_same_answers(server: Server, ask: Ask) -> None:
    chances = dict.fromkeys(range(1, 13), 0.5)
    arms = [ask(Coin(server, chances), Asking(repeats=4, temperature=0.7, seed=seed)) for seed in (1, 1, 2)]
    texts = [[(item.task, item.repeat, item.completion) for item in arm.records] for arm in arms]
    assert texts[0] == texts[1] != texts[2]
    assert [item.repeat for item in arms[0].records] == [0, 1, 2, 3] * 12
    assert {task: len({text for key, _, text in texts[0] if key == task}) for task, *_ in texts[0]} != {}
    assert arms[0].settings | {"repeats": 4, "temperature": 0.7, "seed": 1} == arms[0].settings


def test_the_figures_count_tasks_as_clusters_and_stand_in_table_json_and_page(
    server: Server, ready: JudgingSession, ask: Ask
) -> None:
    sure = {**dict.fromkeys(range(1, 7), 1.0), **dict.fromkeys(range(7, 13), 0.0)}
    evaluation = evaluation_of(server, ready, ask(Coin(server, sure), Asking(repeats=4, temperature=1)))
    cell = only_cell(evaluation)
    assert (cell.asked, cell.tasks, [item.k for item in cell.repeated]) == (48, 12, [1, 2, 4])
    once = only_cell(evaluation_of(server, ready, ask(Coin(server, sure), Asking(temperature=1))))
    wide, narrow = present(cell.exact), present(once.exact)
    assert wide.estimate == 0.5 and wide.high - wide.low >= narrow.high - narrow.low  # 48 answers tell as 12 do
    last = cell.repeated[-1]
    assert (last.one.estimate, last.every.estimate) == (0.5, 0.5) and once.repeated == ()
    columns, (line,) = arm_table(figures(evaluation))
    numbers = [row[columns.index("tasks")] for row in (line, *metric_table(figures(evaluation), ["base"])[1])]
    numbers += [row[3] for row in tool_table(tool_figures(evaluation), ["base"])[1]]
    assert set(numbers) == {"12"}, "all tables count tasks"
    assert columns[4:6] == ["pass@4", "pass^4"] and line[4].startswith("50.0 % [")
    assert [row[3] for row in metric_table(figures(evaluation), ["base"])[1]][-2:] == ["pass@4", "pass^4"]
    repeated = evaluation_document(evaluation, [])["figures"][0]["repeated"]
    assert [item["k"] for item in repeated] == [1, 2, 4] and repeated[2]["one"]["estimate"] == 0.5
    assert "pass@4" in render_report(ReportData("t", evaluation))
    assert Evaluation.parse(evaluation.text(), path="e") == evaluation


def test_arms_are_paired_by_task_whatever_the_number_of_answers(server: Server, ask: Ask) -> None:
    first = ask(Coin(server, dict.fromkeys(range(1, 13), 0.0)), Asking(repeats=3, temperature=1))
    second = ask(Coin(server, dict.fromkeys(range(1, 9), 1.0)), Asking(repeats=2, temperature=1))
    once = compare(first, second, skill="server", task_set="handwritten")
    assert (once.pairs, once.gained, once.lost, once.finding) == (12, 8, 0, "better")
    assert present(once.difference).estimate == pytest.approx(8 / 12) and once.p == pytest.approx(2 / 2**8)


def test_what_a_limit_leaves_out_is_not_asked_and_no_failure(server: Server, ready: JudgingSession, ask: Ask) -> None:
    policy = Coin(server, dict.fromkeys(range(1, 13), 1.0))
    arm = ask(policy, Asking(repeats=2, limits=Limits(max_tokens_total=60)))
    evaluation = evaluation_of(server, ready, arm)
    cell = only_cell(evaluation)
    assert (policy.asked, cell.asked, cell.judged, cell.not_asked) == (4, 4, 4, 20)
    assert present(cell.exact).estimate == 1 and arm.settings["limit_reached"] == "max_tokens_total"
    (handwritten,) = evaluation.task_sets
    gated = handwritten.model_copy(update={"gate": Gate(at_least=0.1)})
    (gate,) = check_gates(evaluation.model_copy(update={"task_sets": (gated,)}), "base")
    assert gate.outcome == "inconclusive" and "20 were not asked" in gate.sentence
    columns, (line,) = arm_table(figures(evaluation))
    assert line[columns.index("not asked")] == "20"
    document = evaluation_document(evaluation, [])
    assert document["figures"][0]["not_asked"] == 20 and "--max-tokens-total" in document["caveats"][0]
    assert "20 answers not asked for" in render_report(ReportData("t", evaluation))


def test_tasks_with_too_few_judged_answers_are_left_out_of_pass_at_k_and_it_is_said(
    server: Server, ready: JudgingSession, ask: Ask
) -> None:
    policy = Coin(server, dict.fromkeys(range(1, 13), 1.0))
    evaluation = evaluation_of(server, ready, ask(policy, Asking(repeats=2, limits=Limits(max_tokens_total=200))))
    left_out = 12 - only_cell(evaluation).repeated[-1].tasks
    (told,) = evaluation_document(evaluation, [])["figures"]
    assert (told["tasks"], told["answers"]) == (12, 14)
    assert left_out == 10
    assert any(f"pass@2 leaves out {left_out} of 12 tasks" in caveat for caveat in caveats(evaluation))


def test_an_arm_that_a_limit_leaves_out_is_shown_as_not_asked(
    server: Server, ready: JudgingSession, count: Count
) -> None:
    examiner = Examiner(ready.scorer.judge, None, Asking(limits=Limits(max_tokens_total=180)), count)
    policy = Coin(server, dict.fromkeys(range(1, 13), 1.0))
    arms = [examiner.ask(policy, server.tasks(), ArmLabel(name, "coin")) for name in ("base", "sft")]
    assert ["limit_reached" in arm.settings for arm in arms] == [False, True]
    evaluation = evaluation_of(server, ready, *arms)
    assert only_cell(evaluation, "sft").not_asked == 12
    assert metric_table(figures(evaluation), ["base", "sft"])[1][0][5] == "not asked"
    render_report(ReportData("t", evaluation))


@pytest.mark.parametrize(
    ("limits", "answers", "reached"),
    [
        (Limits(), 100, None),
        (Limits(max_tokens_total=30), 1, None),
        (Limits(max_tokens_total=30), 2, "max_tokens_total"),
        (Limits(max_cost=1, price=Price(50_000, 100_000)), 1, "max_cost"),
        (Limits(max_cost=1.01, price=Price(50_000, 100_000)), 1, None),
        (Limits(max_minutes=1e-9), 0, "max_minutes"),
    ],
)
def test_each_limit_ends_the_asking_and_kept_answers_cost_nothing(
    limits: Limits, answers: int, reached: str | None
) -> None:
    budget = Budget(limits)
    for _ in range(answers):
        budget.take(Completion("", 10, 5, "stop"))
        budget.take(Completion("", 10**6, 10**6, "stop", remembered=True))
    assert budget.reached == reached


@pytest.mark.parametrize(
    ("completion", "counted"),
    [
        (Completion("no", 10, 5, "stop"), True),
        (Completion("", 10, 0, "stop"), True),
        (Completion("no", 10, 0, "stop"), False),
        (Completion("no", 0, 5, "stop"), False),
    ],
)
def test_a_limit_is_kept_only_over_answers_whose_tokens_are_told_on_both_sides(
    completion: Completion, *, counted: bool
) -> None:
    with nullcontext() if counted else pytest.raises(UsageError, match="how many tokens"):
        Budget(Limits(max_cost=1, price=Price(1, 1))).take(completion)


def test_only_what_is_missing_is_asked_again(server: Server, ask: Ask) -> None:
    chances = dict.fromkeys(range(1, 13), 0.5)
    whole = ask(Coin(server, chances), Asking(repeats=3, temperature=1))
    short = ask(
        Coin(server, chances), Asking(repeats=3, temperature=1, limits=Limits(max_tokens_total=300)), resume=True
    )
    policy = Coin(server, chances)
    again = ask(policy, Asking(repeats=3, temperature=1, limits=Limits(max_tokens_total=300)), resume=True)
    assert (len(short.records), policy.asked) == (20, 16)
    assert [item.completion for item in again.records] == [item.completion for item in whole.records]


def test_a_policy_without_chance_is_refused_at_a_temperature(server: Server, ask: Ask) -> None:
    with pytest.raises(UsageError, match="greedily alone"):
        ask(server.policy([1]), Asking(temperature=1))
    arm = ask(server.policy([1]), Asking(repeats=2))
    assert len(arm.records) == 24 and json.loads(arm.model_dump_json())["settings"]["repeats"] == 2


def test_tokens_that_are_not_counted_cannot_be_limited(ask: Ask, server: Server, ready: JudgingSession) -> None:
    silent = Silent(server, {1: 1.0})
    for limits in (Limits(max_tokens_total=100), Limits(max_cost=1.0, price=Price(1, 2))):
        with pytest.raises(UsageError, match="how many tokens"):
            ask(silent, Asking(limits=limits))
    priced = evaluation_of(server, ready, ask(silent, Asking(limits=Limits(price=Price(1, 2)))))
    assert "base: the cost leaves out 12 answers whose tokens the model did not count" in caveats(priced)
