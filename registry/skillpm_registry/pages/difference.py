"""What changed between two releases: files, and the lines of those that are text."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from skillpm.layout.tree import Tree
from skillpm_registry.pages.markdown import visible

MAX_LINES = 1500  # of one text that is compared line by line; the time grows with the square
_COMPARED = 30_000  # lines of all texts that are compared
_SHOWN = 4000  # lines of all comparisons
_LONG = "not shown: this comparison is long already"
_AROUND = 3  # equal lines that are shown around a change


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a comparison; ``sign`` is `+`, `-`, a blank for an equal line, or `@` for a gap."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """A file that differs.

    Attributes:
        kind: ``added``, ``removed``, ``changed``, or ``mode`` if only the executable bit differs.
        lines: empty with a ``note`` why.
    """

    path: str
    kind: str
    lines: tuple[Line, ...] = ()
    note: str = ""

    @property
    def added(self) -> int:
        """The number of lines that are new."""
        return sum(line.sign == "+" for line in self.lines)

    @property
    def removed(self) -> int:
        """The number of lines that are gone."""
        return sum(line.sign == "-" for line in self.lines)


def text_of(data: bytes) -> str | None:
    """Return the text of a file, or None if it is not text."""
    try:
        return None if b"\0" in data else data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def changes(old: Tree, new: Tree) -> list[Change]:
    """Return the files that differ, by path."""
    before, after, found = set(old.paths()), set(new.paths()), list[Change]()
    shown, compared = _SHOWN, _COMPARED
    for path in sorted(before | after):
        one = old.read(path) if path in before else None
        other = new.read(path) if path in after else None
        if one == other:
            if old.executable(path) != new.executable(path):
                note = "is executable now" if new.executable(path) else "is not executable any more"
                found.append(Change(path, "mode", note=note))
            continue
        kind = "added" if one is None else "removed" if other is None else "changed"
        change, lines = _compared(path, kind, one or b"", other or b"", shown if compared > 0 else -1)
        shown, compared = shown - len(change.lines), compared - lines
        found.append(change)
    return found


def _compared(path: str, kind: str, one: bytes, other: bytes, left: int) -> tuple[Change, int]:
    """Return a change, of which ``left`` lines may be shown, and how many lines were compared."""
    texts = [text_of(one), text_of(other)]
    if None in texts:
        return Change(path, kind, note=f"not text; {len(one):,} bytes before, {len(other):,} after"), 0
    old, new = (visible(text or "").splitlines() for text in texts)
    if max(len(old), len(new)) > MAX_LINES:
        note = f"too long to compare here: {len(old):,} lines before, {len(new):,} after"
        return Change(path, kind, note=note), 0
    lines = tuple(_lines(old, new)) if left >= 0 else None
    if lines is None or len(lines) > left:
        return Change(path, kind, note=_LONG), len(old) + len(new)
    return Change(path, kind, lines), len(old) + len(new)


def _lines(old: list[str], new: list[str]) -> Iterator[Line]:
    for number, line in enumerate(difflib.unified_diff(old, new, n=_AROUND, lineterm="")):
        if number >= 2:  # after the two names
            yield Line(line[0], line[1:] if line[0] != "@" else line)
