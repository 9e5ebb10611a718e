"""``skillpm eval``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import is_set, is_typed
from skillpm.cli.complete import known_names
from skillpm.cli.context import command_context
from skillpm.cli.evaluator import (
    CONTINUES,
    answers_are_kept,
    asking_options,
    continues,
    nothing_asked,
    open_evaluator,
    read_asked,
)
from skillpm.cli.options import model_option, run_option
from skillpm.cli.output import echo_json, note, safe, table
from skillpm.cli.paths import TypedPath
from skillpm.cli.process import if_interrupted
from skillpm.cli.report import print_more
from skillpm.errors import CheckError, UsageError, VerifierError

if TYPE_CHECKING:
    from skillpm.model.skill import Skill
    from skillpm.ops.context import Context
    from skillpm.ops.learning.evaluate import Evaluated, Evaluator

_FILE = TypedPath()
MODEL, RUN = "--model MODEL", "--run RUN"

_KINDS = {"benchmark": MODEL, "held_out": MODEL, "output": MODEL, "before": RUN, "with_base": RUN}
"""What an option goes with. Every other option goes with both."""
_MORE_ARMS = ("skill_text", "tool_schemas", "with_base", "constrain", "limit", "benchmark", "held_out", "before")
"""What `--blind` does not go with: it asks no second arm, no sample and nothing else."""
_NOT_TOLD = {
    "skills", "output", "compare", "gate", "yes", "workers", "sandbox", "json", "key_stdin", "resume",
    "working_folder", "quiet", "verbose", "no_color",
}  # fmt: skip
"""Options that change no answer: the command that a report shows leaves them out."""


@click.command("eval", epilog="Example: skillpm eval incident-triage --model smollm2-135m --limit 20")
@click.argument("skills", shell_complete=known_names, nargs=-1, metavar="[SKILL]...")
@model_option("smollm2-135m, a folder, a hub id, an adapter, URL#MODEL of a server, or answers.jsonl.")
@run_option("A run's name, its folder, or latest: evaluate each stage.")
@click.option("--benchmark", metavar="NAME", help="Ask a published benchmark that a plugin brings, such as bfcl.")
@click.option("--skill-text", is_flag=True, help="Add an arm with the skill's text in the prompt.")
@click.option("--tool-schemas", is_flag=True, help="Add an arm with the schemas of the tools in the prompt.")
@click.option("--held-out", type=_FILE, metavar="FILE", help="JSON Lines of tasks that synthesis held out.")
@click.option("--before", type=_FILE, metavar="PATH", help="With --run: an earlier evaluation to compare with.")
@click.option("--with-base", is_flag=True, help="With --run: evaluate the base model too.")
@click.option("--output", "-o", type=_FILE, metavar="DIR", help="A new folder for the results.")
@click.option("--blind", is_flag=True, help="Ask the blind suites alone, and spend them on this model.")
@click.option("--compare", is_flag=True, help="Print the paired comparison of the arms.")
@click.option("--gate/--no-gate", default=True, help="Exit 1 if a gate is missed.  [default: gate]")
@click.option(
    "--constrain",
    type=click.Choice(["contract"]),
    help="Add to each arm one whose answers can only be what the contract accepts.",
)
@asking_options
@click.pass_context
@if_interrupted(CONTINUES.format(""))
def command(context: click.Context, /, **options: Any) -> None:
    """Evaluate a model or a run on skills' suites.

    SKILLs are names or folders, by default all installed skills. Each skill's own verifier judges the answers, and
    scores have 95 % intervals. Answers are kept as they end: after Ctrl-C, a limit or an outage, the same command with
    --resume, and another --output if that one was written, asks for those that are missing.
    """
    read_asked(options)
    if options["constrain"] and options["answer_form"] != "json":
        raise UsageError("`--constrain` holds answers to the form json", hint="remove `--answer-form`")
    kind = MODEL if options["run"] is None else RUN
    _refuse_options(context, kind)
    if options["blind"] and (other := next((flag for flag in _MORE_ARMS if is_typed(context, flag)), None)):
        flag = f"--{other.replace('_', '-')}"
        raise UsageError(f"`--blind` asks one candidate all tasks once, without `{flag}`", hint=f"remove `{flag}`")
    evaluator, skills = _open(context, options)
    with answers_are_kept():
        evaluated = _evaluated(kind, evaluator, skills, options)
    _print(kind, evaluated, options)
    if evaluated.interrupted:
        raise KeyboardInterrupt(continues(options["output"]))
    if any("limit_reached" in arm.settings for arm in evaluated.evaluation.arms):
        note(continues(options["output"]))
    _refuse_unjudged(evaluated, skills)
    if options["gate"] and (missed := [gate for gate in evaluated.gates if not gate.passed]):
        failed = any(gate.outcome == "failed" for gate in missed)
        remedy = "train further" if failed else "have more tasks asked and judged"
        raise CheckError("; ".join(gate.sentence for gate in missed), hint=f"{remedy}, or use `--no-gate`")


def _refuse_unjudged(evaluated: Evaluated, skills: Sequence[Skill]) -> None:
    """Fail where nothing was asked, or no answer could be judged.

    Raises:
        CheckError: each prompt was too long for the model, or the verifier abstained.
        VerifierError: the verifier failed.
    """
    from skillpm.evals.stored_records import outcomes_of

    arms = [arm for arm in evaluated.evaluation.arms if arm.records]
    profiles = [item for arm in arms for item in outcomes_of(arm).profiles if item.finish_reason != "too_long"]
    if not arms or any(profile.judged for profile in profiles):
        return
    count = sum(len(arm.records) for arm in arms)
    if not profiles:
        raise nothing_asked(count)
    first = next(record for arm in arms for record in arm.records if record.finish_reason != "too_long")
    reason = next(iter(first.verdict.reasons), "the verifier abstained")
    problem = f"none of {count} answers could be judged: {safe(reason)}"
    skill = first.skill
    word = next((item.word for item in skills if item.name == skill), skill)
    if all(profile.status == "errored" for profile in profiles):
        raise VerifierError(problem, hint=f"run `skillpm selftest {word}`", skill=skill)
    raise CheckError(problem, hint=f"give {skill} a contract or a verifier")


def _refuse_options(context: click.Context, kind: str) -> None:
    """Refuse options that this kind of evaluation does not take. Raises UsageError."""
    for option in context.command.params:
        name = option.name or ""
        if _KINDS.get(name, kind) != kind and is_typed(context, name):
            flag = option.opts[0]
            raise UsageError(f"`{flag}` does not go with `{kind}`", hint=f"remove it, or use `{_KINDS[name]}`")


def _open(click_context: click.Context, options: dict[str, Any]) -> tuple[Evaluator, list[Skill]]:
    """Return the evaluator and the chosen skills, with consent. The run in the options becomes its folder."""
    from skillpm.ops.learning.evaluate_run import trained_skills
    from skillpm.ops.learning.runs import find_run

    context = command_context()
    if options["run"] is not None:
        options["run"] = find_run(context.settings, options["run"])
    skills, run = options["skills"], options["run"]
    if options["benchmark"] is not None:
        chosen = [context.benchmark(options["benchmark"]), *(context.skills(skills) if skills else ())]
    else:
        chosen = context.skills(skills) if run is None else trained_skills(context, skills, run)
    return open_evaluator(context, chosen, options, _typed(click_context, context, options)), chosen


def _typed(click_context: click.Context, context: Context, options: Mapping[str, Any]) -> str:
    """Return the command that asks the same again."""
    from skillpm.ops.learning.runs import run_word

    words = ["skillpm", "eval", *options["skills"]]
    for option in click_context.command.params:
        name = option.name or ""
        if name in _NOT_TOLD or not is_typed(click_context, name):
            continue
        value = options.get(name, True)  # --user is no value of the command
        if name == "run":
            value = run_word(context.settings, value)
        words += [option.opts[0]] if value is True else [option.opts[0], str(value)]
    return shlex.join(words)


def _evaluated(kind: str, evaluator: Evaluator, skills: Sequence[Skill], options: Mapping[str, Any]) -> Evaluated:
    if kind == MODEL:
        from skillpm.ops.learning.evaluate import evaluate_model

        held_out, output = options["held_out"], options["output"]
        return evaluate_model(evaluator, skills, options["model"], held_out=held_out, output=output)
    from skillpm.ops.learning.evaluate_run import evaluate_run

    before, with_base = options["before"], options["with_base"]
    return evaluate_run(evaluator, skills, options["run"], before=before, with_base=with_base)


def _print(kind: str, evaluated: Evaluated, options: Mapping[str, Any]) -> None:
    """Print an evaluation; the stages of a run stand side by side, arms of a model one below the other."""
    from skillpm.evals.figures import figures, novelty_figures
    from skillpm.evals.summary import arm_table, evaluation_document, metric_table

    if is_set("json"):
        echo_json({**evaluation_document(evaluated.evaluation, evaluated.gates), "report": evaluated.report})
        return
    rows = [*figures(evaluated.evaluation), *novelty_figures(evaluated.evaluation)]
    arms = [arm.name for arm in evaluated.evaluation.arms]
    table(*(arm_table(rows) if kind == MODEL else metric_table(rows, arms)))
    print_more(evaluated.evaluation, compare=options["compare"])
    if evaluated.report is not None:
        note(f"the report is {evaluated.report}")
