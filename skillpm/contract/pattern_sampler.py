"""Short texts that a regular expression matches, made from its parsed form; for patterns without look-around.

A repetition is taken a few times more than it must be, and a class of characters gives printable ASCII where it holds
some, so that a text can stand in a request.
"""

from __future__ import annotations

import importlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

MORE = 6  # repetitions beyond the least
_PIECES = 4096  # of one text; repetitions of repetitions multiply
_PRINTABLE = [chr(code) for code in range(33, 127)]
_USUAL = "abcdefghijklmnopqrstuvwxyz0123456789"
_CATEGORIES: Mapping[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_NOT_DIGIT": lambda letter: not letter.isdigit(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda letter: not letter.isspace(),
    "CATEGORY_WORD": lambda letter: letter.isalnum() or letter == "_",
    "CATEGORY_NOT_WORD": lambda letter: not (letter.isalnum() or letter == "_"),
}


class PatternError(ValueError):
    """A pattern of which no text is made."""


class LongTextError(PatternError):
    """A text that became too long."""


def sample_pattern(pattern: str, chance: random.Random, more: int = MORE) -> str:
    """Return a text in which the pattern matches; a repetition is taken at most ``more`` times beyond its least.

    Raises:
        PatternError: it needs look-around, or is no pattern that Python reads, or all that it matches is long.
        LongTextError: this text became too long; another one may not.
    """
    return _Maker(chance, more).text(_parsed(pattern))


@lru_cache(maxsize=256)
def _parsed(pattern: str) -> Any:
    try:
        parsed = importlib.import_module("re._parser").parse(pattern)
        shortest, _ = parsed.getwidth()
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(str(error)) from None
    if shortest > _PIECES:
        raise PatternError(f"it matches no text of at most {_PIECES} characters")
    return parsed


class _Maker:
    """Makes one text.

    Args:
        more: repetitions beyond the least.
    """

    def __init__(self, chance: random.Random, more: int) -> None:
        self._chance = chance
        self._more = more
        self._groups: dict[int, str] = {}
        self._pieces = 0

    def text(self, parsed: Any) -> str:
        """Return a text of a parsed pattern or of a part of one."""
        return "".join(self._piece(str(code), argument) for code, argument in parsed)

    def _piece(self, code: str, argument: Any) -> str:
        self._pieces += 1
        if self._pieces > 2 * _PIECES:
            raise LongTextError(f"a text has more than {_PIECES} characters")
        if code == "LITERAL":
            return chr(argument)
        if code == "ANY":
            return self._chance.choice(_USUAL)
        if code in ("IN", "NOT_LITERAL"):
            items = argument if code == "IN" else [("NEGATE", None), ("LITERAL", argument)]
            return self._chance.choice(_letters(items))
        if code in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = argument
            count = self._chance.randint(least, min(int(most), least + self._more))
            return "".join(self.text(inner) for _ in range(count))
        if code == "SUBPATTERN":
            text = self.text(argument[-1])
            if argument[0] is not None:
                self._groups[argument[0]] = text
            return text
        if code in ("BRANCH", "ATOMIC_GROUP"):
            return self.text(self._chance.choice(argument[1]) if code == "BRANCH" else argument)
        if code in ("GROUPREF", "AT"):
            return self._groups.get(argument, "") if code == "GROUPREF" else ""
        raise PatternError(f"{code.lower()} is not supported")


def _letters(items: Sequence[Any]) -> list[str]:
    """Return the characters of a class; printable ASCII where it holds some."""
    negated = str(items[0][0]) == "NEGATE"
    members = items[1:] if negated else items
    letters = [letter for letter in _PRINTABLE if any(_holds(item, letter) for item in members) is not negated]
    if letters:
        return [letter for letter in letters if letter in _USUAL] or letters
    for code, argument in members:
        if str(code) == "LITERAL" and not negated:
            return [chr(argument)]
        if str(code) == "RANGE" and not negated:
            return [chr(argument[0])]
    if not negated and any(_holds(item, " ") for item in members):
        return [" "]
    raise PatternError("a class without a character")


def _holds(item: Any, letter: str) -> bool:
    code, argument = str(item[0]), item[1]
    if code == "LITERAL":
        return ord(letter) == int(argument)
    if code == "RANGE":
        return int(argument[0]) <= ord(letter) <= int(argument[1])
    return code == "CATEGORY" and _CATEGORIES[str(argument)](letter)
