"""Where a task of synthesis.yaml disagrees with contract.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from skillpm.model.contract import ContractDocument, Tool
from skillpm.model.synthesis import Location, TaskRule, slots_of


class Flaw(NamedTuple):
    """One thing that is wrong.

    Attributes:
        location: keys and places that lead to it in synthesis.yaml, or in one of its tasks.
    """

    location: Location
    message: str
    hint: str


def disagreements(task: TaskRule, contract: ContractDocument) -> Iterator[Flaw]:
    """Yield what a contract does not have or does not take, and required arguments that are never given."""
    for kind in (task.kind, *(["ask"] if task.ask else ())):
        if kind not in contract.answers:
            yield Flaw((kind,), f"`answers` of the contract does not name `{kind}`", f"add `{kind}` to it")
    if task.tool is None:
        return
    tool = next((tool for tool in contract.tools if tool.name == task.tool), None)
    if tool is None:
        known = ", ".join(f"`{tool.name}`" for tool in contract.tools)
        yield Flaw(("tool",), f"the contract has no tool `{task.tool}`", f"it has {known}")
        return
    known = ", ".join(f"`{name}`" for name in tool.properties)
    calls = [(("args",), task.args), *((("first", place), call) for place, call in enumerate(task.first))]
    for location, arguments in calls:
        for name in arguments:
            if name not in tool.properties:
                yield Flaw((*location, name), f"`{task.tool}` has no argument `{name}`", f"it has {known}")
    for name in sorted(tool.required - set(task.args)):
        yield Flaw(("args",), f"`{task.tool}` requires the argument `{name}`", f"add `{name}` to `args`")
    yield from _lost(task, tool)
    yield from _needless(task, tool)


def _lost(task: TaskRule, tool: Tool) -> Iterator[Flaw]:
    """Yield slots that are named as an argument and stand in none."""
    for slot in task.draw:
        if slot in tool.properties and slot not in task.args and slot not in slots_of(task.args):
            message = f"requests say `{slot}`, and no argument is made of it"
            yield Flaw(("draw", slot), message, f'add `{slot}: "{{{slot}}}"` to `args`, or name the slot otherwise')


def exchanges(task: TaskRule) -> Iterator[Flaw]:
    """Yield arguments that get the slot of each other's name: a mistake, unless the task takes something back."""
    for name, value in task.args.items():
        other = str(value).strip("{}")
        if name < other and value == f"{{{other}}}" and task.args.get(other) == f"{{{name}}}":
            message = f"`{name}` gets the value of `{other}`, and `{other}` that of `{name}`"
            yield Flaw(("args", name), message, "exchange them, unless that is meant")


def _needless(task: TaskRule, tool: Tool) -> Iterator[Flaw]:
    """Yield slots that a question asks for though a call is complete without them."""
    for slot in task.ask.slots if task.ask else ():
        for name in (name for name, value in task.args.items() if slot in slots_of(value) and name in tool.properties):
            if name not in tool.required:
                message = f"a request without `{slot}` lacks nothing: `{name}` may be null"
                hint = f"list `{name}` in `required` of its schema, or leave `{slot}` out"
                yield Flaw(("ask", "slots"), message, hint)
