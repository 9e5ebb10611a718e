"""Every hook is documented with its exact arguments, says since when it is there, and takes no defaults."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillpm.hookspecs import EventHooks, HostHooks, SkillHooks
from skillpm.model.hooks import HOOKS_VERSION

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
HOOKS = {
    name: function
    for group in (SkillHooks, HostHooks, EventHooks)
    for name, function in vars(group).items()
    if name.startswith("skillpm_")
}


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_has_a_heading_with_its_exact_arguments(name: str) -> None:
    arguments = ", ".join(list(inspect.signature(HOOKS[name]).parameters)[1:])
    assert f"### `{name}({arguments})`" in PAGE


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_says_since_when_it_is_there_and_has_an_example(name: str) -> None:
    text = inspect.getdoc(HOOKS[name]) or ""
    assert re.search(r"^versionadded: \d+$", text, re.MULTILINE) and "Example:" in text


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_says_what_it_is_for_what_it_returns_and_shows_it_on_the_page_too(name: str) -> None:
    text = inspect.getdoc(HOOKS[name]) or ""
    section = PAGE.partition(f"### `{name}(")[2].partition("\n### ")[0]
    purpose = text.splitlines()[0]
    example = text.partition("Example:\n")[2].strip().splitlines()[0].strip()
    assert purpose.replace("``", "`") in " ".join(section.split())
    assert "\nReturns:\n" in text and "Returns " in section and "Since version" in section
    code = section.partition("```python\n")[2].partition("```")[0]
    assert example in code and f"def {name}(" in code
    compile(code, name, "exec")


@pytest.mark.parametrize("name", HOOKS)
def test_no_argument_has_a_default_which_pluggy_would_never_pass(name: str) -> None:
    function: Callable[..., Any] = HOOKS[name]
    assert all(item.default is inspect.Parameter.empty for item in inspect.signature(function).parameters.values())


def test_the_page_names_no_hook_that_is_not_there_and_the_present_version() -> None:
    assert set(re.findall(r"### `(skillpm_\w+)\(", PAGE)) == set(HOOKS)
    assert f"version of the hooks is **{HOOKS_VERSION}**" in PAGE
