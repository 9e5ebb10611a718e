"""``skillpm traces``."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.context import command_context
from skillpm.cli.misuse import Group
from skillpm.cli.options import choice_option
from skillpm.cli.output import clipped, count, json_option, listing, note, print_json, safe, table, tell
from skillpm.cli.paths import TypedPath
from skillpm.errors import UsageError

if TYPE_CHECKING:
    from skillpm.agent.trace import Trace, Traces

_REQUEST = 60  # characters in a table


@click.group("traces", cls=Group)
def command() -> None:
    """List, show, export and remove the stored episodes of `skillpm run`.

    Secrets of a known form are masked before an episode is stored. What you approved, edited and refused becomes
    training rows with `skillpm synth --from-traces`.
    """


@command.command("list", epilog="Example: skillpm traces list --skill incident-triage")
@click.option("--skill", metavar="NAME", help="Episodes of this skill only.")
@json_option
def list_traces(skill: str | None) -> None:
    """List episodes, oldest first."""
    traces = _of_skill(skill)
    if print_json([trace.model_dump(mode="json", exclude={"steps", "system"}) for trace in traces]):
        return
    rows = []
    for trace in traces:
        decisions = ", ".join(step.decision or "refused by the contract" for step in trace.steps)
        rows.append((trace.id, trace.skill, trace.outcome, decisions, clipped(trace.request, _REQUEST)))
    nothing = "there is no trace yet; `skillpm run` stores one for each request"
    listing(("trace", "skill", "outcome", "decisions", "request"), rows, nothing)


@command.command("show", epilog="Example: skillpm traces show latest")
@click.argument("word", metavar="TRACE")
@json_option
def show(word: str) -> None:
    """Show one episode: the beginning of its id, or latest."""
    trace = _traces().find(word)
    if print_json({**trace.model_dump(mode="json"), "messages": trace.messages()}):
        return
    click.echo(f"{trace.id}  {trace.skill} {trace.version}  {safe(trace.model)}  {trace.outcome}")
    click.echo(f"request: {safe(trace.request)}")
    for step in trace.steps:
        click.echo(f"answer:  {safe(step.answer)}")
        if step.reply:
            click.echo(f"  reply: {safe(step.reply)}")
        for problem in step.problems:
            click.echo(f"  refused: {safe(problem)}")
        for words in step.argv:
            click.echo(f"  {step.decision}: {safe(shlex.join(words))}")
        if step.exit_codes:
            click.echo(f"  exit codes: {', '.join(map(str, step.exit_codes))}")
            click.echo("".join(f"  | {safe(line)}\n" for line in step.output.splitlines()), nl=False)
    if trace.report is not None:
        click.echo(f"report:  {safe(trace.report)}")


@command.command("export", epilog="Example: skillpm traces export --format preferences > pairs.jsonl")
@click.option("--skill", metavar="NAME", help="Episodes of this skill only.")
@choice_option(
    "--format",
    "form",
    choices=("openai", "rows", "preferences", "negatives"),
    default="openai",
    text="Messages with tool calls; approved answers as seeds; edits as pairs; refused answers.",
)
def export(skill: str | None, form: str) -> None:
    """Print episodes as JSON Lines."""
    number = 0
    for trace in _of_skill(skill):
        if form == "openai":
            row: object = {"id": trace.id, "skill": trace.skill, "outcome": trace.outcome, "messages": trace.messages()}
        elif form == "rows":
            seed = trace.gold()
            row = None if seed is None else seed.model_dump(mode="json")
        else:
            row = trace.pair() if form == "preferences" else trace.negative()
        if row is not None:
            number += 1
            click.echo(json.dumps(row, ensure_ascii=True))
    note(f"{count(number, 'row')}")


@command.command("import", epilog="Example: skillpm traces import ~/.claude/projects --skill incident-triage")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=TypedPath())
@click.option(
    "--skill", "skills", metavar="NAME", multiple=True, help="Import for these skills.  [default: all installed]"
)
@click.option("--dry-run", is_flag=True, help="Print what would be stored; store nothing.")
@json_option
def import_(files: tuple[Path, ...], skills: tuple[str, ...], dry_run: bool) -> None:
    """Store episodes from files of other programs.

    FILEs are sessions of Claude Code (~/.claude/projects) and Codex (~/.codex/sessions), messages with tool calls, rows
    of NeMo Gym and Data Designer, evals.json; folders are searched for sessions. Secrets of a known form are masked.
    Each call has to be one of the skill's contract. `skillpm synth --from-traces` makes rows of them.
    """
    from skillpm.ops.learning.import_traces import import_traces, read_traces

    context = command_context()
    chosen = context.skills(skills)
    read = read_traces(files, chosen) if dry_run else import_traces(context, files, chosen)
    if print_json({"stored": [trace.id for trace in read.traces], "left_out": dict(read.left), "dry_run": dry_run}):
        return
    rows = [(trace.id, trace.skill, trace.outcome, clipped(trace.request, _REQUEST)) for trace in read.traces]
    if rows:
        table(("trace", "skill", "outcome", "request"), rows)
    for reason, number in read.left.most_common():
        note(f"left out: {reason}: {number}")
    note(f"{count(len(read.traces), 'trace')} {'would be' if dry_run else 'is' if len(rows) == 1 else 'are'} stored")


@command.command("prune", epilog="Example: skillpm traces prune --older-than 30")
@click.argument("words", metavar="[TRACE]...", nargs=-1)
@click.option("--older-than", type=click.IntRange(0, 3650), metavar="DAYS", help="Remove what is older than this.")
@click.option("--all", "everything", is_flag=True, help="Remove every trace.")
def prune(words: tuple[str, ...], older_than: int | None, everything: bool) -> None:
    """Remove episodes. The audit log keeps what was decided and run."""
    if bool(words) + (older_than is not None) + everything != 1:
        raise UsageError(
            "name TRACEs, or add `--older-than DAYS` or `--all`", hint="run `skillpm traces list` to see them"
        )
    traces = _traces()
    if words:
        chosen = [traces.identity(word) for word in words]
    elif older_than is None:
        chosen = traces.identities()
    else:
        day = datetime.now(UTC) - timedelta(days=older_than)
        chosen = [trace.id for trace in traces.all() if trace.moment < day]
    traces.remove(chosen)
    note(f"removed {count(len(chosen), 'trace')}")


@command.command("redact", epilog="Example: skillpm traces redact latest --text 'db01.internal'")
@click.argument("word", metavar="TRACE")
@click.option("--text", required=True, metavar="TEXT", help="The text to replace by [redacted].")
@json_option
def redact(word: str, text: str) -> None:
    """Replace a text in an episode. It counts wherever you, the model or a tool wrote it."""
    traces = _traces()
    trace = traces.find(word)
    number = traces.redact(trace, text)
    replaced = f"{trace.id}: replaced {count(number, 'place')}"
    tell({"trace": trace.id, "replaced": number}, replaced)


def _traces() -> Traces:
    from skillpm.agent.trace import Traces

    return Traces(command_context().settings.traces)


def _of_skill(skill: str | None) -> list[Trace]:
    """Return the episodes of a skill, or all. Raises UnknownSkillError if it has none and is not installed."""
    from skillpm.ops.context import demand_known

    traces = list(_traces().all())
    if skill is None:
        return traces
    known = {trace.skill for trace in traces} | {entry.name for entry in command_context().lock().skills}
    demand_known([skill], known, "installed or has a trace")
    return [trace for trace in traces if trace.skill == skill]
