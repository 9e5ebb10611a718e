"""Reads a model's answer: one JSON object and nothing else. An object among prose is reported, not accepted.

What is read is hostile: sizes and depths are bounded, duplicate keys, NaN and numbers out of range are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from skillpm.formats.strict import STRICT_DECODER, syntax_words

MAX_ANSWER = 1 << 16  # characters
_REMEMBERED = 4096  # characters
_MAX_STARTS = 8  # opening braces that are tried while looking for an object among prose
# as chat templates close a thought: tags of several names (after which Granite marks the answer), those of Mistral,
# Kimi and Cohere, the channels of Gemma and gpt-oss
_THOUGHT_END = re.compile(
    r"</(?:seed:)?(?:think|thinking|thought|reasoning)>(?:\s*<response>)?|\[/THINK\]|◁/think▷"
    r"|<\|END_THINKING\|>(?:<\|START_RESPONSE\|>)?|<channel\|>|<\|channel\|>final(?:\s*<\|constrain\|>\w+)?<\|message\|>",
    re.IGNORECASE,
)
# where the answer is marked, too
_ANSWER_END = re.compile(r"<(?:\|return\||\|END_RESPONSE\||/response)>\Z", re.IGNORECASE)
_MAX_THOUGHTS = 16
_JSON_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands in a completion.

    Attributes:
        value: the object, or None where there is none that can be read.
        only_json: is the object all that the completion says, beside thoughts in front of it?
        reason: why it is not a proper answer; empty where it is.
    """

    value: dict[str, Any] | None
    only_json: bool
    reason: str = ""


def read_answer(completion: str) -> Answer:
    """Read a completion; never raises. What is short is remembered: verifier and rewards ask for the same answers."""
    return _read_again(completion) if len(completion) <= _REMEMBERED else _read(completion)


def _read(completion: str) -> Answer:
    if len(completion) > MAX_ANSWER:
        return Answer(None, False, f"longer than {MAX_ANSWER} characters")
    text = after_thoughts(completion) if _THOUGHT_END.search(completion) else completion.strip(_JSON_SPACE)
    if not text:
        return Answer(None, False, "empty")
    try:
        value = STRICT_DECODER.decode(text)
    except RecursionError:
        return Answer(None, False, "nested too deeply")
    except json.JSONDecodeError as error:
        return _found_among_prose(text, error.msg)
    except ValueError as error:
        return Answer(None, False, f"not JSON: {error}")
    if not isinstance(value, dict):
        return Answer(None, False, "JSON, but not an object")
    if "\\u" in text or not text.isascii():
        return _without_surrogates(value, True, "")
    return Answer(value, True)


def after_thoughts(completion: str) -> str:
    """Return what stands after the thoughts.

    A thought ends at its closing tag, whether the completion opens it or the chat template did. What follows the first
    tag need not be the answer, since a model may think twice; so the first rest that is JSON from end to end counts,
    and where none is, the rest after the last tag. A tag inside the answer's own text is no end of a thought: by then
    the whole answer has been read.
    """
    last = ""
    for last in rests(completion):
        if _is_json(last):
            break
    return last


def rests(completion: str) -> Iterator[str]:
    """Yield a completion, then what stands after each end of a thought in it."""
    yield completion.strip(_JSON_SPACE)
    ends = [found.end() for found in _THOUGHT_END.finditer(completion)]
    for end in (*ends[:_MAX_THOUGHTS], *ends[_MAX_THOUGHTS:][-1:]):
        yield _ANSWER_END.sub("", completion[end:].strip(_JSON_SPACE)).rstrip(_JSON_SPACE)


def _is_json(text: str) -> bool:
    if not text.startswith("{"):
        return False
    try:
        STRICT_DECODER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


_read_again = lru_cache(maxsize=4096)(_read)  # as many as stand in a message to a worker


def _without_surrogates(value: dict[str, Any], only_json: bool, reason: str) -> Answer:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Answer(None, False, "contains a lone surrogate")
    return Answer(value, only_json, reason)


def _found_among_prose(text: str, problem: str) -> Answer:
    at_once = text[0] == "{" and problem != "Extra data"  # the object in front was tried already, and is none
    start = text.find("{", int(at_once))
    for _ in range(_MAX_STARTS):
        if start < 0:
            break
        try:
            value, end = STRICT_DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        return _without_surrogates(value, False, _surroundings(text[:start], text[end:]))
    return Answer(None, False, f"not JSON: {syntax_words(problem)}")


def _surroundings(before: str, after: str) -> str:
    if after.lstrip(_JSON_SPACE).startswith("{"):
        return "more than one JSON object"
    if before.rstrip(_JSON_SPACE).endswith(("```", "```json")):
        return "the JSON object is fenced"
    return "text around the JSON object"
