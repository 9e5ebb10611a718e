"""TRL and Unsloth: one script, with the rows, the skills and their judge beside it."""

from __future__ import annotations

import json
import pprint
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skillpm.plugin import Contributions, Recipe, Task
from skillpm_bridges.rows import module_name, write_rows, write_template
from skillpm_bridges.trainers import KINDS, Fields, Job, answer_of, clip, comment, passes, prompt_of

_LORA = {
    "rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout", "target_modules": "target_modules",
    "rslora": "use_rslora", "dora": "use_dora",
}  # fmt: skip


def export_trl(given: Mapping[str, Contributions], folder: Path, recipe: Recipe) -> list[str]:
    """Write a script of TRL's own trainers; return what it leaves out. Raises UsageError without rows or stages."""
    return _export(given, folder, recipe, "trl", _LORA)


def export_unsloth(given: Mapping[str, Contributions], folder: Path, recipe: Recipe) -> list[str]:
    """Write the same script with Unsloth's model; it has no DoRA."""
    return _export(given, folder, recipe, "unsloth", {key: own for key, own in _LORA.items() if key != "dora"})


def _export(
    given: Mapping[str, Contributions], folder: Path, recipe: Recipe, target: str, names: Mapping[str, str]
) -> list[str]:
    job, left = Job.of(given, recipe, KINDS)
    top, lora = job.top, job.lora_settings(**names)
    if lora is not None and top["layers"]:
        lora["layers_to_transform"] = top["layers"]
    settings = {
        **{name: top[name] for name in ("model", "adapter", "dtype", "chat_template_kwargs")},
        "lora": lora,
        "common": {
            **{name: top[name] for name in ("seed", "gradient_checkpointing")},
            "report_to": top["report_to"] or "none",
        },
        "stages": [_sft(stage) if stage["kind"] == "sft" else _sampled(stage, job) for stage in job.stages],
    }
    left += job.left()
    for name, items in job.rows.items():
        write_rows(folder / f"{name}.jsonl", (_row(*item) for item in items))
    for skill in given.values():
        skill.write_skill(folder / "skills" / module_name(skill))
    (folder / "judge.py").write_bytes(Path(__file__).with_name("judge.py").read_bytes())
    words = {"SKILLS": ", ".join(given), "LEFT": comment(left)}
    words["SETTINGS"] = pprint.pformat(settings, sort_dicts=False, width=100)
    write_template((f"train/{target}.py", "train/stages.py"), folder / "train.py", **words)
    return left


def _row(given: Contributions, task: Task) -> dict[str, Any]:
    answer = [{"role": "assistant", "content": answer_of(task)}]
    judged = {"skill": module_name(given), "request": task.request, "expected": json.dumps(task.expected)}
    return {"prompt": prompt_of(task), "completion": answer, **judged}


def _sft(stage: Fields) -> dict[str, Any]:
    arguments = {
        "num_train_epochs": stage["epochs"],
        "per_device_train_batch_size": stage["batch_size"],
        "gradient_accumulation_steps": stage["accumulate"],
        "learning_rate": stage["learning_rate"],
        "lr_scheduler_type": stage["scheduler"],
        "warmup_steps": stage["warmup"],  # below 1 it is a share of the steps
        "max_length": stage["max_length"],
        "completion_only_loss": True,
    }
    return {"name": stage["name"], "kind": "sft", "arguments": arguments}


def _sampled(stage: Fields, job: Job) -> dict[str, Any]:
    completions = min(stage["prompts"], len(job.rows["refine"])) * stage["generations"]
    micro, (low, high) = passes(stage, completions), clip(stage)
    arguments = {
        "max_steps": stage["steps"],
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": completions // micro,
        "num_generations": stage["generations"],
        "num_iterations": stage["updates"],
        "max_completion_length": stage["max_new_tokens"],
        "learning_rate": stage["learning_rate"],
        "lr_scheduler_type": stage["scheduler"],
        "temperature": stage["temperature"],
        "beta": stage["kl"],
        "epsilon": low,
        "epsilon_high": high,
        "mask_truncated_completions": True,
    }
    if stage["kind"] == "grpo":
        gspo = stage["loss"] == "gspo"
        arguments["loss_type"] = "grpo" if gspo else stage["loss"]
        arguments["importance_sampling_level"] = "sequence" if gspo else "token"
        arguments["scale_rewards"] = "none" if stage["loss"] == "dr_grpo" else "group"
    return {"name": stage["name"], "kind": stage["kind"], "rewards": stage["rewards"], "arguments": arguments}
