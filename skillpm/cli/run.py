"""``skillpm run``."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import exit_with, is_set
from skillpm.cli.complete import installed_names
from skillpm.cli.consent import agreed_skills, code_options
from skillpm.cli.options import choice_option, key_option, model_option, number_option, read_key, run_option
from skillpm.cli.output import PlainProgress, clipped, echo_json, json_option, note, safe
from skillpm.cli.paths import TypedPath
from skillpm.cli.process import if_interrupted
from skillpm.errors import CheckError, SkillpmError, UsageError

if TYPE_CHECKING:
    from skillpm.agent.episode import Episode
    from skillpm.agent.execution import Finished

_NOTHING_DONE = ("asked", "declined")  # outcomes of a question that nobody answered, and of a refusal
_COMMAND = 200  # characters of a command in the line that says how it ended


@click.command("run", epilog="Example: skillpm run langgraph-cli 'start the dev server on port 8123'")
@click.argument("skill", metavar="SKILL", shell_complete=installed_names)
@click.argument("request", metavar="[REQUEST]", required=False)
@run_option("A run by name or folder.  [default: the newest of SKILL, else its adapter]")
@model_option("Another model: smollm2-135m, a folder, a hub id, an adapter, or URL#MODEL of a server.")
@key_option
@number_option("--max-new-tokens", click.IntRange(1, 32768), 256, "The most tokens of one answer.")
@number_option("--steps", click.IntRange(1, 20), 1, "Answers to one REQUEST.")
@choice_option(
    "--text",
    choices=("never", "when-untrained", "always"),
    default="when-untrained",
    text="When the model reads SKILL.md.",
)
@click.option(
    "--read", multiple=True, metavar="FILE", help="Add matching passages to the prompt; references: those of the skill."
)
@number_option("--context-tokens", click.IntRange(1), 3000, "The most tokens of SKILL.md, and of the passages.")
@number_option("--timeout", click.IntRange(1, 86400), 60, "Seconds for the commands of one answer.", "S")
@click.option("--approve", type=TypedPath(), metavar="FILE", help="Rules that let commands run unasked: docs/agent.md.")
@click.option("--dry-run", is_flag=True, help="Print the commands; run nothing.")
@code_options
@json_option
@if_interrupted("nothing more runs, `skillpm audit list` shows what was run")
def command(**options: Any) -> None:
    """Ask a model for the commands of a REQUEST, and run those that you approve.

    Without REQUEST, asks for requests until you press Ctrl-D. Each command is shown with the meaning of its arguments
    before you decide. Commands run without a shell, in the sandbox, within limits. Without a terminal, nothing runs
    but what the rules of --approve allow.

    A skill may let its model ask for a missing value, refuse, or answer by a text; then nothing runs.

    Exits 1 if the answer is neither a command nor a text, or if a command failed.
    """
    _check(options)
    from skillpm.cli.asking import ask, reply
    from skillpm.evals.asking import Asking
    from skillpm.ops.learning.converse import Wanted, conversation, find_answerer
    from skillpm.ops.learning.evaluate import Evaluator

    read_key(options)
    context, (chosen,) = agreed_skills([options["skill"]])
    answerer = find_answerer(context, chosen, options["model"], options["run"])
    train = f"let a model learn it: `skillpm train {shlex.quote(options['skill'])}`"
    instead = train if answerer.adapter is None else "say it in other words"
    asks = _is_terminal() and not options["dry_run"] and not options["key_stdin"]
    wanted = Wanted(
        answerer,
        steps=options["steps"],
        approve=None if options["dry_run"] else options["approve"],
        ask=ask if asks else None,
        reply=reply if asks else None,
        tell=None if is_set("json") else _tell,
        say=note,
        **{name: options[name] for name in ("text", "read", "context_tokens", "timeout")},
    )
    asking = Asking(max_new_tokens=options["max_new_tokens"], batch_size=1)
    with conversation(Evaluator(context, asking, PlainProgress()), chosen, wanted) as episodes:
        if options["request"] is not None:
            exit_with(_episode(episodes(options["request"]), instead))
        while (request := _next_request()) is not None:
            try:
                _episode(episodes(request), instead)
            except SkillpmError as error:
                click.echo(f"error: {safe(error.message)}", err=True)


def _check(options: dict[str, Any]) -> None:
    if options["run"] is not None and options["model"] is not None:
        raise UsageError("`--run` and `--model` exclude each other", hint="remove one of them")
    if options["dry_run"] and options["approve"] is not None:
        raise UsageError("`--dry-run` runs nothing, so `--approve` has no effect", hint="remove one of them")
    if options["request"] is None and (options["key_stdin"] or not _is_terminal()):
        raise UsageError(
            "REQUEST is missing, and there is no terminal to ask for one", hint="such as `skillpm run SKILL 'do it'`"
        )


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _next_request() -> str | None:
    """Ask for a request; None where there is none any more."""
    while True:
        click.echo("request> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            click.echo(err=True)
            return None
        if line.strip():
            return line.strip()


def _episode(episode: Episode, instead: str) -> int:
    """Run one episode and print how it ended; return the exit code.

    Raises:
        CheckError: the answer is not a command; ``instead`` is the hint.
    """
    from skillpm.ops.learning.converse import episode_document

    trace = episode.run()
    proposal = episode.proposal
    failed = any(code != 0 for step in trace.steps for code in step.exit_codes)
    if is_set("json"):
        echo_json(episode_document(episode))
        return CheckError.exit_code if failed or trace.outcome in ("invalid", *_NOTHING_DONE) else 0
    if trace.outcome == "invalid" and proposal is not None:
        note(f"the model wrote: {clipped(proposal.answer, 300) or 'nothing'}")
        raise CheckError(f"the answer is not a valid command: {'; '.join(map(safe, proposal.problems))}", hint=instead)
    if trace.report is not None:
        from skillpm.agent.shown import visible

        click.echo(visible(trace.report))
    if trace.outcome == "not-run" and proposal is not None:
        for line in proposal.lines:
            click.echo(safe(line))
        if episode.objections:
            note(f"it may not run: {episode.objections}")
    if trace.outcome in ("not-run", "refused"):
        note("nothing was executed: check the command before you run it" if trace.outcome == "not-run" else "not run")
    if trace.outcome in _NOTHING_DONE:
        note("nothing was executed: add it to the request" if trace.outcome == "asked" else "nothing was executed")
    return CheckError.exit_code if failed or trace.outcome in _NOTHING_DONE else 0


def _tell(finished: Finished, output: str) -> None:
    """Print what a command printed on stdout, and how it ended on stderr."""
    if output:
        click.echo(output, nl=not output.endswith("\n"))
    from skillpm.agent.shown import masked

    note(f"{clipped(masked(shlex.join(finished.argv)), _COMMAND)}: {masked(finished.sentence)}")
