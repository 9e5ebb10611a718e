"""The texts that stand in a skill's code: a verifier that pays for a word of its own has to hold that word somewhere.

The code is compiled and never run.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

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


def _texts(path: Path) -> list[str]:
    # compiled and not parsed alone: the compiler joins the pieces of a text, and warns of code that is not ours
    with (
        contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError),
        warnings.catch_warnings(action="ignore"),
    ):
        return [*_constants(compile(path.read_bytes(), path.name, "exec", dont_inherit=True))]
    return []


def _constants(value: object) -> Iterator[str]:
    """Yield the texts among the constants of code, in its functions too."""
    if isinstance(value, str) and len(value.strip()) in _LENGTHS:
        yield value.strip()
    items = value.co_consts if isinstance(value, CodeType) else value if isinstance(value, tuple) else ()
    if isinstance(value, frozenset):  # whose own order is another one in each process
        items = tuple(sorted(value, key=repr))
    for item in items:
        yield from _constants(item)
