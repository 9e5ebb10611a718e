"""The contract between skillpm and what extends it.

HOOKS_VERSION rises when a hook is removed or changes its meaning; ``hooks:`` in skill.yaml says for which one a
skill's plugin.py was written. A hook takes only arguments without defaults (pluggy never passes those that have one)
and returns records that carry a name; two records of one name are an error that names both plugins.

``SkillHooks`` are implemented by a skill's plugin.py for itself and by ``runtime/conventions.py`` for every skill, and
run in the skill's worker process. ``HostHooks`` and ``EventHooks`` are implemented by distributions with an entry point
in the group ``skillpm`` and run in skillpm's own process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from skillpm.model.contract import Tool
    from skillpm.model.ports import Attempt, Index, SynthesisRule, Verifier
    from skillpm.model.reward import RewardFunction
    from skillpm.model.skill import Skill
    from skillpm.model.suite import Suite
    from skillpm.model.verdict import Judgement

__all__ = ["HOOKS_VERSION", "PROJECT", "EventHooks", "HostHooks", "SkillHooks", "hookimpl", "hookspec"]

PROJECT = "skillpm"
HOOKS_VERSION = 1
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class SkillHooks:
    """What a skill contributes. Called once for each skill when its worker starts."""

    @hookspec
    def skillpm_synthesis_rules(self, skill: Skill) -> Iterable[SynthesisRule]:
        """Return the rules that make tasks for this skill.

        Example: ``return [PortRule()]`` with ``PortRule.name = "ports"``; ``PortRule.tasks(seeds, seed)`` yields Tasks.
        versionadded: 1
        """
        return ()

    @hookspec(firstresult=True)
    def skillpm_verifier(self, skill: Skill) -> Verifier | None:
        """Return what judges this skill's answers; a skill's own wins over a host's, a host's over the convention.

        Example: ``return ShellVerifier()`` with ``verify(attempts) -> [Verdict, ...]``.
        versionadded: 1
        """

    @hookspec
    def skillpm_rewards(self, skill: Skill) -> Iterable[RewardFunction]:
        """Return named rewards; a trainer sees ``skill:name``.

        Example: ``return [RewardFunction("brevity", lambda task, episode, verdict: 1.0)]``
        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_suites(self, skill: Skill) -> Iterable[Suite]:
        """Return frozen evaluation suites with their tasks inline.

        Example: ``return [Suite(name="hard", tasks=(Seed(request="…", expected={…}),))]``
        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_tools(self, skill: Skill) -> Iterable[Tool]:
        """Return the tools that a correct answer may call.

        Example: ``return [Tool(name="dev", input_schema={"type": "object", "properties": {}})]``
        versionadded: 1
        """
        return ()


class HostHooks:
    """What a distribution contributes to every project on this machine."""

    @hookspec(firstresult=True)
    def skillpm_index(self, url: str) -> Index | None:
        """Return an Index for a URL whose scheme is not built in, or None.

        What ``skillpm.model.ports.Index`` promises is asked of it: ``made_here`` and ``remote`` too.

        Example: ``return OciIndex(url) if url.startswith("oci://") else None``
        versionadded: 1
        """

    @hookspec
    def skillpm_layout_rules(self) -> Iterable[Any]:
        """Return more layout rules: ``skillpm.layout.rule.Rule`` records whose codes do not begin with SK.

        Example: ``return [company_header]``, a function under the decorator ``skillpm.layout.rule.rule("ACME001", …)``
        versionadded: 1
        """
        return ()


class EventHooks:
    """Observers: results are ignored, arguments must not be changed, failures are reported and change nothing."""

    @hookspec
    def skillpm_installed(self, skill: Skill) -> None:
        """A skill has been installed and locked.

        Example: ``print(skill.name, skill.tree)``
        versionadded: 1
        """

    @hookspec
    def skillpm_scored(self, attempt: Attempt, judgement: Judgement) -> None:
        """An answer has been judged.

        Example: ``counter[judgement.verdict.status] += 1``
        versionadded: 1
        """

    @hookspec
    def skillpm_run_finished(self, run: Mapping[str, Any]) -> None:
        """A training run has written its manifest; ``run`` is that document.

        Example: ``upload(run["folder"])``
        versionadded: 1
        """
