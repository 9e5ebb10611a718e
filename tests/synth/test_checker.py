"""The checker of synthesis.yaml: what would spoil labels or make no rows is refused, with its place."""

from __future__ import annotations

import re
import tracemalloc
from typing import Any

import pytest
from pydantic import ValidationError

from skillpm.errors import DocumentError
from skillpm.formats.document import model_errors
from skillpm.model.contract import ContractDocument
from skillpm.model.rule_fit import disagreements, exchanges
from skillpm.model.synthesis import SynthesisDocument, entry_of
from skillpm.synth.checker import label_flaws, missing_classes, text_flaws, unsayable_flaws
from skillpm.synth.generate import synthesise
from skillpm.synth.pools import Listed, Member
from skillpm.synth.split import divide
from skillpm.synth.wording import doubtful_wordings
from tests.synth.conftest import given, judge

MAYBE = {"from": ["a", "b"], "probability": 0.5}
ASKED = {"x": {"from": ["1", "2"]}, "y": {"from": ["3", "4"]}}


def document(task: dict[str, Any], **more: Any) -> SynthesisDocument:
    """Return a document of one task that draws ``x`` and says it."""
    rule = {"name": "t", "tool": "dev", "draw": {"x": MAYBE}, "requests": ["go [x]"], "clauses": {"x": ["to {x}"]}}
    return SynthesisDocument.model_validate({"synthesis": 1, "tasks": [rule | task], **more})


@pytest.mark.parametrize(
    ("value", "draw"),
    [
        ("with {x}", MAYBE),
        (["{x}"], MAYBE),
        (["{x}"], MAYBE | {"otherwise": None}),
        ([{"name": "{x}"}], MAYBE),
        ({"name": "{x}"}, MAYBE),
        ({"name": "of {x}"}, MAYBE | {"otherwise": None}),
    ],
)
def test_a_slot_that_may_be_missing_inside_a_value_is_a_flaw(value: Any, draw: dict[str, Any]) -> None:
    (flaw,) = label_flaws(document({"args": {"answer": value}, "draw": {"x": draw}}))
    assert flaw.location == ("tasks", 0, "args", "answer")
    assert "`answer` has no value for `x`" in flaw.message


def test_a_slot_that_may_be_missing_inside_an_answers_text_is_a_flaw() -> None:
    text: dict[str, Any] = {"tool": None, "answer": "{x} is fine"}
    (flaw,) = label_flaws(document(text))
    assert flaw.location == ("tasks", 0, "answer") and "`x`" in flaw.message
    assert not [*label_flaws(document({**text, "draw": {"x": MAYBE | {"otherwise": "it"}}}))]


NOBODY = {"value": None, "texts": ["nobody"]}


@pytest.mark.parametrize(
    ("pools", "source"),
    [
        ({}, ["a", NOBODY]),
        ({"p": {"choice": ["a", NOBODY]}}, "p"),
        ({"p": {"schema": {"type": ["string", "null"], "pattern": "^a+$"}}}, "p"),
        ({"p": {"schema": {"enum": ["a", None]}}}, "p"),
    ],
)
@pytest.mark.parametrize(
    ("task", "place"),
    [
        ({"args": {"tag": "with {x}"}}, ("args", "tag")),
        ({"args": {"tag": {"a": ["{x}."]}}}, ("args", "tag")),
        ({"first": [{"tag": "with {x}"}]}, ("first", 0, "tag")),
        ({"tool": None, "answer": "{x} is fine"}, ("answer",)),
    ],
)
def test_a_slot_that_may_be_null_inside_a_text_is_a_flaw(
    pools: dict[str, Any], source: Any, task: dict[str, Any], place: tuple[str | int, ...]
) -> None:
    (flaw,) = label_flaws(document({**task, "draw": {"x": {"from": source}}}, values=pools))
    assert flaw.location == ("tasks", 0, *place)
    assert not [*label_flaws(document({"args": {"tag": ["{x}"]}, "draw": {"x": {"from": source}}}, values=pools))]


def test_a_template_of_a_pool_with_null_is_a_flaw() -> None:
    pools = {"who": {"choice": ["a", NOBODY]}, "p": {"template": "{who}@b"}}
    (flaw,) = label_flaws(document({"args": {"tag": "{x}"}, "draw": {"x": {"from": "p"}}}, values=pools))
    assert flaw.location == ("values", "p", "template")


