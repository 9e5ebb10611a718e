"""``skillpm agents``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.context import command_context
from skillpm.cli.options import user_option
from skillpm.cli.output import json_option, listing, note, print_json

if TYPE_CHECKING:
    from skillpm.ops.machine.agents import AgentState

_NAMED = 4  # skills that a cell names before it counts the rest


@click.command("agents", epilog="Example: skillpm agents --context 1000000")
@click.option("--all", "everyone", is_flag=True, help="List every agent that skillpm knows.")
@user_option("List the agents of your home folder.")
@click.option(
    "--context",
    "window",
    metavar="TOKENS",
    type=click.IntRange(min=1),
    help="The context window of your model.  [default: each agent's usual one]",
)
@json_option
def command(everyone: bool, window: int | None) -> None:
    """List the agents used here, the skills that they find, and how much of their budget the descriptions use.

    An agent shows its model a list of names and descriptions. If the list exceeds the agent's budget, the agent cuts it
    silently, and the model cannot use the skills that it does not see.
    """
    from skillpm.ops.machine.agents import REMEDY, list_agents, overflow_sentence

    states = list_agents(command_context(), everyone=everyone, window=window)
    if print_json({"agents": states}):
        return
    columns = ("agent", "found", "folder", "skills", "of others", "budget")
    listing(columns, [*map(_row, states)], "no agent was found here; `skillpm agents --all` lists every known agent")
    over = [(state.agent, state.catalog) for state in states if state.catalog and not state.catalog.fits]
    for agent, catalog in over:
        note(f"warning: {overflow_sentence(agent, catalog)}")
    if over:
        note(f"hint: {REMEDY}")


def _row(state: AgentState) -> tuple[str, ...]:
    catalog = state.catalog
    budget = f"{catalog.used:,} of {catalog.limit:,} ({catalog.used / catalog.limit:.0%})" if catalog else "-"
    return (
        state.agent.name,
        "yes" if state.detected else "-",
        state.folder or "-",
        _some(state.installed),
        _some(state.others),
        budget,
    )


def _some(names: tuple[str, ...]) -> str:
    if len(names) > _NAMED:
        return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more"
    return ", ".join(names) or "-"
