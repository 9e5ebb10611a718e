"""A path as a person types it."""

from __future__ import annotations

import os
from pathlib import Path


def typed_path(text: str) -> Path:
    """Return the path of a text. ``~`` is the home folder; a ``~name`` stays as it is if no user has the name."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  Path raises an error if there is no such home
