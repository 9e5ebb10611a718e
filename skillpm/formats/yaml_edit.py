"""Changes single entries in the text of a project file and keeps every other character.

The places to change are found with the marks of the YAML parser. After each change the new text is read again, and
must mean exactly what was meant; else nothing is changed, and the person is told what to write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from skillpm.errors import DocumentError
from skillpm.formats.strict_yaml import read_yaml

Value = str | Mapping[str, str]  # a specifier, or the keys of a requirement
INDENT = "  "
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*\Z")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", ".", ".inf", ".nan"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """One key of a mapping: offsets of its key, and of its value up to the last character that says something."""

    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class _Section:
    """A mapping of the document: its offsets, its style, its entries by key, and the column of its keys."""

    start: int
    end: int
    flow: bool
    entries: dict[str, _Entry]
    column: int


def new_project_text(
    requires: Mapping[str, Value],
    registries: Mapping[str, str] | None = None,
    agents: tuple[str, ...] = (),
    link: str = "",
) -> str:
    """Return a new project file."""
    text = "project: 1\n"
    text += "\nrequires:" + (" {}\n" if not requires else "\n")
    text += "".join(f"{INDENT}{name}: {_written(value)}\n" for name, value in sorted(requires.items()))
    if registries:
        text += "\n# asked in this order, then the skills that ship with skillpm\nregistries:\n"
        text += "".join(f"{INDENT}{name}: {_written_plain(place)}\n" for name, place in registries.items())
    if agents:
        text += f"\nagents: [{', '.join(agents)}]\n"
    if link:
        text += f"\nlink: {link}\n"
    return text


def with_entry(text: str, section: str, key: str, value: Value) -> str:
    """Return the text with an entry of a top-level mapping set: changed where it stands, else added at its end.

    Raises:
        DocumentError: the text is written in a way that cannot be changed safely; the hint says what to write.
    """
    written = _written_plain(value) if isinstance(value, str) and section == "registries" else _written(value)
    mapping = _section(text, section)
    newline = "\r\n" if "\r\n" in text else "\n"
    if mapping is None:
        gap = "" if not text or text.endswith("\n") else newline
        changed = f"{text}{gap}{newline}{section}:{newline}{INDENT}{key}: {written}{newline}"
    elif key in mapping.entries:
        entry = mapping.entries[key]
        changed = f"{text[: entry.value]}{_spaced(text, entry.value)}{written}{text[entry.end :]}"
    elif not mapping.entries:
        changed = f"{text[: mapping.start].rstrip(' ')}{newline}{INDENT}{key}: {written}{text[mapping.end :]}"
    elif mapping.flow:
        last = max(entry.end for entry in mapping.entries.values())
        changed = f"{text[:last]}, {key}: {written}{text[last:]}"
    else:
        last = _line_end(text, max(entry.end for entry in mapping.entries.values()))
        gap = "" if text[:last].endswith("\n") else newline
        changed = f"{text[:last]}{gap}{' ' * mapping.column}{key}: {written}{newline}{text[last:]}"
    wanted = {**_entries(text, section), key: value}
    return _sure(text, changed, section, wanted, f"write `{key}: {written}` under `{section}` yourself")


def with_items(text: str, key: str, items: Sequence[str]) -> str:
    """Return the text with these items at the end of a top-level list, which is made if there is none.

    Raises:
        DocumentError: the text is written in a way that cannot be changed safely; the hint says what to write.
    """
    if not items:
        return text
    node = next((value for name, value in _pairs(text) if name.value == key), None)
    newline = "\r\n" if "\r\n" in text else "\n"
    written = ", ".join(map(_written_plain, items))
    if node is None:
        gap = "" if not text or text.endswith("\n") else newline
        changed = f"{text}{gap}{newline}{key}: [{written}]{newline}"
    elif not isinstance(node, yaml.SequenceNode) or not node.value:
        start, end = node.start_mark.index, node.end_mark.index
        changed = f"{text[:start]}{_spaced(text, start)}[{written}]{text[end:]}"
    elif node.flow_style:
        last = _last(node.value[-1])
        changed = f"{text[:last]}, {written}{text[last:]}"
    else:
        last = _line_end(text, _last(node))
        gap, dash = "" if text[:last].endswith("\n") else newline, " " * node.start_mark.column + "- "
        changed = text[:last] + gap + "".join(f"{dash}{_written_plain(item)}{newline}" for item in items) + text[last:]
    before = _meaning(text).get(key)
    wanted = [*(before if isinstance(before, list) else ()), *items]
    return _sure(text, changed, key, wanted, f"add {written} to `{key}` yourself")


def without_entry(text: str, section: str, key: str) -> str:
    """Return the text without an entry of a top-level mapping; a text that does not have it is returned as it is.

    Raises:
        DocumentError: the text is written in a way that cannot be changed safely; the hint says what to do.
    """
    mapping = _section(text, section)
    if mapping is None or key not in mapping.entries:
        return text
    entry = mapping.entries[key]
    if len(mapping.entries) == 1:
        if mapping.flow:
            changed = f"{text[: mapping.start]}{{}}{text[mapping.end :]}"
        else:
            head, tail = text[: _line_start(text, entry.start)], text[_line_end(text, entry.end) :]
            colon = _section_colon(text, section)
            changed = f"{text[:colon]} {{}}{head[colon:]}{tail}"
    elif mapping.flow:
        after = re.compile(r"\s*,\s*").match(text, entry.end)
        before = re.compile(r"\s*,\s*\Z").search(text[: entry.start])
        start, end = (entry.start, after.end()) if after else (before.start() if before else entry.start, entry.end)
        changed = text[:start] + text[end:]
    else:
        changed = text[: _line_start(text, entry.start)] + text[_line_end(text, entry.end) :]
    wanted = {name: value for name, value in _entries(text, section).items() if name != key}
    return _sure(text, changed, section, wanted, f"remove `{key}` under `{section}` yourself")


def _written(value: Value) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "{" + ", ".join(f"{key}: {_written_plain(item)}" for key, item in value.items()) + "}"


def _written_plain(text: str) -> str:
    plain = _PLAIN.match(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _spaced(text: str, offset: int) -> str:
    """Return the space that is missing between a colon and what follows it."""
    return " " if text[:offset].endswith(":") else ""


def _section(text: str, name: str) -> _Section | None:
    """Return a top-level mapping; the text has been read strictly before, so it is YAML and a mapping."""
    node = next((value for key, value in _pairs(text) if key.value == name), None)
    if node is None:
        return None
    if not isinstance(node, yaml.MappingNode):  # a key without a value
        return _Section(node.start_mark.index, node.end_mark.index, True, {}, 0)
    entries = {
        key.value: _Entry(key.start_mark.index, value.start_mark.index, _last(value)) for key, value in node.value
    }
    column = node.value[0][0].start_mark.column if node.value else 0
    return _Section(node.start_mark.index, node.end_mark.index, bool(node.flow_style), entries, column)


def _section_colon(text: str, name: str) -> int:
    key = next(key for key, _ in _pairs(text) if key.value == name)
    return text.index(":", key.end_mark.index) + 1


def _pairs(text: str) -> list[tuple[yaml.Node, yaml.Node]]:
    """Return the keys and values of the document, with their marks."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return list(root.value) if isinstance(root, yaml.MappingNode) else []


def _last(node: yaml.Node) -> int:
    """Return the offset after the last character of a value; a block's own end mark lies beyond its comments."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    tail = node.value[-1]
    return _last(tail[1] if isinstance(tail, tuple) else tail)


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end + 1


def _entries(text: str, section: str) -> dict[str, object]:
    mapping = _meaning(text).get(section)
    return dict(mapping) if isinstance(mapping, dict) else {}


def _meaning(text: str) -> dict[str, object]:
    root = read_yaml(text)
    return dict(root) if isinstance(root, dict) else {}


def _sure(text: str, changed: str, section: str, wanted: object, hint: str) -> str:
    """Return the changed text where it means what was meant, and nothing else has changed its meaning."""
    try:
        after = _meaning(changed)
    except DocumentError:
        after = {}
    before = {**_meaning(text), section: wanted}
    if after != before:
        message = f"`{section}` is written in a way that cannot be changed safely"
        raise DocumentError(message, path="skillpm.yaml", hint=hint)
    return changed
