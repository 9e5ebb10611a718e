"""The folder of the bundled skills: ``skillpm/_bundled`` in a wheel, ``skills/`` in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def bundled_root() -> Path:
    """Return the parent folder of the bundled skills."""
    inside = _PACKAGE / "_bundled"
    return inside if inside.is_dir() else _PACKAGE.parent / "skills"


def bundled_skills() -> dict[str, Path]:
    """Return the folders of the bundled skills, by name."""
    root = bundled_root()
    if not root.is_dir():
        return {}
    return {path.name: path for path in sorted(root.iterdir()) if (path / "SKILL.md").is_file()}
