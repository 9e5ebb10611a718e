"""Special tokens of chat templates: text that a tokenizer reads as the end of a message, wherever it stands.

A row that holds one would teach a model to end, or to begin, a message in the middle of a request or an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from skillpm.model.synthesis import Location, SynthesisDocument, placed_scalars

_TOKEN = re.compile(
    r"<\|[^|<>\s]{1,64}\|>|<｜[^｜<>\s]{1,64}｜>"  # <|im_end|>, <|eot_id|>, <｜end▁of▁sentence｜>
    r"|<\|\w{1,64}>|<\w{1,64}\|>"  # <|turn>, <channel|>
    r"|</?s>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<</?SYS>>"
    r"|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
)


def special_token(*texts: str) -> str | None:
    """Return the first special token in some texts, or None."""
    for text in texts:
        found = _TOKEN.search(text) if "<" in text or "[" in text else None
        if found is not None:
            return found[0]
    return None


def without_special_tokens(text: str) -> str:
    """Return a text in which no tokenizer reads a special token: a space stands behind the first sign of each."""
    return _TOKEN.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)


def special_texts(document: SynthesisDocument) -> Iterator[tuple[Location, str]]:
    """Yield the place and the token of each value, argument and phrasing that holds a special token."""
    for place, value in placed_scalars(document.model_dump(by_alias=True)):
        token = special_token(*map(str, (*place, value)))
        if token is not None:
            yield place, token
