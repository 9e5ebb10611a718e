"""A skill's plugin.py: loaded in the worker alone, checked against the hooks, its records named."""

from __future__ import annotations

import re
import sys

import pytest

from skillpm.errors import PluginError, VerifierError
from skillpm.model.task import Seed
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.host import Host
from skillpm.sandbox.limits import Limits
from tests.skill_code import Bench, episode

PLUGIN = """
import itertools
import re
import sys
from skillpm.plugin import RewardFunction, Seed, Suite, Task, Verdict, hookimpl

class Rule:
    name = "ports"
    def tasks(self, seeds, seed):
        for port in itertools.count(seed):
            yield Task.of(skill="serving", system="", request=f"{seeds[0].request} {port}",
                          expected={"tool": "serve", "args": {"port": port}}, split="train", origin="rule")

class Judge:
    def verify(self, attempts):
        return [Verdict(status="passed", score=1.0, reasons=("plugin",)) for _ in attempts]

@hookimpl
def skillpm_synthesis_rules(skill):
    return [Rule()]

@hookimpl
def skillpm_verifier(skill):
    return Judge()

@hookimpl
def skillpm_rewards(skill):
    yield RewardFunction("half", lambda task, episode, verdict: 0.5, default=True)
    yield RewardFunction("wrong", lambda task, episode, verdict: float("nan"))
    yield RewardFunction("raising", lambda task, episode, verdict: 1 / 0)
    yield RewardFunction("silent", lambda task, episode, verdict: None)

@hookimpl
def skillpm_suites(skill):
    return [Suite(name="hard", tasks=(Seed(request="r", expected={"tool": "serve", "args": {}}),))]
"""


def test_what_a_plugin_file_contributes_is_known_from_the_worker_and_never_imported_here(bench: Bench) -> None:
    skill = bench.skill({"plugin.py": PLUGIN})
    with bench.scorer(skill) as scorer:
        contributions = build_catalogue([skill], Host(), describe=scorer.describe)["serving"]
        (judgement,) = scorer.judge([episode("x")])
        tasks = scorer.synthesise("serving", "ports", [Seed(request="serve on", expected=None)], seed=5, count=3)
        again = scorer.synthesise("serving", "ports", [Seed(request="serve on", expected=None)], seed=5, count=3)
        with pytest.raises(PluginError, match="no synthesis rule `nope`"):
            scorer.synthesise("serving", "nope", [], seed=0, count=1)
    assert contributions.rules == ("ports",)
    assert contributions.origins["suite:hard"] == "plugin.py" and contributions.origins["tool:serve"] == "conventions"
    assert [reward.name for reward in contributions.rewards if reward.plugin == "plugin.py"] == [
        "half", "raising", "silent", "wrong",
    ]  # fmt: skip
    assert judgement.verdict.status == "passed" and judgement.verdict.reasons[0] == "plugin"
    assert {name: judgement.rewards[name] for name in ("half", "wrong", "raising", "silent", "graded")} == {
        "half": 0.5, "wrong": None, "raising": None, "silent": None, "graded": 1.0,
    }  # fmt: skip
    assert "raised ZeroDivisionError" in judgement.verdict.reasons[1]
    assert "returned nan" in judgement.verdict.reasons[2]
    assert [task.request for task in tasks] == ["serve on 5", "serve on 6", "serve on 7"] and tasks == again
    assert not any(name.startswith("_skillpm_") for name in sys.modules)


