"""Fixes what has one right answer in a SKILL.md, and leaves the rest unchanged.

Each mender makes one change to the text. A change is kept only if it is sure: the check finds less than before and
nothing else, and the file means what it meant (``_meaning``). So mending a mended text changes nothing.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from skillpm.errors import DocumentError
from skillpm.formats.strict import PlainScalar, Table
from skillpm.formats.strict_yaml import read_yaml
from skillpm.layout.check import check
from skillpm.layout.frontmatter import BYTE_ORDER_MARK, Parts, quote_values, read_frontmatter, split
from skillpm.layout.rule import Level
from skillpm.layout.rules.fields import FIELDS, TYPED
from skillpm.layout.tree import MappingTree
from skillpm.model.name import is_name

MOVED = ("version", "author", "category", "homepage", "repository")  # what only describes; clients act on other keys
ALIASES = {"licence": "license", "allowedtools": "allowed-tools"}
_TOOL = re.compile(r"[^\s,()]+(?:\([^()]*\))?")
_BETWEEN_TOOLS = re.compile(r"\s*,\s*|\s+")


@dataclass(frozen=True, slots=True)
class Mended:
    """A text after mending, and the rules that it broke before and no longer breaks."""

    text: str
    codes: tuple[str, ...]


def mend(text: str, folder: str | None) -> Mended:
    """Return a SKILL.md with the sure fixes applied; ``folder`` is the name of its folder, or None."""
    before = now = _codes(text, folder)
    while change := _sure_change(text, folder, now):
        text, now = change
    return Mended(text, tuple(sorted(before - now)))


def _sure_change(text: str, folder: str | None, now: Counter[str]) -> tuple[str, Counter[str]] | None:
    """Return the first change that is sure, with what the check finds after it; each finds less, so they end."""
    for changed in _changes(text, folder):
        if changed != text:
            after = _codes(changed, folder)
            if after < now and _meaning(changed) == _meaning(text):
                return changed, after
    return None


def _changes(text: str, folder: str | None) -> Iterator[str]:
    """Yield the text as each mender writes it."""
    for of_text in _OF_TEXT:
        yield of_text(text)
    for of_fields in _OF_FIELDS:
        draft = _Lines(text, folder)
        of_fields(draft)
        yield draft.joined()


def _codes(text: str, folder: str | None) -> Counter[str]:
    tree = MappingTree({"SKILL.md": text.encode("utf-8")})
    return Counter(finding.code for finding in check(tree, path="", folder=folder, level=Level.STRICT).findings)


def _meaning(text: str) -> Any:
    """Return what a client understands, in a form in which every mended text equals the text before."""
    parts = split(text.removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n"))
    fields = read_frontmatter(parts).value
    if not isinstance(fields, Table):
        return text
    meant: dict[str, Any] = {}
    for key, value in fields.items():
        place = _proper_key(key)
        if place == "metadata" and isinstance(value, Table):
            meant.update({f"metadata.{name}": item for name, item in value.items()})
        elif place == "allowed-tools":
            meant[place] = _tools(value) or value
        elif place == "name" and isinstance(value, str):
            meant[place] = _slug(value)
        elif value not in (None, "") or place not in ("license", "compatibility", "metadata"):
            meant[f"metadata.{key}" if place in MOVED else place] = value
    return meant, parts.body


def _proper_key(key: str) -> str:
    near = key.lower().replace("_", "-")
    return ALIASES.get(near, near) if ALIASES.get(near, near) in FIELDS else key


def _slug(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", unicodedata.normalize("NFKC", name).strip().lower()).strip("-")


def _tools(value: Any) -> list[str] | None:
    """Return the tools of either shape, or None if it is not certain where one ends."""
    if isinstance(value, list):
        return list(value) if value and all(isinstance(v, str) and _TOOL.fullmatch(v) for v in value) else None
    if not isinstance(value, str):
        return None
    tools = _TOOL.findall(value)
    return tools if tools and not _BETWEEN_TOOLS.sub("", _TOOL.sub("", value)) else None


class _Lines:
    """The lines of the frontmatter, to be changed one field at a time."""

    def __init__(self, text: str, folder: str | None = None) -> None:
        self._text = text
        self.folder = folder
        self.parts: Parts = split(text)
        value = read_frontmatter(self.parts).value if self.parts.yaml is not None else None
        self.fields: Table = value if isinstance(value, Table) else Table()
        self.lines = (self.parts.yaml or "").split("\n")

    def index(self, key: str, table: Table | None = None) -> int:
        """Return the index of the line on which a key stands."""
        return (self.fields if table is None else table).lines[key] - self.parts.line

    def span(self, key: str) -> tuple[int, int]:
        """Return the first line of a top-level field and the one behind its last that is neither blank nor comment."""
        start = self.index(key)
        following = [line - self.parts.line for line in self.fields.lines.values() if line - self.parts.line > start]
        end = min(following, default=len(self.lines))
        while end > start + 1 and self.lines[end - 1].strip()[:1] in ("", "#"):
            end -= 1
        return start, end

    def is_single(self, key: str) -> bool:
        """Is a top-level field one line, without a comment?"""
        start, end = self.span(key)
        return end == start + 1 and self.lines[start].startswith(f"{key}:") and " #" not in self.lines[start]

    def joined(self) -> str:
        """Return the text with the changed lines."""
        if self.parts.yaml is None:
            return self._text
        start = self._text.index("\n", len(self.parts.leading or "")) + 1
        return self._text[:start] + "\n".join(self.lines) + self._text[start + len(self.parts.yaml) :]


def _without_mark(text: str) -> str:
    return text.removeprefix(BYTE_ORDER_MARK)


def _line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n") if text.count("\r") == text.count("\r\n") else text


def _from_the_fence(text: str) -> str:
    leading = split(text).leading or ""
    return text[len(leading) :] if not leading.strip() else text


def _quotes(text: str) -> str:
    parts = split(text)
    frontmatter = read_frontmatter(parts)
    if not frontmatter.quoted or parts.yaml is None:
        return text
    draft = _Lines(text)
    draft.lines = quote_values(parts.yaml, parts.line)[0].split("\n")
    return draft.joined()


def _folder_name(draft: _Lines) -> None:
    """Write the folder's name where the name is the same but for case, white space and underscores."""
    name = draft.fields.get("name")
    folder = draft.folder
    if not isinstance(name, str) or not folder or not is_name(folder) or not draft.is_single("name"):
        return
    if name == folder or _slug(name) != folder:
        return
    draft.lines[draft.index("name")] = f"name: {_scalar(folder)}"


