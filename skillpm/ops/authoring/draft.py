"""``skillpm draft``: contract.yaml, seeds and a suite from the commands that a skill's text shows, by rules.

Nothing is invented: a program's options and operands are those that the text shows, and a row is a command of the text
with what stands beside it. Each row is held to the contract before it is written.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillpm.contract.contract import Contract
from skillpm.errors import UsageError
from skillpm.formats.document import read_model
from skillpm.layout.description import describe, has_manifest, skill_file
from skillpm.layout.shown import Shown, is_hole, options_with_values, shown_commands
from skillpm.layout.source_tree import SourceTree
from skillpm.model.contract import CommandLine, ContractDocument, Program
from skillpm.model.name import UNVERSIONED
from skillpm.model.task import Message
from skillpm.storage.files import write_atomic

if TYPE_CHECKING:
    from skillpm.model.ports import Policy

CONTRACT, SEEDS, SUITE, MANIFEST = "contract.yaml", "seeds/examples.jsonl", "suites/core.yaml", "skill.yaml"
_MARK = "# skillpm-template: read what follows, which was drafted from SKILL.md, and remove this line\n"
_CONTRACT = """\
contract: 1
system_prompt: |
  Answer with ONLY one JSON object: {{"tool": "run_command", "args": {{"command": "..."}}}}.
  The command line runs {programs}.
tools:
  - name: run_command
    description: Run a command line.
    input_schema:
      type: object
      properties: {{command: {{type: string, minLength: 1, maxLength: 1000}}}}
      required: [command]
      additionalProperties: false
    argv:
      command_line: command
      allow:
{allow}    confirm: always
"""
_MEASURED = 4  # one row of so many measures
_PHRASINGS = 4  # asked of a model for each command
_TOKENS = 160  # of an answer of the model
_BUNDLE = (3, 4)  # characters of a word that is two or three flags of one letter: `-la`, but `-layout` is one option
_WORD = re.compile(r"[a-z][a-z0-9-]*")
_NUMBER = re.compile(r"-?[0-9][0-9.]*[A-Za-z]?")


@dataclass(frozen=True, slots=True)
class Draft:
    """What was read.

    Attributes:
        rows: requests with their command line, as they are in seeds and suite.
        refused: lines of SKILL.md with a command that gives no row, each with the reason.
        written: how many rows a model added.
    """

    files: dict[str, str]
    rows: tuple[tuple[str, str], ...]
    refused: tuple[tuple[int, str], ...]
    written: int = 0


@dataclass(slots=True)
class _Usage:
    """How the text calls one program or subcommand."""

    flags: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    counts: set[int] = field(default_factory=set)

    def document(self) -> dict[str, Any]:
        """Return it as a program of a contract."""
        values = sorted(self.values)
        flags = sorted(self.flags - self.values)
        most = {"most": max(self.counts), "least": min(self.counts)}
        parts: dict[str, Any] = {"options": flags, "values": [{"names": name} for name in values], "operands": most}
        return {key: part for key, part in parts.items() if part}


def draft(root: Path, policy: Policy | None = None) -> Draft:
    """Read a skill's text and return the files that make it trainable; nothing is written.

    The policy writes further requests for the same commands. A request stays only if the policy, which sees the
    contract's prompt and that request, answers with the command.

    Raises:
        UsageError: there is a contract already, or the text shows no command.
        LayoutError: it is not a skill.
    """
    tree = SourceTree(root)
    about = describe(tree, place=root)
    present = [path for path in (CONTRACT, SEEDS, SUITE) if path in tree.paths()]
    if present:
        raise UsageError(f"{root} has {present[0]} already", hint="`draft` is for skills without training data")
    written = tree.read(skill_file(tree.paths()) or "SKILL.md").decode("utf-8")
    shown = shown_commands(written)
    if not shown:
        raise UsageError(f"SKILL.md of {about.name} shows no command", hint="write commands into fenced blocks")
    text = _contract(shown, options_with_values(written))
    contract = Contract(read_model(ContractDocument, text, path=CONTRACT))
    rows, refused = _rows(contract, shown)
    more = [] if policy is None else _phrased(contract, rows, policy)
    files = {CONTRACT: text, **_rows_files(rows, more)}
    if not has_manifest(tree):
        files[MANIFEST] = f"manifest: 1\nversion: {'0.1.0' if about.version == UNVERSIONED else about.version}\n"
    return Draft(files, (*rows, *more), tuple(refused), len(more))


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write the files of a draft. Raises StorageError."""
    for path, text in files.items():
        write_atomic(root / path, text)


def _contract(shown: Iterable[Shown], takes: Mapping[str, bool]) -> str:
    """Return contract.yaml: one tool that answers with a command line of the programs that the text shows."""
    calls: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for item in shown:
        for program, *words in item.commands:
            calls[program].append(tuple(words))
    allow = {program: _program(rows, takes) for program, rows in calls.items()}
    lines = [f"        {json.dumps(name)}: {json.dumps(grammar)}\n" for name, grammar in sorted(allow.items())]
    return _MARK + _CONTRACT.format(programs=", ".join(sorted(allow)), allow="".join(lines))


def _program(rows: Sequence[tuple[str, ...]], takes: Mapping[str, bool]) -> dict[str, Any]:
    first = {words[0] for words in rows if words}
    if len(first) > 1 and all(words and _WORD.fullmatch(words[0]) for words in rows):
        groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for words in rows:
            groups[words[0]].append(words[1:])
        return {"subcommands": {name: _usage(group, takes).document() for name, group in sorted(groups.items())}}
    return _usage(rows, takes).document()


