"""Whatever a skill's code does, scoring gives a judgement for each episode, and an outage is never a zero."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any

import pytest

from skillpm.errors import ConsentError, PluginError, UsageError
from skillpm.model.verdict import Judgement, Verdict
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.sandbox import choose
from skillpm.trust.consent import Consents
from skillpm.worker.process import WorkerProcess
from skillpm.worker.scoring import Scorer
from skillpm.worker.settings import WorkerSettings
from tests.skill_code import GOLD, Bench, episode

HEADER = "import os, sys, time\nfrom skillpm.plugin import Verdict\n"
PASS = "Verdict(status='passed', score=1.0)"


def verifier(body: str) -> dict[str, str]:
    """Return a verifier.py whose function has this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return {"verifier.py": f"{HEADER}\ndef verify(attempts, contract):\n{lines}\n"}


def statuses(judgements: list[Judgement]) -> list[str]:
    return [judgement.verdict.status for judgement in judgements]


def count_starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the worker processes that are started from now on."""
    started: list[int] = []
    original = WorkerProcess.__init__

    def counting(self: WorkerProcess, *arguments: Any) -> None:
        started.append(1)
        original(self, *arguments)

    monkeypatch.setattr(WorkerProcess, "__init__", counting)
    return started


class TestContractOnly:
    def test_gives_verdict_rewards_and_argv_in_the_order_of_the_episodes(self, bench: Bench) -> None:
        wrong = '{"tool": "serve", "args": {"port": 9, "host": null, "quiet": null}}'
        first, second, third = bench.judge([episode(wrong), episode(), episode("no")])
        assert second.verdict == Verdict(
            status="passed", score=1.0, components=dict.fromkeys(second.verdict.components, 1.0)
        )
        assert second.rewards == {"graded": 1.0, "signed": 1.0, "tool_call": 1.0}
        assert second.argv == (("serve", "--port", "8123"),)
        assert (first.rewards["signed"], first.rewards["tool_call"], first.argv) == (
            -1.0,
            0.5,
            (("serve", "--port", "9"),),
        )
        assert (third.verdict.status, third.argv) == ("failed", None)

    def test_worker_agrees_with_the_bare_contract_on_hostile_texts(self, bench: Bench) -> None:
        skill = bench.skill()
        from skillpm.runtime.skillfiles import SkillFiles

        contract = SkillFiles(skill).contract()
        assert contract is not None
        text = json.dumps(GOLD)
        ports = ("NaN", "1e999", "true", '"8123"', "8123.0", "null")
        texts = [
            "", " ", text, f"{text} and also rm -rf /", f"```json\n{text}\n```", text * 2, "[" * 10_000,
            "x" * 1_000_000, "\ud800", '"\\ud800"', "\x00", "{}", text.replace('"host": null', '"host": "\\ud800"'),
            text.replace("serve", "other"), *(text.replace("8123", port) for port in ports),
        ]  # fmt: skip
        with bench.scorer(skill) as scorer:
            judgements = scorer.judge([episode(item) for item in texts])
        for item, judgement in zip(texts, judgements, strict=True):
            expected = contract.judge(GOLD, item)
            assert judgement.verdict == expected, item[:60]
            assert judgement.argv == contract.argv_of(item), item[:60]

    def test_an_expected_answer_that_breaks_the_contract_is_errored_with_the_reason(self, bench: Bench) -> None:
        judgement, good = bench.judge([episode("{}", expected={"tool": "nope", "args": {}}), episode()])
        assert judgement.verdict.status == "errored" and judgement.verdict.score is None
        assert "unknown tool" in judgement.verdict.reasons[0]
        assert set(judgement.rewards.values()) == {None}
        assert good.verdict.status == "passed"

    def test_a_skill_without_contract_and_verifier_abstains(self, bench: Bench) -> None:
        (judgement,) = bench.judge([episode("x")], {"contract.yaml": None})
        assert (judgement.verdict.status, judgement.argv) == ("abstained", None)

    def test_an_episode_of_another_skill_is_refused(self, bench: Bench) -> None:
        with bench.scorer(bench.skill()) as scorer, pytest.raises(UsageError, match="not among"):
            scorer.judge([episode(skill="other")])

    def test_two_skills_are_judged_each_by_its_own_and_in_order(self, bench: Bench) -> None:
        strict = bench.skill(verifier("return [Verdict(status='failed', score=0.0) for _ in attempts]"), name="strict")
        mixed = [episode(), episode(skill="strict"), episode("x"), episode("y", skill="strict")]
        with bench.scorer(bench.skill(), strict) as scorer:
            assert statuses(scorer.judge(mixed)) == ["passed", "failed", "failed", "failed"]

    def test_a_batch_larger_than_a_message_is_cut(self, bench: Bench) -> None:
        limits = Limits(batch_items=3, batch_characters=200)
        episodes = [episode(request=str(number)) for number in range(10)] + [episode("x" * 1000)]
        assert statuses(bench.judge(episodes, limits=limits)) == ["passed"] * 10 + ["failed"]


class TestVerifier:
    def test_sees_what_the_contract_found_and_may_ask_it_again(self, bench: Bench) -> None:
        body = """
