"""Make tasks of skills' seeds and rules, and write them as one folder that appears whole or not at all."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillpm.agent.trace import Trace, Traces
from skillpm.contract.contract import Contract
from skillpm.errors import CheckError, UsageError
from skillpm.formats.document import read_json_lines
from skillpm.formats.listed import listed
from skillpm.model.answer_kind import label_of
from skillpm.model.evaluation import Evaluation
from skillpm.model.progress import NO_PROGRESS, Progress
from skillpm.model.skill import Skill
from skillpm.model.suite import Suite
from skillpm.model.task import Seed, Task, request_key
from skillpm.ops.context import Context
from skillpm.ops.learning.session import JudgingSession, open_session
from skillpm.runtime.catalogue import Contributions
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.storage.files import check_can_make, read_lines, write_atomic
from skillpm.storage.whole_folder import refuse_working_folder, whole_folder
from skillpm.synth.contamination import SuiteIndex
from skillpm.synth.dedupe import normal_form
from skillpm.synth.emphasis import emphases, emphasised
from skillpm.synth.generate import Synthesis, synthesise
from skillpm.synth.profile import Profile
from skillpm.synth.rephrase import Rephrasing
from skillpm.synth.split import HeldOut, divide

PROFILE = "profile.json"
_WRITTEN = {"train.jsonl", "held_out.jsonl", PROFILE}


@dataclass(frozen=True, slots=True)
class SynthesisRequest:
    """What is made.

    Attributes:
        rows: training rows of each skill.
        held_out: held-out rows of each skill.
        seed: of chance.
        from_traces: add what people approved and edited in stored episodes to the seeds.
        imported: episodes of other programs, taken with those that are stored.
        rephrasing: who writes training requests of rules in other words.
        failures: an evaluation; rules whose answers were wrong in its last arm get more rows.
    """

    rows: int
    held_out: int
    seed: int = 0
    from_traces: bool = False
    imported: tuple[Trace, ...] = ()
    rephrasing: Rephrasing | None = None
    failures: Evaluation | None = None


def synth(
    context: Context, skills: Sequence[Skill], request: SynthesisRequest, progress: Progress = NO_PROGRESS
) -> Synthesis:
    """Make training and held-out tasks, each verified by its skill.

    Raises:
        UsageError: no rule of the skills was wrong in ``failures``.
        CheckError: a seed stands in a suite.
        DocumentError: a document of a skill is wrong.
        PluginError: a skill's code failed.
    """
    with open_session(context, skills) as session:
        contributions = list(session.contributions.values())
        if request.from_traces:
            contributions = [with_traces(context, item, request.imported) for item in contributions]
        if request.failures is not None:
            contributions = with_failures(context, contributions, request.failures)
        return make_rows(context, session, contributions, request, progress)


def make_rows(
    context: Context,
    session: JudgingSession,
    sources: Sequence[Contributions],
    request: SynthesisRequest,
    progress: Progress = NO_PROGRESS,
) -> Synthesis:
    """Make the rows of a request out of what skills contribute; the skills of the session judge them."""
    return synthesise(
        sources,
        session.scorer.judge,
        rows=request.rows,
        held_out=request.held_out,
        seed=request.seed,
        run_rule=session.scorer.synthesise,
        progress=progress,
        other_suites=_other_suites(context, {item.skill.name for item in sources}),
        rephrasing=request.rephrasing,
    )


def with_failures(
    context: Context, contributions: Sequence[Contributions], evaluation: Evaluation
) -> list[Contributions]:
    """Return contributions whose rules have more weight where the last arm of an evaluation was wrong.

    Raises:
        UsageError: no rule of them was wrong.
    """
    records = evaluation.arms[-1].records if evaluation.arms else ()
    weighted = {item.skill.name: item for item in contributions}
    failed = False
    for name, item in weighted.items():
        mine = (record for record in records if record.skill == name)
        factors = {} if item.synthesis is None else emphases(item.synthesis, mine)
        if item.synthesis is not None and factors:
            failed, weighted[name] = True, replace(item, synthesis=emphasised(item.synthesis, factors))
            ranked = sorted(factors.items(), key=lambda pair: (-pair[1], pair[0]))
            context.note(f"{name}: more rows of {listed([f'{rule} ({factor:.1f}x)' for rule, factor in ranked], 8)}")
    if not failed:
        names = ", ".join(item.skill.name for item in contributions)
        hint = "name an evaluation with wrong answers, such as `--from-failures latest`"
        raise UsageError(f"the evaluation has no wrong answer of a rule of {names}", hint=hint)
    return list(weighted.values())


def with_traces(context: Context, contributions: Contributions, imported: Iterable[Trace] = ()) -> Contributions:
    """Return contributions with the seeds of their stored episodes.

    Args:
        context: knows where episodes are stored.
        contributions: of a skill.
        imported: episodes of other programs, which are not stored.
    """
    seeds = _gold(context, contributions.skill.name, contributions.seeds, imported)
    return replace(contributions, seeds=(*seeds, *contributions.seeds))


def _gold(context: Context, skill: str, own: Iterable[Seed], imported: Iterable[Trace] = ()) -> Sequence[Seed]:
    """Return the seeds of a skill's episodes that ask for what its own seeds do not."""
    known = frozenset(request_key(seed.request) for seed in own)
    return Traces(context.settings.traces).gold(skill, known, imported)


