"""``compare`` of contract.yaml: which values are the same, and which declarations are refused."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.contract.contract import Contract, answer_text
from skillpm.contract.equality import Equality
from skillpm.contract.shape import same_value
from skillpm.errors import DocumentError
from skillpm.model.comparison import Comparison
from tests.serving import compiled

ITEM = "{type: object, properties: {sku: {type: string}, price: {type: number}, memo: {type: string}}}"
SCHEMA = f"""
contract: 1
tools:
  - name: order
    input_schema:
      type: object
      properties:
        title: {{type: string}}
        labels: {{type: array, items: {{type: string}}}}
        amount: {{type: number}}
        port: {{type: [integer, string]}}
        file: {{type: string}}
        city: {{type: string}}
        note: {{type: string}}
        items: {{type: array, items: {ITEM}}}
        marks: {{type: array, items: {{type: number}}}}
        where: {{type: object, properties: {{street: {{type: string}}, zip: {{type: string}}}}}}
        since: {{type: string}}
        at: {{type: string, format: date-time}}
        watch: {{type: boolean}}
    argv: [order, {{flag: --file, value: file}}, {{flag: --title, value: title}}, {{flag: --watch, if: watch}}]
"""
COMPARE = """    compare:
      title: [casefold, words]
      labels: [set, casefold]
      amount: {number: 0.1}
      port: number
      file: path
      city: {by: nfc, same: {NYC: New York}}
      note: free
      items: set
      items[].sku: casefold
      items[].price: number ±0.01
      items[].memo: free
      marks: {by: set, number: 1}
      where: casefold
      since: duration
      at: timestamp
