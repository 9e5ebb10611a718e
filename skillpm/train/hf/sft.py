"""The SFT stage: TRL's SFTTrainer on rows whose answers alone are learned, packed by shared beginning."""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from peft.optimizers import create_loraplus_optimizer
from trl import SFTConfig, SFTTrainer

from skillpm.errors import TrainingError
from skillpm.model.training import StageInput, StageOutput
from skillpm.train.hf.packing import IGNORED, GroupedOrder, PrefixPacking, encode_rows
from skillpm.train.hf.policy import prompt_tokens
from skillpm.train.hf.watch import Watch, silence
from skillpm.train.sft import Sft


class AnswerTrainer(SFTTrainer):
    """An SFTTrainer whose loss runs the output layer on the tokens of answers alone.

    TRL's own fused head saves memory by running the layer again in the backward pass, and keeps statistics of the whole
    vocabulary. For answers of a few dozen tokens the logits fit, and the step is a fifth faster. The loss is the same.
    """

    def _get_train_sampler(self, train_dataset: Any = None) -> GroupedOrder:
        rows = self.train_dataset if train_dataset is None else train_dataset
        return GroupedOrder(rows["group"], self.args.train_batch_size, self.args.seed)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean cross-entropy of the labelled tokens, and count how many are the most likely ones."""
        labels = inputs["labels"][0, 1:]
        learned = (labels != IGNORED).nonzero()[:, 0]
        places = {key: inputs[key] for key in ("input_ids", "attention_mask", "position_ids")}
        logits = model(**places, use_cache=False, logits_to_keep=learned).logits[0].float()
        targets = labels[learned]
        total = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        hits = (logits.detach().argmax(dim=-1) == targets).float().mean().item()
        self._metrics["train"]["mean_token_accuracy"].append(hits)
        loss = total / (len(targets) if num_items_in_batch is None else num_items_in_batch)
        return (loss, None) if return_outputs else loss


def run_sft(stage: Sft, given: StageInput) -> StageOutput:
    """Fine-tune the model's adapter in place.

    Raises:
        TrainingError: every row is longer than ``max_length``.
    """
    model, tokenizer = given.model, given.tokenizer
    rows = [
        (row.task.skill, prompt_tokens(tokenizer, row.task.prompt), _ids(tokenizer, row.answer))
        for row in given.plan.rows
    ]
    features = encode_rows(rows, tokenizer.eos_token_id, stage.max_length)
    if not features:
        raise TrainingError(
            f"no row fits into {stage.max_length} tokens", hint=f"raise it: --set stages.{stage.name}.max_length=4096"
        )
    arguments = SFTConfig(
        output_dir=str(given.work),
        per_device_train_batch_size=stage.batch_size,
        num_train_epochs=stage.epochs,
        learning_rate=stage.learning_rate,
        lr_scheduler_type=stage.scheduler,
        warmup_steps=stage.warmup,
        max_length=stage.max_length,
        seed=given.seed,
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
        save_strategy="no",
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    optimizer = create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=stage.learning_rate, loraplus_lr_ratio=stage.lora_plus, fused=True
    )
    trainer = AnswerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(features),
        data_collator=PrefixPacking(),
        processing_class=tokenizer,
        callbacks=[Watch(given.report)],
        optimizers=(optimizer, None),
    )
    silence(trainer)
    trainer.train()
    return StageOutput(int(trainer.state.global_step))


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