@pytest.mark.parametrize(
    ("source", "request_", "wrong"),
    [
        ("port", "open port 8080", True),
        ("port", "open a port", False),
        ("port", "open port 70000", False),
        (["a", {"value": "b", "texts": ["the second"]}], "take the second one", True),
        (["a", {"value": "b", "texts": ["the second"]}], "take one", False),
    ],
)
def test_a_request_that_says_the_value_that_is_to_be_asked_for_is_a_flaw(
    source: Any, request_: str, wrong: bool
) -> None:
    task = {"draw": {"x": {"from": source}}, "args": {"tag": "{x}"}, "requests": ["go to {x}"], "clauses": {}}
    asking = document(
        {**task, "ask": {"slots": ["x"], "requests": [request_]}}, values={"port": {"integers": [1, 65535]}}
    )
    flaws = [flaw for flaw in unsayable_flaws(asking) if flaw.location == ("tasks", 0, "ask", "requests", 0)]
    assert bool(flaws) == wrong


@pytest.mark.parametrize(
    ("value", "draw"),
    [
        ("{x}", MAYBE),
        ("with {x}", MAYBE | {"otherwise": "c"}),
        ("with {x}", {"from": ["a"]}),
        ({"name": "{x}"}, MAYBE | {"otherwise": None}),
    ],
)
def test_a_slot_that_always_has_a_value_is_no_flaw(value: Any, draw: dict[str, Any]) -> None:
    assert not [*label_flaws(document({"args": {"tag": value}, "draw": {"x": draw}}))]


@pytest.mark.parametrize(
    ("slots", "draw", "requests", "reasons"),
    [
        (["x"], {}, ["go", "open it"], ["leaves `x` out and says `y`"]),  # which leave y out, too
        (["x"], {}, ["go {x} by {y}"], ["leaves `x` out and says `y`"]),
        (["x", "y"], {}, ["go {x} by {y}"], ["leaves `x` out", "leaves `y` out"]),
        (["x", "y"], {}, ["go", "go {x}"], []),
        (["x"], {"far": MAYBE}, ["go by {y}", "go to {far} by {y}"], []),  # a value that is none for x
    ],
)
def test_a_question_has_requests_that_leave_out_what_it_asks_for_and_nothing_else(
    slots: list[str], draw: dict[str, Any], requests: list[str], reasons: list[str]
) -> None:
    task = {"draw": ASKED | draw, "args": {"tag": "{x}", "path": "{y}"}, "requests": ["go {x} {y}"], "clauses": {}}
    flaws = unsayable_flaws(document({**task, "ask": {"slots": slots, "requests": requests}}))
    assert [flaw.message for flaw in flaws] == [f"task `t`: no request {reason}" for reason in reasons]


@pytest.mark.parametrize(
    "choice",
    [
        [{"value": "a", "texts": ["x"]}, {"value": "b", "texts": ["x"]}],
        [{"value": "a", "texts": ["An hour"]}, {"value": "b", "texts": ["an hour"]}],
        [{"value": "a", "texts": ["b"]}, "b"],
        ["b", {"value": "a", "texts": ["b"]}],
        [{"value": "a", "texts": ["b"]}, {"value": "b", "texts": ["c"]}],
        [1, "1"],
    ],
)
@pytest.mark.parametrize("inline", [True, False])
def test_a_text_that_says_two_values_is_a_flaw(choice: list[Any], inline: bool) -> None:
    one = document({"draw": {"x": {"from": choice}}}) if inline else document({}, values={"p": {"choice": choice}})
    assert len([*text_flaws(one)]) == 1


