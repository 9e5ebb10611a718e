"""One guard around foreign code: the same faults, committed by a distribution's plugin and by a skill's code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest

from skillpm.errors import IntegrityError, PluginError
from skillpm.model.ports import Attempt
from skillpm.model.verdict import Judgement, Verdict
from skillpm.runtime import guarded
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.host import Host
from tests.skill_code import Bench, episode, hosting

DEEDS = """
import asyncio, sys
from skillpm.plugin import RewardFunction, Verdict, hookimpl

class Stop(BaseException):
    pass

class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("no message")

class Unprintable:
    def __repr__(self):
        raise SystemExit("no text")

def act(deed):
    space = {**globals()}
    exec("def done():\\n    " + deed, space)
    return space["done"]()
"""
RAISED = {
    "raise ValueError('broken')": "raised ValueError: broken",
    "raise ValueError('\\ud800')": "raised ValueError: \\ud800",
    "raise Unreadable": "raised Unreadable: (its message cannot be read)",
    "raise Stop": "raised Stop",
    "raise asyncio.CancelledError": "raised CancelledError",
    "sys.exit(3)": "raised SystemExit: 3",
    "return Unprintable()": "",
}
AMOUNTS = {
    **RAISED,
    "return 'high'": "returned 'high', which is not a finite number",
    "return True": "returned True",
    "return []": "returned []",
    "return float('inf')": "returned inf",
    "return float('nan')": "returned nan",
    "return 10 ** 400": "raised OverflowError",
    "return 5.0": "paid 5, which is not between -1 and 1",
    "return -1.5": "paid -1.5, which is not between -1 and 1",
}
PASSED = "Verdict(status='passed', score=1.0)"
FORGED = "Verdict.model_construct(**{**dict(status='passed', score=1.0, components={}, reasons=()), **%s})"
VERDICTS = {
    **RAISED,
    "return 'passed'": "returned str where a list of 1 verdict belongs",
    "return True": "returned bool",
    "return float('inf')": "returned float",
    "return 5.0": "returned float",
    "return None": "returned NoneType",
    "return []": "returned no verdicts for 1 attempt",
    f"return [{PASSED}] * 3": "returned 3 verdicts for 1 attempt",
    "return [True]": "returned True where a Verdict belongs",
    "return [5.0]": "returned 5.0 where a Verdict belongs",
    "return [Unprintable()]": "raised SystemExit",
    f"return [{FORGED % {'score': 5.0}}]".replace("5.0", "float('inf')"): "`score`",
    f"return [{FORGED % {'score': 5.0}}]": "`score`",
    f"return [{FORGED % {'status': 'won'}}]": "`status`",
    f"return [{FORGED % {'score': None}}]": "cannot have",
}

VERIFIER = """
class Judge:
    def verify(self, attempts):
        return act(attempts[0].completion)

@hookimpl
def skillpm_verifier(skill):
    return Judge()
"""
REWARD = """
@hookimpl
def skillpm_rewards(skill):
    return [RewardFunction("extra", lambda task, episode, verdict: act(episode.completion))]
"""


def module_of(hooks: str) -> ModuleType:
    """Return the module of a distribution's plugin with these hooks."""
    module = ModuleType("acme_plugin")
    exec(DEEDS + hooks, module.__dict__)
    return module


JudgeWith = Callable[[str, Sequence[str]], list[Judgement]]


@pytest.fixture(params=["a distribution's plugin", "a skill's plugin.py"])
def judge_with(request: pytest.FixtureRequest, bench: Bench) -> JudgeWith:
    """Return ``judge_with(hooks, texts)``: judged by such code, which does what each text says."""

    def judge(hooks: str, texts: Sequence[str]) -> list[Judgement]:
        answers = [episode(text) for text in texts]
        if request.param == "a skill's plugin.py":
            return bench.judge(answers, {"plugin.py": DEEDS + hooks}, host=Host())
        return bench.judge(answers, host=hosting(**{"plugin.py": module_of(hooks)}))

    return judge


