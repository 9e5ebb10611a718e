"""What is wrong with JSON is said in our words, with its place."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from skillpm.errors import DocumentError
from skillpm.formats.document import problem_words, read_json_lines, typed_values
from skillpm.formats.strict import MAX_DEPTH, PlainScalar, json_object, strict_json
from skillpm.model.task import Seed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" \n", "the text is empty"),
        ("{", "the text ends in the middle"),
        ('{"a":\n[1,\n', "the text ends in the middle, at line 2"),
        ("no", "a value is missing at column 1"),
        ('{\n"a": }', "a value is missing at line 2, column 6"),
        ("{a: 1}", "a key in double quotes is missing at column 2"),
        ('{"a" 1}', "a `:` is missing at column 6"),
        ("[1 2]", "a `,` is missing at column 4"),
        ('["a]', "a text without its closing quote begins at column 2"),
        ('["a\tb"]', "a text has a line break or another control character at column 4"),
        (r'["\q"]', "a text has an unknown escape at column 3"),
        (r'["\u12"]', "a text has an unknown escape at column 4"),
        ("{} {}", "the value has ended, and more follows at column 4"),
        ("\ufeff{}", "a byte order mark is in front at column 1"),
        ('{"a": 1, "a": 2}', "duplicate key `a`"),
        ("NaN", "NaN is not JSON"),
        ("1e999", "1e999 is out of range"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=lambda text: text[:12],
)
def test_what_is_not_json_is_said_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        strict_json(text)
    assert str(caught.value) == reason


def test_rows_of_any_depth_are_read_or_refused_and_a_long_list_is_not_deep() -> None:
    """Whoever walks a value recurses, so what is read must not be deeper than Python calls."""

    def row(depth: int) -> str:
        return f'{{"request": "a", "expected": {"[" * depth}1{"]" * depth}}}\n'

    assert len(list(read_json_lines(Seed, row(MAX_DEPTH - 1), path="rows.jsonl"))) == 1
    for depth in range(MAX_DEPTH, 2_000, 50):
        with pytest.raises(DocumentError, match="nested too deeply"):
            list(read_json_lines(Seed, row(depth), path="rows.jsonl"))
    assert len(strict_json(json.dumps([{"a": [{}]}] * 1_000))) == 1_000


def test_no_damage_is_told_in_the_words_of_python() -> None:
    whole = json.dumps({"a": [1, -2.5, "b\n", {"c": None}], "d": True})
    damaged = [whole[:end] for end in range(len(whole))]
    damaged += [whole[:at] + odd + whole[at + 1 :] for at in range(len(whole)) for odd in '{}[],:"\\ \x01x']
    for text in damaged:
        try:
            strict_json(text)
        except ValueError as error:
            assert "Expecting" not in str(error) and "char" not in str(error).replace("character", ""), text


def test_a_request_of_blanks_is_no_request() -> None:
    with pytest.raises(DocumentError, match=r"rows.jsonl:1: `request`: must not be blank"):
        list(read_json_lines(Seed, '{"request": " \\n\u2003", "expected": 1}\n', path="rows.jsonl"))


def test_a_broken_row_is_named_by_its_line_and_column() -> None:
    with pytest.raises(DocumentError) as caught:
        list(read_json_lines(Seed, '{"request": "a", "expected": 1}\n{"request": }\n', path="rows.jsonl"))
    assert str(caught.value) == "rows.jsonl:2: not JSON: a value is missing at column 13"


def test_a_document_that_is_no_json_is_said_in_the_same_words() -> None:
    with pytest.raises(ValidationError) as caught:
        Seed.model_validate_json('{"request": ')
    assert problem_words(caught.value.errors()[0]) == "not JSON: the text ends in the middle"


@given(st.from_regex(r"\A[-+]?(?:[0-9]{1,4}|[0-9]{280,330})(?:\.[0-9]{0,3})?(?:e[-+]?[0-9]{1,3})?\Z"))
@example("+0")
@example("-0.0e5")
@example("9" * 310)
@example("1e-400")
def test_a_number_in_yaml_has_its_value_or_stays_a_text_and_is_json_either_way(text: str) -> None:
    """Else a row could be written that nothing reads again."""
    value = typed_values(PlainScalar(text))
    again = strict_json(json.dumps(value))
    assert again == value and type(again) is type(value)
    number = Decimal(text)
    if isinstance(value, str):
        assert value == text and not (number == 0 or Decimal("5e-324") <= abs(number) <= Decimal(sys.float_info.max))
    else:
        assert value == (int(text) if text.lstrip("+-").isdecimal() else float(text))


@pytest.mark.parametrize("text", ['[{"a": 1}]', "{", "null", "[" * 100_000, "\ud800"])
def test_what_is_no_json_object_counts_as_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert json_object(text) == json_object(tmp_path / "a.json") == json_object(tmp_path / "none.json") == {}
    assert json_object(b'{"a": 1}') == {"a": 1}
