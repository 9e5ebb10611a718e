"""The files of a new skill: small, whole and working, so that an author changes what runs instead of filling gaps."""

from __future__ import annotations

import importlib.resources
import string

COMPLETE = (
    "CHANGELOG.md",
    "README.md",
    "SKILL.md",
    "cases.jsonl",
    "contract.yaml",
    "seeds/examples.jsonl",
    "skill.yaml",
    "suites/core.yaml",
    "synthesis.yaml",
)
MINIMAL = ("SKILL.md",)


def skeleton(name: str, *, minimal: bool = False) -> dict[str, bytes]:
    """Return the files of a new skill by path.

    Args:
        name: the skill's name, already checked.
        minimal: only SKILL.md, which makes a skill that installs and has nothing to train on.
    """
    templates = importlib.resources.files("skillpm.layout").joinpath("templates")
    files = {}
    for path in MINIMAL if minimal else COMPLETE:
        template = templates.joinpath(f"{path}.template").read_text(encoding="utf-8")
        files[path] = string.Template(template).substitute(name=name).encode("utf-8")
    return files
