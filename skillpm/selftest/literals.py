"""The texts that stand in a skill's code: a verifier that pays for a word of its own has to hold that word somewhere.

The code is parsed and never run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from skillpm.runtime.skillfiles import SkillFiles

MAX_FILE = 1 << 18  # bytes
MAX_TEXTS = 48
_LENGTHS = range(2, 200)


def code_texts(files: SkillFiles) -> list[str]:
    """Return the texts in the code of a skill, each once, in their order; what cannot be parsed has none."""
    texts: dict[str, None] = {}
    for name in [*files.code(), *files.modules()] if files.code() else ():
        path = files.skill.root / name
        if path.stat().st_size <= MAX_FILE:
            texts.update(dict.fromkeys(_texts(path)))
    return list(texts)[:MAX_TEXTS]


def _texts(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value.strip()) in _LENGTHS:
            yield node.value.strip()
