"""Wordings by which nobody can tell the answer are named with their place, and others are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from skillpm.contract.contract import Contract
from skillpm.model.contract import ContractDocument
from skillpm.model.rule_fit import Flaw
from skillpm.model.synthesis import SynthesisDocument
from skillpm.synth import refusals
from skillpm.synth.wording import clause_flaws, contradictions, doubtful_answers, doubtful_wordings, impossible_rows

OUTCOMES = refusals._outcomes
NAMES = ["ada", "bob", "cyd"]
TASK: dict[str, Any] = {
    "name": "dev",
    "tool": "dev",
    "draw": {"port": {"from": "port"}, "tag": {"from": NAMES, "probability": 0.5}},
    "args": {"port": "{port}", "tag": "{tag}"},
    "requests": ["start it on {port} [tag]"],
    "clauses": {"tag": ["tagged {tag}"]},
}
OTHER = {"name": "other", "refuse": "off_topic", "draw": {"port": {"from": "port"}}, "requests": ["stop"]}
CONTRACT = Contract(
    ContractDocument.model_validate(
        {
            "contract": 1,
            "tools": [
                {
                    "name": "dev",
                    "input_schema": {
                        "type": "object",
                        "properties": {"port": {"type": "integer", "maximum": 9000}, "tag": {"type": "string"}},
                        "required": ["port"],
                    },
                }
            ],
        }
    )
)


def document(task: dict[str, Any], *others: dict[str, Any], **more: Any) -> SynthesisDocument:
    values = {"port": {"integers": [3000, 9000]}}
    return SynthesisDocument.model_validate({"synthesis": 1, "values": values, "tasks": [TASK | task, *others]} | more)


def places(flaws: Iterable[Flaw]) -> list[str]:
    return [".".join(map(str, flaw.location)) for flaw in flaws]


def drawing(source: Any, clauses: dict[str, list[str]]) -> dict[str, Any]:
    return {"draw": TASK["draw"] | {"team": {"from": source, "probability": 0.5}}, "clauses": TASK["clauses"] | clauses}


@pytest.mark.parametrize(
    ("task", "where"),
    [
        ({}, []),
        ({"clauses": {"tag": ["tagged {tag}", "with a tag"]}}, ["tasks.0.clauses.tag.1"]),
        ({"clauses": {"tag": ["like {port}"]}}, ["tasks.0.clauses.tag.0"]),
        (drawing([True], {"team": ["for the team"]}), []),  # one value need not be named
        (drawing(NAMES, {"team": ["for {team}", "Tagged  {team}."]}), ["tasks.0.clauses.team.1"]),
        (drawing(["x", "cyd"], {"team": ["tagged {team}"]}), ["tasks.0.clauses.team.0"]),
        (drawing(["x", "y"], {"team": ["tagged {team}"]}), []),
    ],
)
def test_a_clause_says_the_value_of_its_slot_and_of_no_other(task: dict[str, Any], where: list[str]) -> None:
    assert places(clause_flaws(document(task))) == where


def test_a_common_clause_is_named_once_where_it_is_written() -> None:
    task = {key: value for key, value in TASK.items() if key != "clauses"}
    shared = document({"clauses": {}}, task | {"name": "again"}, clauses={"tag": ["with a tag"]})
    assert places(clause_flaws(shared)) == ["clauses.tag.0"]


@pytest.mark.parametrize(
    ("requests", "where"),
    [
        (TASK["requests"], []),
        (["start {port} as bob [tag]"], ["tasks.0.requests.0"]),
        (["start port 8080, no, {port} [tag]"], []),  # that slot is said, too
    ],
)
def test_a_request_says_no_value_that_it_does_not_draw(requests: list[str], where: list[str]) -> None:
    assert places(doubtful_wordings(document({"requests": requests}))) == where


MAYBE = {"from": [True], "probability": 0.5}
PAIR = {"a": {"from": "port"}, "b": {"from": "port"}}
COPY = {"draw": PAIR, "args": {"port": "{a}", "tag": "{b}"}, "clauses": {}}
FAST: dict[str, Any] = {"draw": {"fast": MAYBE}, "args": {"fast": "{fast}"}, "requests": ["go [fast]"]} | {
    "clauses": {"fast": ["at once"]}
}
ASK = {"ask": {"slots": ["port"], "requests": ["start it"]}}
ONCE = {"draw": TASK["draw"] | {"host": {"from": ["here"]}}, "args": TASK["args"] | {"host": "{host}"}} | ASK


@pytest.mark.parametrize(
    ("task", "other", "where"),
    [
        ({}, {"requests": ["Start it on {port}."]}, ["tasks.1.requests.0"]),
        ({}, {"requests": ["start it on port {port}"]}, []),
        ({}, {"requests": ["start it on {port}"], "draw": {"port": {"from": ["x", "y"]}}}, []),
        ({}, {"requests": ["start it on {port}"], "draw": {"port": {"from": ["x", 3000]}}}, ["tasks.1.requests.0"]),
        ({**COPY, "requests": ["copy {a} {b}", "copy {b} {a}"]}, {}, ["tasks.0.requests.1"]),
        ({**COPY, "requests": ["copy {a} to {b}", "to {b} copy {a}"]}, {}, []),
        (FAST, {"requests": ["go at once"], "draw": {}}, ["tasks.1.requests.0"]),
        (FAST, {"requests": ["go"], "draw": {}}, ["tasks.1.requests.0"]),
        ({**FAST, "constraints": [{"at_least_one": ["fast"]}]}, {"requests": ["go"], "draw": {}}, []),
        (FAST, {**FAST, "refuse": None, "tool": "dev", "args": {"slow": "{fast}"}}, ["tasks.1.requests.0"]),
        (FAST, {**FAST, "refuse": None, "tool": "dev"}, []),  # one answer, whichever task makes it
        (ASK, {"requests": ["start it"], "draw": {}}, ["tasks.1.requests.0"]),
        (ONCE, TASK | ASK | {"name": "again", "refuse": None, "requests": ["boot {port} [tag]"]}, []),
        ({"ask": {"slots": ["port"], "requests": ["start it on {port}"]}}, {}, []),  # no row has it
        ({**COPY, "requests": ["copy {a} {b}", "copy {b} {a}"], "constraints": [{"ascending": ["a", "b"]}]}, {}, []),
        (
            {**FAST, "draw": {**FAST["draw"], "port": {"from": "port"}}, "requests": ["go {port} [fast]"]}
            | {"args": {"port": "{port}"}, "constraints": [{"at_most_one": ["fast", "port"]}]},
            {"requests": ["go {port} at once"]},
            [],
        ),
    ],
)
def test_a_request_has_one_answer(task: dict[str, Any], other: dict[str, Any], where: list[str]) -> None:
    assert places(contradictions(document(task, OTHER | other))) == where


@pytest.mark.parametrize(("lowest", "count"), [(9000, 1), (9001, 0)])
def test_ranges_without_a_common_number_make_no_request_with_two_answers(lowest: int, count: int) -> None:
    values = {"port": {"integers": [3000, 9000]}, "far": {"integers": [lowest, 10**9]}}
    other = OTHER | {"requests": ["start it on {port}"], "draw": {"port": {"from": "far"}}}
    assert len(places(contradictions(document({}, other, values=values)))) == count


def test_a_clause_that_leaves_its_value_out_does_not_write_out_all_values() -> None:
    values = {"port": {"integers": [3000, 9000]}, "big": {"template": "v{number}"}, "number": {"integers": [0, 10**12]}}
    task = {"draw": {"big": {"from": "big"}}, "args": {"tag": "{big}"}, "requests": ["start [big]"]}
    one = document(task | {"clauses": {"big": ["the usual one"]}}, values=values)
    assert not places(contradictions(one)) and places(clause_flaws(one)) == ["tasks.0.clauses.big.0"]


@pytest.mark.parametrize(
    ("draw", "refused"),
    [
        ({}, None),
        ({"port": {"from": [8000, 9001]}}, doubtful_answers),
        ({"port": {"from": [8000, *range(9001, 9400)]}}, doubtful_answers),  # one of 400 fits
        ({"port": {"from": ["8000", "8001"]}}, impossible_rows),
        ({"port": {"from": "beyond"}}, impossible_rows),
        ({"port": {"from": "reaching"}}, doubtful_answers),  # one of 91 fits
        ({"tag": {"from": [7, 8], "probability": 0.5}}, doubtful_answers),
        ({"tag": {"from": [7, 8], "probability": 0.5, "otherwise": 9}}, impossible_rows),
        ({"tag": {"from": NAMES, "probability": 0.5, "otherwise": 7}}, doubtful_answers),
    ],
)
def test_answers_that_the_contract_refuses_are_counted(draw: dict[str, Any], refused: Any) -> None:
    values = {"port": {"integers": [3000, 9000]}, "beyond": {"integers": [9001, 99000]}}
    rules = document({"draw": TASK["draw"] | draw}, values=values | {"reaching": {"integers": [8000, 99000]}})
    for flaws in (doubtful_answers, impossible_rows):
        assert places(flaws(rules, CONTRACT)) == ["tasks.0"] * (flaws is refused)


@pytest.mark.parametrize("source", [["8000", "8001"], "beyond"])
def test_a_value_that_never_fits_is_seen_without_drawing_thousands_of_rows(source: Any) -> None:
    values = {"port": {"integers": [3000, 9000]}, "beyond": {"integers": [9001, 99000]}}
    rules = document({"draw": TASK["draw"] | {"port": {"from": source}}}, values=values)
    (flaw,) = impossible_rows(rules, CONTRACT)
    assert "refuses 100 of 100 answers" in flaw.message


TIED = {
    "type": "object",
    "properties": {"port": {"type": "integer", "maximum": 9000}, "tag": {"enum": NAMES}, "note": {"type": "string"}},
    "if": {"properties": {"tag": {"const": "ada"}}, "required": ["tag"]},
    "then": {"properties": {"port": {"minimum": 8990}}},
    "else": {"not": {"required": ["note"]}},
}


@pytest.mark.parametrize(
    ("draw", "refused"),
    [
        ({"tag": {"from": NAMES}}, doubtful_answers),  # `ada` with the last eleven ports
        ({"tag": {"from": ["ada"]}}, doubtful_answers),  # 11 of 6,001 ports fit
        ({"tag": {"from": ["ada"]}, "port": {"from": "low"}}, impossible_rows),
        ({"tag": {"from": ["bob", "cyd"]}}, impossible_rows),
        ({"tag": {"from": ["bob", "cyd"]}, "note": {"from": "note", "probability": 0.01}}, doubtful_answers),
    ],
)
def test_conditions_between_arguments_are_decided_by_the_values_that_they_name(
    draw: dict[str, Any], refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_outcomes", _few_outcomes)
    values = {"port": {"integers": [3000, 9000]}, "low": {"integers": [3000, 8989]}, "note": {"choice": ["x", "y"]}}
    every = {"port": {"from": "port"}, "note": {"from": [f"note {number}" for number in range(900)]}} | draw
    args = {name: f"{{{name}}}" for name in every}
    rules = document(
        {"draw": every, "args": args, "requests": ["go {port} {tag} [note]"], "clauses": {"note": ["with {note}"]}},
        values=values,
    )
    tools = [{"name": "dev", "input_schema": TIED}]
    contract = Contract(ContractDocument.model_validate({"contract": 1, "tools": tools}))
    for flaws in (doubtful_answers, impossible_rows):
        assert places(flaws(rules, contract)) == ["tasks.0"] * (flaws is refused)


def _tied(port: dict[str, Any], tag: dict[str, Any]) -> dict[str, Any]:
    """Return a schema in which a tag of one kind needs a port of one kind, and there is no other tag."""
    return {
        "type": "object",
        "$defs": {"port": port, "tag": tag, "any": {"type": "string"}},
        "properties": {"port": {"type": "integer"}, "tag": {"$ref": "#/$defs/any"}},
        "if": {"properties": {"tag": {"$ref": "#/$defs/tag"}}, "required": ["tag"]},
        "then": {"properties": {"port": {"$ref": "#/$defs/port"}}},
        "else": False,
    }


FEW = [*(f"v{number}" for number in range(3000)), "x-1"]


@pytest.mark.parametrize(
    ("port", "tag", "ports", "tags", "refused"),
    [
        ({"multipleOf": 700}, {"pattern": "^x"}, [3000, 9000], FEW, doubtful_answers),  # 8 of 6,001, one of 3,001
        ({"multipleOf": 700}, {"pattern": "^x"}, [3501, 4199], FEW, impossible_rows),
        ({"multipleOf": 700}, {"pattern": "^x"}, [3000, 9000], FEW[:-1], impossible_rows),
        ({"multipleOf": 70, "minimum": 8950}, {"minLength": 6}, [3000, 9000], [*FEW, "longer"], doubtful_answers),
        ({"multipleOf": 70, "minimum": 8970}, {"minLength": 6}, [3000, 9000], [*FEW, "longer"], impossible_rows),
        (
            {"allOf": [{"multipleOf": 30}, {"multipleOf": 35}]},
            {"maxLength": 1},
            [3000, 9000],
            [*FEW, "x"],
            doubtful_answers,
        ),
        ({"minimum": 9000}, {"maxLength": 1}, [3000, 9000], FEW, impossible_rows),
    ],
)
def test_conditions_by_patterns_lengths_multiples_and_references_are_decided_too(
    port: Any, tag: Any, ports: list[int], tags: list[str], refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_outcomes", _few_outcomes)
    task = {"draw": {"port": {"from": "port"}, "tag": {"from": tags}}, "requests": ["go {port} {tag}"], "clauses": {}}
    rules = document(task | {"args": {"port": "{port}", "tag": "{tag}"}}, values={"port": {"integers": ports}})
    tools = [{"name": "dev", "input_schema": _tied(port, tag)}]
    contract = Contract(ContractDocument.model_validate({"contract": 1, "tools": tools}))
    for flaws in (doubtful_answers, impossible_rows):
        assert places(flaws(rules, contract)) == ["tasks.0"] * (flaws is refused)


def _object(properties: dict[str, Any], **rules: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **rules}


ANY: dict[str, Any] = {"type": "string"}
BETWEEN = {"if": {"required": ["a"]}, "then": {"properties": {"a": {"minimum": 8499.5, "maximum": 8500.5}}}}
LATE: dict[str, Any] = {"from": ["x", "y"], "probability": 0.001}
COMMANDS = [*(f"rm {number}" for number in range(999)), "ls"]
ALLOWED = {"allow": {"ls": {}}, "command_line": "a"}


@pytest.mark.parametrize(
    ("tool", "task"),
    [
        ({"input_schema": _object({"a": {"type": "integer"}}, **BETWEEN)}, {"draw": {"a": {"from": "port"}}}),
        (
            {"input_schema": _object({"a": ANY, "b": ANY}, required=["a", "b"])},
            {"draw": {"a": LATE, "b": LATE}, "constraints": [{"different": ["a", "b"]}]},
        ),
        (
            {"input_schema": _object({"a": {"uniqueItems": True, "items": ANY}}, required=["a"])},
            {"draw": {"a": LATE, "b": LATE}, "args": {"a": ["{a}", "{b}"]}},
        ),
        (
            {"input_schema": _object({"a": {"enum": ["x", "v1-y"]}}, required=["a"])},
            {"draw": {"a": LATE}, "args": {"a": "v1-{a}"}},
        ),
        (
            {"input_schema": _object({"a": ANY}, patternProperties={"^a": {"const": "ls"}})},
            {"draw": {"a": {"from": COMMANDS}}},
        ),
        ({"input_schema": _object({"a": ANY}), "argv": ALLOWED}, {"draw": {"a": {"from": COMMANDS}}}),
    ],
)
def test_a_task_of_which_the_contract_takes_few_answers_is_not_impossible(
    tool: dict[str, Any], task: dict[str, Any]
) -> None:
    """None of the first hundred is taken, and some of all are: numbers in a gap, pairs, parts, rare commands."""
    names = [*task["draw"]]
    asked = {"name": "t", "tool": "t", "args": {name: f"{{{name}}}" for name in names}}
    asked |= {"requests": ["do [*]"], "clauses": {name: [f"{name} {{{name}}}"] for name in names}}
    values = {"port": {"integers": [3000, 9000]}}
    rules = SynthesisDocument.model_validate({"synthesis": 1, "values": values, "tasks": [asked | task]})
    document = {"contract": 1, "tools": [{"name": "t"} | tool]}
    assert not [*impossible_rows(rules, Contract(ContractDocument.model_validate(document)))]


def _few_outcomes(*given: Any) -> Iterator[str]:
    """Yield what is drawn at first; to draw thousands is a failure."""
    drawn = OUTCOMES(*given)
    for _ in range(100):
        yield next(drawn)
    raise AssertionError("thousands are drawn")
