"""What is judged ahead is judged once, by the workers alone, and changes no result."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillpm.errors import UsageError
from skillpm.evals.asking import ArmLabel, Asking
from skillpm.evals.examiner import Examiner
from skillpm.evals.tasks import EvalTask
from skillpm.hookspecs import hookimpl
from skillpm.model.ports import Completion
from skillpm.model.progress import Figure
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.model.verdict import Verdict
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.sandbox import Sandbox
from skillpm.worker.process import WorkerProcess
from skillpm.worker.settings import WorkerSettings
from tests.skill_code import Bench, episode, hosting

COUNTING = """
from skillpm.plugin import Verdict
calls = 0

def verify(attempts, contract):
    global calls
    calls += len(attempts)
    if any(attempt.completion == "bad" for attempt in attempts) and len(attempts) == 1 and calls < 9:
        calls = 9
        raise OSError("out")
    return [Verdict(status="failed", score=0.0, reasons=(str(calls),)) for _ in attempts]
"""


class Quiet:
    """Progress that nobody sees."""

    def start(self, title: str, total: int | None) -> None:
        pass

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        pass

    def finish(self, note: str = "", seconds: float | None = None) -> None:
        pass


class Scripted:
    """Gives its answers in its order, with its pauses between them."""

    name = "scripted"

    def __init__(self, answers: Sequence[str], order: Sequence[int], pauses: Sequence[float]) -> None:
        self._answers, self._order, self._pauses = answers, order, pauses

    def complete(self, prompts: Sequence[object], *, max_new_tokens: int) -> Iterator[tuple[int, Completion]]:
        for index, pause in zip(self._order, self._pauses, strict=True):
            time.sleep(pause)
            yield index, Completion(self._answers[index], 1, 1, "stop")


def asked(number: int) -> EvalTask:
    """A task of its own for each number."""
    expected = {"tool": "serve", "args": {"port": number}}
    task = Task.of(skill="serving", system="", request=f"go {number}", expected=expected, split="suite", origin="suite")
    return EvalTask("core", task, task.prompt)


def answered(number: int, kind: str) -> str:
    """An answer to the task of this number."""
    whole = json.dumps({"tool": "serve", "args": {"port": number, "host": None, "quiet": None}})
    return {"right": whole, "prose": f"Sure: {whole}", "wrong": whole.replace(str(number), "1"), "none": ""}[kind]


def test_an_arm_is_the_same_in_whatever_order_and_batches_its_answers_came(bench: Bench) -> None:
    used = iter(range(10, 10**9))
    with bench.scorer(bench.skill()) as ahead, bench.scorer(bench.skill()) as at_the_end:

        @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.data())
        def same(data: st.DataObject) -> None:
            kinds = data.draw(st.lists(st.sampled_from(["right", "prose", "wrong", "none"]), min_size=1, max_size=9))
            order = data.draw(st.permutations(range(len(kinds))))
            pauses = data.draw(st.lists(st.sampled_from([0, 0, 0.003]), min_size=len(kinds), max_size=len(kinds)))
            numbers = [next(used) for _ in kinds]  # no memo knows them
            tasks = [asked(number) for number in numbers]
            policy = Scripted([answered(*pair) for pair in zip(numbers, kinds, strict=True)], order, pauses)
            arms = [
                Examiner(scorer.judge, prefetch, Asking(), Quiet()).ask(policy, tasks, ArmLabel("base", "scripted"))
                for scorer, prefetch in ((ahead, ahead.prefetch), (at_the_end, None))
            ]
            assert arms[0].records == arms[1].records

        same()


def test_judging_begins_before_the_last_answer_has_come(bench: Bench) -> None:
    with bench.scorer(bench.skill()) as scorer:

        class Waiting(Scripted):
            def complete(self, prompts: Sequence[object], *, max_new_tokens: int) -> Iterator[tuple[int, Completion]]:
                first, second = super().complete(prompts, max_new_tokens=max_new_tokens)
                yield first
                while not scorer._prefetches["serving"]._judgements:
                    time.sleep(0.01)
                yield second

        policy = Waiting([answered(1, "right"), answered(2, "none")], [0, 1], [0, 0])
        tasks = [asked(1), asked(2)]
        examiner = Examiner(scorer.judge, scorer.prefetch, Asking(), Quiet())
        arm = examiner.ask(policy, tasks, ArmLabel("base", "scripted"))
    assert [record.exact for record in arm.records] == [True, False]


def test_what_was_judged_ahead_is_not_judged_again_nor_is_an_outage_remembered(bench: Bench) -> None:
    with bench.scorer(bench.skill({"verifier.py": COUNTING})) as scorer:
        scorer.prefetch([episode("a"), episode("a"), episode("b")])
        first = scorer.judge([episode("b"), episode("a")])
        scorer.prefetch([episode("a")])
        again = scorer.judge([episode("a"), episode("c")])
        assert {item.verdict.reasons[0] for item in first} <= {"1", "2"}
        assert again[0] == first[1] and again[1].verdict.reasons == ("3",)
        scorer.prefetch([episode("bad")])
        while scorer._prefetches["serving"]._waiting or scorer._prefetches["serving"]._in_flight:
            time.sleep(0.01)
        assert scorer.judge([episode("bad")])[0].verdict.status == "failed"


DYING = """
import os
from skillpm.plugin import Verdict

