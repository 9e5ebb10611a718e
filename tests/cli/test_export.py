"""``skillpm export``: what is built in goes to stdout or a file, a plugin's goes into a new folder."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Project
from tests.serving import skill
from tests.shop import MakeProject, skill_files


@pytest.fixture
def place(project: MakeProject) -> Project:
    """A project with a folder of a skill that has tools and code, and one that is only text."""
    return project({"serving": skill(verifier_py="raise SystemExit\n"), "plain": skill_files("plain")})


def test_tools_are_printed_without_running_code(place: Project) -> None:
    tools = place.call("export", "tools", "./serving").ok().document
    assert [tool["function"]["name"] for tool in tools] == ["serve", "stop"]
    assert place.call("export", "tools", "./serving", "--format", "openai").ok().document == tools
    assert place.call("export", "tools", "./serving", "-f", "anthropic", "-o", "tools.json").ok().out == "tools.json\n"
    told = place.call("export", "tools", "./serving", "-f", "anthropic", "-o", "tools.json", "--json").ok()
    assert told.document == {"output": "tools.json"}
    assert json.loads((place.root / "tools.json").read_text())[0]["input_schema"]["type"] == "object"
    assert place.call("export", "tools", "./serving", "-f", "langchain").ok().document[1]["title"] == "stop"


@pytest.mark.parametrize(
    ("words", "code", "texts"),
    [
        (("tools", "./plain"), 1, ("plain has no contract.yaml, so it has no tools", "skillpm draft")),
        (("tools",), 2, ("no skill is installed here",)),
        (("tools", "./serving", "--format", "gemini"), 2, ("--format", "openai")),
        (("tools", "./serving", "--data", "data"), 2, ("`tools` takes no rows",)),
        (("sbom", "--format", "openai"), 2, ("`--format openai` is for `tools`",)),
        (("toolz", "./serving"), 2, ("no exporter `toolz`", "tools")),
    ],
)
def test_what_cannot_be_exported_is_an_error_that_says_why(
    place: Project, words: tuple[str, ...], code: int, texts: tuple[str, ...]
) -> None:
    place.call("export", *words).fails(code, *texts)
