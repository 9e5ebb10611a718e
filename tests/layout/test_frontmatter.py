"""Plain frontmatters are read without a parser of YAML; what is read must be what that parser reads."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skillpm.formats.strict_yaml import read_yaml
from skillpm.layout.frontmatter import _plain

CHARACTERS = st.sampled_from([*"aZ0 :#-_'\"{}[]&*!|>%@`?,=~\t.<\\/\r\x7f\u00e9\u2028", "null", "no", "1.10", ": "])
WORDS = st.lists(CHARACTERS, max_size=8).map("".join)
KEYS = st.sampled_from(["name", "description", "no", "null", "a-b", "_a", "1", "? a", "- a", "<<"]) | WORDS
PAIRS = st.tuples(KEYS, st.sampled_from([": ", ":  ", ":", " : ", ":\t"]), WORDS).map("".join)


@given(st.lists(PAIRS | WORDS, min_size=1, max_size=4).map("\n".join))
@example("name: my-skill\ndescription: Does this, then that (e.g. http://a.b/c#d). Use it.\nlicense: MIT\n")
@example("version: 1.10\nvalue: 0x1F\ndate: 2026-01-01\nbool: yes")
def test_what_is_read_plainly_is_what_yaml_says(text: str) -> None:
    plain = _plain(text, 3)
    if plain is not None:
        read = read_yaml(text, first_line=3)
        assert plain == read
        assert list(map(type, plain.values())) == list(map(type, read.values()))
        assert plain.lines == read.lines


@pytest.mark.parametrize(
    "text",
    ["a: b: c", "a: b #c", "a: b:", "a: b ", "a: null", "null: b", "a: b\na: c", "a: b\n c", "a: 'b'", "a:\n", "", "a"],
)
def test_whatever_needs_a_parser_is_left_to_it(text: str) -> None:
    assert _plain(text, 1) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: b\u2028c\x85d\u2029e", "b\u2028c\x85d\u2029e"),
        ('a: "\\ud83d\\uDE00"', "\U0001f600"),
        ('a: "\\\\\\ud83d\\ude00"', "\\\U0001f600"),
        ("a: \\ud83d\\ude00", "\\ud83d\\ude00"),
    ],
)
def test_lines_end_as_in_yaml_1_2_and_escapes_are_those_of_json(text: str, value: str) -> None:
    read = read_yaml(f"{text}\nb: c\n")
    assert (read["a"], read.lines["b"]) == (value, 2)


def test_an_ordinary_frontmatter_is_read_plainly() -> None:
    assert _plain("name: my-skill\ndescription: Does it; use it (when asked).\n", 2) == {
        "name": "my-skill",
        "description": "Does it; use it (when asked).",
    }
