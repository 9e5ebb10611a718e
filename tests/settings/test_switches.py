"""Variables that switch something on or off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skillpm.errors import UsageError
from skillpm.settings.switches import SWITCHES, without_off
from tests.shop import MakeProject


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_on_or_off_or_an_error_that_names_it(name: str) -> None:
    for value in ("1", "true", "Yes", " on "):
        assert without_off({name: value}) == {name: value}
    for value in ("", "0", "false", "No", "off"):
        assert without_off({name: value}) == {}
    for value in ("maybe", "2", "flase", "-1"):
        with pytest.raises(UsageError, match=f"{name}: `{value}` is neither on nor off"):
            without_off({name: value})


@pytest.mark.parametrize("name", SWITCHES)
def test_every_command_reads_the_switches(project: MakeProject, name: str) -> None:
    place = project()
    wrong = replace(place, environment={**place.environment, name: "maybe"})
    wrong.call("list").fails(2, name)
    wrong.call("validate", "--rules").fails(2, name)
    replace(place, environment={**place.environment, name: "off"}).call("search", "shell").ok()