def _stripped_name(draft: _Lines) -> None:
    name = draft.fields.get("name")
    if isinstance(name, str) and name.strip() and name != name.strip() and draft.is_single("name"):
        draft.lines[draft.index("name")] = f"name: {_scalar(name.strip())}"


def _proper_keys(draft: _Lines) -> None:
    """Write a field's own key where a near one stands, as ``allowed_tools``."""
    for key in draft.fields:
        proper, start = _proper_key(key), draft.index(key)
        if proper != key and proper not in draft.fields and draft.lines[start].startswith(f"{key}:"):
            draft.lines[start] = proper + draft.lines[start][len(key) :]
            renamed = _Lines(draft.joined(), draft.folder)
            _one_line_of_tools(renamed)
            draft.lines = renamed.lines
            return


def _moved_keys(draft: _Lines) -> None:
    """Move a key that only describes under ``metadata``."""
    metadata = draft.fields.get("metadata")
    for key in MOVED:
        value = draft.fields.get(key)
        if not isinstance(value, str) or not value.strip() or not draft.is_single(key):
            continue
        if isinstance(metadata, Table) and str(metadata.get(key)) == str(value):
            del draft.lines[draft.index(key)]
        elif "metadata" not in draft.fields:
            entry = ["metadata:", f"  {key}: {_scalar(value)}"]
            draft.lines[draft.index(key) : draft.index(key) + 1] = entry
        elif not _put(draft, metadata, key, value):
            continue
        break


