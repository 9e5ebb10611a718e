"""Pages of tldr, as its clients keep them: a list of examples, each a sentence and a command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from skillpm.programs.program import Example

_CACHES = (".cache/tldr", ".cache/tealdeer", ".local/share/tldr", ".tldrc", ".tldr", "Library/Caches/tealdeer")
_FOLDERS = (
    "pages/common",
    "pages/linux",
    "pages.en/common",
    "pages.en/linux",
    "tldr/pages/common",
    "tldr-pages/pages/common",
    "common",
    "linux",
)
_BYTES = 1 << 16


def tldr_examples(page: str) -> tuple[Example, ...]:
    """Return the examples of a page; empty where none is kept here."""
    for cache in _CACHES:
        for folder in _FOLDERS:
            path = Path.home() / cache / folder / f"{page}.md"
            if path.is_file():
                with path.open(encoding="utf-8", errors="replace") as file:
                    return tuple(read_tldr(file.read(_BYTES)))
    return ()


def read_tldr(text: str) -> Iterator[Example]:
    """Yield the examples of a page: ``- Sentence:`` above a command line in backquotes.

    A place holder ``{{path/to/file}}`` becomes its text, and the first of ``{{[-a|--all]}}``.
    """
    for found in re.finditer(r"^- (.+?):?\n\n`([^`\n]+)`", text, re.MULTILINE):
        line = re.sub(r"\{\{\[([^|\]]+)\|([^\]]+)\]\}\}", r"\2", found[2])
        line = re.sub(r"\{\{(.*?)\}\}", r"\1", line)
        yield Example(text=re.sub(r"\[(\w)\]", r"\1", found[1])[:4000], line=line[:4000])
