"""A thousand command lines a skill: other spellings of a command pass, other commands do not, as the programs judge."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillpm.contract.command import CommandLineReader
from skillpm.contract.contract import Contract
from skillpm.contract.grammar import CommandError
from skillpm.formats.document import read_model
from skillpm.model.contract import CommandLine, ContractDocument
from tests.command_lines import SAME_VALUE, CallMaker
from tests.conftest import ROOT
from tests.contract.test_command import GIT

TABLES = {
    **{
        name: read_model(ContractDocument, (ROOT / f"skills/{name}/contract.yaml").read_text()).tools[0].argv
        for name in ("incident-triage", "shell-tools")
    },
    "git, tar and others": read_model(CommandLine, GIT),
}
GIT_CLI = read_model(ContractDocument, (ROOT / "skills/git-cli/contract.yaml").read_text()).tools[0].argv
assert isinstance(GIT_CLI, CommandLine) and isinstance(GIT_CLI.allow["git"].subcommands, dict)
TABLES["the commands of git-cli"] = CommandLine(command_line="line", allow=GIT_CLI.allow["git"].subcommands)
SPELLED = ("find",)  # the order of its options counts, so its makers would have to know what it means
# programs that only look, and whose output is the same when they look twice
LOOKING = ("ls", "head", "tail", "wc", "du", "grep", "sha256sum", "df", "uptime")
VOLATILE = ("df", "uptime")  # but for their numbers


def table(name: str) -> CommandLine:
    line = TABLES[name]
    assert isinstance(line, CommandLine)
    return line


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("count", [15, pytest.param(400, marks=pytest.mark.slow)])
def test_other_spellings_pass_and_other_commands_do_not(name: str, count: int) -> None:
    line, wrong, tried = table(name), list[tuple[str, str]](), 0
    reader = CommandLineReader(line)
    for program in sorted(set(line.allow) - {*SPELLED}):
        maker = CallMaker(line, program, random.Random(f"{name} {program}"))
        for _ in range(count):
            call = maker.call()
            left, right = maker.spelling(call), maker.spelling(call)
            tried += 1
            if reader.normal(reader.argv(left)) != reader.normal(reader.argv(right)):
                wrong.append((left, right))
            if (other := maker.other(call)) is not None:
                with contextlib.suppress(CommandError):
                    third = maker.spelling(other)
                    assert reader.normal(reader.argv(left)) != reader.normal(reader.argv(third)), (left, third)
    assert len(wrong) * 100 < tried, wrong[:5]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("program", LOOKING)
@pytest.mark.parametrize("name", ["incident-triage", "shell-tools"])
def test_what_is_judged_the_same_prints_the_same(
    name: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = table(name)
    if program not in line.allow or shutil.which(program) is None:
        pytest.skip(f"{name} has no {program}, or the machine has none")
    reader = CommandLineReader(line)
    monkeypatch.chdir(folder(tmp_path))
    monkeypatch.setattr("tests.command_lines.SAME_VALUE", {})  # programs print a path as it was written
    assert SAME_VALUE
    maker, compared = CallMaker(line, program, random.Random(program)), 0
    for _ in range(150):
        left, right = (maker.spelling(maker.call()) for _ in range(2))
        call = maker.call()
        for one, two in ((left, right), (maker.spelling(call), maker.spelling(call))):
            with contextlib.suppress(CommandError):
                if reader.normal(reader.argv(one)) == reader.normal(reader.argv(two)):
                    compared += 1
                    assert printed(reader, one) == printed(reader, two), (one, two)
    assert compared > 140


def folder(root: Path) -> Path:
    """Make the files that the makers name, with other sizes and times."""
    (root / "sub").mkdir()
    for place, name in enumerate(("one.txt", "two.txt", "sub/three.log", "alpha", "beta", "gamma")):
        (root / name).write_text(f"alpha {name}\nBETA\n" * (7 * place % 5 + 1))
        os.utime(root / name, (10**9, 10**9 + 1000 * (3 * place % 7)))
    return root


def printed(reader: CommandLineReader, text: str) -> tuple[int, str]:
    (words,) = reader.argv(text)
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False)
    output = re.sub(r"[\d.,]+|\s+", "#", done.stdout) if words[0] in VOLATILE else done.stdout
    return done.returncode, output


@pytest.mark.parametrize("count", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_answers_are_the_same_exactly_where_click_reads_the_same(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """langgraph's own parser says what an argv means; parsing is ``make_context`` alone, and nothing runs."""
    from langgraph_cli.cli import cli

    (tmp_path / "langgraph.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    document = yaml.safe_load((ROOT / "skills/langgraph-cli/contract.yaml").read_text())
    contract = Contract(ContractDocument.model_validate(document))
    chance = random.Random(count)

    def read(answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        argvs = contract.argv(answer)
        assert argvs is not None
        with cli.commands[argvs[0][1]].make_context(argvs[0][1], list(argvs[0][2:])) as context:
            return argvs[0][1], dict(context.params)

    same = 0
    for tool in contract.tools:
        for _ in range(count):
            left = contract.sample(tool, chance)
            right = contract.sample(tool, chance)
            chosen = {key: chance.choice([left["args"].get(key), right["args"].get(key)]) for key in left["args"]}
            other = {"tool": tool, "args": {key: value for key, value in chosen.items() if value is not None}}
            if contract.argv(other) is None:
                continue
            passes = contract.judge(left, contract.render(contract.complete(other))).status == "passed"
            same += passes
            assert passes == (read(left) == read(other)), (left, other)
    assert same >= count
