"""Values that people give to options, by what the name or the place holder of an option says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from skillpm.model.nouns import nouns
from skillpm.programs.words import words

_WORDS = words()
_PARTS: dict[str, Any] = _WORDS["parts"]
_HINTS = tuple((kind, re.compile(rf"(?:{hint})s?\d*$")) for kind, hint in _WORDS["hints"].items())
_PATTERNS = {part: re.compile(text) for part, text in _WORDS["patterns"].items()}
_POOLS: dict[str, tuple[Any, list[Any]]] = {
    kind: (item["pool"], item["fresh"]) for kind, item in _WORDS["pools"].items()
}
_NOUNS: list[str] = _WORDS["fresh_nouns"]
_NO_FILE = re.compile(
    r"\b(?:(?:the )?output |change .*)?(?:list|columns?|fields?|format|mode|style|level|types?|when|expression)\b"
)
GENERIC = frozenset(_WORDS["generic"].split())
_STEP, _FEW = 11, 8
_SLOT = re.compile(r"\{(\w+)\}")
_NUMBERS = {"integer": "count", "number": "number"}


def kind_of(name: str, label: str, kind: str, text: str) -> str:
    """Return the kind of values that an option takes; ``word`` where nothing tells it.

    The last word decides: an ``output-delimiter`` is not a file. ``label`` stands for the value, such as ``FILE``;
    ``kind`` is what its reader says, and ``text`` what is said of it.
    """
    if kind in ("glob", "regexp"):
        return kind
    label = re.sub(r"\[[^\[\]]*\]", "", label)  # `[USER@]HOST`
    words = [re.sub(r"[_/-]+", " ", part.lower()).strip() for part in (name, label.strip("<>"))]
    if re.fullmatch(r"<?\w+[:/]\w+>?", label):  # `--user <user:password>`: one of the two alone is not right
        return "word"
    if kind in _NUMBERS:
        return "port" if re.search(r"\bport\b", words[0]) else _NUMBERS[kind]
    said, own = _hint(words[0]), _hint(words[1])
    is_unknown = label.isupper() and len(label) > 2 and not own and words[1] not in GENERIC
    if said in ("folder", "name") and is_unknown:  # `--target=BFDNAME`, `--key=KEYDEF`
        said = ""
    is_clear = own not in ("", "name", "path", "tag")  # `--reedit-message COMMIT`
    chosen = (own if is_clear else said or own) or "word"
    if chosen == "word" and re.match(
        r"(?:the |source |input )*file(?:s|\(s\))? (?:and|or|and/or) (?:director|folder)", text.lower()
    ):
        return "path"
    if kind in ("path", "folder"):
        return chosen if chosen in ("path", "folder", "reference", "url") else kind
    if chosen in ("path", "folder") and (any(map(_NO_FILE.search, words)) or _NO_FILE.match(text.lower())):
        return "word"  # `--output <list>`: columns
    if chosen == "url" and words[0].endswith(" name"):  # `--remote-name`
        return "name"
    if chosen in ("glob", "regexp"):
        is_open = not words[1] or words[1] in GENERIC  # not `--exclude <thing>`, nor `--ignore <list>` of error codes
        is_of_files = not _PATTERNS["named"].search(words[0]) or _PATTERNS["files"].search(text.lower())
        is_pattern = own in ("glob", "regexp") or (is_open and is_of_files)
        return _pattern(" ".join(words), text.lower()) if is_pattern else "word"
    return "word" if chosen == "port" else chosen  # ports are numbers, and this is not one


def _pattern(words: str, text: str) -> str:
    """Return which patterns an option takes: globs of `--include=GLOB`, regular expressions of `--regexp=PATTERN`.

    Where nothing tells, or both are named, it is ``pattern``: plain words, which are right as either.
    ``words`` are its name and its place holder.
    """
    if re.search(r"\b(?:number|id)s?\b", text):
        return "word"  # `--exclude <list>`: major numbers
    for said in (words, text):
        kinds = [kind for kind in ("regexp", "glob") if _PATTERNS[kind].search(said)]
        if kinds:
            return kinds[0] if len(kinds) == 1 else "pattern"
    is_of_files = _PATTERNS["named"].search(words)
    return "glob" if is_of_files or _PATTERNS["said"].search(text) else "pattern"


def _hint(words: str) -> str:
    """Return the kind that the last word tells, or the one before ``name``; empty for none."""
    head = re.sub(r"(?<=\w)(?: (?:name|value|string|text|id|arg|argument|spec))+$", "", words)
    return next((pool for text in (head, words) for pool, hint in _HINTS if hint.search(text)), "")


def pool(kind: str) -> dict[str, dict[str, Any]]:
    """Return the pools that a kind needs, by name, as synthesis.yaml writes them; the first is its own."""
    values = _POOLS[kind][0]
    if isinstance(values, str):
        return {kind: {"template": values}, **{part: _pool_of(part) for part in _SLOT.findall(values)}}
    return {kind: {"integers": values} if kind in ("port", "count") else {"choice": values}}


def _pool_of(part: str) -> dict[str, Any]:
    item = _PARTS[part]
    return item if isinstance(item, dict) else {"choice": item}


def examples(kind: str) -> list[Any]:
    """Return a few values of the pool of a kind."""
    values = _POOLS[kind][0]
    if isinstance(values, str):
        return list(dict.fromkeys(_nth(values, turn) for turn in range(_FEW)))
    return list(range(3, 60, 8)) if kind == "count" else [2024, 8080, 3000, 5432] if kind == "port" else values[:_FEW]


def fresh(kind: str) -> list[Any]:
    """Return values that the pool of a kind does not have, for suites and seeds; first each form that they have."""
    forms = _POOLS[kind][1]
    if not any("{noun}" in str(form) for form in forms):
        return forms
    return list(dict.fromkeys(form.replace("{noun}", noun) for form, noun in zip(cycle(forms), _NOUNS, strict=False)))


def _nth(template: str, turn: int) -> str:
    """Fill a template with parts, other ones each turn: no list of parts has a length that the step divides."""

    def filled(slot: re.Match[str]) -> str:
        texts: Sequence[str] = _pool_of(slot[1]).get("choice") or nouns()
        return texts[(turn * _STEP + len(slot[1])) % len(texts)]

    return _SLOT.sub(filled, template)