@pytest.mark.parametrize(
    ("choice", "flaws"),
    [(["", "a"], doubtful_wordings), (["a", None], text_flaws), ([" ", "a", "\t"], doubtful_wordings)],
)
def test_null_among_values_is_a_flaw_and_a_blank_is_doubtful(choice: list[Any], flaws: Any) -> None:
    drawn = {"x": {"from": "p", "probability": 0.5}}
    named = document({"draw": drawn}, values={"p": {"choice": choice}})
    in_lists = document({"draw": drawn}, values={"p": {"list": "member"}, "member": {"choice": choice}})
    for one in (named, in_lists, document({"draw": {"x": {"from": choice}}})):
        for kind in (text_flaws, doubtful_wordings):
            assert any("nothing says" in flaw.message for flaw in kind(one)) == (kind is flaws)
    parts = {"p": {"choice": choice}, "whole": {"template": "a{p}"}}
    assert not [*flaws(document({"draw": {"x": {"from": "whole"}}, "requests": ["go {x}"]}, values=parts))]
    assert not [*flaws(document({"draw": {"x": {"from": [""]}}, "clauses": {"x": ["with no name"]}}))]


@pytest.mark.parametrize(
    ("task", "more", "location"),
    [
        ({"requests": ["go [x] on {Port}"]}, {}, ("tasks", 0, "requests", 0)),
        ({"requests": ["go [x] {__class__}"]}, {}, ("tasks", 0, "requests", 0)),
        ({"requests": ["go [x] {x.__class__}"]}, {}, ("tasks", 0, "requests", 0)),
        ({"requests": ["go [x] {x!r}"]}, {}, ("tasks", 0, "requests", 0)),
        ({"requests": ["go [x] {x[0]}"]}, {}, ("tasks", 0, "requests", 0)),
        ({"requests": ["go [x]", "go {{x}}"]}, {}, ("tasks", 0, "requests", 1)),
        ({"clauses": {"x": ["to { x }"]}}, {}, ("tasks", 0, "clauses", "x", 0)),
        ({"args": {"tag": ["{X-1}"]}}, {}, ("tasks", 0, "args", "tag", 0)),
        ({}, {"frames": ["{request}", "{x}, {request}"]}, ("frames", 1)),
        ({"requests": ['go [x] with {"a": {}} and a{2,3}']}, {}, None),
        (
            {"requests": ["go [x] in ${HOME} with '{{.Names}}' and \\bar{A}"], "args": {"tag": "${{ github }}"}},
            {},
            None,
        ),
        ({"requests": ["go [x]", "pop stash@{{x}}"]}, {}, None),
        ({"requests": ["get /users/{userId} [x]", "call {baseUrl}/v1/{Kind}.json?q={term_A} [x]"]}, {}, None),
        ({"requests": ["get /users of {userId} [x]"]}, {}, ("tasks", 0, "requests", 0)),
        ({"requests": ["get /users/{X} [x]"]}, {}, ("tasks", 0, "requests", 0)),
        ({"requests": ["go [x]", "open {{x}}/tcp"]}, {}, ("tasks", 0, "requests", 1)),
        ({"requests": ["go [x]", "open {x [*]"]}, {}, ("tasks", 0, "requests", 1)),
        ({"requests": ["go [x]", "open {x and {x}"]}, {}, ("tasks", 0, "requests", 1)),
        ({"requests": ["go [x]", "open x} now"]}, {}, ("tasks", 0, "requests", 1)),
        ({"requests": ["go [x] {x!r:>10}"]}, {}, ("tasks", 0, "requests", 0)),
        ({"requests": ["go [x] {x:>10}"]}, {}, ("tasks", 0, "requests", 0)),
        ({"requests": ["go {x} [*, please"]}, {}, ("tasks", 0, "requests", 0)),
        ({"requests": ["go [x]", "go {x} [x"]}, {}, ("tasks", 0, "requests", 1)),
        ({"args": {"tag": "a-{x"}}, {}, ("tasks", 0, "args", "tag")),
        ({"clauses": {"x": ["to [x] {x}"]}}, {}, ("tasks", 0, "clauses", "x", 0)),
        ({"clauses": {"x": ["to {x}", "[*] to {x}"]}}, {}, ("tasks", 0, "clauses", "x", 1)),
        ({"clauses": {"x": ["to {x} [optional] in [*.log]"]}}, {}, None),
        ({}, {"frames": ["{request}", "now {request} [*]"]}, ("frames", 1)),
        ({"requests": ["go [x] with {x: {x}}, {y and {app:web}, y} [x {x}] and ls [*.py"]}, {}, None),
    ],
)
def test_braces_that_no_slot_fills_are_a_flaw(task: dict[str, Any], more: dict[str, Any], location: Any) -> None:
    assert [flaw.location for flaw in text_flaws(document(task, **more))] == [location] * (location is not None)


