"""Asking a policy, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from skillpm.errors import DocumentError, PluginError
from skillpm.evals.asking import ArmLabel, Asking
from skillpm.evals.examiner import Examiner
from skillpm.evals.figures import cell
from skillpm.evals.stored_records import outcomes_of
from skillpm.evals.tasks import EvalTask, held_out_tasks, suite_tasks, with_skill_text
from skillpm.model.episode import Episode
from skillpm.model.evaluation import Arm
from skillpm.model.ports import Completion, Policy
from skillpm.model.progress import Progress
from skillpm.model.task import Message
from skillpm.model.verdict import Judgement, Verdict
from skillpm.ops.learning.session import JudgingSession
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.host import Host
from tests.present import present
from tests.scripted_policy import Count, MakeArm, Server


def ask(
    policy: Policy,
    tasks: Sequence[EvalTask],
    judge: Callable[[Sequence[Episode]], list[Judgement]],
    progress: Progress,
    max_new_tokens: int = 99,
) -> Arm:
    return Examiner(judge, None, Asking(max_new_tokens), progress).ask(policy, tasks, ArmLabel("base", "scripted"))


def test_records_stand_in_the_order_of_the_tasks_whatever_finishes_first(server: Server, make_arm: MakeArm) -> None:
    arm = make_arm("base", [1, 3])
    assert [record.request for record in arm.records] == [server.request(port) for port in range(1, 13)]
    assert [record.exact for record in arm.records] == [True, False, True] + [False] * 9


def test_a_record_holds_what_was_expected_got_found_and_would_be_run(server: Server, make_arm: MakeArm) -> None:
    record = make_arm("base", [7]).records[6]
    assert record.expected == server.gold(7)
    assert record.completion == server.answer(7)
    assert record.argv == (("server", "--port", "7"),)
    assert (record.verdict.status, record.rewards["graded"], record.rewards["signed"]) == ("passed", 1.0, 1.0)
    assert record.valid_json is True


def test_prose_around_an_answer_is_not_valid_json(server: Server, make_arm: MakeArm) -> None:
    arm = make_arm("base", [], **{server.request(1): f"Sure! {server.answer(1)}"})
    assert arm.records[0].valid_json is False
    assert not arm.records[0].exact


def test_an_answer_in_the_models_own_form_is_read_into_the_contracts(server: Server, ready: JudgingSession) -> None:
    """The record holds the contract's form, whichever form the model writes."""
    call = '<tool_call>{"name": "dev", "arguments": {"port": 1}}</tool_call>'
    policy = server.policy([2], **{server.request(1): call})
    asking = Asking(max_new_tokens=200, answer_form="hermes")
    contracts = {name: item.contract for name, item in ready.contributions.items()}
    examiner = Examiner(ready.scorer.judge, None, asking, Count(), contracts)
    arm = examiner.ask(policy, server.tasks()[:3], ArmLabel("base", "scripted"))
    assert [record.exact for record in arm.records] == [True, True, False]
    assert arm.records[0].completion == server.answer(1)
    assert arm.settings["answer_form"] == "hermes"


def test_the_skills_text_stands_before_the_prompt_and_changes_no_key(server: Server) -> None:
    tasks = server.tasks()
    asked = with_skill_text(tasks, {"server": "Ports are numbers."})
    system = asked[0].prompt[0].content
    opening = '<skill_content name="server">\nPorts are numbers.\n</skill_content>\n\n'
    assert system.startswith(opening)
    assert system.endswith(tasks[0].prompt[0].content)
    assert [task.task.key for task in asked] == [task.task.key for task in tasks]
    assert asked[0].prompt[1:] == tasks[0].prompt[1:]


def test_a_held_out_task_and_a_suite_task_keep_their_task_sets(server: Server) -> None:
    assert {task.suite for task in held_out_tasks([server.task(5)])} == {"held_out"}
    assert {task.suite for task in server.tasks()} == {"handwritten"}


def test_a_suite_that_breaks_the_contract_is_named_with_the_request(server: Server) -> None:
    server.write([])
    path = server.folder / "suites" / "handwritten.yaml"
    path.write_text('{"name": "bad", "tasks": [{"request": "go", "expected": {"tool": "dev", "args": {"port": "x"}}}]}')
    with pytest.raises(DocumentError, match=r"server/suites/bad: `go`: the expected answer breaks the contract"):
        suite_tasks(build_catalogue([server.skill], Host())["server"])


@pytest.mark.parametrize("answered", [[], [0], [0, 1, 99]])
def test_a_policy_that_leaves_a_prompt_out_is_an_error(server: Server, count: Count, answered: list[int]) -> None:
    class Forgetful:
        name = "forgetful"

        def complete(
            self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
        ) -> Iterator[tuple[int, Completion]]:
            for index in answered:
                yield index, Completion("x", 1, 1, "stop")

    with pytest.raises(PluginError, match="the policy forgetful answered"):
        ask(Forgetful(), server.tasks(), lambda _: [], count)


def test_a_lone_surrogate_is_replaced_before_it_is_judged_and_kept(
    server: Server, ready: JudgingSession, count: Count
) -> None:
    policy = server.policy([], **{server.request(1): "\ud800 {}"})
    arm = ask(policy, server.tasks(), ready.scorer.judge, count)
    assert arm.records[0].completion == "\ufffd {}"
    assert arm.model_dump_json().encode()


def test_progress_hears_of_every_answer(server: Server, ready: JudgingSession, count: Count) -> None:
    ask(server.policy(), server.tasks(), ready.scorer.judge, count)
    assert count.done == 12


def test_what_could_not_be_judged_is_counted_apart_and_never_as_zero(server: Server, count: Count) -> None:
    def judge(episodes: Sequence[Episode]) -> list[Judgement]:
        found = [Verdict(status="passed", score=1.0), Verdict.errored("out"), Verdict.abstained("not mine")]
        return [Judgement(verdict=found[index % 3], rewards={"graded": found[index % 3].score}) for index in range(12)]

    arm = ask(server.policy(), server.tasks(), judge, count)
    figures = cell(outcomes_of(arm).whole(), "graded")
    assert (figures.asked, figures.judged, figures.errored) == (12, 4, 4)
    assert present(figures.exact).estimate == present(figures.reward).estimate == 1.0
    assert figures.valid_json is None


def test_an_answer_that_was_cut_off_is_counted_as_truncated(
    server: Server, ready: JudgingSession, count: Count
) -> None:
    policy = server.policy([1])
    arm = ask(policy, server.tasks(), ready.scorer.judge, count, max_new_tokens=20)
    assert arm.records[0].finish_reason == "length"
    assert cell(outcomes_of(arm).whole(), "graded").truncated == 1


class Interrupted:
    """Ctrl-C comes after the first answer."""

    name = "interrupted"

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        yield 0, Completion("x", 1, 1, "stop")
        raise KeyboardInterrupt


def test_an_interrupted_arm_has_the_answers_that_are_judged_soon_and_waits_for_no_others(
    server: Server, ready: JudgingSession, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillpm.evals.examiner._PATIENCE", 60)
    assert len(ask(Interrupted(), server.tasks(), ready.scorer.judge, count).records) == 1
    monkeypatch.setattr("skillpm.evals.examiner._PATIENCE", 0.1)

    def judge(episodes: Sequence[Episode]) -> list[Judgement]:
        time.sleep(60)
        return []

    with pytest.raises(KeyboardInterrupt):
        ask(Interrupted(), server.tasks(), judge, count)
