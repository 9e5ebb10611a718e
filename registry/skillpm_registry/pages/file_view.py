"""What the page of one file shows."""

from __future__ import annotations

import hashlib
from typing import Any

from skillpm.layout.tree import Tree
from skillpm_registry.pages.difference import text_of
from skillpm_registry.pages.markdown import visible

_LINES, _TEXT = 5000, 1 << 20  # lines and bytes of a file that is shown


def file_values(tree: Tree, path: str, **about: Any) -> dict[str, Any]:
    """Return the values of the page of a file.

    Args:
        tree: of its release.
        path: of the file in it.
        about: ``name``, ``version``, and the address ``back`` to the release.

    Raises:
        SkillpmError: the tree has no such file.
    """
    data = tree.read(path)
    text = text_of(data) if len(data) <= _TEXT else None
    lines = visible(text).splitlines() if text is not None else None
    return {
        **about, "file": path, "size": len(data), "executable": tree.executable(path),
        "digest": hashlib.sha256(data).hexdigest(), "lines": lines[:_LINES] if lines is not None else None,
        "left": max(0, len(lines or ()) - _LINES),
    }  # fmt: skip
