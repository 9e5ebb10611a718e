"""A skill for a program: whole, valid, and with rows that say what their command lines do."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from skillpm.cli.main import main
from skillpm.contract.contract import Contract
from skillpm.formats.document import read_model
from skillpm.layout.rule import Level
from skillpm.model.contract import ContractDocument
from skillpm.model.finding import Severity
from skillpm.model.synthesis import SynthesisDocument
from skillpm.ops.authoring.new import create_from_program, runs_of
from skillpm.ops.authoring.validate import validate
from skillpm.programs.from_program import arguments_of, drafts
from skillpm.programs.help_text import read_help
from skillpm.programs.program import Option, Program
from skillpm.programs.read import parser_problems
from skillpm.programs.skill import About, skill_files
from tests.conftest import ROOT

HELP = ROOT / "tests" / "cases" / "help"
CASES: list[dict[str, Any]] = [
    case for case in yaml.safe_load((HELP / "expected.yaml").read_text()) if "commands" not in case
]


def recorded(case: dict[str, Any]) -> Program:
    """Return the program of a recorded help text."""
    command = read_help((HELP / case["file"]).read_text()).command(case["program"], tuple(case.get("words", ())))
    return Program(name=case["program"], description=command.description, commands=(command,))


def write(program: Program, folder: Path) -> Path:
    about = About("made", program.name, program.description or "Calls a program", "a test", (program.name,))
    for path, content in skill_files(about, drafts(program), runs_of).items():
        (folder / "made" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "made" / path).write_bytes(content)
    return folder / "made"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_every_recorded_program_becomes_a_valid_skill(case: dict[str, Any], tmp_path: Path) -> None:
    folder = write(recorded(case), tmp_path)
    [report] = validate([folder], level=Level.PUBLISH)
    assert [(finding.code, finding.message) for finding in report.findings] == []
    suite = yaml.safe_load((folder / "suites" / "core.yaml").read_text())["tasks"]
    asked = {run for task in suite for run in runs_of(task["request"])}
    lines = (folder / "seeds" / "examples.jsonl").read_text().splitlines()
    assert lines, "without a seed SKILL.md has no example"
    for line in lines:
        assert asked.isdisjoint(runs_of(json.loads(line)["request"])), line


def test_what_begins_a_time_comes_before_what_ends_it(tmp_path: Path) -> None:
    text = "Usage: x [OPTION]...\n  --until=DATE  not after it\n  --since=DATE  not before it\n"
    folder = write(Program(name="x", source="help", commands=(read_help(text).command("x", ()),)), tmp_path)
    [task] = yaml.safe_load((folder / "synthesis.yaml").read_text())["tasks"]
    assert task["constraints"] == [{"ascending": ["since", "until"]}]


def test_the_contract_says_types_choices_bounds_and_exclusions(tmp_path: Path) -> None:
    by_file = {case["file"]: case for case in CASES}
    parcel = write(recorded(by_file["click.txt"]), tmp_path / "parcel")
    contract = Contract(read_model(ContractDocument, (parcel / "contract.yaml").read_text()))
    right = {"weight": 700, "service": "drone", "insured": True, "note": ["hi"], "label_dir": None}
    args = {**right, "address": "home", "file": ["a.txt", "b.txt"]}
    assert contract.argv({"tool": "send", "args": args}) == (
        (
            "parcel",
            "send",
            "--weight",
            "700",
            "--service",
            "drone",
            "--insured",
            "--note",
            "hi",
            "home",
            "a.txt",
            "b.txt",
        ),
    )
    for name, value in (("weight", 0), ("weight", 40000), ("service", "rail"), ("address", None), ("address", "-x")):
        assert contract.problems({"tool": "send", "args": {**args, name: value}}), name
    tar = write(recorded(by_file["tar.txt"]), tmp_path / "tar")
    tools = Contract(read_model(ContractDocument, (tar / "contract.yaml").read_text()))
    empty = dict.fromkeys(tools.tools["tar"].properties)
    assert tools.problems({"tool": "tar", "args": empty})
    assert not tools.problems({"tool": "tar", "args": {**empty, "create": True}})
    assert tools.problems({"tool": "tar", "args": {**empty, "create": True, "extract": True}})


def test_the_suite_of_one_command_has_many_tasks_and_types_flags_of_one_letter(tmp_path: Path) -> None:
    case = next(case for case in CASES if case["file"] == "tar.txt")
    program = recorded(case)
    [command] = program.commands
    terse = Option(names=("-q",), description="Be terse")
    command = command.model_copy(update={"options": (terse, *command.options)})
    folder = write(program.model_copy(update={"commands": (command,)}), tmp_path)
    tasks = yaml.safe_load((folder / "suites" / "core.yaml").read_text())["tasks"]
    assert len(tasks) >= 15
    quiet = [task["request"] for task in tasks if task["expected"]["args"].get("q")]
    assert quiet and all("-q" in request for request in quiet)


def test_examples_of_the_documentation_become_seeds(tmp_path: Path) -> None:
    case = next(case for case in CASES if case["file"] == "tar.txt")
    rows = [
        json.loads(line) for line in (write(recorded(case), tmp_path) / "seeds/examples.jsonl").read_text().splitlines()
    ]
    assert rows[0] == {
        "request": "Create archive.tar from files foo and bar",
        "expected": {"tool": "tar", "args": {"create": True, "file": "archive.tar", "files": ["foo", "bar"]}},
    }
    program = recorded(case)
    command = program.commands[0]
    kept = [option for option in command.options if option.name != "gzip"]
    assert arguments_of(program, command, kept, "tar -czf x.tgz y") is None  # it has an option that is not kept
    assert arguments_of(program, command, kept, "cat x") is None


def test_no_request_speaks_in_brackets_or_place_holders(tmp_path: Path) -> None:
    for case in CASES:
        folder = write(recorded(case), tmp_path / case["file"])
        rules = read_model(SynthesisDocument, (folder / "synthesis.yaml").read_text())
        for task in rules.tasks:
            texts = [*task.requests, *(text for texts in task.clauses.values() for text in texts)]
            assert [
                text for text in texts if re.search(r"[<>`]|\b[A-Z]{4,}\b(?! )|\.\.\.", re.sub(r"\{\w+\}", "", text))
            ] == []


def test_from_cli_writes_a_skill_and_says_what_is_next(tmp_path: Path) -> None:
    shutil.copy(HELP / "click.txt", tmp_path / "help.txt")
    program = tmp_path / "parcel"
    program.write_text(f'#!/bin/sh\n[ "$1" = --help ] && cat {tmp_path}/help.txt\n')
    program.chmod(0o755)
    result = CliRunner().invoke(
        main, ["new", "parcels", "--directory", str(tmp_path / "skills"), "--from-cli", str(program), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert "references/program.json" in json.loads(result.stdout)["files"]
    for wrong in (["--command", "x"], ["--from-cli", "x", "--minimal"], ["--from-cli", "x", "--kind", "cli"]):
        assert CliRunner().invoke(main, ["new", "other", "--directory", str(tmp_path), *wrong]).exit_code != 0
    assert not (tmp_path / "other").exists()


REAL = ["git", "pip", "uv", "tar", "rg", "jq", "du", "journalctl", "ss", "langgraph", "docker", "kubectl", "curl",
        "ruff", "http", "find", "systemctl", "black"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_programs_become_skills_that_pass_the_gate(name: str, tmp_path: Path) -> None:
    beside = Path(sys.executable).with_name(name)
    program = str(beside) if beside.exists() else shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    folder = create_from_program("real", tmp_path, program)
    [report] = validate([folder], level=Level.STRICT)
    assert [finding.message for finding in report.findings if finding.severity is Severity.ERROR] == []
    gate = CliRunner().invoke(main, ["selftest", str(folder), "--yes"])
    assert gate.exit_code == 0, gate.output
    rows = json.loads(CliRunner().invoke(main, ["synth", str(folder), "--show", "200", "--yes", "--json"]).stdout)
    lines = [shlex.split(row["answer"])[1:] for row in rows]
    problems = parser_problems(program, lines) or []
    assert [(line, problem) for line, problem in zip(lines, problems, strict=False) if problem] == []
