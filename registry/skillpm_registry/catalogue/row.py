"""A skill as the index has it: the release by which it is listed, and what that one's files say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skillpm.model.name import as_seen
from skillpm_registry.catalogue.facts import Facts
from skillpm_registry.catalogue.port import Value

_PLAIN = ("name", "version", "summary", "published", "releases", "usable", "archive", "served", "size", "signed",
          "adapter")  # fmt: skip
ROW = ", ".join((*_PLAIN, "facts"))
"""The columns from which a row is made."""


@dataclass(frozen=True, slots=True)
class Row:
    """A skill at a glance: what lists show.

    Attributes:
        version: of the release by which the skill is listed.
        published: ISO 8601, or empty.
        usable: may that release be chosen anew?
        served: the hex SHA-256 of its archive's bytes as they are served.
        adapter: is it a trained adapter?
    """

    name: str
    version: str
    summary: str
    published: str
    releases: int
    usable: bool
    archive: str
    served: str
    size: int
    signed: bool
    adapter: bool
    facts: Facts

    @property
    def for_others(self) -> bool:
        """May other skill managers have it? They know no adapters."""
        return self.usable and not self.adapter and not self.facts.problem

    @classmethod
    def of(cls, values: tuple[Any, ...]) -> Row:
        """Return the row of the columns ``ROW``."""
        plain = dict(zip(_PLAIN, values, strict=False))
        truths = {name: bool(plain[name]) for name in ("usable", "signed", "adapter")}  # SQLite has numbers
        return cls(**plain | truths, facts=Facts.of_text(values[-1]))

    def columns(self) -> dict[str, Value]:
        """Return what the index stores of it, with what filters and lists look at."""
        owner, _, last = self.name.rpartition("/")
        facts = self.facts
        found = {"verifier": facts.verified, "suite": bool(facts.suites), "measured": bool(facts.measured)}
        found |= {"network": facts.network, "programs": bool(facts.run)}
        plain = {name: getattr(self, name) for name in _PLAIN}
        part = owner or last
        compared = {"part": part, "turned": part[::-1], "seen": as_seen(part)}  # with new names, by ``look_alike``
        return {**plain, **found, **compared, "owner": owner, "last": last, "facts": facts.text()}
