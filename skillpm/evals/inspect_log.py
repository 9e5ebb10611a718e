"""An arm as a log of inspect_ai, so that its viewer and its analysis read our evaluations.

Source: inspect-ai 0.3, ``inspect_ai/log``: a ZIP of ``header.json``, ``summaries.json`` and one JSON for each sample
and epoch, version 2.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skillpm.evals.budget import spent
from skillpm.evals.figures import cell
from skillpm.evals.stored_records import outcomes_of
from skillpm.model.evaluation import Arm, Evaluation, Record
from skillpm.storage.files import DiskErrors

_WRITTEN = (1980, 1, 1, 0, 0, 0)  # of a member: the same evaluation gives the same bytes
_STOPPED = {"stop": "stop", "length": "max_tokens", "too_long": "model_length"}


def write_inspect_logs(evaluation: Evaluation, folder: Path, created: str) -> list[Path]:
    """Write one ``.eval`` for each arm that has answers; return the paths.

    Args:
        evaluation: whose arms.
        folder: exists.
        created: when it was made, as ISO 8601 with an offset.

    Raises:
        StorageError: the disk refused.
    """
    paths = []
    for number, arm in enumerate(evaluation.arms, 1):
        if not arm.records:
            continue
        path = folder / f"{number:02}-{''.join(c if c.isalnum() or c in '-_' else '-' for c in arm.name)}.eval"
        with DiskErrors("write", path), zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
            for name, document in _members(evaluation, arm, created):
                archive.writestr(zipfile.ZipInfo(name, _WRITTEN), json.dumps(document))
        paths.append(path)
    return paths


def _members(evaluation: Evaluation, arm: Arm, created: str) -> Iterator[tuple[str, Any]]:
    head = _head(evaluation, arm, created)
    yield "_journal/start.json", {"version": 2, "eval": head, "plan": {}}
    summaries = []
    for record in arm.records:
        sample = _sample(arm, record)
        keys = ("id", "epoch", "input", "target", "metadata", "scores", "model_usage")
        summaries.append({**{key: sample[key] for key in keys}, "completed": True, "retries": 0})
        yield f"samples/{sample['id']}_epoch_{sample['epoch']}.json", sample
    yield "summaries.json", summaries
    tokens = spent(arm)
    usage = _usage(arm, tokens.prompt_tokens, tokens.completion_tokens)
    yield (
        "header.json",
        {
            "version": 2,
            "status": "cancelled" if arm.stopped else "success",
            "eval": head,
            "plan": {},
            "results": _results(arm),
            "stats": {"started_at": created, "completed_at": created, "model_usage": usage},
        },
    )


def _head(evaluation: Evaluation, arm: Arm, created: str) -> dict[str, Any]:
    """Return what inspect_ai calls the specification; its ids are digests of what was asked and of whom."""
    identity = hashlib.sha256(f"{evaluation.data} {arm.name} {arm.model}".encode()).hexdigest()[:22]
    ids = list(dict.fromkeys(_identity(record) for record in arm.records))
    return {
        "eval_id": identity,
        "run_id": evaluation.data[:22],
        "created": created,
        "task": "+".join(skill.name for skill in evaluation.skills),
        "task_id": evaluation.data[:22],
        "task_version": 0,
        "task_args": {skill.name: skill.version for skill in evaluation.skills},
        "dataset": {"name": evaluation.data[:12], "samples": len(ids), "sample_ids": ids, "shuffled": False},
        "model": arm.model,
        "config": {"epochs": arm.repeats},
        "packages": dict(evaluation.versions),
        "metadata": {"arm": arm.name, "settings": dict(arm.settings)},
        "scorers": [{"name": name, "options": {}, "metrics": [], "metadata": {}} for name in _scorers(arm)],
    }


def _scorers(arm: Arm) -> list[str]:
    return ["exact", *sorted({name for profile in outcomes_of(arm).profiles for name in profile.rewards})]


def _identity(record: Record) -> str:
    return f"{record.skill}-{record.suite}-{record.task}".replace("/", "-")


def _sample(arm: Arm, record: Record) -> dict[str, Any]:
    answer = {"role": "assistant", "content": record.completion, "source": "generate", "model": arm.model}
    usage = _usage(arm, record.prompt_tokens, record.completion_tokens)
    choice = {"message": answer, "stop_reason": _STOPPED[record.finish_reason]}
    return {
        "id": _identity(record),
        "epoch": record.repeat + 1,
        "input": record.request,
        "target": record.expected if isinstance(record.expected, str) else json.dumps(record.expected),
        "messages": [{"role": "user", "content": record.request, "source": "input"}, answer],
        "output": {"model": arm.model, "choices": [choice], "completion": record.completion, "usage": usage[arm.model]},
        "scores": _scores(record),
        "metadata": {"skill": record.skill, "task_set": record.suite, "tags": list(record.tags), "argv": record.argv},
        "store": {},
        "events": [],
        "model_usage": usage,
        "attachments": {},
    }


def _scores(record: Record) -> dict[str, Any]:
    """Return the scores of a judged answer; one that could not be judged has none."""
    if not record.judged:
        return {}
    reasons = "; ".join(record.verdict.reasons)
    exact = {"value": "C" if record.exact else "I", "answer": record.completion, "explanation": reasons}
    paid = {name: {"value": value} for name, value in sorted(record.rewards.items()) if value is not None}
    return {"exact": exact, **paid}


def _usage(arm: Arm, prompt: int, answer: int) -> dict[str, Any]:
    return {arm.model: {"input_tokens": prompt, "output_tokens": answer, "total_tokens": prompt + answer}}


def _results(arm: Arm) -> dict[str, Any]:
    figures = cell(outcomes_of(arm).whole(), None)
    metrics = {} if figures.exact is None else {"accuracy": {"name": "accuracy", "value": figures.exact.estimate}}
    score = {"name": "exact", "scorer": "exact", "params": {}, "metrics": metrics, "scored_samples": figures.judged}
    return {"total_samples": len(arm.records), "completed_samples": len(arm.records), "scores": [score]}
