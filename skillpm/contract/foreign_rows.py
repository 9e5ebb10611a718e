"""Rows of other programs, read as requests with their expected answers.

======================== ============================================================ =============================
form                     request                                                      expected answer
======================== ============================================================ =============================
our own                  ``request``, or the last message of a task                   ``expected``
messages                 the first message of the user                                the next of the assistant
ShareGPT                 the first of ``human`` in ``conversations``                  the next of ``gpt``, or call
Alpaca                   ``instruction`` and ``input``                                ``output``
prompt and completion    ``prompt``                                                   ``completion``
preference pairs         ``prompt``                                                   ``chosen``
NeMo Gym                 ``responses_create_params.input``                            ``expected_output``, ...
Data Designer            ``wording``, else ``request``                                ``answer``
evals.json               ``prompt``, ``question``                                     ``expected_output``, ...
======================== ============================================================ =============================

An answer is a call in the form of OpenAI or Anthropic, else a JSON object, else a text. A text does not tell the number
42 from the text "42": a row of ours with such an answer has its JSON in ``expected_json``, too. A task of ours
has the answer itself, also as a row of NeMo Gym.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from skillpm.contract.answer import read_answer
from skillpm.errors import DocumentError
from skillpm.formats.document import typed_values
from skillpm.formats.strict import strict_json
from skillpm.model.task import canonical_json

_REQUESTS = ("wording", "request", "prompt", "question", "instruction", "input", "query")
_ANSWERS = (
    "expected", "expected_output", "expected_answer", "ground_truth", "chosen", "completion", "answer", "output",
    "response", "target", "ideal",
)  # fmt: skip
_OF_EVALS = frozenset(
    {"assertions", "expectations", "expected_behavior", "expected_script", "expected_skill", "files", "should_trigger"}
)
_TYPED = "expected_json"
_OF_TASKS = frozenset({"skill", "prompt", "expected"})
_OF_DATA_DESIGNER = frozenset({"request", "answer", "said"})  # whose answer is JSON, as the bridge writes it
_ROLES = {"human": "user", "gpt": "assistant"}  # of ShareGPT; others write those of OpenAI
_HINT = "a row has a request and the expected answer; docs/data.md lists the forms"


@dataclass(frozen=True, slots=True)
class ForeignRow:
    """One row.

    Attributes:
        line: where it stands, from 1: a line, or a place in a list.
        expected: None where the row shows none.
        reason: why it shows none; empty where it shows one.
        document: the whole row.
    """

    line: int
    request: str
    expected: Any
    reason: str
    document: Mapping[str, Any]


class _NoAnswer(str):
    """Why what a row shows is no answer to its request."""

    __slots__ = ()


def foreign_rows(rows: list[tuple[int, Any]], *, path: str) -> list[ForeignRow]:
    """Return the rows of any form.

    Raises:
        DocumentError: with the line of a row that has no request, or a text that no file can hold.
    """
    return [_row(number, value, path) for number, value in rows]


def _row(number: int, value: Any, path: str) -> ForeignRow:
    try:
        request, expected = _pair(value)
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError, StopIteration):
        raise DocumentError("the row has an unknown form", path=path, line=number, hint=_HINT) from None
    if not isinstance(request, str) or not request.strip():
        raise DocumentError("the row has no request", path=path, line=number, hint=_HINT)
    try:
        typed_values([request, expected])
    except ValueError as error:
        raise DocumentError(f"the row {error}", path=path, line=number) from None
    if expected is None:
        expected = _NoAnswer("names no expected answer")
    is_missing = isinstance(expected, _NoAnswer)
    return ForeignRow(number, request, None if is_missing else expected, expected if is_missing else "", value)


def _pair(row: dict[str, Any]) -> tuple[Any, Any]:
    """Return request and expected answer."""
    request, expected = _shown(row)
    if _is_typed(row) and not isinstance(expected, _NoAnswer):
        return request, _named(row, _ANSWERS)
    typed = row["answer"] if row.keys() >= _OF_DATA_DESIGNER else row.get(_TYPED)
    return request, expected if typed is None else strict_json(typed)


def _is_typed(row: Mapping[str, Any]) -> bool:
    """Is it a task of ours, or a row of NeMo Gym that we wrote? A text in its answer is no JSON of something else."""
    metadata = row.get("verifier_metadata")
    return row.keys() >= _OF_TASKS or (isinstance(metadata, dict) and "skill" in metadata)


def _shown(row: dict[str, Any]) -> tuple[Any, Any]:
    if row.get("first") and "expected" in row:
        return _last_request(row["prompt"]), _NoAnswer("its answer follows from what others showed")
    if isinstance(gym := row.get("responses_create_params"), dict):
        return _last_request(gym["input"]), _answer(_named(row, _ANSWERS))
    if isinstance(turns := row.get("conversations"), list):
        row = {"messages": [_message(turn) for turn in turns]}
    if isinstance(messages := row.get("messages"), list):
        place = next(at for at, message in enumerate(messages) if message["role"] == "user")
        turn = takewhile(lambda message: not _asks(message), messages[place + 1 :])
        replies = [message for message in turn if message["role"] == "assistant"]
        return _content(messages[place]), _of_messages(replies) if replies else None
    prompt = _named(row, _REQUESTS)
    if isinstance(prompt, list):
        prompt = _last_request(prompt)
    if isinstance(context := row.get("input"), str) and context and prompt == row.get("instruction"):
        prompt = f"{prompt}\n\n{context}"
    answer = _named(row, _ANSWERS)
    if row.keys() & _OF_EVALS:  # says in words what is right, unless that is an answer itself
        answer = _answer(answer)
        return prompt, answer if isinstance(answer, dict) else None
    if isinstance(answer, list) and answer and isinstance(answer[-1], dict) and answer[-1].get("role") == "assistant":
        return prompt, _of_messages(answer[-1:])
    if isinstance(answer, list) and answer and all(map(_is_item, answer)):
        return prompt, _of_items(answer)
    return prompt, _answer(answer)


def _is_item(value: Any) -> bool:
    """Is it an item of Responses? A skill's own answer may be a list of objects with a type, too."""
    kind = str(value.get("type")) if isinstance(value, dict) else ""
    return kind in ("message", "reasoning") or kind.endswith(("_call", "_call_output"))


