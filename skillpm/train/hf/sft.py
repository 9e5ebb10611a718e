"""The SFT stage: TRL's SFTTrainer on rows whose answers alone are learned, packed by shared beginning."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from peft.optimizers import create_loraplus_optimizer
from trl import SFTConfig, SFTTrainer

from skillpm.errors import TrainingError
from skillpm.model.training import StageInput, StageOutput
from skillpm.train.demonstration import demonstrations
from skillpm.train.distil import Distil
from skillpm.train.hf.capability import Collator, packing_way
from skillpm.train.hf.checkpoint import Resumable
from skillpm.train.hf.loop import on_one_device, run_loop, shared_arguments
from skillpm.train.hf.model import check_vocabulary, room_for, window
from skillpm.train.hf.packing import GroupedOrder, SeparateRows, answer_loss, encode_rows
from skillpm.train.hf.together import count, passes, summed
from skillpm.train.sft import Sft, steps_of

_RISE = 1.0  # nats a token; a loss that ends so much higher than it began has diverged
_SCATTER = 4.0  # nats a token; two batches of a few short answers differ by less where nothing is learned


class AnswerTrainer(Resumable, SFTTrainer):
    """An SFTTrainer whose loss runs the output layer on the tokens of answers alone.

    TRL's own fused head saves memory by running the layer again in the backward pass, and keeps statistics of the whole
    vocabulary. For answers of a few dozen tokens the logits fit, and the step is a fifth faster. The loss is the same.

    Args:
        stage: says what optimises, and by which learning rate.
        steps: of the whole stage.
        rest: as TRL's trainer takes it.
    """

    optimizer: torch.optim.Optimizer | None
    lr_scheduler: torch.optim.lr_scheduler.LRScheduler | None

    def __init__(self, stage: Sft, steps: int, **rest: Any) -> None:
        super().__init__(**rest)
        self._stage, self._steps = stage, steps

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        """Return what optimises; DeepSpeed takes none that a trainer is given."""
        if self.optimizer is None:
            self.optimizer = _optimizer(self.model, self._stage)
        return self.optimizer

    def create_scheduler(self, *_: Any, **__: Any) -> torch.optim.lr_scheduler.LRScheduler:
        """Return what sets the learning rate of each step."""
        if self.lr_scheduler is None:
            share = learning_rate_share(self._stage, self._steps)
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(self.create_optimizer(), share)
        return self.lr_scheduler

    def _order(self, train_dataset: Any = None) -> GroupedOrder:
        rows = self.train_dataset if train_dataset is None else train_dataset
        once = self.args.train_batch_size * count()
        step = once * self.args.gradient_accumulation_steps
        if count() == 1:
            return GroupedOrder(rows["group"], step, self.args.seed)
        return GroupedOrder(rows["group"][:-1], step, self.args.seed, once)  # the last one fills a step up

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean cross-entropy of the labelled tokens, and count how many are the most likely ones."""
        found = answer_loss(model, inputs)
        seen, hits, tokens = summed(inputs["input_ids"].numel(), found.hits, found.count)
        self.state.num_input_tokens_seen += int(seen)
        self._metrics["train"]["mean_token_accuracy"].append(hits / max(1, tokens))
        # the tokens of a step are those of all processes, whose gradients are averaged
        loss = found.total * count() / (tokens if num_items_in_batch is None else num_items_in_batch)
        return (loss, None) if return_outputs else loss


def run_sft(stage: Sft, given: StageInput) -> StageOutput:
    """Fine-tune the model's adapter in place.

    Raises:
        UsageError: the tokenizer cannot write an answer.
        TrainingError: every row is longer than ``max_length``, or the loss rose.
    """
    model, tokenizer = given.model, given.conversation.tokenizer
    rows = [
        (one.skill, *given.conversation.finished(one.messages, one.answer))
        for one in demonstrations(given.plan.rows, given.observe)
    ]
    longest = min(stage.max_length, window(model))
    features = encode_rows(rows, longest)
    too_long = len(rows) - len(features)
    if not features:
        raise TrainingError(
            f"stage {stage.name}: no row fits into {longest} tokens",
            hint=room_for([len(prompt) + len(answer) for _, prompt, answer in rows], model, stage),
        )
    check_vocabulary(model, (feature["input_ids"] for feature in features))
    collator = packing_way(model, features, tokenizer.pad_token_id)
    steps = steps_of(stage, len(features))
    if count() > 1:  # a row of which nothing is learned, where a last step has fewer rows than processes want
        features.append({**features[0], "answer": len(features[0]["input_ids"])})
    arguments = SFTConfig(
        **shared_arguments(given),
        **passes(stage.batch_size * stage.accumulate, stage.batch_size),
        num_train_epochs=stage.epochs,
        learning_rate=stage.learning_rate,
        max_length=stage.max_length,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    trainer = AnswerTrainer(
        stage,
        steps,
        model=model,
        args=on_one_device(arguments),
        train_dataset=Dataset.from_list(features),
        data_collator=collator,
        processing_class=tokenizer,
    )
    trainer.model_accepts_loss_kwargs = True  # the loss is ours, whatever this model's own one takes
    done = run_loop(trainer, given)
    check_loss(stage, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    return StageOutput(done, note=_note(too_long, longest, collator))


def _optimizer(model: Any, stage: Sft) -> torch.optim.Optimizer:
    if not isinstance(model, PeftModel):
        weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(weights, lr=stage.learning_rate, weight_decay=0.0, fused=True)
    optimizer: torch.optim.Optimizer = create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=stage.learning_rate, loraplus_lr_ratio=stage.lora_plus, fused=True
    )
    return optimizer


def learning_rate_share(stage: Sft, steps: int) -> Callable[[int], float]:
    """Return the share of the learning rate in a step, counted from 0: a rise over the warm-up, then the scheduler's.

    The first step has a share above 0, and so has the last: a stage of one step learns.
    """
    warmup = int(steps * stage.warmup)

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if stage.scheduler == "constant":
            return 1.0
        done = (step - warmup) / max(1, steps - warmup)
        return max(0.0, 1.0 - done) if stage.scheduler == "linear" else 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))

    return share


def check_loss(stage: Sft | Distil, losses: Sequence[float]) -> None:
    """Raise TrainingError where training diverged: an adapter that is worse than none is not kept.

    The first and the last batches are of different rows, so the fewer they are, the more the loss may rise by chance.
    """
    part = max(1, len(losses) // 10)
    first, last = fmean(losses[:part]), fmean(losses[-part:])
    if not math.isfinite(last) or last > first + max(_RISE, _SCATTER / math.sqrt(part)):
        raise TrainingError(
            f"stage {stage.name}: the loss went from {first:.2f} to {last:.2f}",
            hint=f"lower the learning rate: --set stages.{stage.name}.learning_rate={stage.learning_rate / 4:.1g}",
        )


def _note(too_long: int, longest: int, collator: Collator) -> str:
    notes = []
    if too_long:
        notes.append(f"{too_long} rows left out, longer than {longest} tokens")
    if isinstance(collator, SeparateRows) and collator.alone:
        notes.append("rows one by one: this model reads a row otherwise beside a longer one")
    elif isinstance(collator, SeparateRows):
        notes.append("rows padded, not packed: packing changes this model's gradients")
    return "; ".join(notes)
