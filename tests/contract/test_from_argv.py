"""The words of a command, turned back into the call that makes them."""

from __future__ import annotations

import random
import shlex

import pytest

from skillpm.contract.contract import Contract
from skillpm.contract.from_argv import calls_of
from skillpm.formats.strict_yaml import read_yaml
from skillpm.model.contract import ContractDocument
from tests.conftest import ROOT

LISTS = """\
contract: 1
tools:
  - name: show
    input_schema:
      type: object
      required: [paths]
      properties:
        paths: {type: array, items: {type: string}}
        tags: {type: array, items: {type: integer}}
        since: {type: string}
        form: {enum: [long, short]}
        size: {type: integer}
    argv: [show, {flag: bs=, value: size, attached: true},
           {flag: --tags, value: tags, join: ","}, {flag: --since, value: since, attached: true},
           {flag: --long, when: {form: long}}, {flag: --brief, when: {form: short}}, --, {value: paths}]
"""


LINE = """\
contract: 1
tools:
  - name: run
    input_schema: {type: object, required: [command], properties: {command: {type: string}}}
    argv: {command_line: command, allow: {ls: {options: [-l, -a], operands: {most: 3}}}}
"""


def contract(text: str) -> Contract:
    from skillpm.formats.document import typed_values

    return Contract(ContractDocument.model_validate(typed_values(read_yaml(text, path="c"))))


LANGGRAPH = contract((ROOT / "skills/langgraph-cli/contract.yaml").read_text())


def test_every_command_of_a_contract_comes_back_as_its_call() -> None:
    chance = random.Random(1)
    for _ in range(200):
        for tool in LANGGRAPH.tools:
            call = LANGGRAPH.complete(LANGGRAPH.sample(tool, chance))
            (words,) = LANGGRAPH.argv(call) or ()
            again = LANGGRAPH.complete({**call, "args": {k: v or None for k, v in call["args"].items()}})
            assert calls_of(LANGGRAPH, shlex.join(words), list(words)) == [again]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (
            "show --tags 1,2 --since=-2h --long -- a -b",
            {"paths": ["a", "-b"], "tags": [1, 2], "since": "-2h", "form": "long"},
        ),
        ("show --brief -- a", {"paths": ["a"], "form": "short"}),
        ("show bs=512 -- a", {"paths": ["a"], "size": 512}),
        ("show --loud -- a", None),
        ("show -- ", None),
        ("hide -- a", None),
    ],
)
def test_lists_attached_values_and_conditions_are_read_and_nothing_is_guessed(
    text: str, arguments: dict[str, object] | None
) -> None:
    calls = calls_of(contract(LISTS), text, shlex.split(text))
    empty = dict.fromkeys(("paths", "tags", "since", "form", "size"))
    assert calls == ([] if arguments is None else [{"tool": "show", "args": empty | arguments}])


def test_a_command_line_is_an_argument_where_the_allow_list_takes_it() -> None:
    triage = contract(LINE)
    (call,) = calls_of(triage, "ls -la /srv", [])
    assert "ls -la /srv" in call["args"].values()
    assert calls_of(triage, "rm -rf /", []) == [] == calls_of(triage, "ls | wc", [])
