"""An unknown key of a document is answered with the key that was meant, from the same place of the document."""

from __future__ import annotations

import pytest

from skillpm.errors import DocumentError
from skillpm.formats.document import read_model
from skillpm.model.contract import ContractDocument
from skillpm.model.suite import Suite
from skillpm.model.synthesis import SynthesisDocument
from skillpm.train.kinds import BUILT_IN
from skillpm.train.recipe import load_recipe

SYNTHESIS = "synthesis: 1\ntasks:\n  - name: a\n    tool: b\n    requests: [c]\n"
CONTRACT = "contract: 1\ntools:\n  - name: a\n    input_schema: {type: object}\n"


@pytest.mark.parametrize(
    ("model", "text", "hint"),
    [
        (SynthesisDocument, f"{SYNTHESIS}    weigth: 3\n", "did you mean `weight`?"),
        (SynthesisDocument, f"{SYNTHESIS}    request: [d]\n", "did you mean `requests`?"),
        (SynthesisDocument, f"{SYNTHESIS}helt_out: 0.1\n", "did you mean `held_out`?"),
        (SynthesisDocument, f"{SYNTHESIS}    frames: ['{{request}}']\n", "another place"),
        (ContractDocument, f"{CONTRACT}    desciption: x\n", "did you mean `description`?"),
        (ContractDocument, f"{CONTRACT}    argv: [ls, {{flag: -a, iff: b}}]\n", "did you mean `if`?"),
        (Suite, "name: a\ntasks: []\ngate: {at_least: 1, metrc: reward}\n", "did you mean `metric`?"),
        (ContractDocument, f"{CONTRACT}    argv: [ls, {{values: b}}]\n", "did you mean `value`?"),
        (ContractDocument, f"{CONTRACT}    argv: [ls, {{qqq: b}}]\n", "other keys here are attached, flag, if"),
        (
            SynthesisDocument,
            f"{SYNTHESIS}    draw: {{c: {{from: d, quantity: 2}}}}\n",
            "other keys here are otherwise, probability",
        ),
        (Suite, "name: a\ntasks: []\nzzz: 1\n", "other keys here are blind, description, gate"),
    ],
)
def test_an_unknown_key_is_answered_with_what_may_stand_there(model: type, text: str, hint: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_model(model, text, path="x.yaml")
    assert caught.value.line
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f"{SYNTHESIS}    draw: {{c: d}}\n", "its keys are `from`, `probability`, `otherwise`, `relative_to`"),
        (f"{SYNTHESIS}values: {{c: [d]}}\n", "its keys are `integers`, `dates`, `forms`"),
        (f"{SYNTHESIS}frames: 'go {{request}}'\n", 'put it into brackets: `["go {request}"]`'),
        (SYNTHESIS.replace("[c]", "{c: d}"), "begin each item with a dash"),
        (SYNTHESIS.replace("[c]", "[in the room: go]"), "put the text into quotes"),
        (SYNTHESIS.replace("[c]", "[[*] go]"), "into quotes"),
        (SYNTHESIS.replace("    tool", "\ttool"), "indent with spaces"),
        (SYNTHESIS.replace("name: a", "name: Move one"), "such as `move_one`"),
        (f"{SYNTHESIS}    draw: {{the-room: {{from: [d]}}}}\n", "such as `the_room`"),
        (f"{SYNTHESIS}values: {{'42': {{words: nouns}}}}\n", None),
    ],
)
def test_a_value_of_another_form_is_answered_with_the_form(text: str, hint: str | None) -> None:
    with pytest.raises(DocumentError) as caught:
        read_model(SynthesisDocument, text, path="x.yaml")
    assert caught.value.hint is None if hint is None else hint in str(caught.value.hint)


def test_a_misspelt_setting_of_a_stage_is_answered_with_its_neighbour() -> None:
    with pytest.raises(DocumentError, match=r"stages\.0") as caught:
        load_recipe(None, None, ("stages.sft.epoch=2",), BUILT_IN)
    assert caught.value.hint == "did you mean `epochs`?"
