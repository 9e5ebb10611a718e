"""The nouns that a pool with ``words: nouns`` draws from: common ones of English, in lower case.

Names that are made of many words teach a model to copy a name; of names made of few words it learns the words.
"""

from __future__ import annotations

import functools
import importlib.resources


@functools.cache
def nouns() -> tuple[str, ...]:
    """Return the nouns, in alphabetical order."""
    return tuple(importlib.resources.files("skillpm.model").joinpath("nouns.txt").read_text(encoding="ascii").split())
