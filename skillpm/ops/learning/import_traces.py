"""What was asked and done elsewhere, as traces of our own: sessions of other agents, rows of other programs."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.agent.sessions import ToolUse, Turn, session_form, turns
from skillpm.agent.trace import IMPORTED, Step, Trace, Traces, storable, with_texts
from skillpm.contract.contract import Contract
from skillpm.contract.foreign_rows import encode, foreign_rows
from skillpm.contract.from_argv import calls_of
from skillpm.errors import DocumentError, UsageError
from skillpm.formats.strict import strict_json
from skillpm.model.answer_kind import is_reply
from skillpm.model.skill import Skill
from skillpm.model.task import Seed, canonical_json
from skillpm.ops.context import Context
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.storage.files import read_text
from skillpm.storage.row_files import read_rows
from skillpm.synth.rephrase import says_values

_NUMBER = re.compile(r"(?<!\w)\d+(?!\w)")
_OUTPUT = 4000  # characters of what a tool returned


@dataclass(frozen=True, slots=True)
class ImportedTraces:
    """What was read.

    Attributes:
        traces: masked, each with the skill whose tool was called.
        left: why requests were left out, counted.
    """

    traces: tuple[Trace, ...]
    left: Counter[str]


@dataclass(frozen=True, slots=True)
class _Target:
    skill: Skill
    contract: Contract | None
    usual: Mapping[str, Mapping[str, Any]]


def import_traces(context: Context, paths: Sequence[Path], skills: Sequence[Skill]) -> ImportedTraces:
    """Read files, and the JSON Lines of folders, and store what they show of skills; no code of a skill runs.

    Raises:
        UsageError: there is no such file, or nothing in it.
        DocumentError: a file or a contract is wrong.
    """
    imported = read_traces(paths, skills)
    store = Traces(context.settings.traces)
    for trace in imported.traces:
        store.save(trace)
    return imported


def read_traces(paths: Sequence[Path], skills: Sequence[Skill]) -> ImportedTraces:
    """Read files, and the JSON Lines of folders. Raises like ``import_traces``; nothing is stored."""
    targets = [_target(skill) for skill in skills]
    left: Counter[str] = Counter()
    traces: dict[str, Trace] = {}
    for path in _files(paths):
        try:
            for trace in _traces(path, targets, left):
                traces[f"{trace.skill} {trace.id}"] = with_texts(trace, storable)
        except DocumentError:
            if path in paths:
                raise
            left["files of a folder that are no session"] += 1
    return ImportedTraces(tuple(traces.values()), left)


def _target(skill: Skill) -> _Target:
    files = SkillFiles(skill)
    return _Target(skill, files.contract(), _usual(files.seeds()))


def _usual(seeds: Sequence[Seed]) -> dict[str, dict[str, Any]]:
    """Return the value of each argument that more than half of a tool's seeds give it."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for seed in seeds:
        arguments = seed.expected.get("args") if isinstance(seed.expected, dict) else None
        for name, value in arguments.items() if isinstance(arguments, dict) else ():
            counts.setdefault((str(seed.expected["tool"]), name), Counter())[canonical_json(value)] += 1
    usual: dict[str, dict[str, Any]] = {}
    for (tool, name), values in counts.items():
        text, count = values.most_common(1)[0]
        if 2 * count > values.total():
            usual.setdefault(tool, {})[name] = json.loads(text)
    return usual


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise UsageError(f"no file {path}", hint="give a session, a file of rows, or a folder of sessions")
        found = sorted(filter(Path.is_file, path.rglob("*.jsonl"))) if path.is_dir() else [path]
        if not found:
            raise UsageError(f"{path} holds no *.jsonl", hint="give a folder of sessions, such as ~/.claude/projects")
        yield from found


def _traces(path: Path, targets: Sequence[_Target], left: Counter[str]) -> Iterator[Trace]:
    """Yield the traces of one file, whatever its form."""
    if path.suffix == ".jsonl":
        rows = [row for line in read_text(path).split("\n") if line.strip() and (row := _row(line)) is not None]
        form = session_form(rows[:200])
        if form is not None:
            for turn in turns(rows, form):
                yield from _of_turn(turn, form, targets, left)
            return
    for row in foreign_rows(read_rows(path), path=str(path)):
        found = [target for target in targets if (row.expected is not None and _takes(target, row.expected, left))]
        if row.reason:
            left[row.reason] += 1
        for target in found[:1]:
            expected = row.expected if target.contract is None else target.contract.complete(row.expected)
            step = Step(answer=encode(expected), call=expected, final=expected, decision=IMPORTED, exit_codes=(0,))
            yield _trace(target, _identity("", path.name, row.line, row.request), "", row.request, step, "done")


