"""The content-addressed store: ``tree-v1/<digest>/`` holds the files of the tree with that digest."""

from __future__ import annotations

from pathlib import Path

__all__ = ["Store"]


class Store:
    """Unpacked trees by digest."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Return where the tree of this digest is, or would be."""
        return self.root / "tree-v1" / digest
