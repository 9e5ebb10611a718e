"""What `eval` and `answer` share: whom they ask, how, for how long, and how to go on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.consent import code_options, grant_consents
from skillpm.cli.options import FiniteRange, choice_option, combined, key_option, number_option, read_key
from skillpm.cli.output import json_option, note, progress
from skillpm.errors import CheckError, RegistryError, UsageError

if TYPE_CHECKING:
    from skillpm.evals.budget import Limits
    from skillpm.model.skill import Skill
    from skillpm.ops.context import Context
    from skillpm.ops.learning.evaluate import Evaluator

CONTINUES = "the same command with `--resume`{} continues"
_TEMPLATE = """write it as '{"enable_thinking": true}'"""

asking_options = combined(
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        help="Use N tasks of each task set, spread over tools and tags.",
    ),
    number_option("--seed", int, 0, "Chooses the tasks of --limit, and draws answers with --temperature."),
    number_option("--repeats", click.IntRange(1, 1000), 1, "Ask each task N times: pass@k and pass^k."),
    number_option("--turns", click.IntRange(1, 64), 4, "Let an episode have N answers, if a skill has an environment."),
    number_option("--temperature", FiniteRange(0, 2), 0.0, "Draw answers by chance; 0 is greedy.", "T"),
    click.option(
        "--resume", is_flag=True, help="Reuse the answers that an earlier command stored, and ask for the others."
    ),
    click.option("--max-tokens-total", type=click.IntRange(min=1), metavar="N", help="Stop after N tokens."),
    click.option("--max-minutes", type=FiniteRange(min=0, min_open=True), metavar="N", help="Stop after N minutes."),
    click.option(
        "--max-cost",
        type=FiniteRange(min=0, min_open=True),
        metavar="MONEY",
        help="Stop at this cost, counted with --price.",
    ),
    click.option(
        "--price", metavar="P,A", help="The prices of a million tokens of prompts and of answers, such as 0.15,0.60."
    ),
    number_option("--max-new-tokens", click.IntRange(1, 32768), 128, "The most tokens of one answer."),
    number_option("--batch-size", click.IntRange(1, 4096), 16, "Tasks asked at once."),
    choice_option(
        "--dtype",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        text="Data type of the weights; auto is bfloat16 where the processor has units for it, else float32.",
    ),
    choice_option(
        "--answer-form",
        choices=("json", "hermes", "llama", "mistral", "deepseek", "harmony"),
        default="json",
        text="How the model writes a tool call; json is the form that our prompts ask for.",
    ),
    click.option(
        "--chat-template-kwargs",
        metavar="JSON",
        help="Arguments of the model's chat template, such as '{\"enable_thinking\": true}'.",
    ),
    key_option,
    code_options,
    json_option,
)


def read_asked(options: Mapping[str, Any]) -> None:
    """See whom the command asks, and read the key of a server where it stands in stdin.

    Raises:
        UsageError: not exactly one of ``--model`` and ``--run`` was typed, or stdin has no key.
    """
    if (options["model"] is None) == (options["run"] is None):
        problem = "is missing" if options["run"] is None else "is expected, not both"
        name = click.get_current_context().info_name
        raise UsageError(f"`--model` or `--run` {problem}", hint=f"such as `skillpm {name} … --model smollm2-135m`")
    read_key(options)


def open_evaluator(
    context: Context, skills: Sequence[Skill], options: Mapping[str, Any], command: str = ""
) -> Evaluator:
    """Return the evaluator that the options ask for, with consent to the skills' code; ``command`` asks the same again.

    Raises:
        UsageError: an option is wrong.
        ConsentError: somebody says no, or cannot be asked.
    """
    from skillpm.evals.asking import Asking
    from skillpm.ops.learning.evaluate import Evaluator

    grant_consents(context, skills)
    asked = {name: options[name] for name in Asking.__dataclass_fields__ if name in options}
    template = _template(options["chat_template_kwargs"])
    asking = Asking(**{**asked, "chat_template_kwargs": template, "limits": _limits(options)})
    return Evaluator(context, asking, progress(), command=command, resume=options["resume"])


@contextmanager
def answers_are_kept(goes_on: str = CONTINUES.format("")) -> Iterator[None]:
    """Where a server fails in the middle, say how to go on."""
    try:
        yield
    except RegistryError as error:
        if error.name == "endpoint":
            note(f"the answers so far are stored: {goes_on}")
        raise


def continues(output: object) -> str:
    """Return how to go on after a command whose part is written already to this output, if it has one."""
    return CONTINUES.format(" and another `--output`" if output else "")


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
    from skillpm.formats.document import PlacedValueError
    from skillpm.formats.strict import strict_json
    from skillpm.model.template_arguments import check_template_arguments

    if text is None:
        return None
    try:
        arguments = strict_json(text)
    except ValueError as error:
        raise UsageError(f"`--chat-template-kwargs` is not JSON: {error}", hint=_TEMPLATE) from None
    if not isinstance(arguments, dict):
        raise UsageError("`--chat-template-kwargs` is not a JSON object", hint=_TEMPLATE)
    try:
        return dict(check_template_arguments(arguments))
    except PlacedValueError as error:
        raise UsageError(f"`--chat-template-kwargs`: {error}", hint=error.hint) from None


def nothing_asked(count: int) -> CheckError:
    """Return the error of so many tasks whose prompts were all too long."""
    return CheckError(
        f"none of {count} tasks could be asked: each prompt is too long for the model",
        hint="use a smaller `--max-new-tokens`, or a model that reads more",
    )
