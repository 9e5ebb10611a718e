"""The system prompt of a contract: a jinja2 template out of a package, and so hostile until checked.

Only output, conditions and loops over what is in scope are let through: no calls, no arithmetic, no ranges. So a
template cannot reach Python. What it reads, walks and writes is counted, and ends at a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any

import jinja2
import jinja2.filters
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from skillpm.errors import DocumentError
from skillpm.model.answer_kind import AnswerKind
from skillpm.model.contract import Tool

MAX_PROMPT = 1 << 18  # characters
MAX_WORK = 1 << 20  # items walked and characters read or made on the way, in all
MAX_TAGS = 1_000
MAX_NODES = 2_000  # parts of the parsed template: each becomes Python code
MAX_LOOPS = 2  # loops inside one another
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const,
    nodes.If, nodes.For, nodes.Filter, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr,
)  # fmt: skip
_FILTERS = frozenset({"tojson", "join", "upper", "lower", "trim", "first", "last", "length", "list"})
_WALKED, _READ = "walked", "read"  # our own filters, which a template cannot name


def render(template: str, tools: Sequence[Tool], answers: Sequence[AnswerKind] = ("call",)) -> str:
    """Render the template with ``tools`` in scope (name, description, input_schema, arguments), and ``answers``.

    Raises:
        DocumentError: the template is wrong, or asks for more than a prompt needs.
    """
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False, optimized=False)
    work = _Work(environment)
    try:
        if template.count("{{") + template.count("{%") > MAX_TAGS:
            raise ValueError(f"has more than {MAX_TAGS} tags")
        tree = environment.parse(template)
        if sum(1 for _ in tree.find_all(nodes.Node)) > MAX_NODES:
            raise ValueError(f"has more than {MAX_NODES} expressions")
        _check(tree, 0)
        _count(tree)
        scope = [_scope(tool) for tool in tools]
        return work.written(environment.from_string(tree).generate(tools=scope, answers=list(answers))).strip()
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        reason = str(error).partition("\n")[0]
        raise DocumentError(f"system_prompt: {reason}{f' (its line {line})' if line else ''}") from None
    except (TypeError, ValueError, RecursionError, SyntaxError) as error:  # SyntaxError: Python's limit of nesting
        raise DocumentError(f"system_prompt: {error}") from None


class _Work:
    """The filters of one rendering, which count what they read, walk and write."""

    def __init__(self, environment: ImmutableSandboxedEnvironment) -> None:
        self._left = MAX_WORK
        self._plain = {name: environment.filters[name] for name in _FILTERS}
        self._environment = environment
        counted = {name: self._counted(name) for name in _FILTERS - {"join", "list"}}
        environment.filters = {
            **counted,
            "join": self._join,
            "list": self._walked,
            _WALKED: self._walked,
            _READ: self._read,
        }

    def written(self, pieces: Iterable[str]) -> str:
        """Return the whole output. Raises ValueError before it gets too long."""
        kept, left = [], MAX_PROMPT
        for piece in pieces:
            left -= len(piece)
            if left < 0:
                raise ValueError(f"renders to more than {MAX_PROMPT} characters")
            kept.append(piece)
        return "".join(kept)

    def _spend(self, units: int) -> None:
        self._left -= units + 1
        if self._left < 0:
            raise ValueError("renders for too long")

    def _walked(self, value: Any) -> list[Any]:
        """Return the items of a list or the keys of an object. A string is not a list of letters."""
        if not isinstance(value, list | tuple | Mapping):
            kind = "undefined" if isinstance(value, jinja2.Undefined) else type(value).__name__
            raise TypeError(f"a loop needs a list or an object, not {kind}")
        self._spend(len(value))
        return list(value)

    def _read(self, value: Any) -> Any:
        """Return an operand of a comparison, which may be read to its end."""
        if isinstance(value, Mapping):
            self._walked(value)
            for item in value.values():
                self._read(item)
        elif isinstance(value, list | tuple):
            for item in self._walked(value):
                self._read(item)
        else:
            self._spend(len(value) if isinstance(value, str) else 1)
        return value

    def _join(self, value: Any, d: str = "", attribute: str | int | None = None) -> str:
        """Join as jinja2's filter does, and count before the whole is made."""
        items = self._walked(value)
        if attribute is not None:
            items = [*map(jinja2.filters.make_attrgetter(self._environment, attribute), items)]
        self._spend(len(str(d)) * len(items))
        texts = []
        for item in items:
            texts.append(str(item))
            self._spend(len(texts[-1]))
        return str(d).join(texts)

    def _counted(self, name: str) -> Callable[..., Any]:
        plain = self._plain[name]

        @wraps(plain)  # with the marks by which jinja2 passes its context
        def counted(*values: Any, **named: Any) -> Any:
            result = plain(*values, **named)
            self._spend(len(result) if isinstance(result, str) else 1)
            return result

        return counted


def _scope(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.input_schema,
        "arguments": list(tool.properties),
    }


def _check(node: nodes.Node, loops: int) -> None:
    if not isinstance(node, _ALLOWED) or (isinstance(node, nodes.Filter) and not _is_bounded(node)):
        raise jinja2.TemplateSyntaxError(f"{type(node).__name__} is not allowed in a prompt", node.lineno)
    if isinstance(node, nodes.For):
        loops += 1
    if loops > MAX_LOOPS:
        raise jinja2.TemplateSyntaxError(f"more than {MAX_LOOPS} loops inside one another", node.lineno)
    for child in node.iter_child_nodes():
        _check(child, loops)


def _is_bounded(node: nodes.Filter) -> bool:
    """Return whether a filter is one of ours, with arguments that cannot make much of little."""
    if node.name == "join" or not node.args:
        return node.name in _FILTERS
    indent = [item.value for item in node.args if isinstance(item, nodes.Const)]
    return node.name == "tojson" and indent in ([2], [4])


def _count(node: nodes.Node) -> None:
    """Send what loops walk and what comparisons read through the filters that count."""
    for child in node.iter_child_nodes():
        _count(child)
    if isinstance(node, nodes.For):
        node.iter = _through(_WALKED, node.iter)
    elif isinstance(node, nodes.Compare | nodes.Operand):
        node.expr = _through(_READ, node.expr)


def _through(name: str, value: nodes.Node) -> nodes.Filter:
    return nodes.Filter(value, name, [], [], None, None, lineno=value.lineno)