def _put(draft: _Lines, metadata: Any, key: str, value: str) -> bool:
    """Move a field to the end of a ``metadata`` block; return whether there is one that has no such key."""
    start, end = draft.span("metadata")
    if draft.lines[start].rstrip() != "metadata:" or not isinstance(metadata, Table | None) or key in (metadata or {}):
        return False
    below = draft.lines[draft.index(next(iter(metadata)), metadata)] if metadata else "  "
    indentation = below[: len(below) - len(below.lstrip(" "))]
    old = draft.index(key)
    draft.lines.insert(end, f"{indentation}{key}: {_scalar(value)}")
    del draft.lines[old + (old >= end)]
    return True


def _quoted_numbers(draft: _Lines) -> None:
    """Put quotes around fields and entries of ``metadata`` that read as numbers or booleans."""
    metadata = draft.fields.get("metadata")
    tables = [draft.fields, metadata] if isinstance(metadata, Table) else [draft.fields]
    for table in tables:
        for key, value in table.items():
            index = draft.index(key, table)
            line = draft.lines[index]
            if isinstance(value, PlainScalar) and TYPED.match(value) and _is_pair(line, key, value):
                draft.lines[index] = line[: line.index(":") + 1] + f" {_scalar(value)}"


def _is_pair(line: str, key: str, value: str) -> bool:
    return line.strip().startswith(f"{key}:") and line.strip()[len(key) + 1 :].strip() == value


def _one_line_of_tools(draft: _Lines) -> None:
    value = draft.fields.get("allowed-tools")
    tools = _tools(value)
    if tools is None:
        return
    start, end = draft.span("allowed-tools")
    if isinstance(value, str) and "," not in value:
        return
    if "#" not in "".join(draft.lines[start:end]):
        draft.lines[start:end] = [f"allowed-tools: {_scalar(' '.join(tools))}"]


def _block_metadata(draft: _Lines) -> None:
    """Write ``metadata: {a: b}`` as one entry a line."""
    metadata = draft.fields.get("metadata")
    if not isinstance(metadata, Table) or not metadata or not draft.is_single("metadata"):
        return
    if not all(isinstance(value, str) for value in metadata.values()):
        return
    start = draft.index("metadata")
    entries = [f"  {_scalar(key)}: {_scalar(value)}" for key, value in metadata.items()]
    draft.lines[start : start + 1] = ["metadata:", *entries]


def _without_empty(draft: _Lines) -> None:
    for key in ("license", "compatibility"):
        if key in draft.fields and draft.fields[key] in (None, "") and draft.is_single(key):
            del draft.lines[draft.index(key)]
            break


def _scalar(value: str) -> str:
    """Write text as a YAML scalar: plain where every reader gives the same text, else in double quotes."""
    plain = str(value)
    if _PLAIN.fullmatch(plain) and plain.lower() not in _WORDS:
        return plain
    text = json.dumps(plain, ensure_ascii=False)
    try:
        same = read_yaml(f"x: {text}")["x"] == plain
    except DocumentError:
        same = False
    return text if same else json.dumps(plain)


_PLAIN = re.compile(r"[A-Za-z](?:(?:[A-Za-z0-9 ().*,/_-]|:(?=\S))*[A-Za-z0-9).*])?")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})  # typed in YAML 1.1

_OF_TEXT: tuple[Callable[[str], str], ...] = (_without_mark, _line_feeds, _from_the_fence, _quotes)
_OF_FIELDS: tuple[Callable[[_Lines], None], ...] = (
    _folder_name,
    _stripped_name,
    _proper_keys,
    _block_metadata,
    _moved_keys,
    _quoted_numbers,
    _one_line_of_tools,
    _without_empty,
)