def count_traces(context: Context, skill: Skill) -> int:
    """Return how many stored episodes of a skill would train; no code of the skill runs."""
    files = SkillFiles(skill)
    suites, own, document = files.suites(), files.seeds(), files.synthesis()
    index = SuiteIndex([(skill.name, suite) for suite in suites])
    held_out = None if document is None else HeldOut(document, divide(document, own, files.contract()))
    return sum(
        (form := normal_form(seed.request)) not in index
        and index.shared_run(form) is None
        and not (held_out is not None and held_out.stands_in(seed.request, seed.expected))
        for seed in _gold(context, skill.name, own)
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """One row as a person reads it: the request, and the command line or else the call that answers it."""

    skill: str
    request: str
    answer: str


def preview(context: Context, skills: Sequence[Skill], request: SynthesisRequest) -> list[Shown]:
    """Return the first training rows of each skill's rules; nothing is written. The request holds nothing out."""
    with open_session(context, skills) as session:
        contributions = session.contributions
        seeds = max(len(item.seeds) for item in contributions.values())  # which come first
        wanted = replace(request, rows=request.rows + seeds)
        synthesis = make_rows(context, session, list(contributions.values()), wanted)
    rows: dict[str, list[Shown]] = {name: [] for name in contributions}
    for task in synthesis.train:
        if task.origin == "rule" and len(rows[task.skill]) < request.rows:
            answer = shown_answer(task.expected, contributions[task.skill].contract)
            rows[task.skill].append(Shown(task.skill, task.request, answer))
    for name, shown in rows.items():
        if not shown:
            context.note(f"{name}: synthesis.yaml makes no rows; seeds of the skill: {len(contributions[name].seeds)}")
    return [row for shown in rows.values() for row in shown]


def shown_answer(expected: Any, contract: Contract | None) -> str:
    """Return the command line of an expected answer, else its call without the null arguments, or what it says."""
    commands = None if contract is None else contract.argv(contract.complete(expected))
    if commands:
        return " && ".join(shlex.join(words) for words in commands)
    if contract is not None and (kind := contract.replies.kind(expected)) is not None:
        details = expected["ask"] if kind == "ask" else [expected["answer"]] if kind == "answer" else []
        return ": ".join([label_of(expected), *([", ".join(details)] if details else [])])
    if not isinstance(expected, dict) or "tool" not in expected:
        return expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False)
    given = {name: value for name, value in expected.get("args", {}).items() if value is not None}
    words = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items())
    return " ".join((expected["tool"], *words))


