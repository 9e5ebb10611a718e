"""Families of tasks: the tasks of synthesis.yaml and the rules of a plugin, behind one face.

A family yields offers without end or until it has no more; None is a draw that came to nothing. Its chance depends on
the skill's name, the family, the side and the seed, and on nothing else: no path, no clock, no worker, no other family.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol

from skillpm.model.task import Seed, Split, Task, canonical_json
from skillpm.synth.offer import Offer
from skillpm.synth.sample import Sampler


class RuleRunner(Protocol):
    """Runs a rule of a skill's plugin, in the skill's worker."""

    def __call__(self, skill: str, rule: str, seeds: Sequence[Seed], *, seed: int, count: int) -> Sequence[Task]:
        """Return at most ``count`` tasks. Raises PluginError."""


@dataclass(frozen=True, slots=True)
class Family:
    """A source of offers.

    Attributes:
        weight: its part of the rows, against the other families of the skill.
        rejected: draws that came to nothing, counted by reason while they happen.
    """

    name: str
    weight: float
    offers: Iterator[Offer | None]
    rejected: Counter[str]


def random_of(*parts: object) -> random.Random:
    """Return a generator seeded by the digest of these parts."""
    digest = hashlib.sha256(canonical_json(list(parts)).encode("utf-8", "surrogatepass")).digest()
    return random.Random(int.from_bytes(digest))


def declared_family(sampler: Sampler, *, skill: str, split: Split, seed: int) -> Family:
    """Return a task of synthesis.yaml as a family."""
    rule = sampler.rule
    chance = random_of(skill, "rule", rule.name, split, seed).random
    return Family(rule.name, rule.weight, map(sampler.draw, repeat(chance)), sampler.rejected)


def plugin_family(
    run: RuleRunner, rule: str, *, skill: str, seeds: Sequence[Seed], split: Split, seed: int, count: int
) -> Family:
    """Return a rule of a plugin as a family; the rule says by ``Task.split`` on which side a task is."""

    def offers() -> Iterator[Offer | None]:
        chosen = random_of(skill, "plugin", rule, split, seed).getrandbits(31)
        for task in run(skill, rule, seeds, seed=chosen, count=count):
            if task.split == split:
                tags = (f"rule:{rule}", *task.tags)
                yield Offer(rule, task.request, task.expected, "rule", tags, first=task.first)
            else:
                yield None

    return Family(rule, 1.0, offers(), Counter())
