"""What a person who has looked lets in: ``RULE`` for every skill of one command, ``SKILL:RULE`` for one skill.

Beside the rules of the scan there is ``QUARANTINED``: a locked release that its registry holds under suspicion.

It is said each time and written nowhere that travels: a lock or a project file comes from whoever wrote the repository,
and must not be able to vouch for its own skills. What was once let in stands in this machine's store, so the same bytes
are not asked about again here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from skillpm.errors import UnknownSkillError, UsageError
from skillpm.layout.scan import ALLOWABLE
from skillpm.model.finding import Report
from skillpm.model.name import did_you_mean

QUARANTINED = "QUARANTINED"
_NAMED = 8  # skills in a hint


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a person lets in, and what a policy refuses unless it is let in.

    Attributes:
        pairs: a skill's name, empty for every skill, and a rule's code.
        refused: codes of warnings that refuse a skill.
    """

    pairs: frozenset[tuple[str, str]] = frozenset()
    refused: frozenset[str] = frozenset()

    @classmethod
    def of(cls, texts: Iterable[str]) -> Allowance:
        """Read what was typed. Raises UsageError if a rule is unknown, or none that can be let in."""
        pairs = [(skill, code.upper()) for skill, _, code in (text.rpartition(":") for text in texts)]
        for _, code in pairs:
            if code not in ALLOWABLE and code != QUARANTINED:
                is_code = code[:2] == "SK" and code[2:].isdigit()  # a number is not a slip for another
                near = "" if is_code else did_you_mean(code, [*sorted(ALLOWABLE), QUARANTINED])
                rest = "`skillpm scan --rules` lists them; an error of another rule must be mended"
                raise UsageError(f"`{code[:80]}` is not a rule that can be allowed", hint=f"{near} {rest}".lstrip())
        return cls(frozenset(pairs))

    @property
    def skills(self) -> tuple[str, ...]:
        """The names of single skills, in order."""
        return tuple(sorted({skill for skill, _ in self.pairs if skill}))

    def codes(self, name: str) -> frozenset[str]:
        """Return the rules that are let in for a skill."""
        return frozenset(code for skill, code in self.pairs if skill in ("", name))

    def judged(self, report: Report, name: str) -> Report:
        """Return a skill's report as it counts here."""
        codes = self.codes(name)
        return report.refusing(self.refused - codes).letting(codes)


NOTHING = Allowance()


def refuse_unmet(names: Iterable[str], known: Collection[str]) -> None:
    """Raise UnknownSkillError where an option is about a skill that the command has nothing to do with."""
    for name in names:
        if name not in known:
            those = f"it has {', '.join(sorted(known)[:_NAMED])}" if known else "it has no skills"
            raise UnknownSkillError(
                f"no skill `{name[:80]}` is part of this command", hint=did_you_mean(name, known, those)
            )
