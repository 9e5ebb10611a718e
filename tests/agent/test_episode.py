"""Between a request and a run: who decides, what is recorded, and what a text from outside can never do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillpm.agent.approval import Rule
from skillpm.agent.episode import Episode
from skillpm.agent.shown import fed, visible
from skillpm.contract.contract import Contract
from skillpm.errors import PolicyError, UsageError
from skillpm.formats.document import read_model
from skillpm.formats.printable import printable
from skillpm.model.contract import ContractDocument
from skillpm.model.manifest import Permissions
from skillpm.synth.special_tokens import special_token
from tests.agent.conftest import CALIBRATION, CONTRACT, MakeAround, Person, Script, call
from tests.conftest import ROOT

INJECTIONS = yaml.safe_load((ROOT / "tests/cases/injection.yaml").read_text(encoding="utf-8"))
STEAL = call("touch", "stolen")


def stolen(folder: Path) -> bool:
    return (folder / "work" / "stolen").exists()


def words(made: Any) -> list[tuple[str, str, str]]:
    return [(entry.event, entry.word, entry.ended) for entry in made.audit.entries()]


@pytest.mark.parametrize("case", INJECTIONS, ids=range(len(INJECTIONS)))
def test_no_text_from_outside_gets_a_command_run_without_a_fresh_answer(
    case: dict[str, str], around: MakeAround, tmp_path: Path
) -> None:
    """Not by an earlier ``always``, nor by rules that let both tools run, nor because the author wants none."""
    (tmp_path / "work" / "log").write_text(case["says"], encoding="utf-8")
    rules = [Rule(skill="demo", tool="show"), Rule(skill="demo", tool="touch")]
    person = Person("no")
    if case.get("where") == "reference":
        script = Script(STEAL)
        made = around(script, person, rules, context=lambda request: fed("A reference says", visible(case["says"])))
    else:
        script = Script(call("show", "log"), STEAL)
        made = around(script, person, rules, steps=2)
    trace = Episode(made, "what is in the log?").run()
    assert trace.outcome == "refused" and not stolen(tmp_path)
    (question,) = person.asked
    assert question.fresh and question.proposal.lines == ["touch stolen"]
    read = script.prompts[-1][-1].content
    assert printable(read, keep="\n\t") == read and special_token(read) is None
    mark = read.split("the two lines ")[1].split(".")[0]
    assert read.count(f"\n{mark}\n") == 2 and mark not in case["says"]


def test_there_are_seventy_injections_and_no_two_are_the_same() -> None:
    assert len({tuple(sorted(case.items())) for case in INJECTIONS}) == len(INJECTIONS) >= 70


def test_nobody_to_ask_means_that_nothing_runs(around: MakeAround, tmp_path: Path) -> None:
    episode = Episode(around(Script(STEAL)), "steal")
    assert episode.run().outcome == "not-run" and not stolen(tmp_path) and not episode.executed


def test_a_rule_lets_a_command_run_where_all_that_it_says_holds(around: MakeAround, tmp_path: Path) -> None:
    (tmp_path / "work" / "a.log").write_text("text\n")
    rule = Rule(skill="demo", tool="show", programs=("cat",), arguments={"path": {"pattern": r"^[a-z]+\.log$"}})
    allowed = Episode(around(Script(call("show", "a.log")), rules=[rule]), "show it").run()
    assert allowed.outcome == "done" and allowed.steps[0].output == "text\n" and allowed.steps[0].decision == "rule"
    assert Episode(around(Script(call("show", "/etc/passwd")), rules=[rule]), "x").run().outcome == "not-run"
    far = Episode(around(Script(call("show", "/etc/passwd")), rules=[rule]), "x")
    assert (
        far.run().outcome == "not-run" and far.objections == "rule 1: `path` does not keep its condition in `arguments`"
    )
    other = Rule(skill="demo", tool="show", programs=("ls",))
    assert Episode(around(Script(call("show", "a.log")), rules=[other]), "x").run().outcome == "not-run"


def test_an_argument_with_a_condition_may_be_null_only_where_the_condition_says_so() -> None:
    from skillpm.agent.approval import _fits

    assert not _fits({"maximum": 5}, None) and not _fits({"type": "integer"}, None)
    assert _fits({"type": ["integer", "null"], "maximum": 5}, None) and _fits({"enum": [None, 3]}, None)
    assert _fits({"maximum": 5}, 5) and not _fits({"maximum": 5}, 6)


def test_always_holds_for_later_requests_of_the_session_and_for_a_tool_that_reads_only(
    around: MakeAround, tmp_path: Path
) -> None:
    (tmp_path / "work" / "log").write_text("x")
    person = Person("always", "always", "always")
    made = around(Script(call("show", "log"), call("show", "log"), STEAL, STEAL), person)
    decisions = [Episode(made, "go").run().steps[0].decision for _ in range(4)]
    assert decisions == ["always", "consent", "always", "always"] and len(person.asked) == 3
    assert not person.asked[1].may_always


def test_confirm_never_needs_one_answer_of_a_person_and_a_tool_that_reads_only(
    around: MakeAround, tmp_path: Path
) -> None:
    (tmp_path / "work" / "log").write_text("x")
    person = Person("yes", "yes", "yes", "yes")
    peek, touch = call("peek", "log"), call("touch", "new")
    made = around(Script(peek, peek, touch, touch), person)
    decisions = [Episode(made, "go").run().steps[0].decision for _ in range(4)]
    assert decisions == ["yes", "consent", "yes", "yes"]


def test_an_edit_runs_in_place_of_the_answer_and_both_are_kept(around: MakeAround, tmp_path: Path) -> None:
    (tmp_path / "work" / "right").write_text("right\n")
    trace = Episode(around(Script(call("show", "wrong")), Person(call("show", "right"))), "show right").run()
    step = trace.steps[0]
    assert (step.decision, step.output) == ("edit", "right\n")
    assert step.call["args"]["path"] == "wrong" and step.final["args"]["path"] == "right"
    gold, pair = trace.gold(), trace.pair()
    assert gold is not None and gold.expected == step.final and gold.tags == ("trace",)
    assert pair is not None and "wrong" in pair["rejected"] and "right" in pair["chosen"]


def test_a_refused_answer_is_a_negative_and_never_gold(around: MakeAround) -> None:
    trace = Episode(around(Script(STEAL), Person("no")), "look").run()
    assert trace.gold() is None and trace.pair() is None
    negative = trace.negative()
    assert negative is not None and negative["rejected"] == STEAL and negative["prompt"][-1]["content"] == "look"


def test_a_decision_is_recorded_before_the_run_and_its_end_after_it(around: MakeAround, tmp_path: Path) -> None:
    (tmp_path / "work" / "log").write_text("x")
    made = around(Script(call("show", "log")), Person("yes"))
    Episode(made, "go").run()
    assert words(made) == [("decision", "yes", ""), ("outcome", "yes", "exited")]
    assert made.audit.verify()[0] == 2


def test_ctrl_c_at_the_question_runs_nothing_and_is_recorded(around: MakeAround, tmp_path: Path) -> None:
    made = around(Script(STEAL), Person("^C"))
    episode = Episode(made, "steal")
    with pytest.raises(KeyboardInterrupt):
        episode.run()
    assert not stolen(tmp_path) and words(made) == [("decision", "interrupted", "")]
    assert episode.trace.outcome == "interrupted" and made.audit.verify()[0] == 1


def test_ctrl_c_during_a_run_ends_the_tool_and_is_recorded(around: MakeAround, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "work" / "pipe")  # whoever reads it waits for ever
    made = around(Script(call("show", "pipe")), Person("yes"))
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        Episode(made, "show").run()
    assert words(made) == [("decision", "yes", ""), ("outcome", "yes", "interrupted")]
    assert "cat pipe" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def test_several_steps_end_with_a_report_or_at_the_limit(around: MakeAround, tmp_path: Path) -> None:
    (tmp_path / "work" / "log").write_text("disk full\n")
    show = call("show", "log")
    trace = Episode(
        around(Script(show, show, '{"report": "The disk is full."}'), Person("yes", "yes"), steps=5), "why?"
    ).run()
    assert (trace.outcome, trace.report, len(trace.steps)) == ("done", "The disk is full.", 2)
    roles = [row["role"] for row in trace.messages()]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert len(Episode(around(Script(show, show), Person("yes", "yes"), steps=2), "why?").run().steps) == 2


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("Sure, I will.", "not JSON"),
        (f"{STEAL}\n{STEAL}", "more than one JSON object"),
        (f"Here: {STEAL}", "text around"),
        ('{"tool": "rm", "args": {"path": "x"}}', "unknown tool"),
        ('{"report": "a report without a run"}', "exactly the keys"),
        (call("touch", "a\x07b"), "control characters"),
        ("x" * (1 << 20), "longer than"),
        ("{" * 5000, "not JSON"),
        (call("show", "--help"), "must not start with"),
    ],
)
def test_an_answer_that_the_contract_refuses_asks_nobody_and_runs_nothing(
    around: MakeAround, answer: str, problem: str
) -> None:
    person = Person()
    trace = Episode(around(Script(answer), person), "go").run()
    assert trace.outcome == "invalid" and problem in trace.steps[0].problems[0] and not person.asked
    assert trace.gold() is None and trace.negative() is not None


@pytest.mark.parametrize("named", ["x" * 5000, "a\0b", "missing", "log"])
def test_a_working_directory_that_is_not_there_is_an_error_before_anybody_is_asked(
    around: MakeAround, tmp_path: Path, named: str
) -> None:
    (tmp_path / "work" / "log").write_text("x")
    tool = CONTRACT.replace("timeout_seconds: {type: integer}", "working_directory: {type: string}")
    answer = json.dumps({"tool": "show", "args": {"path": "log", "working_directory": named}})
    person = Person()
    made = around(Script(answer), person, contract=Contract(read_model(ContractDocument, tool)))
    with pytest.raises(UsageError, match="is not a folder") as refused:
        Episode(made, "go").run()
    assert not person.asked and len(refused.value.message) < 300


def test_a_person_is_shown_the_folder_behind_a_link(around: MakeAround, tmp_path: Path) -> None:
    (tmp_path / "work" / "link").symlink_to(tmp_path)
    place = around(Script()).place
    tool = Contract(read_model(ContractDocument, CONTRACT)).tools["touch"]
    for named, folder in {"link": tmp_path, "..": tmp_path, "link/work/.": tmp_path / "work"}.items():
        assert place.of(tool, {"working_directory": named}).sentence.startswith(f"{folder}, ")


def test_a_program_that_the_manifest_does_not_name_is_refused_before_anybody_is_asked(around: MakeAround) -> None:
    person = Person()
    made = around(Script(STEAL), person)
    made = replace(made, place=replace(made.place, permissions=Permissions(run=("cat",))))
    with pytest.raises(PolicyError, match="`touch` is not permitted"):
        Episode(made, "steal").run()
    assert not person.asked


def test_secrets_that_a_tool_prints_are_masked_for_people_files_and_models(
    around: MakeAround, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    monkeypatch.setenv("SKILLPM_TOKEN_EXAMPLE_ORG", "hunter2hunter2")
    (tmp_path / "work" / "log").write_text(f"token {token} and hunter2hunter2\n")
    script = Script(call("show", "log"), '{"report": "done"}')
    trace = Episode(around(script, Person("yes"), steps=2), "go").run()
    everywhere = (
        trace.model_dump_json() + script.prompts[-1][-1].content + next((tmp_path / "traces").iterdir()).read_text()
    )
    assert token not in everywhere and "hunter2" not in everywhere
    assert "[masked: a GitHub token]" in trace.steps[0].output


def test_an_empty_request_is_refused(around: MakeAround) -> None:
    with pytest.raises(UsageError, match="empty"):
        Episode(around(Script()), " \n")


@pytest.mark.parametrize(
    ("confidence", "outcome", "asked"), [(0.95, "done", 0), (0.5, "not-run", 0), (0.5, "done", 1), (0.3, "invalid", 0)]
)
def test_only_an_answer_that_the_model_is_sure_of_runs_by_a_rule(
    around: MakeAround, confidence: float, outcome: str, asked: int
) -> None:
    """A person decides about the others, and those that are too unsure reach nobody."""
    person = Person("yes")
    rules = [Rule(skill="demo", tool="touch")]
    script = Script(call("touch", "new"), confidence=confidence)
    episode = Episode(around(script, person if asked else None, rules, calibration=CALIBRATION), "make new")
    assert episode.run().outcome == outcome and len(person.asked) == asked
    assert not asked or "confidence is 0.5000" in person.asked[0].unsure
    assert outcome != "not-run" or "the model is not sure" in episode.objections
    assert outcome != "invalid" or "its confidence is 0.3000" in episode.trace.steps[0].problems[0]
