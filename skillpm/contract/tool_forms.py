"""A contract's tools in the forms that other systems read.

=========== ======================================================================= ==========================
form        a tool                                                                  who takes it
=========== ======================================================================= ==========================
openai      ``{"type": "function", "function": {name, description, parameters}}``   chat completions
anthropic   ``{name, description, input_schema}``                                   messages
langchain   the schema of the arguments, with ``title`` and ``description``         ``bind_tools``, ``args_schema``
=========== ======================================================================= ==========================
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from skillpm.errors import UsageError

if TYPE_CHECKING:
    from skillpm.contract.contract import Contract
    from skillpm.model.contract import Tool

MAX_NAME = 64  # characters
_UNUSABLE = re.compile(r"[^A-Za-z0-9_-]")


def usable_name(*parts: str) -> str:
    """Return parts joined by two underscores, as a name of a tool that every model's server accepts."""
    return _UNUSABLE.sub("_", "__".join(parts))[:MAX_NAME]


def openai_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool as chat completions take it."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
    return {"type": "function", "function": function}


def anthropic_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool as the messages of Anthropic take it."""
    return {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}


def langchain_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool as LangChain takes it."""
    return {**tool.input_schema, "title": tool.name, "description": tool.description}


def told_tools(contract: Contract) -> str:
    """Return the words that tell a model, which never learned them, the tools and the forms of an answer."""
    listed = json.dumps([anthropic_tool(tool) for tool in contract.tools.values()], ensure_ascii=False)
    call = (
        'Answer with one JSON object and nothing else: {"tool": NAME, "args": {…}}. `args` follows the tool\'s '
        "input_schema."
    )
    return f"{' '.join([call, *contract.replies.forms])} The tools are:\n{listed}"


FORMS: Mapping[str, Callable[[Tool], dict[str, Any]]] = {
    "openai": openai_tool,
    "anthropic": anthropic_tool,
    "langchain": langchain_tool,
}


def distinct_tools(contracts: Mapping[str, Contract]) -> list[Tool]:
    """Return the tools of skills, each under a name of its own, with a description that is not empty.

    A tool keeps its name. If two skills have a tool of one name, both are called ``SKILL__TOOL``.

    Args:
        contracts: by the name of the skill.

    Raises:
        UsageError: two tools still have one name.
    """
    names = Counter(usable_name(name) for contract in contracts.values() for name in contract.tools)
    tools: dict[str, Tool] = {}
    for skill, contract in contracts.items():
        for tool in contract.tools.values():
            name = usable_name(tool.name)
            name = name if names[name] == 1 else usable_name(skill, tool.name)
            if name in tools:
                raise UsageError(f"two tools would be called `{name}`", hint="export their skills one by one")
            tools[name] = tool.model_copy(update={"name": name, "description": tool.description or tool.name})
    return list(tools.values())
