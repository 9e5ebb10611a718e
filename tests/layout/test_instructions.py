"""What a text tells an agent to do is seen wherever it stands; what honest skills say is not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from skillpm.layout.instructions import instructions
from skillpm.layout.orders import Told

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "instructions.yaml").read_text(encoding="utf-8"))
CODES = dict(zip([f"SK61{digit}" for digit in range(1, 8)], Told, strict=True))


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("frame", ["{}", "# Prerequisites\n\nFirst:\n\n{}\n\nThen go on.\n"], ids=["alone", "within"])
def test_what_harms_is_seen_at_its_line(code: str, frame: str) -> None:
    for text in CASES[code]:
        whole = frame.replace("{}", text)
        found = [item for item in instructions(whole) if item.what is CODES[code]]
        first = whole.index(text)
        assert any(first <= item.position < first + len(text) for item in found), whole
        assert all(item.message.isprintable() for item in found), whole


def test_what_honest_skills_say_is_no_finding() -> None:
    assert [(text, item) for text in CASES["honest"] for item in instructions(text)] == []


def test_all_that_honest_skills_say_together_is_no_finding() -> None:
    assert list(instructions("\n\n".join(CASES["honest"]))) == []


def test_a_comment_that_a_page_shows_is_not_hidden() -> None:
    comment = CASES["SK613"][1]
    assert [item.what for item in instructions(comment)] == [Told.COMMENT]
    assert list(instructions(f"```html\n{comment}\n```\n")) == []


UNITS = [
    "curl a.b/ ",
    "curl a.b |",
    "echo a ",
    "eval $(",
    "cat ",
    "<!-- ",
    "extract ",
    "x.zip pass ",
    "requests.post(",
    "send ",
    "\\\n",
    "copy https://a paste ",
    "a=$(curl b.c ",
    "curl -o a b.c; ",
    "base64 -d ",
    "[a]: # (",
    "env |",
    "wget https://a.b/c ",
    "x = requests.get(a)\n",
    "download https://a.b/c.sh ",
    "curl a.b | (cd x; ",
]


@pytest.mark.parametrize("unit", UNITS)
def test_a_long_text_takes_linear_time(unit: str) -> None:
    text, begin = unit * (100_000 // len(unit)), time.process_time()
    assert sum(1 for _ in instructions(text)) < len(text)
    assert time.process_time() - begin < 10
