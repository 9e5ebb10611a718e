"""The content of a message of chat completions: a text, or a list of parts of which each is a text.

What a model thought before it answered is no part of its answer. Sources: OpenAI API reference, ``content`` of a
message; Mistral API reference, ``thinking`` of a message. Gateways send an answer as parts, too.
"""

from __future__ import annotations

from typing import Any

_TEXT = ("text", "input_text", "output_text", None)  # of chat completions, of Responses, and of who names no type
_THOUGHT = ("thinking", "reasoning", "redacted_thinking")


class PartError(ValueError):
    """A part of a message is not a text."""


def content_text(content: Any) -> str:
    """Return the text of a content. Raises PartError for a part that is not a text, TypeError for a wrong form."""
    return content if isinstance(content, str) else "".join(map(_part_text, _parts(content)))


def _parts(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise TypeError("a content is a text or a list of parts")
    return content


def _part_text(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _THOUGHT:
        return ""
    if not isinstance(part, dict) or (kind in _TEXT and not isinstance(part.get("text"), str)):
        raise TypeError("a part is an object with a text")
    if kind not in _TEXT:
        raise PartError(f"a part of the type `{str(kind)[:40]}`, which is not text")
    return str(part["text"])
