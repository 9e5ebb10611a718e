"""``skillpm synth``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import is_set
from skillpm.cli.complete import known_names
from skillpm.cli.consent import agreed_skills, code_options, engine_option
from skillpm.cli.context import command_context
from skillpm.cli.evaluator import answers_are_kept
from skillpm.cli.options import FiniteRange, number_option
from skillpm.cli.output import json_option, note, print_json, progress, safe, table
from skillpm.cli.paths import TypedPath
from skillpm.cli.process import if_interrupted
from skillpm.errors import UsageError
from skillpm.formats.typed_path import typed_path

if TYPE_CHECKING:
    from skillpm.agent.trace import Trace
    from skillpm.model.skill import Skill
    from skillpm.ops.context import Context
    from skillpm.ops.learning.synth import Shown, SynthesisRequest
    from skillpm.synth.profile import Profile, SplitProfile
    from skillpm.synth.rephrase import Rephrasing

_MOST = 10_000_000  # rows
_SHARE = 0.5  # of the training rows that a model tries to say in other words


@click.command("synth", epilog="Example: skillpm synth incident-triage --rows 1000 --output data")
@click.argument("skills", shell_complete=known_names, nargs=-1, metavar="[SKILL]...")
@number_option("--rows", click.IntRange(1, _MOST), 400, "Training rows of each skill.")
@number_option("--held-out", click.IntRange(0, _MOST), 100, "Held-out rows of each skill.", "M")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same bytes.")
@click.option("--output", "-o", type=TypedPath(), metavar="DIR", help="A new folder for the files.")
@click.option(
    "--show",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Print N rows of each skill's rules for people, each with its command line; write nothing.",
)
@click.option(
    "--from-traces",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Add what you approved and edited in `skillpm run` to the seeds, and what a FILE of another program shows.",
)
@click.option(
    "--from-failures",
    type=TypedPath(),
    metavar="RUN",
    help="Give more rows to the rules that this run, or evaluation, answered wrongly.",
)
@click.option(
    "--rephrase-with",
    metavar="MODEL",
    help="Let this model, or a server's URL#MODEL, write training requests in other words; it must read each back.",
)
@click.option(
    "--rephrase-share",
    type=FiniteRange(0, 1),
    metavar="SHARE",
    help="The share of the training rows that it tries.  [default: 0.5]",
)
@click.option("--force", is_flag=True, help="Replace the files of an earlier synthesis.")
@click.option("--strict", is_flag=True, help="Refuse a split with fewer rows than requested.")
@code_options
@engine_option
@json_option
@if_interrupted("nothing was written, the same command begins again")
def command(skills: tuple[str, ...], output: Path | None, show: int | None, force: bool, **options: Any) -> None:
    """Make training and held-out tasks from the seeds and rules of SKILLs.

    SKILLs are names or folders, by default all installed skills that are more than a text. Every row passes its skill's
    own verifier. Held-out rows have values and phrasings that training rows never have, and no row is in a suite. A
    split without rows is an error.

    With --output, writes train.jsonl, held_out.jsonl and profile.json. Without it, prints the training tasks.
    """
    from skillpm.ops.learning.synth import check_output, check_rows, synth, write_synthesis

    if show is not None:
        _show(skills, output, show, options)
        return
    if is_set("json") and output is None:
        raise UsageError(
            "`--json` needs `--output DIR`", hint="add `--output DIR`; without it, stdout has the tasks as JSON Lines"
        )
    if output is not None:
        check_output(output, force=force)
    goes_on = "the same command continues"
    stored = nullcontext() if options["rephrase_with"] is None else if_interrupted(f"nothing was written, {goes_on}")
    with answers_are_kept(goes_on), stored:
        synthesis = synth(*_asked(skills, options), progress())
    for name, skill in synthesis.profile.skills.items():
        for text in skill.sentences():
            note(f"note: {name}: {text}")
    check_rows(synthesis.profile, strict=options["strict"])
    if output is None:
        sys.stdout.writelines(line.decode() for line in synthesis.lines["train"])
        return
    write_synthesis(synthesis, output, force=force)
    if not print_json({"output": output, **synthesis.profile.model_dump(mode="json")}):
        _print_profile(synthesis.profile)


def _show(skills: tuple[str, ...], output: Path | None, rows: int, options: Mapping[str, Any]) -> None:
    """Print some rows of each skill's rules."""
    from skillpm.ops.learning.synth import SynthesisRequest, preview

    if options["from_failures"] is not None:
        raise UsageError("`--show` takes no `--from-failures`", hint="remove one of them")
    if output is not None:
        raise UsageError("`--show` writes no files", hint="remove `--output` or `--show`")
    context, chosen = agreed_skills(command_context().skills_to_learn(skills))
    request = SynthesisRequest(rows, held_out=0, seed=options["seed"], rephrasing=_rephrasing(context, options))
    _print_preview(preview(context, chosen, request))


