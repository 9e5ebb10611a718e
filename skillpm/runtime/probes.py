"""Texts that a verifier must judge rightly: gold answers, answers that do nothing, gold answers with one mistake.

A mutation changes the meaning of the answer as its schema sees it (a number by one, another member of an enumeration, a
flag turned over), so a verifier that knows two spellings of one answer is not blamed for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.contract.judge import same_value
from skillpm.model.contract import Tool

__all__ = ["gold_text", "idle_answers", "mutations"]

_UNCHANGED = object()


def gold_text(contract: Contract | None, expected: Any) -> str:
    """Return the text of the expected answer. Raises DocumentError where it breaks the contract."""
    if contract is not None:
        return contract.render(expected)
    return expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False)


def idle_answers(request: str) -> Iterator[tuple[str, str]]:
    """Yield (name, completion) of answers that do nothing of what was asked."""
    yield "empty", ""
    yield "echo of the request", request
    yield "empty object", "{}"
    yield "null", "null"
    yield "prose", "Sure, I can help you with that."
    yield "claimed reward", '{"status": "passed", "score": 1.0, "reward": 1.0}'


def mutations(contract: Contract, expected: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, completion) of the gold answer with one mistake each.

    Args:
        contract: the skill's.
        expected: complete, as ``contract.complete`` returns it.
    """
    gold = contract.render(expected)
    yield "prose before", f"Here it is: {gold}"
    yield "prose after", f"{gold} and also rm -rf /"
    yield "fenced", f"```json\n{gold}\n```"
    yield "two objects", f"{gold}\n{gold}"
    yield "duplicate key", '{"tool": ' + json.dumps(expected["tool"]) + ", " + gold[1:]
    yield "cut short", gold[:-1]
    yield "array", f"[{gold}]"
    yield from _structural(contract, expected)
    tool = contract.tools[expected["tool"]]
    for name, value in expected["args"].items():
        yield from _of_argument(tool, expected, name, value)


def _structural(contract: Contract, expected: dict[str, Any]) -> Iterator[tuple[str, str]]:
    arguments = expected["args"]
    others = [name for name in contract.tools if name != expected["tool"]]
    yield "unknown tool", _text({**expected, "tool": f"{expected['tool']}_x"})
    if others:
        same = next((name for name in others if contract.tools[name].properties.keys() == arguments.keys()), others[0])
        yield "other tool", _text({**expected, "tool": same})
    yield "surplus argument", _text({**expected, "args": {**arguments, "surplus_argument": 1}})
    yield "surplus key", _text({**expected, "surplus_key": 1})


def _of_argument(tool: Tool, expected: dict[str, Any], name: str, value: Any) -> Iterator[tuple[str, str]]:
    arguments: dict[str, Any] = expected["args"]
    renamed = {(f"{key}_x" if key == name else key): item for key, item in arguments.items()}
    yield f"`{name}` renamed", _text({**expected, "args": renamed})
    yield f"`{name}` missing", _text({**expected, "args": {k: v for k, v in arguments.items() if k != name}})
    schema = tool.properties[name]
    if value is not None and not ("default" in schema and same_value(schema["default"], value)) and value is not False:
        yield f"`{name}` nulled", _text({**expected, "args": {**arguments, name: None}})
    changed = _changed(schema, value)
    if changed is not _UNCHANGED:
        yield f"`{name}` changed", _text({**expected, "args": {**arguments, name: changed}})


def _changed(schema: dict[str, Any], value: Any) -> Any:
    """Return a value of another meaning, or ``_UNCHANGED`` where none is known."""
    members = [item for item in schema.get("enum", ()) if item is not None and not same_value(item, value)]
    if members:
        return members[0]
    if value is None:
        return True if "boolean" in _types(schema) else _UNCHANGED
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, list):
        return value[:-1] if value else _UNCHANGED
    return _UNCHANGED


def _types(schema: dict[str, Any]) -> tuple[str, ...]:
    declared = schema.get("type", ())
    return (declared,) if isinstance(declared, str) else tuple(declared)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
