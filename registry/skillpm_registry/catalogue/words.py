"""What a search asks for: plain words. Nothing that a person types is an operator, a wildcard or a quote."""

from __future__ import annotations

import re
import unicodedata

MAX_TEXT = 200  # characters of a search
MAX_WORDS = 12
_WORD = re.compile(r"[^\W_]+")


def split_words(text: str) -> list[str]:
    """Return the words of a text in lower case, each once, in order."""
    return list(dict.fromkeys(_WORD.findall(text.casefold())))


def plain_words(text: str) -> list[str]:
    """Return the words of a text in lower case and without accents, in order, as SQLite's FTS5 splits them."""
    if not text.isascii():
        letters = unicodedata.normalize("NFD", text.casefold())
        text = unicodedata.normalize("NFC", "".join(sign for sign in letters if not unicodedata.combining(sign)))
    return _WORD.findall(text.casefold())


def asked_words(text: str) -> list[str]:
    """Return the words of a search; what is too long is cut."""
    return split_words(text[:MAX_TEXT])[:MAX_WORDS]


def letter_triples(word: str) -> set[str]:
    """Return the three letters in a row that a word has. Blanks around it give its ends triples of their own."""
    padded = f"  {word}  "
    return {padded[start : start + 3] for start in range(len(padded) - 2)}