def test_whatever_a_verifier_does_wrong_is_an_errored_verdict_that_names_its_plugin(judge_with: JudgeWith) -> None:
    for deed, judgement in zip(VERDICTS, judge_with(VERIFIER, list(VERDICTS)), strict=True):
        assert (judgement.verdict.status, judgement.verdict.score) == ("errored", None), deed
        (reason,) = judgement.verdict.reasons
        assert reason.startswith("the verifier of plugin.py ") and VERDICTS[deed] in reason, (deed, reason)
        assert judgement.rewards == dict.fromkeys(("graded", "signed", "tool_call")), deed


def test_whatever_a_reward_does_wrong_pays_none_with_a_reason_that_names_its_plugin(judge_with: JudgeWith) -> None:
    for deed, judgement in zip(AMOUNTS, judge_with(REWARD, list(AMOUNTS)), strict=True):
        assert judgement.rewards == {"graded": 0.0, "signed": -1.0, "tool_call": 0.0, "extra": None}, deed
        (failure,) = judgement.failures
        assert failure.reason.startswith("reward `extra` of plugin.py ") and AMOUNTS[deed] in failure.reason, deed
        assert judgement.verdict.status == "failed" and judgement.verdict.reasons[-1] == failure.reason, deed


def test_what_a_reward_does_right_is_paid(judge_with: JudgeWith) -> None:
    rights = {"return 0.25": 0.25, "return -1": -1.0, "return 1": 1.0, "return None": None}
    for deed, judgement in zip(rights, judge_with(REWARD, list(rights)), strict=True):
        assert judgement.rewards["extra"] == rights[deed] and not judgement.failures, deed


def test_a_verifier_that_fails_on_one_attempt_judges_the_others(judge_with: JudgeWith) -> None:
    hooks = VERIFIER.replace("act(attempts[0].completion)", "[act(a.completion) for a in attempts]")
    passed = f"return {PASSED}"
    judgements = judge_with(hooks, [passed, "sys.exit(3)", f"{passed} # again"])
    assert [item.verdict.status for item in judgements] == ["passed", "errored", "passed"]


def test_a_verifier_whose_every_answer_takes_long_to_fail_is_not_asked_about_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Outage:
        calls = 0

        def verify(self, attempts: Sequence[Attempt]) -> Sequence[Verdict]:
            self.calls += 1
            raise TimeoutError("no answer")

    outage, one = Outage(), episode("x")
    monkeypatch.setattr(guarded, "RETRY_SECONDS", 0.0)
    verdicts = guarded.verify(outage, [Attempt(one.task, one)] * 50, "acme")
    assert [verdict.reasons for verdict in verdicts] == [("the verifier of acme raised TimeoutError: no answer",)] * 50
    assert outage.calls == 1


def test_a_persons_interrupt_passes_through_a_plugin(bench: Bench) -> None:
    with bench.scorer(bench.skill(), host=hosting(acme=module_of(REWARD))) as scorer, pytest.raises(KeyboardInterrupt):
        scorer.judge([episode("raise KeyboardInterrupt")])


