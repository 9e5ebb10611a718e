"""What a reader has to know before a figure is believed: answers cut off, prompts too long, arms asked differently."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain

from skillpm.evals.asking import TURNS
from skillpm.evals.figures import arm_label, figures, task_set_label
from skillpm.evals.outcomes import Profile
from skillpm.evals.stored_records import outcomes_of
from skillpm.formats.document import Json
from skillpm.model.evaluation import Arm, Evaluation

MUCH = 0.05  # of the answers of a cell
_DECISIVE = (
    *("dtype", "device", "threads", "max_new_tokens", "batch_size", "model_digest", "temperature", "repeats"),
    *("turns", "answer_form", "template_arguments"),
)
_DEFAULTS: dict[str, Json] = {"temperature": 0, "repeats": 1, "turns": TURNS, "answer_form": "json"}


def different_settings(first: Arm, second: Arm) -> list[str]:
    """Return, as ``dtype float32, bfloat16``, the settings that decide answers and differ between two arms."""
    one, other = (_DEFAULTS | arm.settings for arm in (first, second))
    pairs = [(name, one.get(name), other.get(name)) for name in _DECISIVE]
    return [f"{name.replace('_', ' ')} {_shown(a)}, {_shown(b)}" for name, a, b in pairs if a != b]


def _shown(value: Json) -> str:
    if isinstance(value, str):
        return value[:12]  # of a digest
    return "not recorded" if value is None else json.dumps(value, ensure_ascii=False)[:80]


def caveats(evaluation: Evaluation) -> list[str]:
    """Return one sentence for each thing that may decide a figure beside the model."""
    parts = (samples(evaluation), _answered(evaluation), _endings(evaluation), _arms(evaluation))
    return [*unchecked(evaluation.arms), *chain.from_iterable(parts)]


def unchecked(arms: Iterable[Arm]) -> list[str]:
    """Return one sentence for all arms whose tasks cannot be checked, if there are such."""
    names = [arm_label(arm.name) for arm in arms if arm.unchecked]
    said = "was read from a file" if len(names) == 1 else "were read from files"
    why = "of a version without digests: nothing shows whether requests and expected answers were changed since"
    return [f"{', '.join(names)} {said} {why}"] if names else []


def samples(evaluation: Evaluation) -> Iterator[str]:
    """Yield one sentence for each task set of which a limit took a sample."""
    for task_set in evaluation.task_sets:
        if task_set.of is not None:
            place = f"{task_set.skill}, {task_set_label(task_set.name)}"
            yield f"{place}: {task_set.tasks} of {task_set.of} tasks, spread over tools and tags"


def _answered(evaluation: Evaluation) -> Iterator[str]:
    for arm in evaluation.arms:
        answers = _answers(len(arm.records))
        if arm.settings.get("interrupted"):
            yield f"{arm_label(arm.name)} was interrupted: it has {answers}"
        if limit := arm.settings.get("limit_reached"):
            flag = f"`--{str(limit).replace('_', '-')}`"
            yield f"{arm_label(arm.name)} was ended by {flag}: it has {answers}, others were not asked"
        if arm.settings.get("price") and (uncounted := outcomes_of(arm).whole().count(_uncounted)):
            left_out = f"{_answers(uncounted)} whose tokens the model did not count"
            yield f"{arm_label(arm.name)}: the cost leaves out {left_out}"
        if arm.constrained and (free := outcomes_of(arm).whole().count(_is_free)):
            said = f"{_answers(free)} that no contract accepts"
            yield f"{arm_label(arm.name)} was asked for answers of the contract alone and has {said}"
        if arm.repeats > 1 and not arm.drawn:
            yield f"{arm_label(arm.name)} answered greedily {arm.repeats} times: only what its server varies shows"


def _answers(number: int) -> str:
    return "no answers" if number == 0 else "1 answer" if number == 1 else f"{number} answers"


def _uncounted(profile: Profile) -> bool:
    return not profile.counted and profile.finish_reason != "too_long"


def _is_free(profile: Profile) -> bool:
    """Does an answer show that a server did not hold it to a contract? One that was cut off may be a part of such."""
    return profile.valid_json is False and profile.finish_reason == "stop"


def _endings(evaluation: Evaluation) -> Iterator[str]:
    for row in figures(evaluation):
        for arm, cell in row.cells.items():
            place = f"{row.task_set.skill}, {task_set_label(row.task_set.name)}, {arm_label(arm)}"
            if cell.truncated > MUCH * cell.asked:
                yield f"{place}: {cell.truncated} of {cell.asked} answers were cut off at the token limit"
            if cell.too_long > MUCH * cell.asked:
                yield f"{place}: {cell.too_long} of {cell.asked} prompts were too long for the model and not asked"
            if cell.repeated and (left_out := cell.tasks - (last := cell.repeated[-1]).tasks):
                yield f"{place}: pass@{last.k} leaves out {left_out} of {cell.tasks} tasks, with fewer judged answers"


def _arms(evaluation: Evaluation) -> Iterator[str]:
    first, *others = evaluation.arms or (None,)
    for arm in others:
        differences = different_settings(first, arm) if first else []
        if first and differences:
            yield f"{arm_label(first.name)} and {arm_label(arm.name)} were asked differently: {'; '.join(differences)}"