def _other_suites(context: Context, chosen: Collection[str]) -> list[tuple[str, Suite]]:
    """Return the suites of skills that are installed beside these, and of plugins' benchmarks; no skill code runs."""
    installed = context.installed() if context.settings.lock_path.is_file() else ()
    others = [skill for skill in installed if skill.name not in chosen]
    benchmarks = [context.benchmark(name) for name in context.host.benchmarks()]
    return [
        *((skill.name, suite) for skill in others for suite in SkillFiles(skill).suites()),
        *((skill.name, item.record) for skill in benchmarks for item in context.host.suites(skill)),
    ]


def check_rows(profile: Profile, *, strict: bool) -> None:
    """Refuse a synthesis that has an empty split.

    ``strict`` also refuses one that has fewer rows than were asked for.

    Raises:
        CheckError: with the reason, and all shortages in ``details``.
    """
    shortages = [
        (skill, f"{name}: {sentence}")
        for name, skill in profile.skills.items()
        for side, sentence in skill.shortages()
        if strict or side.rows == 0
    ]
    if shortages:
        skill, sentence = shortages[0]
        hint = "ask for fewer rows, or add values and phrasings to synthesis.yaml"
        if not skill.train.rows and not skill.train.rejected:
            hint = "add seeds or synthesis.yaml; `skillpm draft` makes them from the text of a skill's folder"
        raise CheckError(sentence, hint=hint, shortages=[text for _, text in shortages])


def check_held_out(profile: Profile) -> None:
    """Refuse to train a skill of which nothing was held out, though it was asked for: nothing could measure it.

    Raises:
        CheckError: with the reason.
    """
    for name, skill in profile.skills.items():
        if skill.train.rows and skill.held_out.asked and not skill.held_out.rows:
            reason = next((text for side, text in skill.shortages() if side is skill.held_out), "held-out: no rows")
            hint = "add values and phrasings to synthesis.yaml, or train without them: `--set data.held_out=0`"
            raise CheckError(f"{name}: {reason}", hint=hint)


def check_output(output: Path, *, force: bool) -> None:
    """Refuse a folder that may not be written, before any work is done.

    Raises:
        UsageError: something stands there; ``force`` allows only what a synthesis alone has written. Or we are in it.
        StorageError: it cannot be made there.
    """
    refuse_working_folder(output)
    if not output.exists() and not output.is_symlink():
        above = next(folder for folder in output.absolute().parents if folder.exists())
        if not above.is_dir():
            raise UsageError(
                f"`{above}` is not a folder, so `{output}` cannot be created", hint="choose another `--output`"
            )
        check_can_make(output)
        return
    if output.is_dir() and not output.is_symlink():
        names = {path.name for path in output.iterdir()}
        if not names or (force and PROFILE in names <= _WRITTEN):
            return
    other = "choose another `--output`"
    if force:
        raise UsageError(f"{output} was not written by `skillpm synth` alone", hint=other)
    raise UsageError(f"{output} exists already", hint=f"{other}, or add `--force`")


def write_synthesis(synthesis: Synthesis, output: Path, *, force: bool = False) -> None:
    """Write train.jsonl, held_out.jsonl and profile.json.

    Raises:
        UsageError: something stands there already.
        StorageError: the disk refused; what stood there before stands there still.
    """
    check_output(output, force=force)
    with whole_folder(output, over=force) as folder:
        for split, lines in synthesis.lines.items():
            lines.write(folder / f"{split}.jsonl")
        write_atomic(folder / PROFILE, synthesis.profile.model_dump_json(indent=2) + "\n")


def read_tasks(path: Path) -> Iterator[Task]:
    """Yield the tasks of train.jsonl or held_out.jsonl, one at a time. Raises DocumentError, StorageError."""
    return (task for _, task in read_json_lines(Task, read_lines(path), path=str(path)))
