"""The gate over many verifiers: all that can be fooled are refused, and none that is honest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillpm.formats.strict_yaml import read_yaml
from tests.conftest import ROOT
from tests.gate import case_files, examined

VERIFIERS = ROOT / "tests/cases/verifiers"
LONG = {"find", "order", "nested"}  # kinds with a contract of tools, which test_selftest.py tries, too


def _cases(name: str) -> list[Any]:
    """Return the cases of a file. The first of each short kind is tried in every run; the others are slow."""
    cases = read_yaml((VERIFIERS / name).read_text(encoding="utf-8"), path=name)
    assert isinstance(cases, list)
    kinds = [case.get("kind", "find") for case in cases]
    first = {kinds.index(kind) for kind in set(kinds) - LONG}
    marks = [() if number in first else pytest.mark.slow for number in range(len(cases))]
    return [pytest.param(case, marks=mark, id=str(case["name"])) for case, mark in zip(cases, marks, strict=True)]


@pytest.fixture(autouse=True)
def _unloaded() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in [name for name in sys.modules if name.startswith("_skillpm_") and name not in before]:
        del sys.modules[name]


@pytest.mark.parametrize("case", _cases("foolable.yaml"))
def test_a_verifier_that_can_be_fooled_is_refused(case: dict[str, Any], tmp_path: Path) -> None:
    report = examined(tmp_path / "serving", case_files(case))
    assert not report.ok or report.unproven


@pytest.mark.parametrize("case", _cases("honest.yaml"))
def test_an_honest_verifier_is_not_refused(case: dict[str, Any], tmp_path: Path) -> None:
    report = examined(tmp_path / "serving", case_files(case))
    assert report.ok, [item.finding().message for item in report.broken]
    assert not report.unproven