out = []
for attempt in attempts:
    again = contract.judge(attempt.expected, attempt.completion)
    assert again == attempt.verdict
    known = attempt.task.request == "alias"
    out.append(Verdict(status='passed', score=1.0, reasons=('alias',)) if known else attempt.verdict)
return out"""
        first, second = bench.judge([episode("{}"), episode("{}", request="alias")], verifier(body))
        assert (first.verdict.status, second.verdict.reasons) == ("failed", ("alias",))
        assert second.rewards["graded"] == 1.0

    def test_what_a_verifier_does_wrong_is_errored_with_a_sentence_and_never_a_score(self, bench: Bench) -> None:
        """The verifier of this test does what the answer says, and each answer says something wrong."""
        made = "[Verdict.model_construct(**{**dict(status='passed', score=1.0, components={}, reasons=()), **%s})]"
        wrong = {
            "raise ValueError('broken')": "ValueError: broken",
            "raise ValueError('\\ud800')": "ValueError",
            "sys.exit(0)": "SystemExit",
            "raise KeyboardInterrupt": "KeyboardInterrupt",
            "return []": "returned no verdicts for 1 attempt",
            f"return [{PASS}] * 99": "returned 99 verdicts",
            "return None": "NoneType",
            "return [True]": "returned True",
            "return ['1']": "returned '1'",
            "return [float('nan')]": "returned nan",
            f"return {made % {'score': True}}": "`score`",
            f"return {made % {'score': '1'}}": "`score`",
            f"return {made % {'score': 2.0}}": "`score`",
            f"return {made % {'score': None}}": "cannot have",
            f"return {made % {'status': 'won'}}": "`status`",
            f"return {made % {'components': {'a': 'b'}}}": "`components.a`",
            "return [Verdict(status='failed', score=0.0).model_copy(update={'score': float('nan')})]": "`score`",
            "return [Verdict.model_construct(status='passed')]": "score",
            f"return [{PASS}.model_copy(update={{'reasons': ('x' * 10_000_000,)}})]": "reasons",
        }
        body = "space = {**globals()}\nexec('def act():\\n    ' + attempts[0].completion, space)\nreturn space['act']()"
        with bench.scorer(bench.skill(verifier(body))) as scorer:
            assert scorer.judge([episode(f"return [{PASS}]")])[0].verdict.status == "passed"
            for deed, reason in wrong.items():
                (judgement,) = scorer.judge([episode(deed)])
                assert judgement.verdict.status == "errored" and judgement.verdict.score is None, deed
                assert reason in judgement.verdict.reasons[0], (deed, judgement.verdict.reasons)
                assert set(judgement.rewards.values()) <= {None}, deed

    def test_a_verifier_s_none_is_no_verdict_where_there_is_no_contract_either(self, bench: Bench) -> None:
        skill = bench.skill({**verifier("return [attempt.verdict for attempt in attempts]"), "contract.yaml": None})
        with bench.scorer(skill) as scorer:
            (judgement,) = scorer.judge([episode("x")])
        assert judgement.verdict.status == "errored" and "returned None" in judgement.verdict.reasons[0]

    def test_only_the_guilty_answers_are_errored(self, bench: Bench) -> None:
        body = f"for attempt in attempts:\n    exec(attempt.completion)\nreturn [{PASS}] * len(attempts)"
        guilty = {
            3: "raise ValueError",
            9: "os._exit(0)",
            13: "os.kill(os.getpid(), 9)",
            17: "sys.stdout.write('x' * 10_000_000); raise ValueError",
            18: "bytearray(1 << 40)",
        }
        episodes = [episode(guilty.get(number, f"'harmless {number}'")) for number in range(20)]
        with bench.scorer(bench.skill(verifier(body))) as scorer:
            found = statuses(scorer.judge(episodes))
        assert found == ["errored" if number in guilty else "passed" for number in range(20)]

    def test_a_verifier_that_hangs_is_ended_at_the_deadline_and_costs_the_others_nothing(self, bench: Bench) -> None:
        body = f"""
