"""Mending is sure: it finds less than before, means what was meant, is done once, and leaves the rest alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.layout.check import check
from skillpm.layout.frontmatter import read_frontmatter, split
from skillpm.layout.mend import mend
from skillpm.layout.rule import Level
from skillpm.layout.tree import MappingTree

FOLDER = "find-text"
HEAD = "---\nname: find-text\ndescription: Finds text.\n"
BODY = "---\n\n# Find\n\nversion: 1.0 stays\n"


def skill(*lines: str) -> str:
    """Return a SKILL.md with more lines of frontmatter."""
    return HEAD + "".join(f"{line}\n" for line in lines) + BODY


CASES = {
    "a byte order mark": ("\ufeff" + skill(), skill()),
    "Windows line ends": (skill().replace("\n", "\r\n"), skill()),
    "blank lines before the frontmatter": ("\n \n" + skill(), skill()),
    "a colon in a value": (
        skill().replace("Finds text.", "Use when: it's asked"),
        skill().replace("Finds text.", "'Use when: it''s asked'"),
    ),
    "a value that begins with a star": (skill("license: *MIT*"), skill("license: '*MIT*'")),
    "quotes inside of quotes": (skill('license: "the "MIT" one: all"'), skill("license: 'the \"MIT\" one: all'")),
    "an apostrophe in quotes": (skill("license: 'it's MIT: all'"), skill("license: 'it''s MIT: all'")),
    "an escape that YAML does not have": (skill('license: "a \\d \\"b\\""'), skill("license: 'a \\d \"b\"'")),
    "quotes around two words": (skill('license: "MIT" or: "BSD"'), skill('license: \'"MIT" or: "BSD"\'')),
    "a name in another case": (skill().replace("find-text", "Find-Text"), skill()),
    "a name with a space": (skill().replace("find-text", "Find Text"), skill()),
    "a name with an underscore": (skill().replace("find-text", "'find_text'"), skill()),
    "spaces around the name": (skill().replace("find-text", '"find-text  "'), skill()),
    "a version at the top": (
        skill("version: 1.10", "license: MIT"),
        skill("metadata:", '  version: "1.10"', "license: MIT"),
    ),
    "a version beside metadata": (
        skill("version: 2", "metadata:", "    team: core"),
        skill("metadata:", "    team: core", '    version: "2"'),
    ),
    "a version that already exists": (
        skill("version: 1.0", "metadata:", '  version: "1.0"'),
        skill("metadata:", '  version: "1.0"'),
    ),
    "two keys to move": (skill("author: Jo", "version: v1"), skill("metadata:", "  version: v1", "  author: Jo")),
    "a near key": (skill("licence: MIT"), skill("license: MIT")),
    "a key with an underscore": (skill("allowed_tools: Read Grep"), skill("allowed-tools: Read Grep")),
    "tools in a list": (
        skill("allowed-tools:", "  - Read", "  - Bash(git add)"),
        skill("allowed-tools: Read Bash(git add)"),
    ),
    "tools in brackets": (skill("allowed_tools: [Read, Grep]"), skill("allowed-tools: Read Grep")),
    "tools with commas": (skill("allowed-tools: Read, Grep,Bash(a, b)"), skill("allowed-tools: Read Grep Bash(a, b)")),
    "a number": (skill("license: 2.0"), skill('license: "2.0"')),
    "a number in metadata": (skill("metadata:", "  version: 1.10"), skill("metadata:", '  version: "1.10"')),
    "metadata in braces": (
        skill('metadata: {version: "1.0", team: core}'),
        skill("metadata:", '  version: "1.0"', "  team: core"),
    ),
    "an empty field": (skill("license:", "compatibility: ''"), skill()),
}

UNSURE = {
    "nothing is wrong": skill("license: MIT"),
    "a name of its own": skill().replace("find-text", "other"),
    "no name": skill().replace("name: find-text\n", ""),
    "a key that clients act on": skill("when_to_use: always", "model: big"),
    "two versions that disagree": skill("version: 1", "metadata:", '  version: "2"'),
    "a comment behind the value": skill("version: 1.0 # first"),
    "tools that may be one or two": skill("allowed-tools:", "  - Read all", "  - Grep"),
    "a comment among the tools": skill("allowed-tools:", "  - Read # only", "  - Grep"),
    "metadata with a list": skill("metadata:", "  tags:", "    - a"),
    "a version that is a list": skill("version: [1, 0]"),
    "hidden text": skill("license: M\u200bIT") + "\U000e0041",
    "not closed": "---\nname: find-text\ndescription: x\n",
    "no frontmatter": "# Find\n",
    "duplicate keys": skill("license: MIT", "license: BSD"),
    "anchors": skill("license: &a MIT"),
    "a conflict": skill("<<<<<<< a", "license: MIT", "=======", ">>>>>>> b"),
    "nothing": "",
}


def findings(text: str, folder: str | None = FOLDER) -> Counter[str]:
    report = check(MappingTree({"SKILL.md": text.encode()}), path="", folder=folder, level=Level.STRICT)
    return Counter(finding.code for finding in report.findings)


@pytest.mark.parametrize("what", CASES)
def test_what_has_one_right_answer_is_mended(what: str) -> None:
    before, after = CASES[what]
    mended = mend(before, FOLDER)
    assert mended.text == after
    assert mended.codes and not set(mended.codes) & set(findings(after))


@pytest.mark.parametrize("what", UNSURE)
def test_what_is_not_sure_is_left_to_the_byte(what: str) -> None:
    assert mend(UNSURE[what], FOLDER).text == UNSURE[what]


def test_without_a_folder_the_name_is_left() -> None:
    text = skill().replace("find-text", "Find Text")
    assert mend(text, None).text == text


def test_comments_order_and_the_body_are_kept() -> None:
    text = skill("# who may use it", "license: 1.0", "", "metadata: # ours", "  # first", "  team: core") + "a\r\nb\n"
    mended = mend(text, FOLDER).text
    assert mended == text.replace("license: 1.0", 'license: "1.0"').replace("\r\n", "\n")


LINES = st.sampled_from(
    ["license: MIT", "license: 2.0", "licence: x: y", "license:", "version: 1.10", "version: v1 # c", "Version: 1",
     "author: Jo: X", "metadata:", "  team: core", "  version: 2", "    deep: x", "metadata: {a: 1, b: c}",
     "metadata: {}", "# comment", "",
     "allowed-tools: Read, Bash(a, b)", "allowed_tools:", "  - Read", "- Grep", "allowed-tools: [a b]", "tags: [x]",
     "compatibility: ''", "description: |", "  text # no comment", "  ---", "homepage: https://x.y/#z", "category: yes",
     "repository: '*a'", "when_to_use: *x", "\u200bname: x", "name: Find_Text", "  more: a: b"]
)  # fmt: skip


@st.composite
def broken_skills(draw: st.DrawFn) -> str:
    """Draw a SKILL.md that is wrong in ways that can be mended, mixed with ways that cannot."""
    names = ("find-text", "Find Text", "'find-text '", "FIND_TEXT", "other", "2.0", "")
    descriptions = ("Finds.", "Use when: asked", "**Bold**", "|\n  a: b\n\n  c", ">-\n  a\n", '"a" b')
    lines = [f"name: {draw(st.sampled_from(names))}", f"description: {draw(st.sampled_from(descriptions))}"]
    lines += draw(st.lists(LINES, max_size=6))
    begin = draw(st.sampled_from(("---\n", "\ufeff---\n", "\n---\n", "--- \n")))
    text = begin + "\n".join(lines) + "\n---\n" + draw(st.sampled_from(("body\n", "", "a\r\nb", "---\nx\n")))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@settings(max_examples=200)
@given(broken_skills(), st.sampled_from([FOLDER, "other", None]))
def test_mending_twice_is_mending_once_and_a_mended_file_has_fewer_findings(text: str, folder: str | None) -> None:
    mended = mend(text, folder)
    assert mend(mended.text, folder).text == mended.text
    if mended.text != text:
        before, after = findings(text, folder), findings(mended.text, folder)
        assert after < before, "less, and nothing new"
        assert set(mended.codes) == set(before - after)


def plain(value: Any) -> Any:
    """Return all scalars of a frontmatter, wherever they stand now."""
    if isinstance(value, dict):
        return [item for entry in value.values() for item in plain(entry)]
    if isinstance(value, list):
        return [item for entry in value for item in plain(entry)]
    return [] if value in (None, "") else str(value).replace(",", " ").split()


@settings(max_examples=200)
@given(broken_skills())
def test_no_word_is_lost_or_made_up(text: str) -> None:
    mended = mend(text, None).text
    assert split(mended).body in (split(text).body.replace("\r\n", "\n"), split(text).body)
    before = plain(read_frontmatter(split(text.replace("\r\n", "\n"))).value)
    after = plain(read_frontmatter(split(mended)).value)
    assert set(after) == set(before)


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda data: data.decode("utf-8", "ignore"))))
def test_any_text_is_mended_or_left(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    once = mend(text, "a").text
    assert mend(once, "a").text == once
