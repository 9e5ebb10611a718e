"""Answers in a model's own form of a tool call, read into the one form of a contract.

Most chat templates teach a model a form of its own: tags around JSON, a marker in front of it, channels. A model
declares its form, and its completions are rewritten before they are judged. So the judge, the rewards and a stored
evaluation know one form. A completion that is not exactly one call of the form stays as it is, and the judge then says
that it is not an answer.

============ ======================================================================== =====================
form         a completion                                                             who writes so
============ ======================================================================== =====================
``json``     ``{"tool": NAME, "args": {...}}``                                           skillpm's own prompts
``hermes``   ``<tool_call>{"name": NAME, "arguments": {...}}</tool_call>``               Hermes, Qwen
``llama``    ``{"name": NAME, "parameters": {...}}``, after ``<|python_tag|>`` or not    Llama 3
``mistral``  ``[TOOL_CALLS]NAME[ARGS]{...}``, or ``[TOOL_CALLS][{"name": ...}]``         Mistral
``deepseek`` ``<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{...}`` …        DeepSeek V3 and R1
``harmony``  ``<|channel|>commentary to=functions.NAME<|message|>{...}<|call|>``         gpt-oss
============ ======================================================================== =====================

A thought before a call ends as one before an answer does, at ``</think>`` for example.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from skillpm.contract.answer import MAX_ANSWER, rests
from skillpm.formats.strict import strict_json
from skillpm.model.contract import Tool

AnswerForm = Literal["json", "hermes", "llama", "mistral", "deepseek", "harmony"]
Call = tuple[str, dict[str, Any]]

_HERMES = re.compile(r"<tool_call>\s*(\{.*\})\s*</tool_call>", re.DOTALL)
_MISTRAL = re.compile(r"\[TOOL_CALLS\]\s*([A-Za-z][\w.-]*)\s*(?:\[CALL_ID\]\s*\w+\s*)?\[ARGS\]\s*(\{.*\})", re.DOTALL)
_MISTRAL_LIST = re.compile(r"\[TOOL_CALLS\]\s*(\[.*\])", re.DOTALL)
# a token of the chat template begins and ends with U+FF5C; V3 and R1 fence the arguments, V3.1 does not
_DEEPSEEK = re.compile(
    r"<｜tool▁calls▁begin｜>\s*<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>([A-Za-z][\w.-]*)\s*```json\s*(\{.*\})\s*```"
    r"|([A-Za-z][\w.-]*)<｜tool▁sep｜>\s*(\{.*\}))\s*<｜tool▁call▁end｜>\s*<｜tool▁calls▁end｜>(?:<｜end▁of▁sentence｜>)?",
    re.DOTALL,
)
# openai/harmony: each message is <|start|>role<|channel|>channel<|message|>content, closed by one of three tokens.
_MESSAGE = re.compile(
    r"(?:<\|start\|>)?(?P<head>[^<]*)(?:<\|channel\|>(?P<channel>[^<]*))?(?:<\|constrain\|>[^<]*)?"
    r"<\|message\|>(?P<text>.*?)(?:<\|end\|>|<\|call\|>|<\|return\|>|\Z)",
    re.DOTALL,
)
_RECIPIENT = re.compile(r"\bto=functions\.([A-Za-z][\w.-]*)")


def read_native(form: AnswerForm, completion: str, tools: Mapping[str, Tool]) -> str:
    """Return a completion as the contract's own answer; unchanged where it is not one call of the form.

    Args:
        form: the model's.
        completion: whole, with the special tokens of the form.
        tools: of the contract. An argument that the call leaves out is null.
    """
    if form == "json" or len(completion) > MAX_ANSWER:
        return completion
    for text in [completion] if form == "harmony" else rests(completion):
        with contextlib.suppress(ValueError):
            if call := _READERS[form](text.strip()):
                return call_text(tools, dict(zip(("name", "arguments"), call, strict=True)))
    return completion


def call_text(tools: Mapping[str, Tool], call: Mapping[str, Any]) -> str:
    """Return a call in a server's reply as the contract's own answer; an argument that it leaves out is null.

    Args:
        tools: of the contract.
        call: has ``name`` and ``arguments``: an object or its JSON text. What is neither stays beside the name, and no
            contract accepts it.

    Raises:
        KeyError: the call lacks one of them.
    """
    name, arguments = call["name"], call["arguments"]
    try:
        values = strict_json(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        values = None
    if not isinstance(values, dict):
        return f"{name}({arguments})"[:MAX_ANSWER]
    nothing = dict.fromkeys(tools[name].properties) if name in tools else {}
    return json.dumps({"tool": name, "args": {**nothing, **values}}, ensure_ascii=False)


def _hermes(text: str) -> Call | None:
    match = _HERMES.fullmatch(text)
    return None if match is None else _call(strict_json(match[1]), "arguments")


def _llama(text: str) -> Call | None:
    text = text.removeprefix("<|python_tag|>").removesuffix("<|eom_id|>").removesuffix("<|eot_id|>")
    value = strict_json(text.strip())
    is_typed = isinstance(value, dict) and value.get("type") == "function"
    return _call({key: item for key, item in value.items() if key != "type"} if is_typed else value, "parameters")


def _mistral(text: str) -> Call | None:
    text = text.removesuffix("</s>").strip()
    match = _MISTRAL.fullmatch(text)
    if match is not None:
        return _call({"name": match[1], "arguments": strict_json(match[2])}, "arguments")
    match = _MISTRAL_LIST.fullmatch(text)
    calls = strict_json(match[1]) if match is not None else None
    return _call(calls[0], "arguments") if isinstance(calls, list) and len(calls) == 1 else None


def _deepseek(text: str) -> Call | None:
    match = _DEEPSEEK.fullmatch(text)
    if match is None:
        return None
    return _call({"name": match[1] or match[3], "arguments": strict_json(match[2] or match[4])}, "arguments")


def _harmony(text: str) -> Call | None:
    """Read messages until the text ends: thoughts on the channel ``analysis``, and exactly one call."""
    place, calls = 0, []
    while place < len(text):
        match = _MESSAGE.match(text, place)
        if match is None or match.end() == place:
            return None
        place = match.end()
        channel = (match["channel"] or "").split()
        recipient = _RECIPIENT.search(f"{match['head']} {match['channel'] or ''}")
        if recipient is not None:
            calls.append((recipient[1], strict_json(match["text"])))
        elif channel[:1] != ["analysis"]:
            return None
    return _call({"name": calls[0][0], "arguments": calls[0][1]}, "arguments") if len(calls) == 1 else None


def _call(value: Any, arguments: str) -> Call | None:
    """Return a call's name and arguments; None where it has other keys, or arguments that are not an object."""
    if not isinstance(value, dict) or value.keys() - {"id"} != {"name", arguments}:
        return None
    name, values = value["name"], value[arguments]
    return (name, values) if isinstance(name, str) and isinstance(values, dict) else None


_READERS: dict[AnswerForm, Callable[[str], Call | None]] = {
    "hermes": _hermes,
    "llama": _llama,
    "mistral": _mistral,
    "deepseek": _deepseek,
    "harmony": _harmony,
}
