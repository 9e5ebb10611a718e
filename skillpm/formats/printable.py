"""Text from outside as a terminal, a page or a file may hold it."""

from __future__ import annotations

import re

# Letters, marks and symbols for Unicode, but nothing or a blank for an eye: joiners, fillers, Braille's blank,
# variation selectors. The selector of emoji, U+FE0F, is not among them, because ordinary texts hold it.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
)


def printable(text: str, keep: str = "") -> str:
    """Escape control characters, bidirectional overrides, lone surrogates and what nobody sees, but not ``keep``.

    What is shown quotes hostile text.
    """
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    return "".join(
        c if (c.isprintable() and not _UNSEEN.match(c)) or c in keep else c.encode("unicode_escape").decode()
        for c in text
    )


def well_formed(text: str) -> str:
    """Replace lone surrogates, which no file and no wire can hold."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