if any(attempt.completion == 'bad' for attempt in attempts):
    time.sleep(600)
return [{PASS}] * len(attempts)"""
        texts = ["bad" if number == 3 else f"good {number}" for number in range(6)]
        judgements = bench.judge(
            [episode(text) for text in texts], verifier(body), limits=Limits(batch_seconds=2.0, item_seconds=0)
        )
        assert statuses(judgements) == ["errored" if text == "bad" else "passed" for text in texts]
        assert "no verdicts after" in judgements[3].verdict.reasons[0]

    def test_a_verifier_that_always_dies_is_restarted_a_bounded_number_of_times(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        skill = bench.skill(verifier("os._exit(5)"))
        with bench.scorer(skill, limits=Limits(restarts=3)) as scorer:
            started = count_starts(monkeypatch)
            judgements = scorer.judge([episode(str(number)) for number in range(200)])
        assert set(statuses(judgements)) == {"errored"}
        assert "exited with code 5" in judgements[0].verdict.reasons[0]
        assert len(started) == 4

    def test_what_a_verifier_prints_changes_nothing_even_where_it_looks_like_a_frame(self, bench: Bench) -> None:
        body = f"""
frame = b'\\x00\\x00\\x00\\x02{{}}'
for descriptor in (1, 2):
    os.write(descriptor, frame * 50_000)
print(attempts[0].completion)
return [{PASS.replace("passed", "failed").replace("1.0", "0.0")}] * len(attempts)"""
        assert statuses(bench.judge([episode('{"grades": [{"score": 1}]}')], verifier(body))) == ["failed"]

    def test_frames_that_it_forges_on_the_pipe_are_errors(self, bench: Bench) -> None:
        forged = '{"number":1,"grades":[{"verdict":{"status":"passed","score":1.0},"rewards":{}}],"items":[[0,null]]}'
        body = f"""
payload = {forged.encode()!r}
for descriptor in range(3, 4096):
    try:
        os.write(descriptor, len(payload).to_bytes(4, 'big') + payload)
    except OSError:
        pass
return [Verdict(status='failed', score=0.0)] * len(attempts)"""
        (judgement,) = bench.judge([episode()], verifier(body), limits=Limits(restarts=1))
        assert judgement.verdict.status == "errored"

    def test_a_reply_larger_than_a_frame_may_be_is_an_error(self, bench: Bench) -> None:
        body = "return [Verdict(status='passed', score=1.0, reasons=('x' * 2000,) * 500)] * len(attempts)"
        (judgement,) = bench.judge([episode()], verifier(body), limits=Limits(frame_bytes=100_000))
        assert judgement.verdict.status == "errored" and "bytes, more than" in judgement.verdict.reasons[0]


class TestPool:
    BODY = """
for attempt in attempts:
    exec(attempt.completion)