def _usage(rows: Iterable[Sequence[str]], takes: Mapping[str, bool]) -> _Usage:
    usage = _Usage()
    for words in rows:
        rest, operands = list(words), 0
        while rest:
            word = rest.pop(0)
            name, equal, _ = word.partition("=")
            if word == "--":
                operands, rest = operands + len(rest), []
            elif not word.startswith("-") or word == "-" or _NUMBER.fullmatch(word):
                operands += 1
            elif equal:
                usage.values.add(name)
            elif takes.get(name, bool(rest) and _is_value(name, rest)):
                usage.values.add(name)
                rest = rest[1:]
            elif name.startswith("--") or name in takes or len(name) not in _BUNDLE:
                usage.flags.add(name)
            elif _NUMBER.fullmatch(name[2:]):
                usage.values.add(name[:2])
            else:
                usage.flags |= {f"-{letter}" for letter in name[1:] if letter.isalnum()}
        usage.counts.add(operands)
    return usage


def _is_value(name: str, rest: Sequence[str]) -> bool:
    """Does the word behind an option, of which no table says anything, look like its value?"""
    if rest[0].startswith("-"):
        return False
    sure = is_hole(rest[0]) or _NUMBER.fullmatch(rest[0]) is not None
    return sure or (name.startswith("--") and (len(rest) > 1 or not re.search("[./]", rest[0])))


def _rows(contract: Contract, shown: Iterable[Shown]) -> tuple[list[tuple[str, str]], list[tuple[int, str]]]:
    """Return the requests with their command lines, and the commands that give none, with the reason."""
    groups = {program for program, grammar in _allowed(contract).items() if grammar.subcommands}
    rows: dict[str, str] = {}
    refused: list[tuple[int, str]] = []
    for item in shown:
        if not item.concrete:
            continue
        request = _request(item, groups)
        reason = "" if request else "nothing is said about it"
        if request and rows.get(request, item.text) != item.text:
            reason = f"`{request}` is a request of another command too"
        if not reason:
            reason = contract.refusal(_expected(item.text))
        if reason:
            refused.append((item.line, reason))
        else:
            rows[request] = item.text
    return list(rows.items()), refused


def _allowed(contract: Contract) -> Mapping[str, Program]:
    line = contract.tools["run_command"].argv
    assert isinstance(line, CommandLine)
    return line.allow


def _request(item: Shown, groups: Collection[str]) -> str:
    """Return what is said of a command, with the values that it does not name: nobody could guess them."""
    words = [word for program, *rest in item.commands for word in rest[program in groups :]]
    values = [word.partition("=")[2] if word.startswith("-") else word for word in words]
    missing = [value for value in values if value and value not in item.said]
    return f"{item.said}: {', '.join(missing)}" if item.said and missing else item.said


def _expected(command: str) -> dict[str, Any]:
    return {"tool": "run_command", "args": {"command": command}}


def _rows_files(rows: Sequence[tuple[str, str]], more: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return seeds and suite: of the text's own rows every fourth measures, and what a model wrote is trained on."""
    measured = rows[_MEASURED - 1 :: _MEASURED]
    kept = {command for _, command in measured}
    trained = [row for row in (*rows, *more) if row not in measured and not (row in more and row[1] in kept)]
    seeds = [
        json.dumps({"request": said, "expected": _expected(command)}, ensure_ascii=False) for said, command in trained
    ]
    files = {SEEDS: "".join(f"{line}\n" for line in seeds)} if seeds else {}
    if measured:
        lines = [
            f"  - request: {json.dumps(said, ensure_ascii=False)}\n    expected: {json.dumps(_expected(command))}\n"
            for said, command in measured
        ]
        files[SUITE] = (
            f"{_MARK}name: core\ndescription: Commands of SKILL.md that no seed has.\ntasks:\n{''.join(lines)}"
        )
    return files


def _phrased(contract: Contract, rows: Sequence[tuple[str, str]], policy: Policy) -> list[tuple[str, str]]:
    """Return further requests that a model writes for the same commands and understands itself."""
    asked = [
        [Message(role="user", content=f"Write {_PHRASINGS} short requests in other words, one a line, nothing else. "
                 f"Each asks for what `{command}` does, and names its values. One is: {said}")]
        for said, command in rows
    ]  # fmt: skip
    written = _ask(policy, asked)
    known = {said.casefold() for said, _ in rows}
    candidates = [
        (said, rows[place][1])
        for place, text in enumerate(written)
        for said in dict.fromkeys(_WITHOUT_MARK.sub("", line).strip() for line in text.splitlines()[:_PHRASINGS])
        if " " in said and len(said) <= 200 and said.casefold() not in known
    ]
    prompts = [
        [Message(role="system", content=contract.prompt), Message(role="user", content=said)] for said, _ in candidates
    ]
    answers = _ask(policy, prompts)
    return [
        row
        for row, answer in zip(candidates, answers, strict=True)
        if contract.judge(_expected(row[1]), answer).status == "passed"
    ]


_WITHOUT_MARK = re.compile(r"^[\s\d.)*-]+|[\"']")


def _ask(policy: Policy, prompts: Sequence[Sequence[Message]]) -> list[str]:
    answers = [""] * len(prompts)
    for place, completion in policy.complete(prompts, max_new_tokens=_TOKENS) if prompts else ():
        answers[place] = completion.text
    return answers
