"""NeMo RL and NeMo Automodel: a configuration for each stage, and rows in the forms of their data sets.

A configuration of NeMo RL stands on one of its own examples and changes what the recipe decides. Its rewards come from
a resources server of NeMo Gym, which the exporter writes beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from skillpm.plugin import Contributions, Recipe
from skillpm_bridges import gym
from skillpm_bridges.rows import write_rows, write_template
from skillpm_bridges.trainers import KINDS, Fields, Job, clip, comment, conversations, passes, steps

_LONGEST = 2048  # tokens of a prompt and its answer, for which a recipe has no field
_EXAMPLES = "/opt/nemo-rl/examples/configs"  # where its container has them
_AUTOMODEL = "nemo_automodel.components"
_GYM = "responses_api_models/vllm_model/configs/vllm_model_for_training.yaml"  # what a trainer's models are for Gym


def export_rl(given: Mapping[str, Contributions], folder: Path, recipe: Recipe) -> list[str]:
    """Write configurations of NeMo RL; return what they leave out. Raises UsageError without rows or stages."""
    job, left = Job.of(given, recipe, KINDS)
    write = {"sft": _sft}
    documents = {stage["name"]: write.get(stage["kind"], _grpo)(stage, job) for stage in job.stages}
    if any(stage["kind"] != "sft" for stage in job.stages):
        left += _other_pay(given, recipe)
        gym.export(given, folder / "gym")
        rows = (row for skill, task in job.rows["refine"] for row in gym.rows(skill, [task]))
        write_rows(folder / "refine.jsonl", rows)
    return _write(job, folder, documents, left, "nemo_rl")


def export_automodel(given: Mapping[str, Contributions], folder: Path, recipe: Recipe) -> list[str]:
    """Write configurations of NeMo Automodel; return what they leave out. Raises UsageError without rows or stages."""
    job, left = Job.of(given, recipe, ("sft",))
    documents = {stage["name"]: _automodel(stage, job) for stage in job.stages}
    return _write(job, folder, documents, left, "nemo_automodel")


def _other_pay(given: Mapping[str, Contributions], recipe: Recipe) -> list[str]:
    """Return the stages that pay something else than Gym does, which is the default reward of each skill."""
    paid = {skill.default_reward: 1.0 for skill in given.values()}
    stages = (item for item in recipe.model_dump(mode="json")["stages"] if "rewards" in item)
    return [f"stages.{item['name']}.rewards: Gym pays {', '.join(paid)}" for item in stages if item["rewards"] != paid]


def _write(job: Job, folder: Path, documents: Mapping[str, dict[str, Any]], left: list[str], target: str) -> list[str]:
    left += job.left()
    if len(documents) > 1:
        left.append("stages: each begins from `model`; name the result of the stage before it instead")
    for name in job.rows.keys() - {"refine"}:
        write_rows(folder / f"{name}.jsonl", conversations(job.rows[name]))
    for name, document in documents.items():
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        (folder / f"{name}.yaml").write_text(comment(left) + text, encoding="utf-8")
    write_template(f"train/{target}.md", folder / "README.md", STAGES=", ".join(f"{name}.yaml" for name in documents))
    return left


def _modules(job: Job) -> dict[str, Any]:
    modules = job.lora["target_modules"]
    every = modules == "all-linear"
    return {"match_all_linear": every, "target_modules": [] if every else modules}


def _shared(stage: Fields, job: Job, batch: int, micro: int, total: int) -> dict[str, Any]:
    """Return the sections that both algorithms have."""
    top, lora = job.top, job.lora_settings(rank="dim", alpha="alpha", dropout="dropout")
    lora = {"enabled": False} if lora is None else {"enabled": True, **lora, **_modules(job)}
    return {
        "policy": {
            "model_name": top["model"],
            "tokenizer": {"chat_template": "default", "chat_template_kwargs": top["chat_template_kwargs"] or None},
            "train_global_batch_size": batch,
            "train_micro_batch_size": micro,
            "precision": "float32" if top["dtype"] == "float32" else "bfloat16",
            "dtensor_cfg": {"activation_checkpointing": top["gradient_checkpointing"], "lora_cfg": lora},
            "optimizer": {"kwargs": {"lr": stage["learning_rate"]}},
            "scheduler": _schedule(stage, total),
        },
        "checkpointing": {"checkpoint_dir": f"results/{stage['name']}"},
        "logger": {f"{name}_enabled": name in top["report_to"] for name in ("wandb", "tensorboard")},
    }


def _schedule(stage: Fields, total: int) -> list[dict[str, Any]]:
    """Return the rise and the fall of the learning rate as schedulers of torch."""
    torch = "torch.optim.lr_scheduler"
    rise = int(total * stage.get("warmup", 0.0))
    falls: dict[str, tuple[str, dict[str, Any]]] = {
        "cosine": ("CosineAnnealingLR", {"T_max": max(1, total - rise)}),
        "linear": ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": max(1, total - rise)}),
        "constant": ("ConstantLR", {"factor": 1.0, "total_iters": total}),
    }
    name, arguments = falls[stage["scheduler"]]
    first = {"start_factor": 1 / (rise + 1), "end_factor": 1.0, "total_iters": max(1, rise)}
    return [
        {"name": f"{torch}.LinearLR", "kwargs": first},
        {"name": f"{torch}.{name}", "kwargs": arguments},
        {"milestones": [rise]},
    ]


def _data(job: Job, train: str, dataset: str, processor: str, **more: Any) -> dict[str, Any]:
    held_out = "gym/resources_servers/skillpm/data/held_out.jsonl" if train == "refine" else "held_out.jsonl"
    return {
        "_override_": True,  # nothing of the example's own data is left
        **({"use_multiple_dataloader": False} if train == "refine" else {}),
        "max_input_seq_length": None if train == "refine" else "${policy.max_total_sequence_length}",
        "shuffle": True,
        "num_workers": 0,
        "train": {"data_path": f"{train}.jsonl"},
        "validation": {"data_path": held_out} if "held_out" in job.rows else None,
        "default": {
            "dataset_name": dataset, "processor": processor, "prompt_file": None, "system_prompt_file": None, **more,
        },
    }  # fmt: skip


def _sft(stage: Fields, job: Job) -> dict[str, Any]:
    total = steps(stage, len(job.rows["train"]))
    document = _shared(stage, job, stage["batch_size"] * stage["accumulate"], stage["batch_size"], total)
    document["policy"]["max_total_sequence_length"] = stage["max_length"]
    data = _data(job, "train", "openai_format", "sft_processor")
    return {
        "defaults": f"{_EXAMPLES}/sft.yaml",
        "sft": {
            "max_num_epochs": math.ceil(stage["epochs"]), "max_num_steps": total, "seed": job.top["seed"],
            "only_unmask_final": True, "val_at_start": False,
        },
        **document,
        "data": {**data, "add_bos": True, "add_eos": True, "add_generation_prompt": False},
    }  # fmt: skip


def _grpo(stage: Fields, job: Job) -> dict[str, Any]:
    loss, _ = (stage["loss"] if stage["kind"] == "grpo" else "rloo"), stage["rewards"]
    prompts = min(stage["prompts"], len(job.rows["refine"]))
    batch, (low, high) = prompts * stage["generations"], clip(stage)
    document = _shared(stage, job, batch, passes(stage, batch), stage["steps"])
    document["policy"]["max_total_sequence_length"] = _LONGEST
    document["policy"]["generation"] = {"max_new_tokens": stage["max_new_tokens"], "temperature": stage["temperature"]}
    return {
        "defaults": f"{_EXAMPLES}/grpo_math_1B.yaml",
        "grpo": {
            "num_prompts_per_step": prompts, "num_generations_per_prompt": stage["generations"],
            "max_num_steps": stage["steps"], "max_num_epochs": stage["steps"], "seed": job.top["seed"],
            "normalize_rewards": loss not in ("dr_grpo", "rloo"), "use_leave_one_out_baseline": loss == "rloo",
            "overlong_filtering": True,
        },
        "loss_fn": {
            "reference_policy_kl_penalty": stage["kl"], "ratio_clip_min": low, "ratio_clip_max": high,
            "sequence_level_importance_ratios": loss == "gspo", "use_cispo": loss == "cispo",
            "disable_ppo_ratio": loss == "rloo", "token_level_loss": loss not in ("grpo", "gspo"),
        },
        **document,
        "data": _data(job, "refine", "NemoGymDataset", "nemo_gym_data_processor", env_name="nemo_gym"),
        "env": {
            "_override_": True,
            "should_use_nemo_gym": True,
            "nemo_gym": {"config_paths": [_GYM, f"resources_servers/{gym.SERVER}/configs/{gym.SERVER}.yaml"]},
        },
    }  # fmt: skip


def _automodel(stage: Fields, job: Job) -> dict[str, Any]:
    top, total = job.top, steps(stage, len(job.rows["train"]))
    lora = job.lora_settings(rank="dim", alpha="alpha", dropout="dropout", dora="use_dora")
    sets = {"dataset": "train"} | ({"validation_dataset": "held_out"} if "held_out" in job.rows else {})
    return {
        "recipe": "TrainFinetuneRecipeForNextTokenPrediction",
        "seed": top["seed"],
        "step_scheduler": {
            "global_batch_size": stage["batch_size"] * stage["accumulate"], "local_batch_size": stage["batch_size"],
            "num_epochs": math.ceil(stage["epochs"]), "max_steps": total,
        },
        "model": {
            "_target_": "nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained",
            "pretrained_model_name_or_path": top["model"],
            "torch_dtype": "float32" if top["dtype"] == "float32" else "bfloat16",
        },
        **({"peft": {"_target_": f"{_AUTOMODEL}._peft.lora.PeftConfig", **lora, **_modules(job)}} if lora else {}),
        "distributed": {"strategy": "fsdp2", "activation_checkpointing": top["gradient_checkpointing"]},
        "loss_fn": {"_target_": f"{_AUTOMODEL}.loss.masked_ce.MaskedCrossEntropy"},
        **{name: _chat(rows, stage) for name, rows in sets.items()},
        "dataloader": {"collate_fn": f"{_AUTOMODEL}.datasets.utils.default_collater", "shuffle": True},
        "validation_dataloader": {"collate_fn": f"{_AUTOMODEL}.datasets.utils.default_collater"},
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": stage["learning_rate"], "weight_decay": 0.0},
        "lr_scheduler": {
            "lr_decay_style": stage["scheduler"], "lr_warmup_steps": int(total * stage["warmup"]), "min_lr": 0.0,
        },
        "checkpoint": {
            "enabled": True, "checkpoint_dir": f"results/{stage['name']}", "model_save_format": "safetensors",
        },
        **({"wandb": {"project": "skillpm", "name": stage["name"]}} if "wandb" in top["report_to"] else {}),
    }  # fmt: skip


def _chat(rows: str, stage: Fields) -> dict[str, Any]:
    dataset = f"{_AUTOMODEL}.datasets.llm.chat_dataset.ChatDataset"
    length = {"seq_length": stage["max_length"], "truncation": True}
    return {"_target_": dataset, "path_or_dataset_id": f"{rows}.jsonl", "mask_history": True, **length}
