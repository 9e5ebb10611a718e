"""What a word is: a run of letters between others, or a letter of a script that has no spaces between words."""

from __future__ import annotations

import re

# Letters of scripts without spaces between words, each of which counts as a word: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_LETTER = rf"[^\W{UNSPACED[1:-1]}]"
WORD = re.compile(rf"{UNSPACED}|{_LETTER}+")


def stands_in(part: str, text: str) -> bool:
    """Does a part stand in a text, and not as a part of longer words?"""
    alone = rf"(?:(?={UNSPACED})|(?<!{_LETTER})){re.escape(part)}(?:(?<={UNSPACED})|(?!{_LETTER}))"
    return part in text and re.search(alone, text) is not None
