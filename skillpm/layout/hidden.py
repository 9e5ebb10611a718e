"""Characters that a person does not see, or that move what a person sees: found and spelled out, never judged.

What scripts and emoji need is let through: joiners and selectors beside letters that are not ASCII, flags spelled in
tags, one variant of an ideograph. Source: Unicode Standard, chapter 23; UTS 51 (emoji sequences); Boucher and Anderson,
"Trojan Source" (2021).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

LONG_RUN = 4  # invisible characters in a row: enough for one hidden byte, more than any script needs
FAR = 400  # white-space characters in a row: what follows is out of sight
BLANK_LINES = 50  # blank lines in a row: what follows is on another page
TABLE, NEAR = 200, 1 << 17  # rows and characters above and below a gap where the rest of its table is looked for
FAR_PLACES = 20  # of one text that are looked at
SHOWN = 4  # code points of a run that a message spells out

_TAGS = "\U000e0000-\U000e007f"
_SMALL_SELECTORS = "\ufe00-\ufe0f"
_LARGE_SELECTORS = "\U000e0100-\U000e01ef"
_ZERO_WIDTH = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U0001d173-\U0001d17a"
)
_PATTERN = re.compile(
    # a flag: no group, so no sighting; first, so that its tags are not taken for others; short, so that it is no
    # message
    "\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f"
    f"|(?P<invisible>[{_TAGS}{_SMALL_SELECTORS}{_LARGE_SELECTORS}{_ZERO_WIDTH}]+)"
    "|(?P<bidi>[\u202a-\u202e\u2066-\u2069]+)"
    r"|(?P<escape>[\x08\x1b\x9b]+(?:\[?[0-9;?]{0,16}[A-Za-z])?)"
    "|(?P<control>[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9a\x9c-\x9f]+|\r(?!\n))"
)
_TAG = re.compile(f"[{_TAGS}]")
_SELECTOR = re.compile(f"[{_SMALL_SELECTORS}{_LARGE_SELECTORS}]")
_LARGE_SELECTOR = re.compile(f"[{_LARGE_SELECTORS}]")
_JOINING = frozenset(
    {"\u200c", "\u200d", "\u200e", "\u200f", "\u061c", "\ufe0f\u200d", *map(chr, range(0xFE00, 0xFE10))}
)
_CONTROL_NAMES = {
    "\0": "null", "\x07": "bell", "\x08": "backspace", "\x0b": "vertical tab", "\x0c": "form feed",
    "\r": "carriage return", "\x1b": "escape", "\x7f": "delete", "\x9b": "control sequence introducer",
}  # fmt: skip
_KEYCAPS = frozenset("0123456789#*©®")
_COLOURS = re.compile(r"\x1b\[([0-9;:]{0,64})m")
_ACTING = frozenset("c78#()*+-./%=>@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_")  # after an escape; ECMA-48, and VT100's own
_VISIBLE = string.digits + string.ascii_letters + "[;?"
_BLANK = re.compile(r"\s+")
_BLANK_SAMPLES = re.compile(r"\s{8}")

# what any such character begins with in UTF-8: a file that holds none of these needs no pattern
_LEADS = tuple(
    bytes.fromhex(text)
    for text in ("c2", "cd8f", "d89c", "e185", "e19e", "e1a08e", "e2808b", "e2808c", "e2808d", "e2808e", "e2808f",
                 "e280aa", "e280ab", "e280ac", "e280ad", "e280ae", "e281", "e385a4", "efb8", "efbbbf", "efbe", "efbf",
                 "f09d85", "f3a0")
)  # fmt: skip
_CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\t\n\r")


class Hidden(Enum):
    """What is hidden, and how."""

    TAGS = auto()
    SELECTORS = auto()
    BIDI = auto()
    ZERO_WIDTH_RUN = auto()
    ZERO_WIDTH = auto()
    ESCAPE = auto()
    CONTROL = auto()
    FAR = auto()


@dataclass(frozen=True, slots=True)
class Sighting:
    """One place in a text: what is there, where it begins (0-based), and what it says, spelled out."""

    what: Enum
    position: int
    message: str


def sightings(text: str, data: bytes, *, quoting: bool = False) -> Iterator[Sighting]:
    """Yield what is hidden in a text, in order, far text last.

    ``data`` is the text's UTF-8, which is far quicker to search; most files end there. ``quoting`` is for documents,
    which may quote the coloured output of a program.
    """
    if _suspicious(text, data):
        for match in _PATTERN.finditer(text):
            what = _what(match, text, quoting=quoting)
            if what is not None:
                yield Sighting(what, match.start(), _spelled(match[0]))
    yield from _far(text)


def _suspicious(text: str, data: bytes) -> bool:
    # Three looks at bytes, each in C, before a pattern over the text that costs many times more. They may say yes of a
    # harmless text, never no of one that the pattern would match.
    if len(data.translate(None, _CONTROLS)) != len(data):
        return True
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return True
    return not text.isascii() and any(lead in data for lead in _LEADS)


def _spelled(run: str) -> str:
    """Name the code points of a run, and the text that its tags or selectors spell, where they spell one."""
    unseen = run.rstrip(_VISIBLE)
    names = [f"U+{ord(character):04X}{_named(character)}" for character in unseen[:SHOWN]]
    more = f" and {len(unseen) - SHOWN} more" if len(unseen) > SHOWN else ""
    message = _spelling(unseen)
    says = f", which spell {ascii(message)[:200]}" if message else ""
    return ", ".join(names) + more + says + (f" before `{run[len(unseen) :]}`" if unseen != run else "")


def _named(character: str) -> str:
    name = _CONTROL_NAMES.get(character) or unicodedata.name(character, "").lower()
    return f" {name}" if name else ""


def _spelling(run: str) -> str:
    """Return the hidden text: tags are ASCII moved up, selectors are the bytes 0 to 255."""
    if _TAG.search(run):
        return "".join(chr(ord(c) - 0xE0000) for c in run if 0xE0020 <= ord(c) <= 0xE007E)
    selectors = _SELECTOR.findall(run)
    if len(selectors) < LONG_RUN:
        return ""
    codes = (ord(c) - 0xFE00 if ord(c) < 0xFF00 else ord(c) - 0xE0100 + 16 for c in selectors)
    return bytes(codes).decode("utf-8", "replace")


def _what(match: re.Match[str], text: str, *, quoting: bool) -> Hidden | None:
    if match["invisible"]:
        return _invisible(match[0], text[match.start() - 1] if match.start() else "")
    if match["bidi"]:
        return Hidden.BIDI
    if match["escape"]:
        return Hidden.ESCAPE if _acts(match, text, quoting=quoting) else None
    return Hidden.CONTROL if match["control"] else None


def _acts(match: re.Match[str], text: str, *, quoting: bool) -> bool:
    """Return whether a terminal that is sent this run would hide or fake something.

    Colours in a document do not, save the attribute 8 (concealed). Nor does an escape before a blank, a lost arrow.
    """
    sequence = match[0]
    if not sequence.startswith("\x1b") or sequence.count("\x1b") > 1 or "\x08" in sequence or "\x9b" in sequence:
        return True
    colours = _COLOURS.match(text, match.start())
    if colours:
        return not quoting or "8" in re.sub(r"[34]8[;:](?:5[;:]\d+|2(?:[;:]\d+){3})", "", colours[1]).replace(
            ":", ";"
        ).split(";")
    return text[match.start() + 1 : match.start() + 2] in _ACTING


def _invisible(run: str, before: str) -> Hidden | None:
    """Say what a run of invisible characters is, by the character before it; None if a script needs it there."""
    # From what nothing but hiding explains to what is often meant. One tag is enough, since no text outside of flags
    # needs one. A selector of the large block belongs behind an ideograph, and one is enough there. Only then does the
    # length count, and only what is short may be excused by the character before it: a joiner between letters that
    # join, a selector that chooses between text and emoji.
    if _TAG.search(run):
        return Hidden.TAGS
    if _LARGE_SELECTOR.search(run):
        return None if len(run) == 1 and _is_ideograph(before) else Hidden.SELECTORS
    if len(run) >= LONG_RUN:
        return Hidden.SELECTORS if len(_SELECTOR.findall(run)) * 2 > len(run) else Hidden.ZERO_WIDTH_RUN
    if run == "\ufeff" and not before:
        return None  # a byte order mark
    if run in _JOINING and (not before.isascii() or before in _KEYCAPS):
        return None
    return Hidden.ZERO_WIDTH


def _is_ideograph(character: str) -> bool:
    return bool(character) and unicodedata.name(character, "").startswith("CJK ")


def _far(text: str) -> Iterator[Sighting]:
    """Yield text that stands behind ``FAR`` or more white-space characters; blank ends hide nothing."""
    if not _BLANK_SAMPLES.search(text[:: FAR // 8]):
        return  # a run of that length covers eight samples in a row
    shown = 0
    for match in _BLANK.finditer(text):
        if len(match[0]) < FAR or match.end() == len(text) or shown == FAR_PLACES:
            continue
        lines = match[0].count("\n")
        indent = len(match[0]) - match[0].rfind("\n") - 1
        if lines > BLANK_LINES:
            message = f"text after {lines - 1} blank lines"
        elif indent >= FAR and not _is_column(text, match.end(), indent):
            message = f"text after {indent} white-space characters"
        else:
            continue
        shown += 1
        yield Sighting(Hidden.FAR, match.end(), message)


def _is_column(text: str, end: int, width: int) -> bool:
    """Return whether a gap is a column of a table: a line close by has text where this one is blank."""
    line = text.rfind("\n", 0, end) + 1
    left, right = end - width - line, end - line
    above, below = text[max(0, line - NEAR) : line].split("\n")[-TABLE:], text[end : end + NEAR].split("\n")[1:TABLE]
    return any(2 * len("".join(row[left:right].split())) > width for row in (*above, *below))