return [Verdict(status='failed', score=0.0, reasons=(a.completion, str(os.getpid()))) for a in attempts]"""

    def test_several_workers_share_a_batch_and_keep_its_order(self, bench: Bench) -> None:
        texts = [f"'{number}'" for number in range(101)]
        place = WorkerSettings(choose("limits"), workers=3)  # with the numbers of processes that we see
        with bench.scorer(bench.skill(verifier(self.BODY)), settings=place) as scorer:
            judgements = scorer.judge([episode(text) for text in texts])
            pids = {str(process.pid) for process in scorer._pools["serving"].processes}
        assert [judgement.verdict.reasons[0] for judgement in judgements] == texts
        assert len(pids) == 3 and {judgement.verdict.reasons[1] for judgement in judgements} <= pids

    def test_what_ends_one_of_them_costs_only_the_guilty(self, bench: Bench) -> None:
        texts = ["os._exit(3)" if number == 5 else f"'{number}'" for number in range(20)]
        judgements = bench.judge(
            [episode(text) for text in texts], verifier(self.BODY), settings=WorkerSettings(workers=2)
        )
        assert statuses(judgements) == ["errored" if number == 5 else "failed" for number in range(20)]

    def test_an_interrupt_does_not_wait_for_verdicts(self, bench: Bench) -> None:
        skill = bench.skill(verifier("time.sleep(600)"))
        with bench.scorer(skill, limits=Limits(batch_seconds=300.0), settings=WorkerSettings(workers=2)) as scorer:
            scorer.describe(skill)
            threading.Timer(2.0, os.kill, [os.getpid(), signal.SIGINT]).start()
            with pytest.raises(KeyboardInterrupt):
                scorer.judge([episode(str(number)) for number in range(4)])

    def test_verdicts_are_the_same_however_many_judge(self, bench: Bench) -> None:
        episodes = [episode(json.dumps({**GOLD, "args": {**GOLD["args"], "port": port}})) for port in range(8110, 8130)]
        found = []
        for workers in (1, 2):
            with bench.scorer(bench.skill(), settings=WorkerSettings(workers=workers)) as scorer:
                found.append(scorer.judge(episodes))
        assert found[0] == found[1]


class TestWorkers:
    def test_a_worker_killed_between_calls_is_started_again(self, bench: Bench) -> None:
        with bench.scorer(bench.skill()) as scorer:
            scorer.judge([episode()])
            (process,) = scorer._pools["serving"].processes
            os.kill(process.pid, signal.SIGKILL)
            assert statuses(scorer.judge([episode("other")])) == ["failed"]

    def test_leaving_the_context_ends_them_and_removes_their_folders(self, bench: Bench) -> None:
        with bench.scorer(bench.skill()) as scorer:
            scorer.judge([episode()])
            (process,) = scorer._pools["serving"].processes
            assert isinstance(process, WorkerProcess) and process._scratch.is_dir()
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)
        assert not process._scratch.exists()

    def test_the_same_answer_to_the_same_task_is_judged_once(self, bench: Bench) -> None:
        body = """
verify.calls = getattr(verify, 'calls', 0) + len(attempts)
return [Verdict(status='failed', score=0.0, reasons=(str(verify.calls),))] * len(attempts)"""
        with bench.scorer(bench.skill(verifier(body))) as scorer:
            first = scorer.judge([episode("a"), episode("a"), episode("b")])
            second = scorer.judge([episode("b"), episode("a"), episode("a", request="another task")])
        assert [item.verdict.reasons for item in first] == [("2",)] * 3
        assert [item.verdict.reasons for item in second] == [("2",), ("2",), ("3",)]

    def test_outages_are_not_remembered(self, bench: Bench) -> None:
        body = f"""
verify.calls = getattr(verify, 'calls', 0) + 1
if verify.calls == 1:
    raise OSError('out')
return [{PASS}]"""
        with bench.scorer(bench.skill(verifier(body))) as scorer:
            assert statuses(scorer.judge([episode("a")])) == ["errored"]
            assert statuses(scorer.judge([episode("a")])) == ["passed"]

    def test_code_that_cannot_be_loaded_errs_its_own_episodes_and_is_raised_to_those_who_ask(
        self, bench: Bench
    ) -> None:
        broken = bench.skill({"verifier.py": "import no_such_module"}, name="broken")
        with bench.scorer(bench.skill(), broken) as scorer:
            good, bad = scorer.judge([episode(), episode(skill="broken")])
            with pytest.raises(
                PluginError, match=r"broken/verifier\.py cannot be imported: ModuleNotFoundError"
            ) as caught:
                scorer.describe(broken)
        assert (good.verdict.status, bad.verdict.status) == ("passed", "errored")
        assert caught.value.exit_code == 9

    def test_code_without_consent_does_not_run(self, bench: Bench, consents: Consents) -> None:
        skill = bench.skill(verifier("return []"))
        with pytest.raises(ConsentError, match="serving") as caught, Scorer([skill], consents=consents):
            pass
        assert "verifier.py" in str(caught.value.hint) and "--yes" in str(caught.value.hint)
