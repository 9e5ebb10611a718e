"""Warnings about many skills, grouped by rule and told in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

_NAMED = 3  # skills in one warning


def grouped(seen: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one sentence for each rule that warns, out of the codes of each skill."""
    if not any(seen.values()):
        return []
    from skillpm.layout.check import RULES

    titles = {rule.code: rule.title for rule in RULES}
    skills: dict[str, list[str]] = defaultdict(list)
    for name in sorted(seen):
        for code in seen[name]:
            skills[code].append(name)
    return [
        f"{_who(skills[code])}: {titles.get(code, 'see `skillpm validate --rules`')} ({code})"
        for code in sorted(skills)
    ]


def _who(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} skills ({', '.join(names[:_NAMED])}{more})"
