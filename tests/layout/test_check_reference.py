"""Level strict gives the reference validator's verdicts (``skills-ref``, from the Agent Skills specification).

Nothing of ours is in them: what an install refuses besides is the other answer of a report.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import skills_ref
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.layout.check import check
from skillpm.layout.rule import Level
from skillpm.layout.tree import MappingTree

FOLDER = "a-skill"
NAMES = (
    FOLDER, f'"{FOLDER} "', "A-skill", "other", "a--skill", "-a", "a_skill", "", "~", "123", "技能", "[a]",
    f"{FOLDER} # c", f"|\n  {FOLDER}", f"&x {FOLDER}", f"!!str {FOLDER}", "x" * 65, "a: b", "@a",
    "*a",
)  # fmt: skip
DESCRIPTIONS = (
    "Does it.", "Does: it", "'Does: it'", '"q" and more', "a --- b", "---", "|\n  a\n  b", ">\n  a\n\n  b", "' '",
    "[a, b]", "\n  - a", "\n  k: v", "**b** x", "x" * 1024, "x" * 1025, "|\n  " + "x" * 1024, "|-\n  " + "x" * 1024,
    "a\n  b: c", "a #b", "'it''s'", '"\\x41"', "&a b", "!!int 3", "é “q” 🎉", "2024-01-01", "<b>", "|2\n    a",
    "'multi\n  line'",
)  # fmt: skip
FIELDS = (
    "license: MIT", "license:", "license: [MIT]", "license:\n  - MIT", "license: 2.0", "compatibility:",
    "compatibility: ''", "compatibility:\n  - a",
    "compatibility:\n  a: b", f"compatibility: {'x' * 501}", f"compatibility: {'x' * 500}",
    "metadata: {}", "metadata: {a: b}", "metadata:\n  a: 1.0", "metadata:\n  a:\n    b: c", "metadata:\n  - a",
    "metadata: x", "metadata:\n  a: b\n  a: c", "metadata:\n  a: &x b\n  c: *x", "metadata:\n  <<: x",
    "metadata:\n\ta: b", "allowed-tools: Read, Grep", "allowed-tools: [Read]", "allowed-tools:\n- Read",
    "version: 1.0", "# comment",
    "name: again", "? a\n: b", "Name: x", "x", "- x", "%YAML 1.2", "license: 'a' 'b'", 'license: "a',
)  # fmt: skip
BEGINS = ("---\n", "\n---\n", "\ufeff---\n", "--- \n", "----\n", "", "x\n---\n", "---\n\n")
ENDS = ("---\n\nbody\n", "---", "--- \n", "", "---\n---\n")
MISSING = ("name", "description", None, None, None)

ODD = (
    "---\nname: a-skill\ndescription: null\n---\n",
    "---\nname: a-skill\ndescription: ~\n---\n",
    "---\nname: a-skill\ndescription:\n---\n",
    "---\nname: a-skill\ndescription: x\n---x\n",
    "---\nname: a-skill\ndescription: x\n---# Title\n\ntext\n",
    "---\nname: a-skill\ndescription: x\n---**Base URL**: y\n---\nz\n",
    "---name: a-skill\ndescription: x\n---\n",
    "---\nname: a-skill\ndescription: a --- b\nlicense: 'a' 'b'\n---\n",
    '---\nname: a-skill\ndescription: "Use a --- b"\n---\n',
    "---\nname: a-skill\ndescription: 'Use a --- b'\n---\n",
    '---\nname: a-skill\ndescription: x\nlicense: "a --- b"\n---\n',
    '---\ndescription: "Use a --- b"\nname: a-skill\n---\n',
    "---\nname: a-skill\ndescription: >\n  a\n  --- b\n---\n",
    "---\nname: a-skill\ndescription: x # --- y\n---\n",
    "---\nname: a-skill\ndescription: a\tb\n---\n",
    "---\nname: a-skill\ndescription: a\t\n---\n",
    "---\nname: a-skill\ndescription:\ta\n---\n",
    "---\nname: a-skill\ndescription: a\t# c\n---\n",
    '---\nname: a-skill\ndescription: "a\tb"\n---\n',
    "---\nname: a-skill\ndescription: |\n  a\tb\n---\n",
    "---\nname: a-skill\ndescription: a # \tb\n---\n",
    "---\nname: a-skill\ndescription: a\n---\n\tb\n",
    '---\nname: a-skill\ndescription: "a\\u202e"\n---\n',
    "---\nname: a-skill\ndescription: a\x85b\u2028c\u2029d\n---\n",
    '---\nname: a-skill\ndescription: "a \\ud83d\\ude00 b"\n---\n',
    "---\nname: a-skill\ndescription: x\n---\n<<<<<<< a\n=======\n>>>>>>> b\n",
    "---\nname: a-skill\ndescription: x\n---\na\0b\x1b[31m\n",
)


def skill_text(
    *fields: str, name: str = FOLDER, description: str = "Does it.", begin: str = "---\n", end: str = "---\n\nbody\n"
) -> str:
    """Return a SKILL.md that is right but for what is given."""
    return begin + "\n".join([f"name: {name}", f"description: {description}", *fields]) + "\n" + end


SINGLE = [
    *(skill_text(name=name) for name in NAMES),
    *(skill_text(description=description) for description in DESCRIPTIONS),
    *map(skill_text, FIELDS),
    *(skill_text(begin=begin) for begin in BEGINS),
    *(skill_text(end=end) for end in ENDS),
]


@st.composite
def skill_texts(draw: st.DrawFn) -> str:
    """Draw a SKILL.md that is right or wrong in a few places."""
    begin = draw(st.sampled_from((*("---\n",) * 12, *BEGINS)))
    end = draw(st.sampled_from((*("---\n\nbody\n",) * 8, *ENDS)))
    missing = draw(st.sampled_from(MISSING))
    lines = {
        "name": f"name: {draw(st.sampled_from((*(FOLDER,) * 20, *NAMES)))}",
        "description": f"description: {draw(st.sampled_from((*('Does it.',) * 20, *DESCRIPTIONS)))}",
    }
    parts = [line for key, line in lines.items() if key != missing or draw(st.integers(0, 4)) > 0]
    parts += draw(st.lists(st.sampled_from(FIELDS), max_size=2))
    text = begin + "\n".join(draw(st.permutations(parts))) + "\n" + end
    return text.replace("\n", "\r\n") if draw(st.integers(0, 9)) == 0 else text


def accepted_here(text: str) -> bool:
    return check(MappingTree({"SKILL.md": text.encode()}), path="x", folder=FOLDER, level=Level.STRICT).ok


def accepted_there(text: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, FOLDER)
        root.mkdir()
        (root / "SKILL.md").write_bytes(text.encode())
        return not skills_ref.validate(root)


def assert_same_verdict(text: str) -> None:
    assert accepted_here(text) == accepted_there(text), text


def test_a_text_that_is_not_plain_in_one_thing_gets_the_verdict_of_the_reference() -> None:
    for text in SINGLE:
        assert_same_verdict(text)


@settings(max_examples=150)
@given(skill_texts())
def test_what_the_reference_refuses_is_refused_and_what_it_accepts_is_accepted(text: str) -> None:
    assert_same_verdict(text)


def test_where_the_reference_reads_in_another_way_it_decides() -> None:
    for text in ODD:
        assert_same_verdict(text)


def test_what_the_specification_is_silent_on_is_no_part_of_the_verdict() -> None:
    files = {"SKILL.md": skill_text().encode(), "a.zip": b"7z\xbc\xaf'\x1c", "A": b"\x1b[31m", "a": b"", "nul.txt": b""}
    report = check(MappingTree({**files, "skill.yaml": b"manifest: 2\n"}), path="x", folder=FOLDER, level=Level.STRICT)
    assert report.ok and not report.against_specification
    assert {"SK417", "SK606", "SK405", "SK404", "SK501"} <= report.against_install