def _asked(skills: tuple[str, ...], options: Mapping[str, Any]) -> tuple[Context, list[Skill], SynthesisRequest]:
    """Return what is asked for, and the skills, with consent to their code."""
    from skillpm.ops.learning.report import stored_evaluation
    from skillpm.ops.learning.synth import SynthesisRequest, count_traces

    traces, run = options["from_traces"], options["from_failures"]
    skills, imported = _imported(skills, traces)
    failures = None if run is None else stored_evaluation(command_context().settings, run).evaluation
    context, chosen = agreed_skills(command_context().skills_to_learn(skills))
    for taught in chosen if traces is not None and not imported else ():
        if not count_traces(context, taught):
            note(f"note: {taught.name}: no stored episode adds a row; `skillpm traces list` shows what was decided")
    request = SynthesisRequest(
        **{name: options[name] for name in ("rows", "held_out", "seed")},
        from_traces=traces is not None,
        imported=imported,
        rephrasing=_rephrasing(context, options),
        failures=failures,
    )
    return context, chosen, request


def _imported(skills: tuple[str, ...], source: str | None) -> tuple[tuple[str, ...], tuple[Trace, ...]]:
    """Return the skills, and the episodes of a file; what is no file is a skill, whose name stood behind the option."""
    if not source:
        return skills, ()
    if not typed_path(source).is_file() and "." not in Path(source).name:
        return (*skills, source), ()
    from skillpm.ops.learning.import_traces import read_traces

    read = read_traces([typed_path(source)], command_context().skills(skills))
    for reason, number in read.left.most_common():
        note(f"left out: {reason}: {number}")
    hidden = sum(trace.gold() is None and trace.negative() is None for trace in read.traces)
    if hidden:
        note(f"left out: a secret stands in it: {hidden}")
    if not read.traces:
        raise UsageError(
            f"{source} shows no request that a skill answers", hint="see what `skillpm traces import` takes"
        )
    return skills, read.traces


def _rephrasing(context: Context, options: Mapping[str, Any]) -> Rephrasing | None:
    from skillpm.ops.learning.rephrase import load_rephrasing

    model, share = options["rephrase_with"], options["rephrase_share"]
    if model is None and share is not None:
        raise UsageError("`--rephrase-share` needs a model that writes", hint="add `--rephrase-with MODEL`")
    return None if model is None else load_rephrasing(context, model, _SHARE if share is None else share, note)


def _print_preview(rows: Sequence[Shown]) -> None:
    if print_json(rows):
        return
    for row in rows:
        click.echo(f"{safe(row.request)}\n    {safe(row.answer)}")


def _print_profile(profile: Profile) -> None:
    rows = [
        [name, side.replace("_", "-"), *_cells(getattr(skill, side))]
        for name, skill in profile.skills.items()
        for side in ("train", "held_out")
    ]
    columns = ("skill", "split", "rows", "asked", "targets", "request p50/p95", "answer p50/p95", "thrown away")
    table(columns, rows, title="Synthesis")
    covered = [[name, *row] for name, skill in profile.skills.items() for row in skill.coverage_rows()]
    if covered:
        table(("skill", "tool", "argument", "class", "train", "held-out"), covered, title="Coverage")
    rephrased = [[name, *item] for name, skill in profile.skills.items() for item in skill.train.rephrased.items()]
    if rephrased:
        table(("skill", "in other words", "rows"), rephrased, title="Rephrased")


def _cells(side: SplitProfile) -> list[object]:
    lengths = [f"{item.p50}/{item.p95}" for item in (side.request_characters, side.answer_characters)]
    return [side.rows, side.asked, side.distinct_targets, *lengths, sum(side.rejected.values())]
