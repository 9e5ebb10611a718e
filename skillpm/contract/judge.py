"""The built-in verifier: what is true of an answer, given the expected one.

The score has three steps that never overlap. What an executor would refuse is worth at most 0.1, what it would run at
least 0.1, and 1 is only for the exact answer:

    nothing readable            0
    an object among prose       0.02
    refused by the schema       0.04, with the right tool 0.06
    runs, but another tool      0.1
    runs, the right tool        0.2 + 0.3 * (1 + arguments), so 0.2 to 0.8
    exact                       1

``arguments`` is the share of expected arguments that are right, minus the wrong and the surplus ones, from -1 to 1. An
argument left at null, false or its default where a value was expected is neither right nor wrong; one at false or its
default where null was expected is not surplus. An answer that differs in the latter only does what was asked in other
words: it is ambiguous. An answer that runs the very commands of the expected one is exact, however it is written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from skillpm.contract.answer import Answer
from skillpm.contract.command import Argv
from skillpm.contract.shape import same_value
from skillpm.model.contract import Tool
from skillpm.model.verdict import Status, Verdict

_COMPONENTS = ("parsed", "only_json", "schema_valid", "tool", "arguments", "exact")
_encode = json.JSONEncoder(ensure_ascii=False).encode
_NOTHING = dict.fromkeys(_COMPONENTS, 0.0)
EXACT = Verdict.made(status="passed", score=1.0, components=dict.fromkeys(_COMPONENTS, 1.0), reasons=())


@dataclass(frozen=True, slots=True)
class Gold:
    """An expected answer that satisfies the contract.

    Attributes:
        tool: which is to be called.
        arguments: every one of the tool's, in the order of its schema.
        asked: how many of them are not null.
        text: the answer as a model is trained to write it.
        argv: the commands that it stands for.
    """

    tool: Tool
    arguments: dict[str, Any]
    asked: int
    text: str
    argv: Argv | None


def judge_answer(gold: Gold, answer: Answer, problems: list[str], *, same_commands: bool = False) -> Verdict:
    """Judge a read answer.

    Args:
        gold: the expected answer.
        answer: what was read.
        problems: what the contract finds wrong with ``answer.value``; empty for an object that may be run.
        same_commands: does it run the same commands as the expected answer?
    """
    value = answer.value
    if value is None:
        return _failed(0.0, dict(_NOTHING), answer.reason)
    # The order is that of an executor, which stops at the first thing that it cannot do: find an object and nothing
    # else, match it with the schema, call the tool. The components are measured all the same, for reports; only the
    # score stops. If it added them up, an answer that no executor takes could earn more than one that runs.
    arguments = value.get("args")
    tool = value.get("tool") == gold.tool.name
    share = _share(gold, arguments) if tool and isinstance(arguments, dict) else 0.0
    components = {
        "parsed": 1.0,
        "only_json": float(answer.only_json),
        "schema_valid": float(not problems),
        "tool": float(tool),
        "arguments": share,
        "exact": 0.0,
    }
    if not answer.only_json:
        return _failed(0.02, components, answer.reason)
    if problems:
        return _failed(0.06 if tool else 0.04, components, *problems)
    assert isinstance(arguments, dict)
    if not tool:
        return _failed(0.1, components, f"tool `{value['tool']}` where `{gold.tool.name}` was asked")
    # Equality decides, never the share: a share of 1 may hide an idle difference. One frozen verdict serves all that
    # are exact, for this is where most answers of a trained model end.
    differences = _differences(gold, arguments)
    if not differences or same_commands:
        return EXACT
    status: Status = "ambiguous" if share == 1.0 else "failed"
    score = round(0.2 + 0.3 * (1.0 + share), 6)
    return Verdict.made(status=status, score=score, components=components, reasons=tuple(differences))


def _failed(score: float, components: dict[str, float], *reasons: str) -> Verdict:
    return Verdict.made(status="failed", score=score, components=components, reasons=reasons)


def _is_idle(gold: Gold, name: str, value: Any) -> bool:
    """Does this value say no more than leaving the argument out would?"""
    if value is None or value is False:
        return True
    schema = gold.tool.properties[name]
    return "default" in schema and same_value(schema["default"], value)


def _share(gold: Gold, arguments: dict[str, Any]) -> float:
    # A wrong value costs what a right one earns, and silence costs nothing. So guessing pays only for a policy that is
    # right more often than not, and an argument that nobody asked for can only cost.
    points = -sum(1 for name in arguments if name not in gold.arguments)
    for name, expected in gold.arguments.items():
        value = arguments.get(name)
        if expected is not None and same_value(expected, value):
            points += 1
        elif value is not None and not _is_idle(gold, name, value):
            points -= 1
    if gold.asked == 0:  # nothing was asked and so nothing can be right: the bare call itself is what earns the point
        points += 1
    return max(-1.0, min(1.0, points / max(gold.asked, 1)))


def _text(value: Any) -> str:
    return _encode(value)[:200]


def _differences(gold: Gold, arguments: dict[str, Any]) -> list[str]:
    return [
        f"`{name}` is {_text(arguments[name])} where {_text(expected)} was asked"
        for name, expected in gold.arguments.items()
        if not same_value(expected, arguments[name])
    ]