def _row(line: str) -> Any:
    """Return the value of a line; a session that is being written ends in half a line, which counts as none."""
    try:
        return strict_json(line)
    except (ValueError, RecursionError):
        return None


def _takes(target: _Target, expected: Any, left: Counter[str]) -> bool:
    refusal = "" if target.contract is None else target.contract.refusal(expected)
    if refusal:
        what = "expects a kind of answer that the contract does not take" if is_reply(expected) else refusal
        left[f"{target.skill.name}: {what}"] += 1
    return not refusal


def _of_turn(turn: Turn, form: str, targets: Sequence[_Target], left: Counter[str]) -> Iterator[Trace]:
    """Yield the trace of a request whose first call is one of a skill, or count why there is none."""
    calls = [(use, found) for use in turn.uses if (found := _call(use, targets)) is not None]
    if not calls:
        left["calls no tool of the skills" if turn.uses else "calls no tool"] += 1
        return
    use, (target, call) = calls[0]
    different = {canonical_json(found[1]) for _, found in calls}
    reason = None
    if turn.uses[0] is not use:
        reason = "calls other tools before"
    elif len(different) > 1:
        reason = "needs several calls"
    elif use.outcome == "failed":
        reason = "its call failed"
    elif use.outcome == "unknown":
        reason = "does not say whether its call worked"
    elif not set(_NUMBER.findall(turn.request)) <= set(_NUMBER.findall(canonical_json(call))):
        reason = "says a number that its call does not"
    elif turn.with_picture:
        reason = "shows a picture or a file beside its words"
    elif turn.number and not says_values(turn.request, call):
        reason = "depends on earlier messages"
    if reason is not None:
        left[reason] += 1
        return
    refused = use.outcome == "refused"
    argv = None if target.contract is None else target.contract.argv(call)
    step = Step(
        answer=encode(call),
        call=call,
        final=None if refused else call,
        decision="no" if refused else IMPORTED,
        argv=argv or (),
        exit_codes=() if refused else (0,) * max(1, len(argv or ())),
        output=use.output[:_OUTPUT],
    )
    # a session that is resumed or branched off begins with the messages of the former, at their times
    identity = _identity(turn.when, *(() if turn.when else (turn.session, turn.number)), turn.request)
    yield _trace(target, identity, turn.model or form, turn.request, step, "refused" if refused else "done", turn.when)


def _call(use: ToolUse, targets: Sequence[_Target]) -> tuple[_Target, dict[str, Any]] | None:
    """Return the call of a skill that a tool use is: natively, by the name of the tool, or as a command of a shell."""
    parts = use.name.split("__")  # mcp__server__tool, and a name may have such a mark itself
    names = ["__".join(parts[begin:]) for begin in range(len(parts))]
    for target in targets:
        contract = target.contract
        if contract is None:
            continue
        if name := next((name for name in names if name in contract.tools), ""):
            try:
                return target, contract.complete({"tool": name, "args": use.arguments})
            except DocumentError:
                continue
        if use.command is not None:
            calls = calls_of(contract, use.command, use.words, target.usual)
            if len(calls) == 1:
                return target, calls[0]
    return None


def _identity(when: str, *parts: object) -> str:
    """Return the name of a trace: the same thing read again has the same."""
    digits = re.sub(r"\D", "", when)[:14].ljust(14, "0")
    digest = hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digits[:8]}-{digits[8:]}-{digest[:12]}"


def _trace(target: _Target, identity: str, model: str, request: str, step: Step, outcome: Any, when: str = "") -> Trace:
    skill = target.skill
    return Trace(
        id=identity,
        when=when,
        skill=skill.name,
        version=skill.version,
        tree=skill.tree,
        model=model,
        system="" if target.contract is None else target.contract.prompt,
        request=request,
        steps=(step,),
        outcome=outcome,
    )
