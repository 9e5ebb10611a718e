"""Every finding of a document names the line of what is wrong, also if only building the contract shows it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from skillpm.layout.rule import Level
from skillpm.ops.authoring.validate import validate, validate_skill
from tests.conftest import write_tree

GOOD = """\
contract: 1
system_prompt: "{{ tools }}"
tools:
  - name: pack
    input_schema:
      type: object
      properties:
        archive: {type: string, pattern: "^[a-z]"}
        files:
          type: array
          items: {type: string}
        level: {type: integer, maximum: 9}
        format: {enum: [gzip, xz]}
    argv:
      - tar
      - {flag: -9, when: {level: 9}}
      - {value: archive}
      - {flag: -z, when: {format: gzip}}
"""
SKILL = "---\nname: demo\ndescription: Packs files. Use it when asked to.\n---\nPack.\n"


@pytest.mark.parametrize(
    ("good", "bad", "line", "words"),
    [
        ("items: {type: string}", "items: {type: strin}", 11, "`strin` is not one of array, boolean"),
        ("maximum: 9", "maximum: nine", 12, "'nine' is not of type 'number'"),
        ('"^[a-z]"', '"^[a-z"', 8, "properties.archive.pattern"),
        ('"^[a-z]"', '"^(?=a)"', 8, "properties.archive.pattern"),
        ("{{ tools }}", "{{ tools", 2, "system_prompt"),
        ("value: archive", "value: archiv", 17, "argv reads `archiv`"),
        ("when: {level: 9}", "if: level", 16, "`if: level` is not a boolean"),
        ("format: gzip", "format: gzi", 18, "`format` is never `gzi`"),
        ("when: {level: 9}", "when: {leve: 9}", 16, "argv reads `leve`"),
    ],
)
def test_a_finding_of_a_contract_has_its_line(tmp_path: Path, good: str, bad: str, line: int, words: str) -> None:
    root = write_tree(tmp_path / "demo", {"SKILL.md": SKILL, "contract.yaml": GOOD})
    assert not [item for item in validate_skill(root).findings if item.path == "contract.yaml"]
    (root / "contract.yaml").write_text(GOOD.replace(good, bad))
    (finding,) = (item for item in validate_skill(root).findings if item.path == "contract.yaml")
    assert (finding.line, words in finding.message) == (line, True), finding


def test_an_answer_that_the_contract_does_not_know_is_told_with_what_it_knows(tmp_path: Path) -> None:
    seed = '{"request": "pack it", "expected": %s}\n'
    answers = ['{"tool": "find_text", "args": {}}', '{"tool": "pakc", "args": {}}', '{"refuse": "off_topic"}']
    files = {"SKILL.md": SKILL, "contract.yaml": GOOD}
    hints = [
        item.hint
        for number, answer in enumerate(answers)
        for item in validate_skill(
            write_tree(tmp_path / f"{number}", {**files, "seeds/a.jsonl": seed % answer})
        ).findings
        if item.code == "SK552"
    ]
    assert hints == ["contract.yaml has pack", "did you mean `pack`?", "add `refuse` to `answers` of contract.yaml"]


def test_each_skill_of_an_archive_is_checked_as_its_folder_is(tmp_path: Path) -> None:
    """Also that its name is that of its folder: the second one's is not."""
    broken = {"SKILL.md": SKILL, "contract.yaml": GOOD.replace("maximum: 9", "maximum: nine")}
    folders = [write_tree(tmp_path / "demo", broken), write_tree(tmp_path / "well", {"SKILL.md": SKILL})]
    with tarfile.open(tmp_path / "two.tgz", "w:gz") as archive:
        for folder in folders:
            archive.add(folder, f"repo/skills/{folder.name}")
    own, reports = (validate(paths, level=Level.STRICT) for paths in (folders, [tmp_path / "two.tgz"]))
    places = [report.path.partition("#subdirectory=")[2] for report in reports]
    assert places == ["skills/demo", "skills/well"]
    assert [report.findings for report in reports] == [report.findings for report in own]
    assert "SK208" in [item.code for item in reports[1].findings]


def test_a_path_that_holds_no_skill_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.zip").write_text("hello")
    os.mkfifo(tmp_path / "waits.tgz")
    names = ("notes.txt", "broken.zip", "waits.tgz", "gone")
    findings = [item for report in validate([tmp_path / name for name in names]) for item in report.findings]
    assert [item.code for item in findings] == ["SK001"] * 4
    for item, words in zip(
        findings, ("nor an archive", "neither a zip", "nor an archive", "no such path"), strict=True
    ):
        assert words in item.message
