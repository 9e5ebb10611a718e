"""The scan: those rules that look at what a tree holds, whatever SKILL.md says.

An install runs them with all others and fails closed: what they find refuses a skill until a person lets it in.
"""

from __future__ import annotations

from skillpm.layout.rule import Rule
from skillpm.layout.rules import content, files, publication, source, told

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (
            source.two_skill_files,
            source.unreadable_skill_file,
            source.nul_character,
            *files.RULES,
            *content.RULES,
            *told.RULES,
        ),
        key=lambda rule: rule.code,
    )
)

NO_ARCHIVE = frozenset({"SK402", "SK403", "SK404", "SK405", "SK407", "SK408", "SK409", "SK412", "SK430"})
"""The rules whose findings no archive can hold, whoever lets them in."""

TOLD = frozenset(rule.code for rule in told.RULES)
"""The rules of what agents are told: warnings, which a trust policy can make errors."""

_SCANNED = (*files.RULES, *content.RULES, *told.RULES, publication.secret_content)
ALLOWABLE = frozenset(rule.code for rule in _SCANNED) - NO_ARCHIVE
"""The rules whose findings a person who has looked may let in."""
