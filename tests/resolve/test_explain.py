"""Conflicts are told so that a stranger understands them; the texts are golden, and each hint works when followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillpm.errors import ResolutionError
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.resolve.resolver import resolve

GOLDEN = Path(__file__).parent.parent / "golden" / "conflicts.yaml"
CASES: Mapping[str, Any] = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))


def answer(case: Mapping[str, Any], roots: Sequence[str]) -> dict[str, Release]:
    """Resolve one case of the golden file."""
    pages = {
        name: Page(
            name=name,
            releases=tuple(
                Release(
                    version=str(version),
                    archive="0" * 64,
                    tree="0" * 64,
                    size=0,
                    requires={other: specifier or "" for other, specifier in (needs or {}).items()},
                    yanked=(case.get("yanked") or {}).get(f"{name} {version}", False),
                )
                for version, needs in releases.items()
            ),
        )
        for name, releases in case["registry"].items()
    }
    return resolve(
        [Requirement.parse(root) for root in roots],
        pages.get,
        preferred=case.get("locked"),
        typed=case.get("typed"),
        near=lambda name: case.get("near", []),
    )


@pytest.mark.parametrize("name", CASES)
def test_a_conflict_is_told_word_for_word_and_its_hints_work(name: str) -> None:
    case = CASES[name]
    with pytest.raises(ResolutionError) as caught:
        answer(case, case["require"])
    error = caught.value
    assert error.message == case["message"].strip()
    assert error.hint == case["hint"]
    assert error.exit_code == 3
    for remedy in error.details["remedies"]:
        assert answer(case, remedy)


def test_a_very_long_proof_is_told_by_its_facts() -> None:
    length = 90
    registry = {
        f"s{number}": {"1.0": {f"s{number + 1}": "<2"}, "2.0": {f"s{number + 1}": "<2"}} for number in range(length)
    }
    case = {"registry": {**registry, f"s{length}": {"2.0": {}}}}
    with pytest.raises(ResolutionError) as caught:
        answer(case, ["s0"])
    assert len(caught.value.message.splitlines()) < 2 * length + 3
    assert caught.value.details["causes"]
