"""Wrong texts made of a right one: spelled otherwise, cut, hedged, replaced by a pattern.

Without a contract nobody says which spellings are right, so only changes that no reading of the text survives are
tried: a hedge then holds the right text between two others, and a verifier that reads the first or the last is right.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

Change = tuple[str, str, str]
"""The code of a claim, how the text was changed, and the text."""

LOOK_ALIKES = str.maketrans("aceiopsxyABCEHIKMOPTX", "асеіорѕхуАВСЕНІКМОРТХ")  # Latin, and Cyrillic or Greek
LONG = 600  # characters of a long echo
_SEPARATORS = (" ", ",", ", ", "|", " or ", "\n", ";", "/", " and ")
_ANY = (".*", "^.*$", ".+", r"[\s\S]*", "*", "%", "?")
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
    yield from (_respelled(text) if strict else ())
    yield from (piece for piece in _pieces(text, strict=strict) if strict or not _same_digits(piece[2], text))
    yield "SK723", "with its letters in another order", text[::-1]
    yield from _hedges(text, others, strict=strict)
    yield from _patterns(text, strict=strict)
    yield "SK723", "holds the request", request
    yield "SK723", "holds the request again and again", _long(request)
    if strict:
        yield from look_alikes(text)


def loosely_same(left: str, right: str) -> bool:
    """Could a lenient reader take two texts for one: by case, marks, white space, or as near numbers?"""
    if _bare(left) == _bare(right):
        return True
    try:
        one, other = float(left), float(right)
    except ValueError:
        return False
    return abs(one - other) <= 0.2 * max(abs(one), abs(other), 1.0)


def _same_digits(piece: str, text: str) -> bool:
    """Is every number of a text in this piece of it? A lenient reader may look at nothing else."""
    digits = re.findall(r"[0-9]+", text)
    return bool(digits) and re.findall(r"[0-9]+", piece) == digits


def _bare(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in folded if letter.isalnum()) or "".join(folded.split())


def _long(request: str) -> str:
    return " ".join([request] * (LONG // (len(request) + 1) + 1))


def _respelled(text: str) -> Iterator[Change]:
    """Yield the text as a careless reader would take it for the right one, and with one letter wrong."""
    yield "SK723", "in another case", text.swapcase()
    yield "SK723", "in upper case", text.upper()
    yield "SK723", "with a blank in front", f" {text}"
    yield "SK723", "with a blank behind", f"{text} "
    yield "SK723", "with a line break behind", f"{text}\n"
    yield "SK723", "without the blanks around it", text.strip()
    for mark in ('"', "'", "`"):
        yield "SK723", f"between marks {mark}", f"{mark}{text}{mark}"
    yield "SK723", "with dashes and underscores exchanged", text.translate(_DASHES)
    yield "SK723", "with its blanks doubled", text.replace(" ", "  ")
    yield "SK723", "without its blanks", text.replace(" ", "")
    middle = len(text) // 2
    if text:
        letter = "q" if text[middle] != "q" else "w"
        yield "SK723", "with a letter replaced", f"{text[:middle]}{letter}{text[middle + 1 :]}"
        yield "SK723", "with a letter removed", text[:middle] + text[middle + 1 :]
        yield "SK723", "with a letter twice", text[: middle + 1] + text[middle:]
    yield "SK723", "with a letter added", f"{text}x"
    digits = [place for place, letter in enumerate(text) if "0" <= letter <= "9"]
    for how, place in (("first", digits[:1]), ("last", digits[-1:])):
        for at in place:
            yield "SK723", f"with its {how} digit changed", f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}"
    yield "SK723", "with its words in another order", " ".join(reversed(text.split()))
    yield "SK723", "negated", f"not {text}"
    yield from _decorated(text)


def _decorated(text: str) -> Iterator[Change]:
    """Yield the text with what a reader that cleans texts takes away again."""
    middle = len(text) // 2
    for name, mark in (("a full stop", "."), ("a comma", ","), ("an exclamation mark", "!"), ("an s", "s")):
        yield "SK723", f"with {name} behind", f"{text}{mark}"
    yield "SK723", "with a full stop inside", f"{text[:middle]}.{text[middle:]}"
    yield "SK723", "with an article in front", f"the {text}"
    yield "SK723", "with a slash in front", f"/{text}"
    yield "SK723", "with a slash behind", f"{text}/"
    yield "SK723", "with a dot and a slash in front", f"./{text}"
    yield "SK723", "with a zero in front", f"0{text}"
    for name, blank in (("tab", "\t"), ("no-break space", "\u00a0")):
        yield "SK723", f"with a {name} for each blank", text.replace(" ", blank)
    if text:
        letter, rest = text[middle], text[middle + 1 :]
        yield "SK723", "with a letter behind a backslash", f"{text[:middle]}\\{letter}{rest}"
        if letter.isascii():
            yield "SK723", "with a letter percent-encoded", f"{text[:middle]}%{ord(letter):02X}{rest}"
        yield "SK723", "with a letter as an HTML entity", f"{text[:middle]}&#{ord(letter)};{rest}"
    # an expected text that is read as a pattern matches other texts
    first = re.search(r"[^\w\s/\\-]", text)
    if first:
        yield "SK727", "with a letter for its first mark", _replaced(text, first.start(), "x")
        yield "SK727", "with letters for its first mark", f"{text[: first.start()]}xyz{text[first.end() :]}"
    accented = ((place, unicodedata.normalize("NFC", f"{letter}\u0301")) for place, letter in enumerate(text))
    place, letter = next(((place, letter) for place, letter in accented if len(letter) == 1), (0, ""))
    if letter:
        yield "SK725", "with an accent on a letter", _replaced(text, place, letter)


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
    try:
        number = float(text)
    except ValueError:
        return
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
    """Yield the text with one letter that looks the same and is another."""
    for place, letter in enumerate(text):
        if ord(letter) in LOOK_ALIKES:
            yield "SK725", "with a letter of another script", _replaced(text, place, letter.translate(LOOK_ALIKES))
            break
    for place, letter in enumerate(text):
        if "0" <= letter <= "9":
            yield "SK725", "with a full-width digit", _replaced(text, place, chr(ord(letter) + 0xFEE0))
            break
    if text:
        yield "SK725", "with an invisible character", f"{text[:1]}\u200b{text[1:]}"
    decomposed = unicodedata.normalize("NFD", text)
    if decomposed != text:
        yield "SK725", "decomposed", decomposed


def _replaced(text: str, place: int, letter: str) -> str:
    return f"{text[:place]}{letter}{text[place + 1 :]}"
