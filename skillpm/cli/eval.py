"""``skillpm eval``."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import is_set, is_typed
from skillpm.cli.complete import known_names
from skillpm.cli.consent import code_options, grant_consents
from skillpm.cli.context import command_context
from skillpm.cli.options import (
    FiniteRange,
    choice_option,
    key_option,
    model_option,
    number_option,
    read_key,
    run_option,
)
from skillpm.cli.output import echo_json, json_option, note, print_json, progress, safe, table
from skillpm.cli.paths import TypedPath
from skillpm.cli.process import if_interrupted
from skillpm.cli.report import print_more
from skillpm.errors import CheckError, RegistryError, UsageError, VerifierError

if TYPE_CHECKING:
    from skillpm.evals.budget import Limits
    from skillpm.model.skill import Skill
    from skillpm.ops.context import Context
    from skillpm.ops.learning.evaluate import Evaluated, Evaluator

_FILE = TypedPath()
CONTINUES = "the same command with `--resume`{} continues"
MODEL, RUN, TASKS = "--model MODEL", "--run RUN", "--tasks FILE"

_KINDS = {
    "benchmark": (MODEL,),
    "held_out": (MODEL,),
    "before": (RUN,),
    "with_base": (RUN,),
    "output": (MODEL, TASKS),
    "compare": (MODEL, RUN),
    "constrain": (MODEL, RUN),
    "gate": (MODEL, RUN),
}
"""The kinds of evaluation that take an option. All three take every other option."""
_TEMPLATE = """write it as '{"enable_thinking": true}'"""
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
@click.option("--tasks", type=_FILE, metavar="FILE", help="Answer your own rows {request, expected?} instead.")
@click.option("--output", "-o", type=_FILE, metavar="DIR", help="A new folder for the results.")
@click.option("--compare", is_flag=True, help="Print the paired comparison of the arms.")
@click.option("--gate/--no-gate", default=True, help="Exit 1 if a gate is missed.  [default: gate]")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Use N tasks of each task set, spread over tools and tags."
)
@number_option("--seed", int, 0, "Chooses the tasks of --limit, and draws answers with --temperature.")
@number_option("--repeats", click.IntRange(1, 1000), 1, "Ask each task N times: pass@k and pass^k.")
@number_option("--turns", click.IntRange(1, 64), 4, "Let an episode have N answers, where a skill has an environment.")
@number_option("--temperature", FiniteRange(0, 2), 0.0, "Draw answers by chance; 0 is greedy.", "T")
@click.option(
    "--resume", is_flag=True, help="Reuse the answers that an earlier command stored, and ask for the others."
)
@click.option("--max-tokens-total", type=click.IntRange(min=1), metavar="N", help="Stop after N tokens.")
@click.option("--max-minutes", type=FiniteRange(min=0, min_open=True), metavar="N", help="Stop after N minutes.")
@click.option(
    "--max-cost",
    type=FiniteRange(min=0, min_open=True),
    metavar="MONEY",
    help="Stop at this cost, counted with --price.",
)
@click.option(
    "--price", metavar="P,A", help="The prices of a million tokens of prompts and of answers, such as 0.15,0.60."
)
@number_option("--max-new-tokens", click.IntRange(1, 32768), 128, "The most tokens of one answer.")
@number_option("--batch-size", click.IntRange(1, 4096), 16, "Tasks asked at once.")
@choice_option(
    "--dtype",
    choices=("auto", "float32", "bfloat16"),
    default="auto",
    text="Data type of the weights; auto is bfloat16 where the processor has units for it, else float32.",
)
@choice_option(
    "--answer-form",
    choices=("json", "hermes", "llama", "mistral", "deepseek", "harmony"),
    default="json",
    text="How the model writes a tool call; json is the form that our prompts ask for.",
)
@click.option(
    "--chat-template-kwargs",
    metavar="JSON",
    help="Arguments of the model's chat template, such as '{\"enable_thinking\": true}'.",
)
@click.option(
    "--constrain",
    type=click.Choice(["contract"]),
    help="Add to each arm one whose answers can only be what the contract accepts.",
)
@key_option
@code_options
@json_option
@click.pass_context
@if_interrupted(CONTINUES.format(""))
def command(context: click.Context, /, **options: Any) -> None:
    """Evaluate a model or a run on skills' suites or your own tasks.

    SKILLs are names or folders, by default all installed skills. Each skill's own verifier judges the answers, and
    scores have 95 % intervals. Answers are kept as they end: after Ctrl-C, a limit or an outage, the same command with
    --resume asks for those that are missing.
    """
    kind = _kind(options)
    if options["key_stdin"]:
        read_key(options["model"])
    _refuse_options(context, kind)
    evaluator, skills = _open(context, options)
    try:
        _evaluate(kind, evaluator, skills, options)
    except RegistryError as error:
        if error.name != "endpoint":
            raise
        note(f"the answers so far are stored: {CONTINUES.format('')}")
        raise


def _evaluate(kind: str, evaluator: Evaluator, skills: Sequence[Skill], options: Mapping[str, Any]) -> None:
    """Evaluate and print.

    Raises:
        CheckError: a gate is missed, or the verifier abstained everywhere.
        VerifierError: no answer could be judged.
        KeyboardInterrupt: Ctrl-C ended it; the answers that had ended are printed.
    """
    if kind == TASKS:
        _answer_rows(evaluator, skills, options)
        return
    evaluated = _evaluated(kind, evaluator, skills, options)
    _print(kind, evaluated, options)
    if evaluated.interrupted:
        raise KeyboardInterrupt(_continues(options))
    _refuse_unjudged(evaluated)
    if options["gate"] and (missed := [gate.sentence for gate in evaluated.gates if not gate.passed]):
        raise CheckError("; ".join(missed), hint="train further, or use `--no-gate`")


def _refuse_unjudged(evaluated: Evaluated) -> None:
    """Fail where no answer could be judged. Raises VerifierError or, where the verifier abstained, CheckError."""
    from skillpm.evals.stored_records import outcomes_of

    arms = [arm for arm in evaluated.evaluation.arms if arm.records]
    profiles = [profile for arm in arms for profile in outcomes_of(arm).profiles]
    if not arms or any(profile.judged for profile in profiles):
        return
    first = arms[0].records[0]
    reason = next(iter(first.verdict.reasons), "the verifier abstained")
    problem = f"none of {sum(len(arm.records) for arm in arms)} answers could be judged: {safe(reason)}"
    skill = first.skill
    if all(profile.status == "errored" for profile in profiles):
        raise VerifierError(problem, hint=f"run `skillpm selftest {skill}`", skill=skill)
    raise CheckError(problem, hint=f"give {skill} a contract or a verifier")


def _kind(options: Mapping[str, Any]) -> str:
    if (options["model"] is None) == (options["run"] is None):
        problem = "is missing" if options["run"] is None else "is expected, not both"
        raise UsageError(f"`--model` or `--run` {problem}", hint="such as `skillpm eval SKILL --model smollm2-135m`")
    if options["constrain"] and options["answer_form"] != "json":
        raise UsageError("`--constrain` holds answers to the form json", hint="remove `--answer-form`")
    if options["tasks"] is None:
        return MODEL if options["run"] is None else RUN
    if options["output"] is None:
        raise UsageError("`--tasks` needs `--output DIR`", hint="add `--output DIR`: the answers are written there")
    return TASKS


def _refuse_options(context: click.Context, kind: str) -> None:
    """Refuse options that this kind of evaluation does not take. Raises UsageError."""
    for option in context.command.params:
        name = option.name or ""
        kinds = _KINDS.get(name, (kind,))
        if kind not in kinds and is_typed(context, name):
            flag = "/".join([option.opts[0], *option.secondary_opts])
            known = " or ".join(f"`{item}`" for item in kinds)
            raise UsageError(f"`{flag}` does not go with `{kind}`", hint=f"remove it, or use {known}")


def _open(click_context: click.Context, options: dict[str, Any]) -> tuple[Evaluator, list[Skill]]:
    """Return the evaluator and the chosen skills, with consent. The run in the options becomes its folder."""
    from skillpm.evals.examiner import Asking
    from skillpm.ops.learning.evaluate import Evaluator
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
    if options["tasks"] is not None and len(chosen) != 1:
        hint = "skillpm eval SKILL --tasks FILE --model MODEL --output DIR"
        raise UsageError("`--tasks` needs exactly one SKILL", hint=hint)
    grant_consents(context, chosen)
    asked = {name: options[name] for name in Asking.__dataclass_fields__ if name in options}
    template = _template(options["chat_template_kwargs"])
    asking = Asking(**{**asked, "chat_template_kwargs": template, "limits": _limits(options)})
    typed = _typed(click_context, context, options)
    return Evaluator(context, asking, progress(), command=typed, resume=options["resume"]), chosen


def _limits(options: Mapping[str, Any]) -> Limits:
    """Return what asking may take."""
    from skillpm.evals.budget import Limits, Price

    text, price = options["price"], None
    if text is not None:
        try:
            prompt, answer = map(float, text.split(","))
        except ValueError:
            prompt = answer = -1.0
        if not (0 <= prompt < math.inf and 0 <= answer < math.inf):
            raise UsageError(f"`--price` takes two numbers, not `{text[:40]}`", hint="such as `--price 0.15,0.60`")
        price = Price(prompt, answer)
    if options["max_cost"] is not None and price is None:
        raise UsageError("`--max-cost` needs `--price`", hint="such as `--price 0.15,0.60`, for a million tokens")
    bounds = {name: options[name] for name in ("max_tokens_total", "max_minutes", "max_cost")}
    return Limits(**bounds, price=price)


def _template(text: str | None) -> dict[str, Any] | None:
    from skillpm.formats.strict import strict_json

    if text is None:
        return None
    try:
        arguments = strict_json(text)
    except ValueError as error:
        raise UsageError(f"`--chat-template-kwargs` is not JSON: {error}", hint=_TEMPLATE) from None
    if not isinstance(arguments, dict):
        raise UsageError("`--chat-template-kwargs` is not a JSON object", hint=_TEMPLATE)
    return dict(arguments)


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


def _answer_rows(evaluator: Evaluator, skills: Sequence[Skill], options: Mapping[str, Any]) -> None:
    from skillpm.evals.figures import figures
    from skillpm.evals.summary import arm_table
    from skillpm.ops.learning.answer_rows import answer_rows
    from skillpm.ops.learning.answerer import Answerer

    model, run = options["model"], options["run"]
    answerer = Answerer.of_model(evaluator.context, model) if run is None else Answerer.of_run(run)
    answered = answer_rows(evaluator, skills[0], options["tasks"], answerer, options["output"])
    if not print_json({**answered.summary, "output": answered.output}) and answered.evaluation is not None:
        table(*arm_table(figures(answered.evaluation)))
    note(f"{answered.answers} answers are in {answered.output / 'completions.jsonl'}")
    if answered.interrupted:
        raise KeyboardInterrupt(f"the rows that were not answered are left out; {_continues(options)}")


def _continues(options: Mapping[str, Any]) -> str:
    """Return how to go on after an evaluation whose part is written already."""
    return CONTINUES.format(" and another `--output`" if options["output"] else "")


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