def _of_items(items: Sequence[Mapping[str, Any]]) -> Any:
    """Return the answer in the items that OpenAI's Responses give: a call, or the text of a message."""
    messages = [item for item in items if item["type"] == "message" and item.get("role") == "assistant"]
    calls = [{"function": item} for item in items if item["type"] == "function_call"]
    if any(item["type"].endswith("_call") and item["type"] != "function_call" for item in items):
        return _NoAnswer("calls a tool of another kind")
    replies = [{"content": "", "tool_calls": calls}] if calls else messages[:1]
    return _of_messages(replies) if replies else None


def _message(turn: dict[str, Any]) -> dict[str, Any]:
    """Return a turn of ShareGPT as a message of OpenAI; a call is the JSON of its name and arguments."""
    if "from" not in turn:
        return turn
    role, content = turn["from"], turn["value"]
    if role == "function_call":
        return {"role": "assistant", "tool_calls": [{"function": strict_json(content)}]}
    return {"role": _ROLES.get(role, role), "content": content}


def _named(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _last_request(messages: Any) -> Any:
    """Return the last message of the user: of a text that text."""
    if isinstance(messages, str):
        return messages
    return _content(next(message for message in reversed(messages) if message.get("role") == "user"))


def _content(message: Mapping[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))


def _asks(message: Mapping[str, Any]) -> bool:
    """Does a user say something? Anthropic has what a tool returned in a user's message, too."""
    content = message["content"] if message["role"] == "user" else ()
    return isinstance(content, str) or any(part.get("type") != "tool_result" for part in content)


def _of_messages(replies: Sequence[Mapping[str, Any]]) -> Any:
    """Return the answer of the messages that follow a request: the call that they make, or the first text."""
    calls = [call for reply in replies for call in _calls(reply)]
    if len({canonical_json(call) for call in calls}) > 1:
        return _NoAnswer("needs several calls")
    return calls[0] if calls else _answer(_content(replies[0]))


def _calls(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the calls of a message: OpenAI's, its older single one, and the parts that are Anthropic's."""
    functions = [call["function"] for call in message.get("tool_calls") or ()]
    for function in (*functions, *filter(None, [message.get("function_call")])):
        arguments = function["arguments"] or {}  # an empty text, where a tool takes none
        arguments = strict_json(arguments) if isinstance(arguments, str) else arguments
        yield {"tool": function["name"], "args": arguments}
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if part.get("type") == "tool_use":
            yield {"tool": part["name"], "args": part["input"]}


def _answer(value: Any) -> Any:
    """Return an answer as the contract reads it: of a text that is one JSON object, that object."""
    if not isinstance(value, str):
        return value
    answer = read_answer(value)
    return answer.value if answer.only_json and answer.value is not None else value


def encode(expected: Any) -> str:
    """Return the text of an expected answer, as a model writes it."""
    return expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False)


def typed_column(expected: Any) -> dict[str, str]:
    """Return what a row has beside the text of an expected answer, so that the same value is read again."""
    is_told = type(_answer(encode(expected))) is type(expected)
    return {} if is_told else {_TYPED: json.dumps(expected, ensure_ascii=False)}