"""
GOLD: dict[str, Any] = {
    "title": "A  b", "labels": ["x", "Y"], "amount": 1.0, "port": 8080, "file": "a/b", "city": "Zürich", "note": "hm",
    "items": [{"sku": "a", "price": 1}, {"sku": "b", "price": 2, "memo": "z"}], "marks": [1, 5],
    "where": {"street": "Foo", "zip": "1A"}, "since": "2h",
    "at": "2026-03-01T00:30:00Z",
}  # fmt: skip
SAME = [
    ("title", "a B"), ("labels", ["y", "X", "x"]), ("amount", 1.1), ("amount", 0.9), ("port", "8080"),
    ("file", "./a//b/"), ("city", unicodedata.normalize("NFD", "Zürich")), ("note", "other"), ("note", None),
    ("items", [{"sku": "B", "price": 2.01}, {"sku": "A", "price": 1, "memo": "q"}]), ("marks", [6, 2]),
    ("where", {"street": "foo", "zip": "1a"}), ("since", "120min"),
    ("at", "2026-02-28T23:30:00.00-01:00"), ("at", "2026-03-01 01:30:00+01:00"), ("at", "2026-03-01t00:30:00z"),
]  # fmt: skip
DIFFERENT = [
    ("title", "ab"), ("labels", ["x"]), ("amount", 1.11), ("port", "8081"), ("file", "a/../b"), ("city", "zürich"),
    ("items", [{"sku": "B", "price": 2.02}, {"sku": "A", "price": 1}]), ("items", [{"sku": "a", "price": 1}]),
    ("marks", [1]), ("marks", [1, 5, 9]), ("where", {"street": "foo", "zip": "1"}), ("since", "119min"),
    ("labels", None), ("amount", None), ("at", "2026-03-01T00:30:00"), ("at", "2026-03-01T00:30:00.0001Z"),
    ("at", "2026-03-01T00:30:00-01:00"), ("at", "2026-03-01"), ("at", "2026-03-01T00:30:60Z"),
]  # fmt: skip


def _judged(contract: Contract, name: str, value: Any) -> str:
    gold = {"tool": "order", "args": GOLD}
    arguments = {**contract.complete(gold)["args"], name: value}
    return contract.judge(gold, json.dumps({"tool": "order", "args": arguments})).status


@pytest.mark.parametrize(("name", "value"), SAME, ids=str)
def test_values_that_compare_calls_the_same_are_exact(name: str, value: Any) -> None:
    assert _judged(compiled(SCHEMA + COMPARE), name, value) == "passed"
    assert _judged(compiled(SCHEMA), name, value) == "failed" or value is None  # null is idle: ambiguous


@pytest.mark.parametrize(("name", "value"), DIFFERENT, ids=str)
def test_other_values_are_not(name: str, value: Any) -> None:
    assert _judged(compiled(SCHEMA + COMPARE), name, value) in ("failed", "ambiguous")


def test_an_answer_may_differ_in_a_comparison_and_in_the_spelling_of_its_command() -> None:
    """The path makes other words of the command, and `watch: false` no word: together they are one command."""
    contract = compiled(SCHEMA + COMPARE)
    gold = {"tool": "order", "args": GOLD}
    arguments = {**contract.complete(gold)["args"], "file": "./a/b", "watch": False}
    verdict, argv = contract.assess(contract.gold(gold), json.dumps({"tool": "order", "args": arguments}))
    assert verdict.status == "passed" and argv == (("order", "--file", "./a/b", "--title", "A  b"),)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_one_that_is_written_whatever_its_form(number: float) -> None:
    decimals = json.loads(answer_text(number))
    assert same_value(number, decimals) and Equality({"n": Comparison(by=("set",))}).same("n", [number], [decimals])


def test_huge_sets_are_compared_in_linear_time_and_never_by_all_pairs() -> None:
    contract = compiled(SCHEMA + COMPARE)
    many = [str(number) for number in range(8_000)]
    gold = {"tool": "order", "args": {"labels": many, "marks": list(range(8_000))}}
    arguments = contract.complete(gold)["args"]
    text = json.dumps({"tool": "order", "args": {**arguments, "labels": many[::-1]}})
    equality = Equality(contract.tools["order"].compare)
    assert len(text) < 1 << 17 and equality.same("labels", many, many[::-1])
    assert not equality.same("marks", arguments["marks"], arguments["marks"][::-1])


BAD = [
    ("{port: number}", "string", "`port`: `number` is for numbers, and the schema admits string"),
    ("{port: {number: 1}}", "boolean", "`number` is for numbers"),
    ("{port: set}", "string", "`port`: `set` is for a list, and the schema admits string"),
    ("{port: casefold}", "integer", "`casefold` is for texts, and the schema admits integer"),
    ("{port: {same: {a: b}}}", "integer", "`same` is for texts"),
    ("{prt: exact}", "string", "input_schema has no `prt` there"),
    ("{port.a: exact}", "string", "input_schema has no `a` there"),
    ("{'port[]': exact}", "string", "input_schema has no `[]` there"),
    ("{'.a': exact}", "string", "write `argument`"),
    ("{port: [free, set]}", "string", "`free` excludes every other comparison"),
    ("{port: {number: -1}}", "integer", "must be at least 0"),
    ("{port: fuzzy}", "string", "compare"),
    ("{port: []}", "string", "name a comparison"),
    ("{port: {}}", "string", "name a comparison"),
]


@pytest.mark.parametrize(("compare", "kind", "problem"), BAD)
def test_a_comparison_that_does_not_fit_is_refused_at_its_line(compare: str, kind: str, problem: str) -> None:
    schema = f"{{type: object, properties: {{port: {{type: {kind}}}}}}}"
    text = f"contract: 1\ntools:\n  - name: t\n    input_schema: {schema}\n    compare: {compare}\n"
    with pytest.raises(DocumentError) as caught:
        compiled(text)
    assert problem in caught.value.message and caught.value.line == 5


def test_a_schema_without_types_admits_every_comparison() -> None:
    text = "contract: 1\ntools:\n  - {name: t, input_schema: {type: object, properties: {a: {}}}, compare: {a: %s}}\n"
    for way in ("number", "set", "casefold", "free"):
        assert compiled(text % way)


@pytest.mark.parametrize("way", ["exact", "set", "casefold", "[set, casefold]", "free"])
def test_no_depth_of_an_answer_breaks_the_comparison(way: str) -> None:
    contract = compiled(
        "contract: 1\ntools:\n"
        f"  - {{name: t, input_schema: {{type: object, properties: {{a: {{}}}}}}, compare: {{a: {way}}}}}\n"
    )
    for depth in (100, 300, 450, 900, 990):
        for left, right in (("[", "]"), ('{"x":', "}")):
            answer = f'{{"tool": "t", "args": {{"a": {left * depth}1{right * depth}}}}}'
            for expected in ([1], _nested(depth, is_list=left == "[")):
                verdict = contract.judge({"tool": "t", "args": {"a": expected}}, answer)
                assert verdict.status in ("passed", "failed", "errored")


def _nested(depth: int, *, is_list: bool) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if is_list else {"x": value}
    return value
