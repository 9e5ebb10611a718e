"""Evaluation suites are for evaluation: what stands in one is never trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from skillpm.errors import CheckError
from skillpm.model.suite import Suite
from skillpm.model.task import Seed
from skillpm.synth.dedupe import normal_form


class SuiteIndex:
    """The requests of all suites of all skills at hand, by normal form."""

    def __init__(self, suites: Iterable[tuple[str, Suite]]) -> None:
        """Index ``(skill, suite)`` pairs with their tasks inline."""
        self._places: dict[str, str] = {}
        for skill, suite in suites:
            for number, task in enumerate(_inline(suite), 1):
                place = f"{_named(task, number, 'task')} of suite `{suite.name}` of {skill}"
                self._places.setdefault(normal_form(task.request), place)

    def __contains__(self, form: str) -> bool:
        """Does a suite ask this?"""
        return form in self._places

    def refuse(self, skill: str, seeds: Sequence[Seed]) -> None:
        """Refuse seeds that stand in a suite.

        Raises:
            CheckError: names the first such seed and the suite's task; ``details`` have all of them.
        """
        overlaps = [
            (f"{_named(seed, number, 'seed')} of {skill}", self._places[form])
            for number, seed in enumerate(seeds, 1)
            if (form := normal_form(seed.request)) in self._places
        ]
        if not overlaps:
            return
        more = f", and {len(overlaps) - 1} more" if len(overlaps) > 1 else ""
        raise CheckError(
            f"a suite overlaps training: {overlaps[0][0]} asks the same as {overlaps[0][1]}{more}",
            hint="take it out of one of the two, or ask for something else there",
            overlaps=[{"seed": seed, "suite": task} for seed, task in overlaps],
        )


def _inline(suite: Suite) -> Sequence[Seed]:
    return () if isinstance(suite.tasks, str) else suite.tasks


def _named(seed: Seed, number: int, kind: str) -> str:
    name = f"`{seed.id}`" if seed.id else str(number)
    return f"{kind} {name} ({seed.request[:60]!r})"
