"""CHANGELOG001: what changed in this version is told to those who install it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from skillpm.plugin import Problem, Subject, rule

CHANGELOG = "CHANGELOG.md"
MAX_CHANGELOG = 1 << 20  # bytes that are read


@rule(
    "CHANGELOG001",
    "a version without an entry in CHANGELOG.md",
    why="Who is offered an update cannot see what it changes.",
)
def unannounced_version(subject: Subject) -> Iterator[Problem]:
    """The version of skill.yaml must stand in a heading of CHANGELOG.md."""
    manifest = subject.manifest
    if manifest is None:
        return
    if CHANGELOG not in subject.files:
        yield Problem("the package has no CHANGELOG.md", path=CHANGELOG, hint=f"begin it with `## {manifest.version}`")
        return
    text = subject.tree.head(CHANGELOG, MAX_CHANGELOG).decode("utf-8", "replace")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    if not any(manifest.version in re.split(r"[\s\[\]()#v]+", line) for line in headings):
        hint = f"add a heading `## {manifest.version}` and say what changed"
        yield Problem(f"no heading names version {manifest.version}", path=CHANGELOG, hint=hint)
