"""``skillpm run``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from skillpm.cli.complete import installed_names, run_names
from skillpm.cli.consent import agreed_skills, worker_options, yes_option
from skillpm.cli.output import PlainProgress, clipped, echo_json, json_option, note, safe
from skillpm.cli.paths import TypedPath
from skillpm.errors import CheckError, UsageError


@click.command("run", epilog="Example: skillpm run langgraph-cli 'start the dev server on port 8123'")
@click.argument("skill", metavar="SKILL", shell_complete=installed_names)
@click.argument("request", metavar="REQUEST")
@click.option(
    "--run",
    shell_complete=run_names,
    type=TypedPath(),
    metavar="RUN",
    help="A run by name or folder.  [default: the newest of SKILL]",
)
@click.option("--model", "-m", metavar="MODEL", help="A base model instead: smollm2-135m, a folder, or a hub id.")
@click.option("--max-new-tokens", type=click.IntRange(1, 32768), default=256, show_default=True, metavar="N")
@yes_option
@worker_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    skill: str,
    request: str,
    run: Path | None,
    model: str | None,
    max_new_tokens: int,
    as_json: bool,
    **agreement: Any,
) -> None:
    """Ask a trained model for the command lines of one REQUEST. Nothing is executed.

    Prints each command that the answer stands for, one a line, and exits 1 if an executor would refuse the answer. The
    model may be wrong: read a command before you run it.
    """
    if run is not None and model is not None:
        raise UsageError("`--run` and `--model` exclude each other", hint="remove one of them")
    from skillpm.evals.examiner import Asking
    from skillpm.ops.learning.evaluate import Evaluator
    from skillpm.ops.learning.propose import find_answerer, propose

    context, (chosen,) = agreed_skills([skill], **agreement)
    answerer = find_answerer(context, chosen, model, run)
    asking = Asking(max_new_tokens=max_new_tokens, batch_size=1)
    proposal = propose(Evaluator(context, asking, PlainProgress()), chosen, answerer, request)
    if as_json:
        echo_json(proposal, executed=False)
        ctx.exit(CheckError.exit_code if proposal.problems else 0)
    if proposal.problems:
        answer = safe(clipped(proposal.completion, 300))
        raise CheckError(
            f"the answer means no command: {'; '.join(map(safe, proposal.problems))}",
            hint=f"the model wrote: {answer or 'nothing'}",
        )
    for words in proposal.argv or ():
        click.echo(safe(shlex.join(words)))
    note("nothing was executed: check the command before you run it")
