"""Level strict is the specification, on each text of the reference validator; lenient loads what clients load."""

from __future__ import annotations

import pytest

from skillpm.layout.check import check
from skillpm.layout.frontmatter import read_frontmatter, split
from skillpm.layout.rule import Level
from skillpm.layout.tree import MappingTree

VALID = "---\nname: a-skill\ndescription: Does it. Use when asked.\n---\n\n# A\n"


def codes(data: str | bytes, level: Level, folder: str = "a-skill") -> set[str]:
    content = data.encode() if isinstance(data, str) else data
    report = check(MappingTree({"SKILL.md": content}), path="x", folder=folder, level=level)
    return {finding.code for finding in report.errors}


def head(*lines: str) -> str:
    return "\n".join(["---", *lines, "---", "", "# A", ""])


DESCRIPTION = "description: Does it."

REFUSED = {
    "must start with YAML frontmatter": ("# A\n", "SK101"),
    "not properly closed": ("---\nname: a-skill\n", "SK103"),
    "Invalid YAML": (head("name: a-skill", "\tdescription: x"), "SK104"),
    "must be a YAML mapping": (head("- a"), "SK106"),
    "Unexpected fields": (head("name: a-skill", DESCRIPTION, "version: v1"), "SK201"),
    "Missing required field: name": (head(DESCRIPTION), "SK202"),
    "Missing required field: description": (head("name: a-skill"), "SK210"),
    "name must be a non-empty string": (head("name: ''", DESCRIPTION), "SK202"),
    "exceeds 64": (head(f"name: {'a' * 65}", DESCRIPTION), "SK203"),
    "must be lowercase": (head("name: A-skill", DESCRIPTION), "SK204"),
    "start or end with a hyphen": (head("name: -a-skill", DESCRIPTION), "SK205"),
    "consecutive hyphens": (head("name: a--skill", DESCRIPTION), "SK206"),
    "invalid characters": (head("name: a_skill", DESCRIPTION), "SK207"),
    "must match skill name": (head("name: b-skill", DESCRIPTION), "SK208"),
    "description must be a non-empty string": (head("name: a-skill", "description: ' '"), "SK210"),
    "exceeds 1024": (head("name: a-skill", f"description: {'d' * 1025}"), "SK211"),
    "compatibility must be a string": (head("name: a-skill", DESCRIPTION, "compatibility: [a]"), "SK213"),
    "flow style": (head("name: a-skill", DESCRIPTION, "metadata: {a: b}"), "SK107"),
    "tags": (head("name: !!str a-skill", DESCRIPTION), "SK107"),
    "ends at any three hyphens": (head("description: a --- b", "name: a-skill"), "SK108"),
    "exceeds 500": (head("name: a-skill", DESCRIPTION, f"compatibility: {'c' * 501}"), "SK213"),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_strict_refuses_what_the_reference_refuses(rule: str) -> None:
    text, code = REFUSED[rule]
    assert code in codes(text, Level.STRICT)


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        (VALID, "a-skill"),
        (VALID.replace("\n", "\r\n"), "a-skill"),
        (VALID.replace("a-skill", "技能"), "技能"),
        (VALID.replace("a-skill", "ﬁnd"), "find"),
        (VALID.replace("a-skill", "cafe\u0301"), "caf\u00e9"),
        (head(f"name: {'a' * 64}", f"description: {'d' * 1024}", f"compatibility: {'c' * 500}"), "a" * 64),
        (
            head(
                "name: a-skill", DESCRIPTION, "license: MIT", "allowed-tools: Bash(git:*) Read", "metadata:", "  a: b"
            ),
            "a-skill",
        ),
        (head("name: a-skill", "description: a --- b"), "a-skill"),
        (head("name: a-skill", "description: >", "  a", "  b"), "a-skill"),
        (head("name: a-skill", 'description: "a"', "metadata:", "  version: 1.0"), "a-skill"),
        (head("name: a-skill", DESCRIPTION, "license:", "  - MIT", "allowed-tools:", "  - Read"), "a-skill"),
        (VALID + "\n".join("x" for _ in range(600)), "a-skill"),
        (VALID + "x" * 30_000, "a-skill"),
    ],
)
def test_strict_accepts_what_the_specification_allows(text: str, folder: str) -> None:
    """Also `---` in a value, where the reference reads enough; what is recommended only warns, as what it overlooks."""
    assert codes(text, Level.STRICT, folder) == set()


@pytest.mark.parametrize(
    "text",
    [
        head("name: a-skill", "description: Use when: asked"),
        head("name: a-skill", "description: **Bold** words"),
        head("name: a-skill", "description: `code` first"),
        head("name: a-skill", "description: [tag] and text"),
        head("name: a-skill", "description: @someone: says", "license: x: y"),
        head("name: a-skill", 'description: "quoted" and more: text'),
        head("name: a-skill", "description: first line", "  second: line", "  third's line"),
        head("name: a-skill", "metadata:", "  note: a: b", "description: |", "  key: value: kept"),
        head("name: another-name", DESCRIPTION, "version: 1.0", "tags: [x, y]", "when_to_use: always"),
        "\ufeff" + VALID,
        "\n\n" + VALID,
    ],
)
def test_lenient_takes_with_warnings_what_strict_refuses(text: str) -> None:
    assert codes(text, Level.LENIENT) == set()
    assert codes(text, Level.STRICT) != set()


@pytest.mark.parametrize("name", ["Another Name", "Bad_Skill", "a" * 80, "-a", "技能", "con", "a/b"])
def test_a_name_that_no_install_takes_is_an_error_at_level_lenient(name: str) -> None:
    assert "SK221" in codes(head(f"name: {name}", DESCRIPTION), Level.LENIENT)


def test_values_read_as_if_quoted_are_the_author_s_text() -> None:
    text = head("name: a", "description: It's for: x", "  and *y*", "metadata:", "  n: a: b", "license: |", "  k: v: w")
    fields = read_frontmatter(split(text)).value
    assert fields["description"] == "It's for: x and *y*"
    assert fields["metadata"] == {"n": "a: b"}
    assert fields["license"] == "k: v: w\n"


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"---\nname: a\nname: b\n---\n", "SK104", 3),
        (b"---\nname: a\ndescription: &x b\n---\n", "SK104", 3),
        (b"---\nname: a\ndescription: !!python/name:os.system x\n---\n", "SK104", 3),
        (b"---\nname: a\n<<<<<<< HEAD\ndescription: x\n=======\n>>>>>>> b\n---\n", "SK010", 3),
        (b"\r\n---\r\nname: a\r\nb: c\r\n---\r\n", "SK201", 4),
        (b"---\nname: a\ndescription: \"x\\e[31m\"\n---\n", "SK606", 3),
        (b"---\nname: a\ndescription: \"x\\u202e\"\n---\n", "SK603", 3),
    ],
)  # fmt: skip
def test_a_finding_names_the_line_of_the_file(data: bytes, code: str, line: int) -> None:
    report = check(MappingTree({"SKILL.md": data}), path="x", folder="a", level=Level.STRICT)
    assert (code, line) in {(finding.code, finding.line) for finding in report.findings}
