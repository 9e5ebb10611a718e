"""What a word is: a run of letters between others, or a letter of a script that has no spaces between words."""

from __future__ import annotations

import re

# Letters of scripts without spaces between words, each of which counts as a word: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_LETTER = rf"[^\W{UNSPACED[1:-1]}]"
WORD = re.compile(rf"{UNSPACED}|{_LETTER}+")
_IS_UNSPACED, _IS_LETTER = re.compile(UNSPACED).match, re.compile(_LETTER).match


def stands_in(part: str, text: str) -> bool:
    """Does a part stand in a text, and not as a part of longer words?"""
    start = text.find(part)
    while start != -1:
        end = start + len(part)
        edges = (text[start - 1 : start], text[start : start + 1]), (text[end : end + 1], text[end - 1 : end])
        if all(_parted(outside, inside) for outside, inside in edges):
            return True
        start = text.find(part, start + 1)
    return False


def _parted(outside: str, inside: str) -> bool:
    """Does no word go on from the letter inside of a part to the one outside?"""
    return not _IS_LETTER(outside) or _IS_UNSPACED(inside) is not None
