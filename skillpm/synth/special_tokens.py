"""Special tokens of chat templates: text that a tokenizer reads as the end of a message, wherever it stands.

A row that holds one would teach a model to end, or to begin, a message in the middle of a request or an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from skillpm.model.synthesis import Entry, SynthesisDocument

_TOKEN = re.compile(
    r"<\|[^|<>\s]{1,64}\|>|<｜[^｜<>\s]{1,64}｜>"  # <|im_end|>, <|eot_id|>, <｜end▁of▁sentence｜>
    r"|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
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


def special_texts(document: SynthesisDocument) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Yield the place and the token of each value, argument and phrasing that holds a special token."""
    places: list[tuple[tuple[int | str, ...], Any]] = [(("frames",), document.frames)]
    places += [(("values", name), (pool.choice, pool.template)) for name, pool in document.values.items()]
    for number, rule in enumerate(document.tasks):
        drawn = [draw.source for draw in rule.draw.values()]
        places.append((("tasks", number), (rule.args, rule.answer, rule.phrasings, *rule.clauses.values(), drawn)))
    for place, content in places:
        token = special_token(*_strings(content))
        if token is not None:
            yield place, token


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Entry):
        yield from _strings((value.value, value.texts))
    elif isinstance(value, Mapping):
        yield from _strings((tuple(value), tuple(value.values())))
    elif isinstance(value, Iterable):
        for item in value:
            yield from _strings(item)
