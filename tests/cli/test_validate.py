"""`skillpm validate` prints findings as data, exits 1 on errors, and meets any path without a traceback."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from tests.shop import MakeProject

SKILL = "---\nname: a\ndescription: Does it.\n---\n\n# A\n"


def test_a_valid_skill_is_named_by_folder_by_file_and_by_the_folder_above(project: MakeProject) -> None:
    root = project({"skills/a/SKILL.md": SKILL, "skills/b/SKILL.md": SKILL.replace("name: a", "name: b")})
    counts = {"skills/a": "1 skill", "skills/a/SKILL.md": "1 skill", "skills": "2 skills", ".": "2 skills"}
    for path, count in counts.items():
        outcome = root.call("validate", path, "--level", "strict").ok()
        assert outcome.out == "" and f"{count} checked: 0 errors, 0 warnings" in outcome.err
    root.call("validate", "SKILL.md", ".", "--level", "strict", cwd=root.root / "skills/a").ok()


def test_a_finding_is_one_line_with_place_severity_code_and_a_hint(project: MakeProject) -> None:
    root = project({"a/SKILL.md": SKILL.replace("description: Does it.", "description: Does it.\nversion: 1.0")})
    lenient = root.call("validate", "a").ok()
    assert lenient.out.splitlines()[0] == "a/SKILL.md:4: warning SK201: unknown field `version`"
    assert lenient.out.splitlines()[1].strip() == "hint: move `version` under `metadata`"
    strict = root.call("validate", "a", "--level", "strict")
    strict.fails(1, "1 error, 0 warnings")
    assert "a/SKILL.md:4: error SK201" in strict.out


def test_json_is_one_document_with_all_reports(project: MakeProject) -> None:
    root = project({"a/SKILL.md": SKILL, "b/SKILL.md": "# B\n"})
    outcome = root.call("validate", "a", "b", "missing", "--json").fails(1)
    document = outcome.document
    assert (document["level"], document["ok"]) == ("lenient", False)
    assert [(r["path"], r["name"], r["ok"]) for r in document["reports"]] == [
        ("a", "a", True), ("b", None, False), ("missing", None, False),
    ]  # fmt: skip
    finding = document["reports"][1]["findings"][0]
    assert set(finding) == {"code", "severity", "path", "line", "column", "message", "hint"}
    assert (finding["code"], finding["severity"], finding["path"], finding["line"]) == ("SK101", "error", "SKILL.md", 1)


@pytest.mark.parametrize("path", ["missing", "empty", "file.txt", "missing/SKILL.md", "n" * 300, "pipe", "file.txt/x"])
def test_a_path_without_a_skill_is_a_finding(project: MakeProject, path: str) -> None:
    root = project({"empty": {}, "file.txt": "x"})
    os.mkfifo(root.root / "pipe")
    outcome = root.call("validate", path).fails(1, "1 error")
    assert "SK001" in outcome.out and "hint: " in outcome.out


def test_a_folder_named_like_an_option_is_reached(project: MakeProject) -> None:
    root = project({"-rf/SKILL.md": SKILL.replace("name: a", "name: rf")})
    assert "SK208" in root.call("validate", "--", "-rf").ok().out
    root.call("validate", "-rf").fails(2, "has no option `-r`")


def test_no_path_and_an_unknown_level_are_usage_errors(project: MakeProject) -> None:
    project().call("validate").fails(2, "PATH")
    project().call("validate", ".", "--level", "loose").fails(2, "lenient")


def test_hostile_trees_give_reports(project: MakeProject) -> None:
    root = project({"a/SKILL.md": SKILL, "b/SKILL.md": b"\xff\x00---", "c/SKILL.md": "---\nname: \x1b[2J\n---\n"})
    os.mkfifo(root.root / "a/pipe")
    (root.root / "a/link").symlink_to("/etc/passwd")
    Path(os.fsdecode(os.fsencode(root.root) + b"/a/\xff.md")).write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root.root / "a/socket"))
        outcome = root.call("validate", ".").fails(1, "3 skills")
    assert {"SK402", "SK403", "SK004", "SK606"} <= set(re.findall(r"SK\d{3}", outcome.out))
    assert "\x1b" not in outcome.out
    root.call("validate", ".", "--json").fails(1).document  # noqa: B018  reads it


def test_every_error_of_every_document_is_listed_at_once(project: MakeProject) -> None:
    schema = "{type: object, properties: {x: {type: integer}}, required: [x]}"
    contract = f"contract: 1\ntools:\n  - name: t\n    input_schema: {schema}\n"
    root = project(
        {
            "a/SKILL.md": SKILL,
            "a/README.md": "# A\n",
            "a/skill.yaml": "manifest: 1\nversion: one\ncolour: red\nrequires: {'A!': '>=1'}\n",
            "a/contract.yaml": contract,
            "a/seeds/s.jsonl": '{"request": "a", "expected": {"tool": "t", "args": {"x": "1"}}}\n{\n{"request": ""}\n'
            '{"request": "a", "expected": {"tool": "\\ud800"}}\n',
            "a/suites/s.yaml": "name: s\ntasks: missing.jsonl\n",
            "a/verifier.py": "import os; os._exit(3)\ndef verify(:\n",
        }
    )
    outcome = root.call("validate", "a", "--json").fails(1)
    found = {(f["path"], f["line"], f["code"]) for f in outcome.document["reports"][0]["findings"]}
    assert found >= {
        ("skill.yaml", 2, "SK501"),
        ("skill.yaml", 3, "SK501"),
        ("skill.yaml", 4, "SK501"),
        ("seeds/s.jsonl", 1, "SK552"),
        ("seeds/s.jsonl", 2, "SK521"),
        ("seeds/s.jsonl", 3, "SK521"),
        ("seeds/s.jsonl", 4, "SK521"),
        ("suites/s.yaml", 2, "SK522"),
        ("verifier.py", 2, "SK541"),
    }


def test_a_suite_may_name_its_tasks_beside_itself_or_from_the_skill(project: MakeProject) -> None:
    task = '{"request": "a", "expected": null}\n'
    root = project({"a/SKILL.md": SKILL, "a/suites/tasks.jsonl": task, "a/data/more.jsonl": task})
    for tasks in ("tasks.jsonl", "data/more.jsonl", "../data/more.jsonl", "suites/tasks.jsonl"):
        root.write({"a/suites/s.yaml": f"name: s\ntasks: {tasks}\n"}).call("validate", "a").ok()
    for tasks in ("../../secret.jsonl", "/etc/passwd", "suites"):
        root.write({"a/suites/s.yaml": f"name: s\ntasks: {tasks}\n"}).call("validate", "a").fails(1)


def test_the_rules_are_listed(project: MakeProject) -> None:
    listed = project().call("validate", "--rules", "--json").ok().document
    assert {"code": "SK201", "lenient": "warning", "strict": "error"}.items() <= next(
        rule for rule in listed if rule["code"] == "SK201"
    ).items()
    assert project().call("validate", "--rules").ok().out.count("\n") == len(listed) + 1