def test_two_tasks_of_one_name_are_refused() -> None:
    task = {"name": "t", "refuse": "off_topic", "requests": ["x"]}
    with pytest.raises(ValidationError, match="two tasks are named `t`"):
        SynthesisDocument.model_validate({"synthesis": 1, "tasks": [task, task]})


@pytest.mark.parametrize(
    ("args", "place"),
    [
        ({"a": "{a}", "b": "{b}"}, None),
        ({"a": "to {a}, {b}"}, None),
        ({"a": "{a}"}, ("draw", "b")),
        ({"a": "{b}", "b": "{a}"}, None),
        ({"a": "{b}", "b": "{a}, {b}"}, None),
    ],
)
def test_a_slot_that_is_named_as_an_argument_goes_into_it(args: dict[str, Any], place: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    contract = ContractDocument.model_validate({"contract": 1, "tools": [{"name": "dev", "input_schema": schema}]})
    draw = {"a": {"from": ["x", "y"]}, "b": {"from": ["x", "y"]}}
    (task,) = document({"draw": draw, "args": args, "requests": ["{a} {b}"], "clauses": {}}).tasks
    assert [item[0] for item in disagreements(task, contract)] == [place] * (place is not None)
    exchanged = args == {"a": "{b}", "b": "{a}"}  # which "undo the move of {b} to {a}" means
    assert [item[0] for item in exchanges(task)] == [("args", "a")] * exchanged


def test_a_brace_as_a_text_is_the_value_of_a_slot() -> None:
    with pytest.raises(ValidationError, match="slot `id` is used but not in `draw`"):
        document({"requests": ["get /users/{id} [x]"]})
    literal = {"x": {"from": ["/users/{id}"]}}
    assert not [*text_flaws(document({"draw": literal, "requests": ["get {x}"]}))]


@pytest.mark.parametrize("choice", [["/a", "/A"], ["a", "a"], [{"value": 1, "texts": ["one", "1"]}, 2]])
def test_texts_of_one_value_and_paths_that_differ_in_case_are_no_flaw(choice: list[Any]) -> None:
    assert not [*text_flaws(document({}, values={"p": {"choice": choice}}))]


@pytest.mark.parametrize(
    ("task", "location"),
    [
        ({"requests": ["go"]}, ("tasks", 0, "draw", "x")),
        ({"requests": ["go"], "draw": {"x": {"from": ["a", "b"]}}}, ("tasks", 0, "requests")),
        (
            {"constraints": [{"at_least_one": ["x"]}], "draw": {"x": MAYBE | {"probability": 0}}},
            ("tasks", 0, "constraints", 0),
        ),
    ],
)
def test_what_no_request_says_is_a_flaw_and_synthesis_refuses_it(
    task: dict[str, Any], location: tuple[str | int, ...]
) -> None:
    (flaw,) = unsayable_flaws(document(task))
    assert flaw.location == location
    with pytest.raises(DocumentError, match="task `t`"):
        synthesise(
            [given(document(task).model_dump(mode="json", by_alias=True, exclude={"synthesis"}))],
            judge,
            rows=3,
            held_out=0,
            seed=0,
        )


def test_classes_that_training_never_shows_are_named() -> None:
    schema = {
        "type": "object",
        "properties": {"level": {"enum": ["low", "high"]}, "port": {"type": "integer"}, "name": {"type": "string"}},
        "required": ["name"],
    }
    tools = [{"name": "dev", "input_schema": schema}, {"name": "stop", "input_schema": {"type": "object"}}]
    contract = ContractDocument.model_validate({"contract": 1, "tools": tools})
    one = document({"args": {"name": "{x}", "level": "low"}, "draw": {"x": {"from": ["a"]}}})
    said = [flaw.message for flaw in missing_classes(one, {tool.name: tool for tool in contract.tools}, [])]
    assert said == [
        "training never shows `dev` with `level` null",
        'training never shows `dev` with `level` "high"',
        "training never shows `dev` with `port` given",
        "no task makes answers of the tool `stop`",
    ]


def test_a_template_never_shows_what_is_made_of_held_out_parts() -> None:
    parts = {"a": {"choice": [*"abcdefgh"]}, "b": {"choice": [*"12345678"]}, "p": {"template": "{a}-{b}"}}
    one = document({"draw": {"x": {"from": "p"}}, "args": {"tag": "{x}"}}, values=parts)
    every = [f"{a}-{b}" for a in "abcdefgh" for b in "12345678"]
    tools = [{"name": "dev", "input_schema": {"type": "object", "properties": {"tag": {"enum": every}}}}]
    (tool,) = ContractDocument.model_validate({"contract": 1, "tools": tools}).tools
    said = [*missing_classes(one, {"dev": tool}, [])]
    pools = divide(one).pools
    assert 0 < (pools["p"].train or 0) < 64
    (flaw,) = (flaw for flaw in said if '"' in flaw.message)
    more = re.search(r"(\d+) others", flaw.message)
    assert flaw.message.count('"') // 2 + int(more[1] if more else 0) == 64 - (pools["p"].train or 0)
    assert flaw.hint.startswith("`p` holds it out: write its values into `draw`")


def test_a_class_that_only_a_held_out_phrasing_says_is_named() -> None:
    tools = [{"name": "dev", "input_schema": {"type": "object", "properties": {"tag": {"type": "string"}}}}]
    contract = ContractDocument.model_validate({"contract": 1, "tools": tools})
    rules = [
        document({"args": {"tag": "{x}"}, "requests": [f"{word} it" for word in words] + [f"{last} it [x]"]})
        for words, last in ((("go", "run", "do"), "try"), (("try", "run", "do"), "go"))
    ]
    said = [[*missing_classes(one, {tool.name: tool for tool in contract.tools}, [])] for one in rules]
    assert any(said), "one of the two last phrasings must be held out for this test"
    assert {flaw.message for flaws in said for flaw in flaws} == {"training never shows `dev` with `tag` given"}


@pytest.mark.parametrize(("form", "values"), [("different", [["a"], ["a"]]), ("ascending", [[5, 6], [1, 5]])])
def test_a_constraint_that_no_values_keep_is_a_flaw(form: str, values: list[list[Any]]) -> None:
    draw = {name: {"from": listed} for name, listed in zip("xy", values, strict=True)}
    task = {"draw": draw, "requests": ["{x} {y}"], "clauses": {}, "constraints": [{form: ["x", "y"]}]}
    (flaw,) = unsayable_flaws(document(task))
    assert flaw.location == ("tasks", 0, "constraints") and f"{form} [x, y]" in flaw.message
    kept = draw | {"y": {"from": [*values[1], 9, "b"]}}
    assert not [*unsayable_flaws(document(task | {"draw": kept}))]


@pytest.mark.parametrize(
    ("members", "length", "rows"), [("ab", [3, 4], ["training", "held-out"]), ("abcde", [2, 3], ["held-out"])]
)
def test_a_list_of_more_members_than_a_side_of_the_split_has_is_a_flaw(
    members: str, length: list[int], rows: list[str]
) -> None:
    values = {"few": {"choice": [*members]}, "lists": {"list": "few", "length": length}}
    flaws = [*unsayable_flaws(document({"draw": {"x": {"from": "lists"}}}, values=values))]
    assert {flaw.location for flaw in flaws} == {("values", "lists", "length")}
    wanted = [f"pool `lists`: {side} rows have too few values of `few` for a list of {length[0]}" for side in rows]
    assert [flaw.message for flaw in flaws] == wanted
    enough = {"few": {"integers": [1, int(re.findall(r"\d+", flaws[0].hint)[0])]}, "lists": values["lists"]}
    assert not [*unsayable_flaws(document({"draw": {"x": {"from": "lists"}}}, values=enough))], "the hint helps"


def test_a_list_of_members_of_which_one_is_drawn_far_more_often_can_be_made() -> None:
    members = [{"value": "common", "weight": 1000}, *"abcdefghi"]
    values = {"few": {"choice": members}, "lists": {"list": "few", "length": [2, 2]}}
    assert not [*unsayable_flaws(document({"draw": {"x": {"from": "lists"}}}, values=values))]


def test_weights_take_no_memory() -> None:
    members = [Member(number, (str(number),), 1000) for number in range(1000)]
    tracemalloc.start()
    source = Listed(members)
    assert tracemalloc.get_traced_memory()[0] < 1 << 20
    tracemalloc.stop()
    assert [source.draw([place].pop)[0] for place in (0.0, 0.0009, 0.001, 0.9999)] == [0, 0, 1, 999]


@pytest.mark.parametrize(
    ("members", "wrong"),
    [
        (["salt", "oil", {"value": 1, "texts": ["brine", "Salt and oil"]}], True),
        (["salt", "oil", "salt, fine"], True),
        (["salt", "oil and salt", "salty oil"], False),
    ],
)
def test_a_member_that_reads_as_the_beginning_of_a_list_is_a_flaw(members: list[Any], wrong: bool) -> None:
    values = {"few": {"choice": members}, "lists": {"list": "few"}}
    flaws = [*text_flaws(document({"draw": {"x": {"from": "lists"}}}, values=values))]
    assert [flaw.location for flaw in flaws] == [("values", "lists", "list")] * wrong


def test_a_request_that_says_a_member_of_a_list_is_doubtful_however_many_texts_the_lists_have() -> None:
    member = [{"value": name, "texts": [f"{name} {number}" for number in range(9)]} for name in "abcdef"]
    values = {"few": {"choice": member}, "lists": {"list": "few", "length": [1, 6]}}  # 700 million texts of lists
    task = {"draw": {"x": {"from": "lists"}}, "args": {"tag": "{x}"}, "requests": ["go [x]", "take b 3 [x]"]}
    (flaw,) = doubtful_wordings(document(task, values=values))
    assert flaw.location == ("tasks", 0, "requests", 1)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string", "pattern": "^q{900}$"}, "no value is made"),
        ({"type": "integer", "multipleOf": 50, "minimum": 1, "maximum": 49}, "no value is made"),
    ],
)
def test_a_schema_of_which_no_value_is_made_is_a_flaw(schema: dict[str, Any], reason: str) -> None:
    values = {"word": {"schema": schema}}
    (flaw,) = unsayable_flaws(document({"draw": {"x": {"from": "word", "probability": 0.5}}}, values=values))
    assert flaw.location == ("values", "word", "schema") and reason in flaw.message


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "strng"}, "`strng` is not one of"),
        ({"type": "string", "pattern": "([a-z"}, "is not a regular expression"),
        ({"type": "array", "items": {"pattern": "(?<"}}, "is not a regular expression"),
    ],
)
def test_a_schema_of_which_no_validator_is_made_is_refused_where_it_is_read(
    schema: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(reason)):
        document({"draw": {"x": {"from": "word"}}}, values={"word": {"schema": schema}})


