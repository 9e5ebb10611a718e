"""A contract's tools as models' servers take them: under names that they accept, no two alike."""

from __future__ import annotations

import re

import pytest

from skillpm.contract.contract import Contract
from skillpm.contract.tool_forms import FORMS, distinct_tools
from skillpm.errors import UsageError
from tests.serving import compiled


def contract(*names: str) -> Contract:
    schema = "{type: object, properties: {port: {type: integer, description: Where.}}, required: [port]}"
    tools = "".join(f"  - {{name: {name}, description: Does it., input_schema: {schema}}}\n" for name in names)
    return compiled(f"contract: 1\ntools:\n{tools}")


def test_each_form_has_name_description_and_the_schema_of_the_arguments() -> None:
    (tool,) = distinct_tools({"demo": contract("run")})
    schema = tool.input_schema
    assert FORMS["openai"](tool) == {
        "type": "function",
        "function": {"name": "run", "description": "Does it.", "parameters": schema},
    }
    assert FORMS["anthropic"](tool) == {"name": "run", "description": "Does it.", "input_schema": schema}
    assert FORMS["langchain"](tool) == {**schema, "title": "run", "description": "Does it."}


def test_tools_of_one_name_are_called_by_their_skills_and_the_others_keep_theirs() -> None:
    tools = distinct_tools({"acme/one": contract("run", "stop"), "two": contract("run", "a.b")})
    assert [tool.name for tool in tools] == ["acme_one__run", "stop", "two__run", "a_b"]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool.name) for tool in tools)


def test_a_tool_without_a_description_is_described_by_its_name() -> None:
    bare = compiled("contract: 1\ntools:\n  - {name: run, input_schema: {type: object}}\n")
    assert [tool.description for tool in distinct_tools({"demo": bare})] == ["run"]


def test_names_that_stay_alike_are_refused() -> None:
    with pytest.raises(UsageError, match="two tools would be called `a_b__run`"):
        distinct_tools({"a.b": contract("run"), "a/b": contract("run")})
