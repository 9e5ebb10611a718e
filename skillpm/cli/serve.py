"""``skillpm serve``."""

from __future__ import annotations

from typing import Any

import click

from skillpm.cli.common_options import is_typed
from skillpm.cli.complete import installed_names
from skillpm.cli.consent import agreed_skills, code_options
from skillpm.cli.options import key_option, model_option, number_option, read_key, run_option
from skillpm.cli.output import PlainProgress, note
from skillpm.errors import UsageError

_TOGETHER = 16  # requests that wait and are answered together
_OF_A_MODEL = {"run", "model", "tries", "max_new_tokens", "key_stdin"}


@click.command("serve", epilog="Example: skillpm serve langgraph-cli --port 8000")
@click.argument("skills", metavar="SKILL", shell_complete=installed_names, nargs=-1)
@run_option("A run by name or folder.")
@model_option("A model instead, as for `skillpm run`.")
@click.option("--gym", is_flag=True, help="Judge rows of NeMo Gym instead; all installed skills by default.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, metavar="N")
@number_option("--tries", click.IntRange(1, 10), 3, "Answers to one request.")
@number_option("--max-new-tokens", click.IntRange(1, 32768), 256, "The most tokens of one answer.")
@key_option
@code_options
@click.pass_context
def command(ctx: click.Context, /, skills: tuple[str, ...], gym: bool, port: int, **options: Any) -> None:
    """Serve a model to clients of OpenAI's chat completions, on this machine.

    The contract of SKILL reads every answer. A refused one goes back to the model with the reasons; if no try is
    accepted, the client gets status 422 and the reasons. Nothing is executed.

    With --gym, serve any number of SKILLs as a resources server of NeMo Gym, without a model: their verifiers judge
    the responses that its agents send.
    """
    if gym:
        _refuse_model_options(ctx)
        _serve_gym(skills, port)
        return
    if len(skills) != 1:
        raise UsageError(f"`serve` needs one SKILL, not {len(skills)}", hint="name one, or add `--gym`")
    run, model = options["run"], options["model"]
    if run is not None and model is not None:
        raise UsageError("`--run` and `--model` exclude each other", hint="remove one of them")
    read_key(options)
    from skillpm.evals.asking import Asking
    from skillpm.ops.learning.converse import Wanted, find_answerer
    from skillpm.ops.learning.evaluate import Evaluator
    from skillpm.ops.learning.serve import listen, verified_model

    context, (chosen,) = agreed_skills(skills)
    wanted = Wanted(find_answerer(context, chosen, model, run), say=note)
    asking = Asking(max_new_tokens=options["max_new_tokens"], batch_size=_TOGETHER)
    evaluator = Evaluator(context, asking, PlainProgress())
    with verified_model(evaluator, chosen, wanted, options["tries"]) as application:
        listen(application, port, lambda: note(f"serving {chosen.name} at http://127.0.0.1:{port}/v1"))


def _refuse_model_options(ctx: click.Context) -> None:
    """Refuse the options of a model beside `--gym`. Raises UsageError."""
    options = (option for option in ctx.command.params if option.name in _OF_A_MODEL)
    typed = [option.opts[0] for option in options if is_typed(ctx, option.name or "")]
    if typed:
        raise UsageError("`--gym` serves no model", hint=f"remove `{'` and `'.join(typed)}`")


def _serve_gym(skills: tuple[str, ...], port: int) -> None:
    from skillpm.ops.learning.serve import gym_server, listen

    context, chosen = agreed_skills(skills)
    with gym_server(context, chosen) as application:
        names = ", ".join(skill.name for skill in chosen)
        listen(application, port, lambda: note(f"judging {names} at http://127.0.0.1:{port}"))
