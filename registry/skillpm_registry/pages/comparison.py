"""Two skills side by side: what a person weighs before choosing one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from skillpm_registry.pages.skill import Shown


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that both skills are asked for; ``differs`` marks the lines to look at."""

    title: str
    left: str
    right: str

    @property
    def differs(self) -> bool:
        """Do the two differ?"""
        return self.left != self.right


def lines(left: Shown, right: Shown) -> list[Line]:
    """Return the comparison of two skills."""
    return [Line(title, one, other) for (title, one), (_, other) in zip(_facts(left), _facts(right), strict=True)]


def _facts(skill: Shown) -> Iterator[tuple[str, str]]:
    release, facts = skill.release, skill.content.facts
    yield "Version", release.version
    yield "State", skill.state
    yield "Published", (release.published or "")[:10] or "unknown"
    yield "Releases", f"{len(skill.releases):,}"
    yield "Downloads", f"{sum(skill.downloads.values()):,}"
    yield "Required by", f"{len(skill.dependants):,}"
    yield "Requires", ", ".join(sorted(release.requires)) or "nothing"
    yield "Size", f"{sum(file.size for file in skill.content.files):,} bytes in {len(skill.content.files):,} files"
    for mark in (mark for mark in skill.marks if mark.title not in ("Licence", "Signature")):
        yield mark.title, "yes" if mark.has else "no"
    yield "Tasks in suites", f"{sum(facts.suites.values()):,}"
    yield "Tools", ", ".join(sorted(facts.tools)) or "none"
    yield "Network", "asks for it" if facts.network else "no"
    yield "Programs", ", ".join(facts.run) or "none"
    yield "Licence", facts.license or "not stated"
    yield "Signed by", skill.key or "nobody"
