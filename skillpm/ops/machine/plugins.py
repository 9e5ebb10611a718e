"""``skillpm plugins``: the loaded plugins and their origins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skillpm.model.skill import Skill
from skillpm.runtime.collect import Failure
from skillpm.runtime.host import Host
from skillpm.runtime.plugins import Loaded
from skillpm.runtime.skillfiles import SkillFiles


@dataclass(frozen=True, slots=True)
class CodedSkill:
    """An installed skill with the files of its code."""

    name: str
    version: str
    tree: str
    code: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PluginsReport:
    """The plugins in skillpm's own process, the installed skills with code, and the failures to load."""

    plugins: tuple[Loaded, ...]
    skills: tuple[CodedSkill, ...]
    failures: tuple[Failure, ...]


def plugins_report(host: Host, skills: Sequence[Skill]) -> PluginsReport:
    """Return the plugins of a host and the code of skills, which runs in workers and is not loaded here."""
    coded = ((skill, tuple(SkillFiles(skill).code())) for skill in skills)
    listed = tuple(CodedSkill(skill.name, skill.version, skill.tree, files) for skill, files in coded if files)
    return PluginsReport(tuple(host.loaded()), listed, tuple(host.failures))
