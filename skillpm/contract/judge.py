"""The built-in verifier: judges an answer against the expected one.

The score has three ranges. An answer that an executor would refuse gets less than 0.1, one that it would run gets at
least 0.1, and only the exact answer gets 1:

    nothing readable            0
    an object among prose       0.02
    refused by the schema       0.04, with the right tool 0.06
    runs, but another tool      0.1
    runs, the right tool        0.2 + 0.3 * (1 + arguments), so 0.2 to 0.8
    exact                       1

``arguments`` is the share of expected arguments that are right, minus the wrong and the surplus ones, from -1 to 1. An
argument that is null, false or its default is neither right nor wrong where a value is expected, and is not surplus
where null is expected. An answer whose only differences are of the second kind is ambiguous: it asks for the same in
other words. Two values are the same as ``compare`` of the contract says. An answer that runs the same commands as the
expected one is exact, however it is written.

Where a contract takes answers that call nothing, one of another kind than the expected is worth what a call of another
tool is worth. Of the right kind, ``arguments`` is the share that ``replies`` gives, and the score goes from 0.2 to 0.8.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from skillpm.contract.answer import Answer
from skillpm.contract.command import Argv
from skillpm.contract.equality import Equality
from skillpm.contract.replies import ReplyKind
from skillpm.contract.shape import same_value
from skillpm.model.answer_kind import kind_of, label_of
from skillpm.model.contract import Tool
from skillpm.model.verdict import Status, Verdict

_COMPONENTS = ("parsed", "only_json", "schema_valid", "tool", "arguments", "exact")
_encode = json.JSONEncoder(ensure_ascii=False).encode
_NOTHING = dict.fromkeys(_COMPONENTS, 0.0)
_RUNS = dict.fromkeys(_COMPONENTS, 1.0)
EXACT = Verdict.made(status="passed", score=1.0, components=_RUNS, reasons=())


@dataclass(frozen=True, slots=True)
class Gold:
    """An expected answer that satisfies the contract.

    Attributes:
        arguments: all arguments of the tool, in the order of its schema.
        count: the number of arguments that are not null.
        text: the answer as a model is trained to write it.
        argv: the commands that the answer stands for.
        equality: when two values of an argument are the same.
    """

    tool: Tool
    arguments: dict[str, Any]
    count: int
    text: str
    argv: Argv | None
    equality: Equality


@dataclass(frozen=True, slots=True)
class GoldReply:
    """An expected answer that satisfies the contract and calls nothing.

    Attributes:
        value: its object, complete.
        text: the answer as a model is trained to write it.
    """

    kind: ReplyKind
    value: dict[str, Any]
    text: str
    argv: None = None


AnyGold = Gold | GoldReply


def judge_answer(gold: AnyGold, answer: Answer, problems: list[str]) -> Verdict:
    """Judge an answer that an executor refuses, that calls another tool, or that is of another kind.

    Args:
        gold: the expected answer.
        answer: the answer as it was read.
        problems: why the contract refuses ``answer.value``; empty if it may run.
    """
    value = answer.value
    if value is None:
        return _failed(0.0, dict(_NOTHING), answer.reason)
    # The order is that of an executor, which stops at the first thing that it cannot do: find one object and nothing
    # else, match it with the schema, call the tool. The components are measured all the same, for reports; only the
    # score stops. If the components added up, an answer that no executor takes could earn more than one that runs.
    arguments = value.get("args")
    # of what is refused, the name of the tool is looked at whatever else stands there
    tool = is_near(gold, value) or (bool(problems) and isinstance(gold, Gold) and value.get("tool") == gold.tool.name)
    share = _compare(gold, arguments)[0] if isinstance(gold, Gold) and tool and isinstance(arguments, dict) else 0.0
    right = {"parsed": 1.0, "only_json": float(answer.only_json), "schema_valid": float(not problems)}
    components = {**right, "tool": float(tool), "arguments": share, "exact": 0.0}
    if not answer.only_json:
        return _failed(0.02, components, answer.reason)
    if problems:
        return _failed(0.06 if tool else 0.04, components, *problems)
    return _failed(0.1, components, f"{_described(value)} where {_described(gold)} was expected")


def is_near(gold: AnyGold, value: dict[str, Any]) -> bool:
    """Does an answer that the contract takes call the right tool, or is it of the right kind and for the right tool?"""
    if isinstance(gold, GoldReply):
        return kind_of(value) == gold.kind and value.get("tool") == gold.value.get("tool")
    return value.get("tool") == gold.tool.name and "args" in value


def _described(answer: AnyGold | dict[str, Any]) -> str:
    """Return what an answer does, in words."""
    if isinstance(answer, Gold):
        return f"`{answer.tool.name}`"
    value = answer.value if isinstance(answer, GoldReply) else answer
    return f"tool `{value['tool']}`" if kind_of(value) == "call" else f"`{label_of(value)}`"


def judge_reply(gold: GoldReply, share: float) -> Verdict:
    """Judge an answer of the right kind, and for the right tool, of which this share is right."""
    if share == 1.0:
        return EXACT
    components = {**_RUNS, "arguments": share, "exact": 0.0}
    return _failed(round(0.2 + 0.3 * (1.0 + share), 6), components, f"{_text(gold.value)} was expected")


def judge_arguments(gold: Gold, arguments: dict[str, Any]) -> Verdict:
    """Judge an answer that runs the right tool with these arguments, all of which are present."""
    share, names = _compare(gold, arguments)
    # Equality decides, never the share: a share of 1 may hide an idle difference. All exact answers share one frozen
    # verdict, because most answers of a trained model end here.
    if not names:
        return EXACT
    status: Status = "ambiguous" if share == 1.0 else "failed"
    score = round(0.2 + 0.3 * (1.0 + share), 6)
    components = {**_RUNS, "arguments": share, "exact": 0.0}
    reasons = [f"`{n}` is {_text(arguments[n])} where {_text(gold.arguments[n])} was expected" for n in names]
    return Verdict.made(status=status, score=score, components=components, reasons=tuple(reasons))


def _failed(score: float, components: dict[str, float], *reasons: str) -> Verdict:
    return Verdict.made(status="failed", score=score, components=components, reasons=reasons)


def _compare(gold: Gold, arguments: dict[str, Any]) -> tuple[float, list[str]]:
    """Return the share of right arguments, from -1 to 1, and the names of those that differ."""
    # A wrong value costs what a right one earns, and an idle one costs nothing. So guessing pays only for a policy that
    # is right more often than not, and a surplus argument can only cost.
    points = -len(arguments.keys() - gold.arguments.keys())
    differences = []
    for name, expected in gold.arguments.items():
        value = arguments.get(name)
        if same_value(expected, value) or (gold.equality and gold.equality.same(name, expected, value)):
            points += expected is not None
            continue
        differences.append(name)
        if not _is_idle(gold, name, value):
            points -= 1
    if gold.count == 0:  # no argument can be right, so the bare call itself earns the point
        points += 1
    return max(-1.0, min(1.0, points / max(gold.count, 1))), differences


def _is_idle(gold: Gold, name: str, value: Any) -> bool:
    """Does this value say no more than leaving the argument out?"""
    if value is None or value is False:
        return True
    schema = gold.tool.properties[name]
    return "default" in schema and same_value(schema["default"], value)


def _text(value: Any) -> str:
    return _encode(value)[:200]