@pytest.mark.parametrize(
    ("task", "values", "place", "words"),
    [
        ({"requests": ["go {y} [x]"]}, {}, "tasks.0.requests.0", "slot `y` is used but not in `draw`"),
        ({"args": {"tag": ["{prot}"]}}, {}, "tasks.0.args.tag.0", "did you mean `port`?"),
        ({"requests": ["go [x]", "go [prot]"]}, {}, "tasks.0.requests.1", "did you mean `port`?"),
        ({"constraints": [{"at_least_one": ["x", "y"]}]}, {}, "tasks.0.constraints.0", "slot `y`"),
        ({"args": {"tag": {"port": None}}}, {}, "tasks.0.args.tag", 'write `"{port}"`'),
        ({"ask": {"slots": ["prot"]}}, {}, "tasks.0.ask.slots.0", "did you mean `port`?"),
        ({"ask": {"slots": ["x"]}}, {}, "tasks.0.ask.slots.0", "without a `probability`"),
        ({"draw": {"x": {"from": "kitchen"}}, "clauses": {}}, {}, "tasks.0.draw.x.from", "`from: [kitchen]`"),
        ({"draw": {"x": {"from": [1], "relative_to": "y"}}, "clauses": {}}, {}, "draw.x.relative_to", "from `dates`"),
        ({"constraints": [{}]}, {}, "tasks.0.constraints.0", "such as `{different: [from, to]}`"),
        ({"constraints": [{"different": ["x"]}]}, {}, "tasks.0.constraints.0.different", "two slots or more"),
        ({}, {"p": {"choice": [{"value": 1, "text": ["one"]}]}}, "values.p.choice.0.text", "did you mean `texts`?"),
        ({}, {"p": {"choice": ["a" * 400]}, "q": {"template": "{p}" * 30}}, "values.q.template", "shorten"),
        ({}, {"p": {"template": "{p}"}}, "values.p.template", "`p` is made of itself"),
        ({}, {"p": {"template": "{q}"}, "q": {"template": "{p}"}}, "values.p.template", "`p` is made of itself"),
        (
            {},
            {"p": {"template": "{q}"}, "q": {"list": "r"}, "r": {"choice": ["a"]}},
            "values.p.template",
            "what `q` is",
        ),
    ],
)
def test_what_is_wrong_with_a_rule_has_its_place_and_what_to_do(
    task: dict[str, Any], values: dict[str, Any], place: str, words: str
) -> None:
    said = {"x": ["to {x}"], "port": ["on {port}"]}
    rule = {
        "name": "t",
        "tool": "dev",
        "draw": {"x": MAYBE, "port": MAYBE},
        "requests": ["go [*]"],
        "clauses": said,
    } | task
    root = {"synthesis": 1, "tasks": [rule], "values": values}
    with pytest.raises(ValidationError) as caught:
        SynthesisDocument.model_validate(root)
    error = model_errors(caught.value, root, model=SynthesisDocument)[0]
    assert place in error.message and words in f"{error.message} {error.hint}" and error.hint


