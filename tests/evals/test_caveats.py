"""What decides a figure beside the model stands beside the figure."""

from __future__ import annotations

import pytest

from skillpm.evals.caveats import caveats, different_settings
from skillpm.evals.figures import figures
from skillpm.evals.report import ReportData, render_report
from skillpm.evals.summary import arm_table, evaluation_document, metric_table
from skillpm.model.evaluation import Arm
from tests.scripted_policy import MakeArm, Server

LONG = "x" * 300  # the scripted policy counts characters; 200 are allowed


def ending(arm: Arm, reason: str, count: int) -> Arm:
    """Give the first answers of an arm another end."""
    ended = [item.model_copy(update={"finish_reason": reason}) for item in arm.records[:count]]
    return arm.model_copy(update={"records": (*ended, *arm.records[count:])})


@pytest.mark.parametrize(
    ("reason", "column", "sentence"),
    [
        ("length", "cut off", "server, handwritten, base: 2 of 12 answers were cut off at the token limit"),
        (
            "too_long",
            "too long",
            "server, handwritten, base: 2 of 12 prompts were too long for the model and not asked",
        ),
    ],
)
def test_answers_cut_off_and_prompts_too_long_stand_in_every_form_of_the_figures(
    server: Server, make_arm: MakeArm, reason: str, column: str, sentence: str
) -> None:
    evaluation = server.assembled(ending(make_arm("base", [1]), reason, 2))
    columns, lines = arm_table(figures(evaluation))
    assert dict(zip(columns, lines[0], strict=True))[column] == "2"
    assert ["server", "handwritten", "", column, "2"] in metric_table(figures(evaluation), ["base"])[1]
    document = evaluation_document(evaluation, [])
    assert document["caveats"] == [sentence]
    assert document["figures"][0]["truncated" if reason == "length" else "too_long"] == 2
    page = render_report(ReportData("t", evaluation))
    assert sentence in page
    assert f"2 of 12 {'cut off' if reason == 'length' else 'prompts too long'}" in page


def test_a_server_that_does_not_hold_answers_to_the_contract_is_told_of(server: Server, make_arm: MakeArm) -> None:
    """It may know no structured outputs, and leave out what it does not know of a request."""
    free = make_arm("base", range(1, 11))
    held = free.model_copy(update={"name": "base+grammar", "constrained": True})
    assert caveats(server.assembled(free)) == []
    (said,) = caveats(server.assembled(held))
    assert said.startswith("base + grammar was asked for answers of the contract alone and has 2 answers that")
    cut = ending(held.model_copy(update={"records": held.records[::-1]}), "length", 2)
    assert not any("contract" in caveat for caveat in caveats(server.assembled(cut)))


def test_an_answer_that_reached_the_limit_is_counted_as_cut_off(server: Server, make_arm: MakeArm) -> None:
    arm = make_arm("base", [], **{server.request(1): LONG})
    assert figures(server.assembled(arm))[0].cells["base"].truncated == 1


def test_at_most_one_in_twenty_is_no_caveat(server: Server, make_arm: MakeArm) -> None:
    server.write(range(1, 21))
    assert caveats(server.assembled(ending(make_arm("base", []), "length", 1))) == []
    assert len(caveats(server.assembled(ending(make_arm("base", []), "length", 2)))) == 1


def test_arms_that_were_asked_differently_are_named_with_what_differs(server: Server, make_arm: MakeArm) -> None:
    base, sft = make_arm("base", []), make_arm("sft", [])
    assert caveats(server.assembled(base, sft)) == []
    here = base.model_copy(update={"settings": {**base.settings, "dtype": "float32", "threads": 2}})
    there = sft.model_copy(update={"settings": {**sft.settings, "dtype": "bfloat16", "threads": 2}})
    assert different_settings(here, there) == ["dtype float32, bfloat16"]
    assert caveats(server.assembled(here, there)) == [
        "base and after SFT were asked differently: dtype float32, bfloat16"
    ]
    thinking = base.model_copy(
        update={"settings": {**base.settings, "template_arguments": {"thinking": True}, "turns": 2}}
    )
    other = base.model_copy(update={"settings": {**base.settings, "template_arguments": {}, "answer_form": "hermes"}})
    assert different_settings(thinking, other) == [
        "turns 2, 4",
        "answer form json, hermes",
        'template arguments {"thinking": true}, {}',
    ]
    assert different_settings(base, there) == ["dtype not recorded, bfloat16", "threads not recorded, 2"]
