"""``skillpm mcp``: serve installed skills to an MCP client over stdio."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from skillpm.errors import UsageError
from skillpm.layout.description import describe
from skillpm.layout.source_tree import skill_tree
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.learning.converse import open_audit, skill_texts, tool_place
from skillpm.runtime.skillfiles import SkillFiles


def skill_server(context: Context, skills: Sequence[Skill], *, read_only: bool) -> Any:
    """Return the server of some skills; ``serve`` of it runs until the client is gone. No code of a skill runs.

    Raises:
        UsageError: the package ``mcp`` is not installed, or two tools get one name.
        DocumentError: a document of a skill is wrong.
        PolicyError: this machine has no strong sandbox for tools.
    """
    try:
        module = importlib.import_module("skillpm.agent.mcp_server")
    except ImportError as error:
        raise UsageError(
            f"MCP needs packages that are not installed: {error}", hint="pip install 'skillpm-core[mcp]'"
        ) from None
    served = []
    for skill in skills:
        place, description = tool_place(context.settings, skill), describe(skill_tree(skill)).description
        served.append(module.Served(skill, description, SkillFiles(skill).contract(), place, skill_texts(skill)))
    return module.SkillServer(served, open_audit(context.settings, context.note), read_only=read_only)
