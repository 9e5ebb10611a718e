"""Wrong texts made of a right one: spelled otherwise, cut, hedged, replaced by a pattern.

Without a contract nobody says which spellings are right, so only changes that no reading of the text survives are
tried: a hedge then holds the right text between two others, and a verifier that reads the first or the last is right.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

Change = tuple[str, str, str]
"""The code of a claim, how the text was changed, and the text."""

LOOK_ALIKES = str.maketrans("aceiopsxyABCEHIKMOPTX", "асеіорѕхуАВСЕНІКМОРТХ")  # Latin and Cyrillic
_SCRIPTS = {
    "Cyrillic": LOOK_ALIKES,
    "Greek": str.maketrans("aeiknopuvxyABEHIKMNOPTXYZ", "αεικηορυνχγΑΒΕΗΙΚΜΝΟΡΤΧΥΖ"),
    "full-width": {code: code + 0xFEE0 for code in range(0x21, 0x7F)},
    "mathematical": {code: code + 0x1D7CE - 0x30 for code in range(0x30, 0x3A)}
    | {code: code + 0x1D400 - 0x41 for code in range(0x41, 0x5B)}
    | {code: code + 0x1D41A - 0x61 for code in range(0x61, 0x7B)},
}
_TYPOGRAPHIC = str.maketrans({"-": "\u2013", "'": "\u2019", '"': "\u201d"})
_INVISIBLE = "\u200b\u00ad\u2060\u200d\u200e\u034f\ufe0f\ufeff\U000e0041\x07\x7f\r"  # spaces, marks, controls
MANY = 8  # words of a text, or numbers of a word, that are changed
LONG = 600  # characters of a long echo
A_WORD_OF_THE_REQUEST = "a word of the request"
_SEPARATORS = (" ", ",", ", ", "|", " or ", "\n", ";", "/", " and ")
_ANY = (".*", "^.*$", ".+", r"[\s\S]*", "*", "%", "?")
# what a reader that cleans texts takes away again
_AROUND = {
    **{f"between marks {mark}": f"{mark}{{}}{mark}" for mark in ('"', "'", "`", "*", "_", "**")},
    **{f"between {left}{right}": f"{left}{{}}{right}" for left, right in ("()", "[]", "<>")},
    **{
        f"with {mark!r} in front": f"{mark}{{}}"
        for mark in (" ", "/", "./", "~/", "../", "x/../", "0", "-", "+", "\ufeff", "- ", "please ")
    },
    **{f"with {mark!r} behind": f"{{}}{mark}" for mark in (" ", "\n", "\r\n", "\0", ".", ",", "!", "/", " # x")},
    "with a scheme in front": "https://{}",
    "with an article in front": "the {}",
    "negated": "not {}",
    "with a letter added": "{}x",
    "with an s behind": "{}s",
    "with an ending": "{}ing",
    "in the past": "{}ed",
    "behind another line": "x\n{}",
}
_EXCHANGED = (
    ("with its blanks doubled", " ", "  "),
    ("without its blanks", " ", ""),
    ("with a tab for each blank", " ", "\t"),
    ("with a no-break space for each blank", " ", "\u00a0"),
    ("with a line break for each blank", " ", "\n"),
    ("with an underscore for each blank", " ", "_"),
    ("with a dash for each blank", " ", "-"),
    ("with a plus sign for each blank", " ", "+"),
    *(
        (f"with {other} for each {mark}", mark, other)
        for mark, other in zip("äöüßł", ("ae", "oe", "ue", "ss", "l"), strict=True)
    ),
    ("with its slashes doubled", "/", "//"),
    ("with backslashes for its slashes", "/", "\\"),
)
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_MONTHS = "january february march april may june july august september october november december"
# letters and words that a lenient reader takes for one another
_MEANT = {
    "y": "yes",
    "t": "yes",
    "true": "yes",
    "n": "no",
    "f": "no",
    "false": "no",
    **{name[:3]: name for name in f"{_DAYS} {_MONTHS}".split()},
}
_DUMPED = 30  # texts in a dump
# what is read first or last of it is no answer to anything
_DASHES = str.maketrans("-_", "_-")
_DUMP = f"nothing -7919 {' '.join(map(str, range(101)))} a b c d yes no true false x y z 104729 everything"


def changed_texts(text: str, others: Sequence[str], request: str, *, strict: bool) -> Iterator[Change]:
    """Yield texts that are not the right one.

    The others are right elsewhere. Without ``strict``, no contract says which texts are the same, and only bold changes
    are tried.
    """
    others = [other for other in others if not loosely_same(other, text)] or [f"{text[::-1]}x"]
    yield from _respelled(text) if strict else _bolder(text, others)
    yield from (("SK723", A_WORD_OF_THE_REQUEST, word) for word in _some_words(request) if word not in text.split())
    yield from (piece for piece in _pieces(text, strict=strict) if strict or not _same_digits(piece[2], text))
    if re.search(r"\w\w", text):  # in `x + y`, the order may not matter
        yield "SK723", "with its letters in another order", text[::-1]
    yield from _hedges(text, others, strict=strict)
    yield from _patterns(text, strict=strict)
    yield "SK723", "holds the request", request
    yield "SK723", "holds the request again and again", _long(request)
    if strict:
        yield from look_alikes(text)


def _bolder(text: str, others: Sequence[str]) -> Iterator[Change]:
    """Yield a longer word or number that begins or ends with the text, and a number with another sign.

    A sign is one only where all right answers are numbers; among words it may be a dash.
    """
    more = "17" if text[-1:].isdigit() else "xq"
    if _number(text) is None and re.search("[.][0-9]+$", text):  # one more digit behind a point is a near number
        more = ".1717"
    yield "SK723", "with more of it behind", f"{text}{more}"
    yield "SK723", "with more of it in front", f"{more}{text}"
    yield from _misspelled(text)
    if _number(text) and all(_number(other) is not None for other in others):
        yield "SK723", "with another sign", text[1:] if text.startswith("-") else f"-{text}"
    yield from _other_marks(text)


def _misspelled(text: str) -> Iterator[Change]:
    """Yield other words and numbers that a reader of some letters, of all words or of all digits takes for the text."""
    words, middle = text.split(), len(text) // 2
    if _is_sentence(text):
        yield "SK723", "with its words in another order", " ".join(reversed(words))
    if len(re.findall(r"\w\w+", text)) > 2:
        positive = [word for word in words if word != "not"]
        yield "SK723", "negated", " ".join(positive if positive != words else [words[0], "not", *words[1:]])
    for word in [*re.finditer(rf"(?<!{_DAY})[^\W\d_]+", text)][:MANY]:  # a time behind a day may have any mark in front
        place = (word.start() + word.end()) // 2
        yield "SK723", "with a letter replaced", _replaced(text, place, "q" if text[place] != "q" else "w")
    if text[middle : middle + 1].isalpha():
        yield "SK723", "without its vowels", re.sub("[aeiou]", "", text)
    yield from _other_numbers(text)
    yield from _other_days(text)
    if re.fullmatch("[0-9]+[.][0-9]+", text):
        yield "SK723", "without its point", text.replace(".", "")
    if re.fullmatch("[0-9]{2,}", text):
        yield "SK723", "with a letter between its digits", f"{text[:1]}x{text[1:]}"


def _other_numbers(text: str) -> Iterator[Change]:
    """Yield the text with one of its numbers changed: a little in a date, version or address, where each digit counts.

    Any other number is another one by 40 % or more, as a reader with a tolerance may take a near one for it. Numbers in
    front of the lines of a list may be free.
    """
    if _number(text) is not None:
        return
    of_lines = {number.start() for number in re.finditer(r"^[0-9]+[.)]\s", text, re.MULTILINE)}
    for word in re.finditer(r"\S+", text):
        if word.start() in of_lines:
            continue
        numbers = [*re.finditer("[0-9]+", word[0])]
        alone = re.fullmatch(r"[^0-9]*[0-9][0-9,]*(?:[.][0-9]+)?[^0-9]*", word[0])
        for number in numbers[:1] if alone else numbers[:MANY]:
            place = word.start() + (number.start() if alone else number.end() - 1)
            digit = int(text[place])
            other = (digit + 4 if digit <= 5 else digit - 4) if alone else (digit + 5) % 10
            yield "SK723", "with another number", _replaced(text, place, str(other))


def _other_days(text: str) -> Iterator[Change]:
    """Yield the text with other days in place of its first date: of the same week, and with its month for its day."""
    for found in re.finditer(rf"\b{_DAY}\b", text):
        with contextlib.suppress(ValueError, OverflowError):  # no date of the calendar, or its last one
            day = date.fromisoformat(found[0])
            other = day + timedelta(days=-1 if day.isoweekday() == 7 else 1)
            yield "SK723", "with another day of the week", text.replace(found[0], other.isoformat(), 1)
            if day.day != day.month and day.day <= 12:
                exchanged = day.replace(month=day.day, day=day.month).isoformat()
                yield "SK723", "with its day and its month exchanged", text.replace(found[0], exchanged, 1)
            return


def _is_sentence(text: str) -> bool:
    """Does the order of its words count? A few different words, numbers, or items with marks between may be a set."""
    parts = [re.findall(r"\w*[^\W\d]\w*", part.casefold()) for part in re.split("[,;|\n]", text)]
    return any(len(words) > 5 or len(set(words)) < len(words) for words in parts)


def _some_words(request: str) -> list[str]:
    """Return the first, the last and the longest word of a request."""
    words = re.findall(r"[\w.-]*\w", request)
    return list(dict.fromkeys((words[0], words[-1], max(words, key=len)))) if words else []


def loosely_same(left: str, right: str) -> bool:
    """Could a lenient reader take two texts for one: by case, marks, white space, or as near numbers?"""
    one, other = _number(left), _number(right)
    if one is None or other is None:
        return _bare(left) == _bare(right)
    return one * other >= 0 and abs(one - other) <= 0.2 * max(abs(one), abs(other), 1.0)


def loosely_equal(left: Any, right: Any) -> bool:
    """Could a lenient reader take two values for one: field by field where both have one form, else as texts?"""
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return all(map(loosely_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return all(loosely_equal(item, right[name]) for name, item in left.items())
    one, other = (item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in (left, right))
    return loosely_same(one, other)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _same_digits(piece: str, text: str) -> bool:
    """Is every number of a text in this piece of it? A lenient reader may look at nothing else."""
    digits = re.findall(r"[0-9]+", text)
    return bool(digits) and re.findall(r"[0-9]+", piece) == digits


def _bare(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(letter for letter in folded if letter.isalnum()) or "".join(filter(_is_seen, folded))
    return _MEANT.get(bare, bare)


def _is_seen(letter: str) -> bool:
    """Is a character neither white space, nor a mark that joins another one, such as the selector behind an emoji?"""
    return not letter.isspace() and unicodedata.category(letter) not in ("Mn", "Cf")


def _long(request: str) -> str:
    return " ".join([request] * (LONG // (len(request) + 1) + 1))


def _respelled(text: str) -> Iterator[Change]:
    """Yield the text as a careless reader would take it for the right one, and with one letter wrong."""
    yield "SK723", "in another case", text.swapcase()
    yield "SK723", "in upper case", text.upper()
    yield "SK723", "with its first letter in another case", text[:1].swapcase() + text[1:]
    for mark in (" ", ",", "\n"):
        yield "SK723", f"twice, joined by {mark!r}", f"{text}{mark}{text}"
    yield "SK723", "without the blanks around it", text.strip()
    for how, form in _AROUND.items():
        yield "SK723", how, form.format(text)
    for how, mark, other in _EXCHANGED:
        yield "SK723", how, text.replace(mark, other)
    yield "SK723", "with dashes and underscores exchanged", text.translate(_DASHES)
    yield "SK723", "in camel case", re.sub("[-_ ]+(.)", lambda match: match[1].upper(), text)
    yield "SK723", "without its vowels", text[:1] + re.sub("[aeiou]", "", text[1:])
    yield "SK723", "with its words in another order", " ".join(reversed(text.split()))
    digits = [place for place, letter in enumerate(text) if "0" <= letter <= "9"]
    for how, place in (("first", digits[:1]), ("last", digits[-1:])):
        for at in place:
            yield "SK723", f"with its {how} digit changed", _replaced(text, at, str((int(text[at]) + 1) % 10))
    yield from _with_letter_changed(text)


def _with_letter_changed(text: str) -> Iterator[Change]:
    """Yield the text with its middle letter wrong, or written as some readers decode it."""
    if not text:
        return
    middle = len(text) // 2
    before, letter, rest = text[:middle], text[middle], text[middle + 1 :]
    yield "SK723", "with a letter replaced", f"{before}{'q' if letter != 'q' else 'w'}{rest}"
    yield "SK723", "with a letter removed", f"{before}{rest}"
    yield "SK723", "with a letter twice", f"{before}{letter}{letter}{rest}"
    yield "SK723", "with a full stop inside", f"{before}.{letter}{rest}"
    yield "SK723", "with a letter between quotes", f'{before}"{letter}"{rest}'
    yield "SK723", "with a letter behind a backslash", f"{before}\\{letter}{rest}"
    if letter.isascii():
        yield "SK723", "with a letter percent-encoded", f"{before}%{ord(letter):02X}{rest}"
        yield "SK723", "with a letter as an escape", f"{before}\\u{ord(letter):04x}{rest}"
    yield "SK723", "with a letter as an HTML entity", f"{before}&#{ord(letter)};{rest}"
    yield from _other_marks(text)
    accented = ((place, unicodedata.normalize("NFC", f"{letter}\u0301")) for place, letter in enumerate(text))
    place, letter = next(((place, letter) for place, letter in accented if len(letter) == 1), (0, ""))
    if letter:
        yield "SK725", "with an accent on a letter", _replaced(text, place, letter)


def _other_marks(text: str) -> Iterator[Change]:
    """Yield the text with others in place of its first mark: a pattern made of the right text matches them."""
    first = re.search(r"[^\w\s/\\-]", text)
    if first:
        yield "SK727", "with a letter for its first mark", _replaced(text, first.start(), "x")
        yield "SK727", "with letters for its first mark", f"{text[: first.start()]}xyz{text[first.end() :]}"


def _pieces(text: str, *, strict: bool) -> Iterator[Change]:
    """Yield beginnings and parts of a text."""
    yield "SK723", "emptied", ""
    yield "SK723", "cut to its first half", text[: len(text) // 2]
    yield "SK723", "cut to its first letter", text[:1]
    if strict:
        yield "SK723", "without its last letter", text[:-1]
        yield "SK723", "without its first letter", text[1:]
    words = re.findall(r"\w+", text)
    if words:
        yield "SK723", "cut to its first word", words[0]
        yield "SK723", "cut to its last word", words[-1]
        yield "SK723", "cut to its longest word", max(words, key=len)
    if strict and len(text) > 4:
        yield "SK723", "cut to its middle", text[len(text) // 4 : -(len(text) // 4)]
    number = _number(text)
    if number is not None:
        yield "SK723", "another number", f"{2 * number + 1000:g}"
        yield "SK723", "half as much again", f"{1.5 * number:g}"


def _hedges(text: str, others: Sequence[str], *, strict: bool) -> Iterator[Change]:
    """Yield several answers at once, the right one among them."""
    first, last = others[0], others[-1]
    for separator in _SEPARATORS:
        name = repr(separator)
        if strict:
            yield "SK726", f"joined with another by {name}", f"{text}{separator}{first}"
            yield "SK726", f"behind another and {name}", f"{first}{separator}{text}"
        else:
            yield "SK726", f"between two others, joined by {name}", f"{first}{separator}{text}{separator}{last}"
            if len(first) + len(last) <= 4:  # short themselves
                continue
            short = ("7", "8") if _number(text) is not None else ("x", "y")
            yield "SK726", f"between two short others, joined by {name}", separator.join((short[0], text, short[1]))
    many = list(dict.fromkeys(others))[:_DUMPED]
    half = max(1, len(many) // 2)
    for separator in (" ", ", ", "\n"):
        dump = separator.join([*many[:half], text, *(many[half:] or [first])])
        yield "SK726", f"among all others, joined by {separator!r}", dump
    yield "SK726", "among all numbers and letters", _DUMP


def _patterns(text: str, *, strict: bool) -> Iterator[Change]:
    """Yield texts that match the right one, or every one, where they are read as a pattern."""
    for pattern in _ANY:
        yield "SK727", f"the pattern {pattern}", pattern
    if len(text) < 2:
        return
    yield "SK727", "its first letter and a pattern", f"{text[:1]}.*"
    yield "SK727", "its first letter and a wildcard", f"{text[:1]}*"
    yield "SK727", "a wildcard for each letter", "?" * len(text)
    yield "SK727", "a dot for each letter", "." * len(text)
    if strict:
        yield "SK727", "a pattern of alternatives", f"(x|{re.escape(text)})"
        yield "SK727", "a wildcard for its last letter", f"{text[:-1]}?"
        yield "SK727", "a class for its last letter", f"{text[:-1]}[{text[-1]}]"


def look_alikes(text: str) -> Iterator[Change]:
    """Yield the text with letters that look the same and are others, and with what cannot be seen."""
    for script, table in _SCRIPTS.items():
        yield "SK725", f"in {script} letters", text.translate(table)
        for kind, chosen in (("letter", str.isalpha), ("digit", str.isdigit)):
            place = next((n for n, letter in enumerate(text) if chosen(letter) and ord(letter) in table), None)
            if place is not None:
                yield "SK725", f"with a {script} {kind}", _replaced(text, place, text[place].translate(table))
    for mark in _INVISIBLE if text else "":
        yield "SK725", f"with the invisible character U+{ord(mark):04X}", f"{text[:1]}{mark}{text[1:]}"
    yield "SK725", "with a line below its last letter", f"{text}\u0332"
    yield "SK725", "with an emoji behind", f"{text}\U0001f44d"
    yield "SK725", "with half an emoji behind", f"{text}\ud83d"
    yield "SK725", "with typographic dashes and quotes", text.translate(_TYPOGRAPHIC)
    decomposed = unicodedata.normalize("NFD", text)
    if decomposed != text:
        yield "SK725", "decomposed", decomposed


def _replaced(text: str, place: int, letter: str) -> str:
    return f"{text[:place]}{letter}{text[place + 1 :]}"
