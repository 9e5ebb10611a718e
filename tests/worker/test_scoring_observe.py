"""An environment is stepped in the worker: what it shows goes into the episode, and what it does wrong is no zero."""

from __future__ import annotations

import json
from typing import Any

import pytest

from skillpm.evals.asking import ArmLabel, Asking
from skillpm.evals.examiner import Examiner
from skillpm.evals.tasks import EvalTask
from skillpm.model.ports import Attempt
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.model.verdict import Verdict
from skillpm.plugin import hookimpl
from tests.scripted_policy import Count, ScriptedPolicy
from tests.skill_code import Bench, episode, hosting

WORLD = '''
import os, time
from skillpm.plugin import Verdict

def verify(attempts, contract):
    """The door opens with the key that a look has shown."""
    return [Verdict(status="passed", score=1.0) if "8123" in a.completion else Verdict(status="failed", score=0.0)
            for a in attempts]

def observe(attempt, contract):
    said = attempt.completion
    if said == "crash":
        os._exit(1)
    if said == "raise":
        raise ValueError("no light")
    if said == "number":
        return 5
    if said == "long":
        return "x" * 10_000
    place = "nothing here" if attempt.task.request == "search" else "the key is 8123"
    return place if said == "look" else None
'''


def test_what_an_environment_shows_stands_behind_the_answer_and_its_failures_are_errored(bench: Bench) -> None:
    said = ["look", "raise", "crash", "number", "long", "done"]
    with bench.scorer(bench.skill({"verifier.py": WORLD})) as scorer:
        assert scorer.observer is not None
        look, *failed, long, done = scorer.observe([episode(text) for text in said])
        assert (look.messages[-1].role, look.messages[-1].content, look.goes_on) == ("tool", "the key is 8123", True)
        assert look.completion == "look" and look.said[-1].role == "user"
        assert (len(long.messages[-1].content), done.goes_on, len(done.messages)) == (4000, False, 1)
        judged = scorer.judge([*failed, look.answered("8123"), done])
    assert [item.verdict.status for item in judged] == ["errored"] * 3 + ["passed", "failed"]
    assert [item.finish_reason for item in failed] == ["error"] * 3
    reasons = [item.verdict.reasons[0] for item in judged[:3]]
    assert "raised ValueError: no light" in reasons[0] and "exit" in reasons[1] and "returned 5" in reasons[2]


def test_the_environment_of_a_host_s_plugin_is_asked_where_its_verifier_judges(bench: Bench) -> None:
    class Plugin:
        @hookimpl
        def skillpm_verifier(self, skill: Skill) -> Any:
            return self

        def verify(self, attempts: Any) -> list[Verdict]:
            return [Verdict(status="passed", score=1.0) for _ in attempts]

        def observe(self, attempt: Attempt) -> str | None:
            return (
                None if attempt.completion == "end" else f"{attempt.completion:.{80 // len(attempt.completion)}} shown"
            )

    host = hosting(acme=Plugin())
    with bench.scorer(bench.skill({"verifier.py": None}), host=host) as scorer:
        assert scorer.observer is not None
        look, end, failed = scorer.observe([episode("look"), episode("end"), episode("")])
    assert (look.messages[-1].content, len(end.messages), failed.finish_reason) == ("look shown", 1, "error")
    with bench.scorer(bench.skill({"verifier.py": WORLD}), host=host) as scorer:
        (own,) = scorer.observe([episode("look")])
    assert own.messages[-1].content == "the key is 8123", "a skill's own verifier comes first"


def test_a_skill_without_an_environment_is_not_asked(bench: Bench) -> None:
    with bench.scorer(bench.skill()) as scorer:
        assert scorer.observer is None
        (same,) = scorer.observe([episode("look")])
    assert same == episode("look")


@pytest.mark.parametrize("turns", [1, 2, 4])
def test_an_evaluation_goes_on_until_the_environment_ends_or_the_turns_do(bench: Bench, turns: int) -> None:
    """The first task looks once, the second for ever, the third not at all."""

    def task(request: str) -> EvalTask:
        made = Task.of(skill="serving", system="s", request=request, expected=1, split="suite", origin="suite")
        return EvalTask("doors", made, made.prompt)

    key = json.dumps({"tool": "serve", "args": {"port": 8123}})
    answers = {"open": "look", "search": "look", "guess": "7", "the key is 8123": key}
    answers["nothing here"] = "look"
    policy, tasks = ScriptedPolicy(answers), [task("open"), task("search"), task("guess")]
    with bench.scorer(bench.skill({"verifier.py": WORLD, "contract.yaml": None})) as scorer:
        asking = Asking(turns=turns)
        count = Count()
        examiner = Examiner(scorer.judge, scorer.prefetch, asking, count, observe=scorer.observer)
        arm = examiner.ask(policy, tasks, ArmLabel("base", "scripted"))
    opened, searched, guessed = arm.records
    assert opened.exact is (turns > 1) and not searched.exact and not guessed.exact and count.done == 3
    assert [message.role for message in opened.messages] == (["assistant", "tool", "assistant"] if turns > 1 else [])
    assert len(searched.messages) == (2 * turns - 1 if turns > 1 else 0) and guessed.messages == ()
    if turns > 1:
        assert opened.completion == key
        read = next(prompt for prompt in policy.prompts if prompt[-1].content.startswith("the key"))
        assert [message.role for message in read] == ["system", "user", "assistant", "user"]
