"""``skillpm plugins``: the loaded plugins and their origins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skillpm.model.skill import Skill
from skillpm.runtime.collect import Failure
from skillpm.runtime.host import Host
from skillpm.runtime.plugins import Loaded
from skillpm.runtime.skillfiles import SkillFiles


@dataclass(frozen=True, slots=True)
class PluginsReport:
    """The plugins in skillpm's own process, the installed skills with code, and the failures to load."""

    loaded: tuple[Loaded, ...]
    skills: tuple[tuple[Skill, tuple[str, ...]], ...]
    failures: tuple[Failure, ...]

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "plugins": [
                {
                    "name": item.name,
                    "source": item.source,
                    "hooks": item.hooks,
                    "seconds": round(item.seconds, 6),
                    "failures": item.failures,
                }
                for item in self.loaded
            ],
            "skills": [
                {"name": skill.name, "version": skill.version, "tree": skill.tree, "code": files}
                for skill, files in self.skills
            ],
            "failures": self.failures,
        }


def plugins_report(host: Host, skills: Sequence[Skill]) -> PluginsReport:
    """Return the plugins of a host and the code of skills, which runs in workers and is not loaded here."""
    coded = tuple((skill, tuple(files)) for skill in skills if (files := SkillFiles(skill).code()))
    return PluginsReport(tuple(host.loaded()), coded, tuple(host.failures))
