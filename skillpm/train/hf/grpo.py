"""The stages grpo and rloo: TRL's trainers, our decoding loop for rollouts, the skills' verifiers for rewards.

Departures from the paper (arXiv 2402.03300): no KL term unless ``kl`` asks for it, clip-higher (DAPO, 2503.14476), no
division by the group's standard deviation or by the length (Dr. GRPO, 2503.20783), truncated completions are masked,
and other prompts are asked where the answers to one are all paid alike (the dynamic sampling of DAPO, within a bound).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from datasets import Dataset
from trl import GRPOConfig, RLOOConfig
from trl.trainer import utils

from skillpm.errors import TrainingError
from skillpm.model.training import StageInput, StageOutput
from skillpm.train.columns import reward_function
from skillpm.train.grpo import Grpo, Rloo, Sampled
from skillpm.train.hf.loop import on_one_device, run_loop, shared_arguments
from skillpm.train.hf.reference import Reference, forget_reference
from skillpm.train.hf.rollout import Rollouts
from skillpm.train.hf.row_scores import GroupTrainer, LeaveOneOutTrainer, example, rows_in_order
from skillpm.train.hf.together import count, passes, summed
from skillpm.train.hf.validation import Validation


def run_grpo(stage: Grpo, given: StageInput) -> StageOutput:
    """Refine the model's adapter in place; not kept where its answers to the validation rows get worse.

    Raises:
        TrainingError: too many answers could not be judged, or nothing could be learned.
    """
    gspo = stage.loss == "gspo"
    configuration = partial(
        GRPOConfig,
        loss_type="grpo" if gspo else stage.loss,
        importance_sampling_level="sequence" if gspo else "token",
        scale_rewards="none" if stage.loss == "dr_grpo" else "group",
    )
    return _run(stage, given, configuration, GroupTrainer)


def run_rloo(stage: Rloo, given: StageInput) -> StageOutput:
    """Refine the model's adapter in place; not kept where its answers to the validation rows get worse.

    Raises:
        TrainingError: too many answers could not be judged, or nothing could be learned.
    """
    return _run(stage, given, RLOOConfig, LeaveOneOutTrainer)


def _run(
    stage: Grpo | Rloo, given: StageInput, configuration: Callable[..., Any], make: Callable[..., Any]
) -> StageOutput:
    conversation, plan = given.conversation, given.plan
    validation = Validation(stage, given)
    learned, rewarder = validation.learned, validation.rewarder
    rollouts = Rollouts(stage, given, learned, rewarder)
    trainer = make(
        rollouts,
        model=given.model,
        args=on_one_device(configuration(**_arguments(stage, given, len(learned)))),
        reward_funcs=[reward_function(column, rewarder) for column in plan.columns],
        train_dataset=Dataset.from_list([example(row.task) for row in learned]),
        processing_class=conversation.tokenizer,
    )
    trainer.eos_token_ids = sorted(conversation.stops)
    if stage.kl:
        _hold(trainer, given.model, stage.kl)
    try:
        with rows_in_order():
            steps = run_loop(trainer, given)
    finally:
        forget_reference(given.model)
    history = trainer.state.log_history
    rewards = [entry["reward"] for entry in history if "reward" in entry]
    drawn, perfect = summed(rewarder.drawn, rewarder.perfect)
    if drawn == perfect > 0:
        return StageOutput(steps, kept=False, note="every answer was right, so there was nothing to learn")
    output = validation.output(steps, _ALONE if trainer.alone else "", rewards)
    if output.kept:
        _check_steps(stage, steps, history)
    return output


def _hold(trainer: Any, model: Any, weight: float) -> None:
    """Have TRL add its divergence from the model as it is now: GRPO's estimate k3 to the loss, RLOO's k1 to the reward.

    TRL's own reference would be the base model on the disk where all weights are trained, not what a stage began with.
    """
    trainer.beta, reference = weight, Reference(model)
    if reference.copy is not None:
        utils.add_fused_lm_head(reference.copy.eval(), temperature=trainer.temperature)
        trainer.ref_model = reference.copy


_ALONE = "rows one by one in the update: padding changes this model's log-probabilities"


def _check_steps(stage: Sampled, steps: int, history: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a stage in which nothing could be learned.

    Raises:
        TrainingError: there were fewer steps than asked for, or no step had a gradient.
    """
    if steps < stage.steps:
        raise TrainingError(
            f"stage {stage.name}: {steps} of {stage.steps} steps ran",
            hint=f"take fewer prompts a step: --set stages.{stage.name}.prompts={max(1, stage.prompts // 2)}",
        )
    logged = [entry for entry in history if "grad_norm" in entry]
    if any(entry["grad_norm"] for entry in logged):
        return
    if all(entry.get("completions/clipped_ratio", 0) == 1 for entry in logged):
        raise TrainingError(
            f"stage {stage.name}: every answer was cut off at {stage.max_new_tokens} tokens, so nothing was learned",
            hint=f"--set stages.{stage.name}.max_new_tokens={2 * stage.max_new_tokens}, or train with SFT first",
        )
    raise TrainingError(
        f"stage {stage.name}: the answers to each prompt were all paid alike, so nothing was learned",
        hint=f"--set stages.{stage.name}.generations={2 * stage.generations}, or another reward",
    )


def _arguments(stage: Grpo | Rloo, given: StageInput, rows: int) -> dict[str, Any]:
    """Return what GRPOConfig and RLOOConfig have in common, where a stage has so many rows to learn from.

    Raises:
        TrainingError: they are too few for so many processes.
    """
    prompts = min(stage.prompts, rows)  # TRL drops a batch that is not full
    prompts -= prompts % (count() // math.gcd(count(), stage.generations))  # rows may be too long for this model
    if not prompts:
        raise TrainingError(
            f"stage {stage.name}: {rows} rows that this model can read cannot be shared by {count()} processes",
            hint="use fewer processes, or a model that reads longer texts",
        )
    low, high = stage.clip
    return {
        **shared_arguments(given),
        "max_steps": stage.steps,
        **passes(prompts * stage.generations, stage.micro_batch),
        "num_generations": stage.generations,
        "num_iterations": stage.updates,
        "max_completion_length": stage.max_new_tokens,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": stage.scheduler,
        "temperature": stage.temperature,
        "beta": 0.0,
        "epsilon": low,
        "epsilon_high": high,
        "mask_truncated_completions": True,
        "reward_weights": [column.weight for column in given.plan.columns],
    }
