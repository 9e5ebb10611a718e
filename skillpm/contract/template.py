"""The system prompt of a contract: a jinja2 template out of a package, and so hostile until checked.

Only output, conditions and loops over what is in scope are let through: no calls, no arithmetic, no ranges. So a
template can neither reach Python nor grow without bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from skillpm.errors import DocumentError
from skillpm.model.contract import Tool

MAX_PROMPT = 1 << 18  # characters
MAX_LOOPS = 2  # loops inside one another
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const,
    nodes.If, nodes.For, nodes.Filter, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr,
)  # fmt: skip
_FILTERS = frozenset({"tojson", "join", "upper", "lower", "trim", "first", "last", "length", "list"})


def render(template: str, tools: Sequence[Tool]) -> str:
    """Render the template with ``tools`` in scope: name, description, input_schema, arguments.

    Raises:
        DocumentError: the template is wrong, or asks for more than a prompt needs.
    """
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    try:
        tree = environment.parse(template)
        _check(tree, 0)
        text = environment.from_string(template).render(tools=[_scope(tool) for tool in tools]).strip()
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        reason = str(error).partition("\n")[0]
        raise DocumentError(f"system_prompt: {reason}{f' (its line {line})' if line else ''}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise DocumentError(f"system_prompt: {error}") from None
    if len(text) > MAX_PROMPT:
        raise DocumentError(f"system_prompt: renders to more than {MAX_PROMPT} characters")
    return text


def _scope(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.input_schema,
        "arguments": list(tool.properties),
    }


def _check(node: nodes.Node, loops: int) -> None:
    if not isinstance(node, _ALLOWED) or (isinstance(node, nodes.Filter) and node.name not in _FILTERS):
        raise jinja2.TemplateSyntaxError(f"{type(node).__name__} is not allowed in a prompt", node.lineno)
    if isinstance(node, nodes.For):
        loops += 1
    if loops > MAX_LOOPS:
        raise jinja2.TemplateSyntaxError(f"more than {MAX_LOOPS} loops inside one another", node.lineno)
    for child in node.iter_child_nodes():
        _check(child, loops)