def test_without_a_worker_only_its_files_are_known(bench: Bench) -> None:
    assert build_catalogue([bench.skill({"plugin.py": PLUGIN})], Host())["serving"].rules == ()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "plugin.py cannot be imported: ModuleNotFoundError"),
        ("import sys; sys.exit(0)", "plugin.py cannot be imported: SystemExit"),
        (PLUGIN.replace("skillpm_suites", "skillpm_suits"), "skillpm_suits"),
        (PLUGIN.replace("def skillpm_suites(skill)", "def skillpm_suites(skil)"), "skil"),
        (PLUGIN.replace('"half"', '"graded"'), "conventions and plugin.py both bring a reward called `graded`"),
        (PLUGIN.replace("return [Rule()]", "raise OSError('gone')"), "skillpm_synthesis_rules: OSError: gone"),
        (PLUGIN.replace('name = "ports"', ""), "a synthesis rule without a name"),
        ("import os; os._exit(4)", "exited with code 4"),
        ("print('hello'); import os; os.fork()", "plugin.py cannot be imported: PermissionError"),
    ],
)
def test_a_plugin_file_that_breaks_the_rules_is_named_with_what_is_wrong(
    bench: Bench, source: str, reason: str
) -> None:
    skill = bench.skill({"plugin.py": source})
    with bench.scorer(skill) as scorer, pytest.raises(VerifierError) as caught:
        scorer.describe(skill)
    assert reason in caught.value.message
    assert "serving" in caught.value.message


def test_a_plugin_file_that_hangs_is_ended_and_the_other_skills_go_on(bench: Bench) -> None:
    hanging = bench.skill({"plugin.py": "import time\ntime.sleep(600)"}, name="hanging")
    with bench.scorer(bench.skill(), hanging, limits=Limits(start_seconds=10.0)) as scorer:
        good, bad = scorer.judge([episode(), episode("x", skill="hanging")])
    assert (good.verdict.status, bad.verdict.status) == ("passed", "errored")
    assert "hanging cannot be run: no verdicts after 10 seconds" in bad.verdict.reasons[0]


def test_a_plugin_file_may_import_a_sibling_but_not_what_lies_beside_the_skill(bench: Bench) -> None:
    skill = bench.skill({"plugin.py": "import grammar", "grammar.py": ""})
    with bench.scorer(skill) as scorer:
        assert scorer.describe(skill).hooks == ()


@pytest.mark.parametrize(("manifest", "message", "hint"), [("hooks: 99\n", "version 99 of the hooks", "upgrade")])
def test_what_a_plugin_file_needs_and_does_not_find_is_said_before_it_runs(
    bench: Bench, manifest: str, message: str, hint: str
) -> None:
    skill = bench.skill({"plugin.py": PLUGIN, "skill.yaml": f"manifest: 1\nversion: 1.0.0\n{manifest}"})
    with bench.scorer(skill) as scorer:
        with pytest.raises(PluginError) as caught:
            scorer.describe(skill)
        assert scorer.judge([episode()])[0].verdict.status == "errored"
    assert message in caught.value.message and hint in str(caught.value.hint)


class TestTrace:
    def test_tells_of_every_call_of_a_hook_in_the_worker_with_the_skill(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", "skillpm.hooks")
        skill = bench.skill({"plugin.py": PLUGIN})
        with bench.scorer(skill) as scorer:
            scorer.describe(skill)
        told = [record.getMessage() for record in caplog.records]
        for hook, records in (("skillpm_rewards", "4 records"), ("skillpm_verifier", "1 record")):
            expected = rf"{hook} of plugin\.py \(in the worker of serving\): {records} in \d+\.\d ms"
            assert any(re.fullmatch(expected, line) for line in told), told
        assert any(line.startswith("skillpm_tools of conventions (in the worker of serving)") for line in told)

    def test_tells_of_the_one_that_failed_no_longer_than_a_line_should_be(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", "skillpm.hooks")
        skill = bench.skill({"plugin.py": PLUGIN.replace("return [Rule()]", r"raise OSError('\x1b[2J\ud800' * 10**6)")})
        with bench.scorer(skill) as scorer, pytest.raises(PluginError, match="skillpm_synthesis_rules: OSError"):
            scorer.describe(skill)
        (line,) = [text for text in (record.getMessage() for record in caplog.records) if "OSError" in text]
        assert line.startswith("skillpm_synthesis_rules of plugin.py (in the worker of serving): OSError: \x1b[2J\\ud8")
        assert len(line) < 1200