LYING = """
import json
from skillpm.plugin import RewardFunction, hookimpl
from skillpm.worker import main

@hookimpl
def skillpm_rewards(skill):
    return [RewardFunction(name, lambda task, episode, verdict: 0.5) for name in ("first", "second")]

honest = main._send

def lying(replies, reply):
    for grade in reply.get("grades", ()):
        grade.update(LIES)
    honest(replies, reply)

main._send = lying
"""
LIES: dict[str, tuple[dict[str, Any], dict[str, float | None], list[tuple[str, str]]]] = {
    "pays built-in rewards": (
        {"rewards": {"first": 0.5, "second": 0.5, "graded": 1.0, "signed": 1.0, "tool_call": 1.0}},
        {"first": 0.5, "second": 0.5},
        [("graded", "undeclared")],
    ),
    "pays what it did not declare": (
        {"rewards": {"first": 0.5, "second": 0.5, "other:skill": 5.0}},
        {"first": 0.5, "second": 0.5},
        [("other:skill", "undeclared")],
    ),
    "pays too much and too little": (
        {"rewards": {"first": 1e308, "second": -1.01}},
        {"first": None, "second": None},
        [("first", "range"), ("second", "range")],
    ),
    "leaves one out": ({"rewards": {"first": 1}}, {"first": 1.0, "second": None}, [("second", "missing")]),
    "pays what it says has failed": (
        {"failures": [{"reward": "first", "kind": "raised", "reason": "r"}]},
        {"first": None, "second": 0.5},
        [("first", "raised")],
    ),
    "says that another's reward failed": (
        {"failures": [{"reward": "graded", "kind": "raised", "reason": "r"}]},
        {"first": 0.5, "second": 0.5},
        [],
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_lies_about_rewards_is_held_to_what_its_skill_declared(bench: Bench, lie: str) -> None:
    grade, own, failures = LIES[lie]
    (judgement,) = bench.judge([episode("wrong")], {"plugin.py": LYING.replace("LIES", repr(grade))})
    assert judgement.verdict.status == "failed"
    assert judgement.rewards == {"graded": 0.0, "signed": -1.0, "tool_call": 0.0, **own}
    assert [(failure.reward, failure.kind) for failure in judgement.failures] == failures
    assert judgement.verdict.reasons[1:] == tuple(failure.reason for failure in judgement.failures)


def test_a_worker_that_declares_a_built_in_reward_is_not_believed_about_it(bench: Bench) -> None:
    """Neither what it pays, nor that it has a say: the catalogue refuses the name."""
    lying = LYING.replace("    honest(", '    reply.get("rewards", []).append(FAKE)\n    honest(')
    fake = {"name": "graded", "plugin": "plugin.py", "default": True}
    paid = {"rewards": {"first": 0.5, "second": 0.5, "graded": 1.0}}
    skill = bench.skill({"plugin.py": lying.replace("FAKE", repr(fake)).replace("LIES", repr(paid))})
    with bench.scorer(skill) as scorer:
        (judgement,) = scorer.judge([episode("wrong")])
        with pytest.raises(PluginError, match=r"conventions and plugin\.py both bring a reward called `graded`"):
            build_catalogue([skill], Host(), describe=scorer.describe)
    assert (judgement.verdict.status, judgement.rewards["graded"]) == ("failed", 0.0)


def test_a_worker_that_declares_other_rewards_when_it_is_started_again_is_refused(bench: Bench) -> None:
    """The name is another one in each process."""
    plugin = (
        LYING.replace('"first"', 'f"n{os.urandom(4).hex()}"').replace("import json", "import os").replace("LIES", "{}")
    )
    with bench.scorer(bench.skill({"plugin.py": plugin})) as scorer:
        assert scorer.judge([episode("a")])[0].verdict.status == "failed"
        (process,) = scorer._pools["serving"].processes
        process.kill()
        (judgement,) = scorer.judge([episode("b")])
    assert judgement.verdict.status == "errored"
    assert "its workers declare different rewards" in judgement.verdict.reasons[0]


def test_a_skills_worker_cannot_change_the_verdict_of_a_hosts_verifier(bench: Bench) -> None:
    """It is asked a second time, for its own rewards alone."""
    host = hosting(acme=module_of(VERIFIER))
    verdict = {"verdict": {"status": "passed", "score": 1.0, "components": {}, "reasons": []}}
    deed = "return [Verdict(status='failed', score=0.25, reasons=('host',))]"
    (judgement,) = bench.judge([episode(deed)], {"plugin.py": LYING.replace("LIES", repr(verdict))}, host=host)
    assert judgement.verdict == Verdict(status="failed", score=0.25, reasons=("host",))
    assert judgement.rewards == {"first": 0.5, "graded": 0.25, "second": 0.5, "signed": -1.0, "tool_call": 0.0}


def test_a_link_called_verifier_is_not_run(bench: Bench) -> None:
    """Nobody was asked about what a link leads to, so a skill that holds one does not run at all."""
    skill = bench.skill({"impl.py": "raise SystemExit('ran')"})
    (skill.root / "verifier.py").symlink_to("impl.py")
    with pytest.raises(IntegrityError, match=r"verifier\.py is a symlink"), bench.scorer(skill) as scorer:
        scorer.judge([episode()])
