"""Forms of reports."""

from __future__ import annotations

import pytest

from tests.shop import MakeProject


@pytest.mark.parametrize("command", ["validate", "scan", "selftest"])
@pytest.mark.parametrize("forms", [("--json", "--sarif"), ("--sarif", "--json")])
def test_one_form_at_a_time(project: MakeProject, command: str, forms: tuple[str, str]) -> None:
    assert "exclude each other" in project().call(command, ".", *forms).fails(2, "").document["message"]
