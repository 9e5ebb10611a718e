"""The built-in plugin: the skill hooks out of plain files, so that most skills need no Python at all.

It reads data only, so it may run in skillpm's own process as well as in a worker.
"""

from __future__ import annotations

from collections.abc import Iterable

from skillpm.contract.rewards import BUILTIN
from skillpm.hookspecs import hookimpl
from skillpm.model.contract import Tool
from skillpm.model.skill import Skill
from skillpm.model.suite import Suite
from skillpm.model.verdict import RewardFunction
from skillpm.runtime.skillfiles import SkillFiles

CONVENTIONS = "conventions"  # the name under which it is registered


class Conventions:
    """contract.yaml gives tools and rewards, suites/*.yaml give suites; synthesis.yaml is read by the catalogue."""

    @hookimpl
    def skillpm_tools(self, skill: Skill) -> Iterable[Tool]:
        """Return the tools of contract.yaml."""
        contract = SkillFiles(skill).contract()
        return [] if contract is None else list(contract.tools.values())

    @hookimpl
    def skillpm_rewards(self, skill: Skill) -> Iterable[RewardFunction]:
        """Return the rewards that every verdict allows."""
        return BUILTIN

    @hookimpl
    def skillpm_suites(self, skill: Skill) -> Iterable[Suite]:
        """Return the suites with their tasks inline."""
        return SkillFiles(skill).suites()
