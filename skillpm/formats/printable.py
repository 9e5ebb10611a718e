"""Text from outside as a terminal or a page may show it."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """Escape control characters, bidirectional overrides and lone surrogates, except the characters to ``keep``.

    What is shown quotes hostile text.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
