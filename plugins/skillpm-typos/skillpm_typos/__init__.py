"""A synthesis rule for skillpm: the requests of seeds with the slips of people who type in haste."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from skillpm.plugin import hookimpl

if TYPE_CHECKING:
    from skillpm.plugin import Skill, SynthesisRule


@hookimpl
def skillpm_synthesis_rules(skill: Skill) -> Iterable[SynthesisRule]:
    """Return the rule; imported here, because most commands never ask for it."""
    from skillpm_typos.rule import Typos

    return [Typos(skill.name)]
