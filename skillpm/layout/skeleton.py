"""The files of a new skill: small, whole and working, so that an author changes what runs instead of filling gaps."""

from __future__ import annotations

import importlib.resources
import string
from enum import StrEnum


class Kind(StrEnum):
    """What a new skill answers with."""

    CLI = "cli"  # a command line
    API = "api"  # a call of an API
    SQL = "sql"  # a query
    TEXT = "text"  # what it reads out of a text


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


def skeleton(name: str, kind: Kind = Kind.CLI, *, minimal: bool = False) -> dict[str, bytes]:
    """Return the files of a new skill by path; if it is ``minimal``, only SKILL.md, which has nothing to train on."""
    templates = importlib.resources.files("skillpm.layout").joinpath("templates", kind)
    files = {}
    for path in MINIMAL if minimal else COMPLETE:
        template = templates.joinpath(f"{path}.template").read_text(encoding="utf-8")
        files[path] = string.Template(template).substitute(name=name).encode("utf-8")
    return files