def test_an_object_with_a_value_is_a_value_where_no_other_key_is_near_a_known_one() -> None:
    one = document(
        {}, values={"p": {"choice": [{"value": 20, "unit": "C"}, {"value": {"value": 1, "text": "one"}, "weight": 2}]}}
    )
    assert [entry_of(item).value for item in one.values["p"].choice or ()] == [
        {"value": 20, "unit": "C"},
        {"value": 1, "text": "one"},
    ]


@pytest.mark.parametrize(
    ("requests", "more", "unused"),
    [
        (["go {x}", "go <x>"], {}, [1]),
        (["go [*]", "go", "go [y]", "go [both]"], {}, [1, 2]),
        (["go [x]", "go"], {"ask": {"slots": ["x"]}, "args": {"tag": "{x}"}}, []),
        (["go [x]", "go"], {"draw": {"x": MAYBE, "y": MAYBE, "both": MAYBE}}, []),
        (
            ["go {x} {y}"],
            {
                "ask": {"slots": ["x"], "requests": ["go", "by {y}"]},
                "draw": ASKED,
                "clauses": {},
                "args": {"tag": "{x}"},
            },
            [0],
        ),
    ],
)
def test_a_request_that_no_row_uses_is_doubtful(requests: list[str], more: dict[str, Any], unused: list[int]) -> None:
    draw = {"x": {"from": ["1", "2"]}, "y": MAYBE, "both": MAYBE}
    clauses = {"x": ["to {x}"], "y": ["by {y}"], "both": ["at {both} to {x}"]}
    flaws = doubtful_wordings(document({"draw": draw, "clauses": clauses, "requests": requests} | more))
    assert [flaw.location[-1] for flaw in flaws if "no row uses" in flaw.message] == unused


def test_a_pool_that_nothing_draws_is_doubtful() -> None:
    values = {"used": {"template": "{part}-1"}, "part": {"choice": ["a", "b"]}, "lost": {"choice": ["c"]}}
    (flaw,) = doubtful_wordings(document({"draw": {"x": {"from": "used"}}, "requests": ["go {x}"]}, values=values))
    assert flaw.location == ("values", "lost")


def test_a_call_before_the_answer_has_arguments_of_the_tool() -> None:
    schema = {"type": "object", "properties": {"tag": {"type": "string"}}}
    contract = ContractDocument.model_validate({"contract": 1, "tools": [{"name": "dev", "input_schema": schema}]})
    (task,) = document({"first": [{"tag": "a"}, {"tga": "a"}]}).tasks
    assert [flaw.location for flaw in disagreements(task, contract)] == [("first", 1, "tga")]