def verify(attempts, contract):
    for attempt in attempts:
        print("saw", attempt.completion, flush=True)
        if attempt.completion.startswith("kill"):
            os._exit(3)
    return [Verdict(status="failed", score=0.0) for _ in attempts]
"""


@pytest.mark.slow
def test_a_verifier_that_dies_says_the_same_of_the_same_answers_however_they_came(bench: Bench) -> None:
    skill = bench.skill({"verifier.py": DYING})
    answers = ["a", "b", "kill c", "d", "e", "f", "kill g", "h"]
    with bench.scorer(skill) as scorer:
        scorer.describe(skill)
        at_the_end = scorer.judge([episode(answer) for answer in answers])
    for together in (1, 3, 8):
        with bench.scorer(skill) as scorer:
            scorer.describe(skill)
            for start in range(0, len(answers), together):
                scorer.prefetch([episode(answer) for answer in answers[start : start + together]])
                time.sleep(0.05)
            assert scorer.judge([episode(answer) for answer in answers]) == at_the_end
    assert [item.verdict.status == "errored" for item in at_the_end] == ["kill" in answer for answer in answers]


@pytest.mark.slow
def test_a_slow_verifier_is_given_its_time_by_those_who_ask_in_earnest(bench: Bench) -> None:
    """Neither what was too much at once ahead, nor the wait for it, is held against an answer.

    The wait is as long as a call may last; the rest is time for a new worker to start on a busy machine.
    """
    code = """
import time
from skillpm.plugin import Verdict

def verify(attempts, contract):
    time.sleep(0.6 * len(attempts))
    return [Verdict(status="failed", score=0.0) for _ in attempts]
"""
    skill = bench.skill({"verifier.py": code})
    with bench.scorer(skill, limits=Limits(batch_seconds=6.0, call_seconds=6.0, item_seconds=0.0)) as scorer:
        scorer.describe(skill)
        many = [episode(str(number)) for number in range(12)]
        scorer.prefetch(many)
        while not scorer._prefetches["serving"]._in_flight:
            time.sleep(0.01)
        assert scorer.judge([episode("another")])[0].verdict.status == "failed"
        assert [item.verdict.status for one in many[:3] for item in scorer.judge([one])] == ["failed"] * 3


def test_leaving_does_not_wait_for_what_is_in_flight(bench: Bench) -> None:
    skill = bench.skill({"verifier.py": "import time\ndef verify(attempts, contract):\n    time.sleep(600)\n"})
    limits = Limits(batch_seconds=300.0)
    with pytest.raises(KeyboardInterrupt), bench.scorer(skill, limits=limits) as scorer:
        scorer.describe(skill)
        (process,) = scorer._pools["serving"].processes
        scorer.prefetch([episode("a"), episode("b")])
        while not scorer._prefetches["serving"]._in_flight:
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert isinstance(process, WorkerProcess) and process._closed
    assert not any(thread.name == "judging serving" for thread in threading.enumerate())


def test_plugins_of_the_host_are_asked_and_told_where_and_when_they_always_were(bench: Bench) -> None:
    seen: list[tuple[str, str, threading.Thread]] = []

    class Plugin:
        @hookimpl
        def skillpm_verifier(self, skill: Skill) -> Any:
            return self

        def verify(self, attempts: Any) -> list[Verdict]:
            seen.extend(("verify", attempt.completion, threading.current_thread()) for attempt in attempts)
            return [Verdict(status="passed", score=1.0) for _ in attempts]

        @hookimpl
        def skillpm_scored(self, attempt: Any, judgement: Any) -> None:
            seen.append(("scored", attempt.completion, threading.current_thread()))

    host = hosting(acme=Plugin())
    with bench.scorer(bench.skill(), host=host) as scorer:
        scorer.prefetch([episode("b"), episode("a")])
        judgements = scorer.judge([episode("a"), episode("b")])
    assert [item.verdict.status for item in judgements] == ["passed", "passed"]
    assert [item[:2] for item in seen] == [("verify", "a"), ("verify", "b"), ("scored", "a"), ("scored", "b")]
    assert {item[2] for item in seen} == {threading.main_thread()}


def test_an_episode_of_another_skill_is_refused_at_once(bench: Bench) -> None:
    with bench.scorer(bench.skill()) as scorer, pytest.raises(UsageError, match="not among"):
        scorer.prefetch([episode(skill="other")])


def test_several_workers_in_bubblewrap_live_from_call_to_call(bench: Bench, offered: Callable[[str], Sandbox]) -> None:
    """bwrap ends with the thread that started it, so a thread of its own for each call would cost a start each."""
    with bench.scorer(bench.skill(), settings=WorkerSettings(sandbox=offered("bubblewrap"), workers=2)) as scorer:
        scorer.judge([episode(f"a{number}") for number in range(4)])
        first = {process.pid for process in scorer._pools["serving"].processes}
        scorer.judge([episode(f"b{number}") for number in range(4)])
        assert {process.pid for process in scorer._pools["serving"].processes} == first
