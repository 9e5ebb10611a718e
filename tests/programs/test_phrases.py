"""How a request says the value of an argument."""

from __future__ import annotations

import pytest

from skillpm.programs.phrases import value_clauses


@pytest.mark.parametrize("name", ["n", "f", "v", "d", "names"])
@pytest.mark.parametrize("description", ["", "show N lines"])
def test_every_clause_says_the_value_however_short_its_name_is(name: str, description: str) -> None:
    clauses = value_clauses(name, f"-{name}", "N", description)
    assert len(clauses) > 5
    assert [text for text in clauses if text.count(f"{{{name}}}") != 1 or text.count("{") != 1] == []
