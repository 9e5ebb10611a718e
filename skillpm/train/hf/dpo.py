"""The DPO stage: the model's own answers, paired by the verifiers, and TRL's DPOTrainer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from datasets import Dataset, load_from_disk
from peft import PeftModel
from trl import DPOConfig, DPOTrainer
from trl.trainer import dpo_trainer

from skillpm.errors import TrainingError, UsageError
from skillpm.formats.document import Json
from skillpm.model.training import StageInput, StageOutput, TrainRow
from skillpm.train.dpo import Dpo, steps_of
from skillpm.train.hf.checkpoint import Resumable, remembered
from skillpm.train.hf.loop import on_one_device, run_loop, shared_arguments
from skillpm.train.hf.model import check_vocabulary, room_for
from skillpm.train.hf.packing import GroupedOrder
from skillpm.train.hf.reference import Reference, forget_reference
from skillpm.train.hf.rollout import GREEDY_ROWS, judging_ahead, sample_groups
from skillpm.train.hf.shared_files import share_folder
from skillpm.train.hf.together import count, passes, place
from skillpm.train.hf.validation import Validation

_DATASET = "dataset"
Pair = dict[str, list[int]]  # token ids: prompt_ids, chosen_ids, rejected_ids


class PairTrainer(Resumable, DPOTrainer):
    """TRL's DPO on pairs that are tokens already."""

    is_deepspeed_enabled: bool

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, *arguments: Any) -> Dataset:
        """Return the dataset with what the first process adds; each machine gets the file that has it.

        TRL's own copy of an adapter has only its matrices, and not what it adds to embeddings.
        """
        if isinstance(self.model, PeftModel):
            Reference(self.model)
        folder = Path(self.args.output_dir) / _DATASET
        self.accelerator.wait_for_everyone = lambda: share_folder(folder)
        zero, self.is_deepspeed_enabled = self.is_deepspeed_enabled, False  # the model is whole, and on its device
        try:
            return super()._precompute_ref_logps(*arguments)
        finally:
            self.is_deepspeed_enabled = zero
            del self.accelerator.wait_for_everyone

    def _order(self, *_: Any) -> GroupedOrder:
        step = self.args.train_batch_size * self.args.gradient_accumulation_steps * count()
        return GroupedOrder([""] * len(self.train_dataset), step, self.args.seed)


def run_dpo(stage: Dpo, given: StageInput) -> StageOutput:
    """Refine the model's adapter in place; not kept where its answers to the validation rows get worse.

    Raises:
        TrainingError: too many answers could not be judged, or no two answers to a task differ in worth.
    """
    validation = Validation(stage, given)
    found: list[Pair] = remembered(given.work, "pairs", lambda: _pairs(stage, given, validation))
    pairs = [pair for pair in found if _length(pair) <= stage.max_length]
    if not pairs:
        raise _without(found, stage, given.model)
    check_vocabulary(given.model, (ids for pair in pairs for ids in pair.values()))
    given.report(0, {"pairs": len(pairs), "rows": len(validation.learned)})
    forget_reference(given.model)
    with _scored_anew():
        trainer = PairTrainer(
            model=given.model,
            args=on_one_device(_arguments(stage, given, len(pairs))),
            train_dataset=_dataset(pairs, given.work / _DATASET),
            processing_class=given.conversation.tokenizer,
        )
    forget_reference(given.model)
    steps = run_loop(trainer, given)
    left_out = len(found) - len(pairs)
    note = f"{len(pairs)} pairs" + (f", {left_out} left out, longer than {stage.max_length} tokens" if left_out else "")
    return validation.output(steps, note)


@contextmanager
def _scored_anew() -> Iterator[None]:
    """Have TRL score the pairs by the model as it is now, and look for no earlier scores of the same weights.

    It would hash all of them, which a process that has a share of them cannot.
    """
    before = dpo_trainer.hash_module
    dpo_trainer.hash_module = lambda model: uuid4().hex
    try:
        yield
    finally:
        dpo_trainer.hash_module = before


def _dataset(pairs: Sequence[Pair], folder: Path) -> Dataset:
    """Return a dataset; TRL hands what it adds to it from one process to the others through its folder."""
    dataset = Dataset.from_list(pairs)
    if count() == 1:
        return dataset
    if place() == 0:
        shutil.rmtree(folder, ignore_errors=True)
        dataset.save_to_disk(folder)
    share_folder(folder)
    return load_from_disk(folder)


def _pairs(stage: Dpo, given: StageInput, validation: Validation) -> list[Json]:
    """Return a pair of each row whose answers differ in worth."""
    rows, rewarder = validation.learned, validation.rewarder
    conversation, keys = given.conversation, [row.task.key for row in rows]
    groups = sample_groups(
        given.model,
        conversation,
        [conversation.prompt(row.task.prompt) for row in rows],
        samples=stage.generations,
        temperature=stage.temperature,
        max_new_tokens=stage.max_new_tokens,
        batch_size=GREEDY_ROWS,
        seed=given.seed,
        ended=judging_ahead(rewarder, conversation, keys),
    )
    texts = [[conversation.text(answer) for answer in group] for group in groups]
    asked = [key for key in keys for _ in range(stage.generations)]
    judged = iter(rewarder.judgements(asked, [text for group in texts for text in group]))
    pairs = []
    for row, group, written in zip(rows, groups, texts, strict=True):
        scored = [(next(judged).verdict.score, place) for place in range(len(group))]
        known = sorted((score, place) for score, place in scored if score is not None)
        if not known:
            continue
        worst, best = known[0], known[-1]
        prompt, gold = conversation.finished(row.task.prompt, row.answer)
        chosen = gold if stage.chosen == "gold" else _ended(conversation, row, written[best[1]])
        better = worst[0] < 1.0 if stage.chosen == "gold" else worst[0] < best[0]
        if better and chosen is not None:
            pairs.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": list(group[worst[1]])})
    return pairs


def _ended(conversation: Any, row: TrainRow, text: str) -> list[int] | None:
    """Return the tokens of an answer with its end; None where the tokenizer cannot write it."""
    try:
        tokens: list[int] = conversation.finished(row.task.prompt, text)[1]
    except UsageError:
        return None
    return tokens


def _length(pair: Pair) -> int:
    return len(pair["prompt_ids"]) + max(len(pair["chosen_ids"]), len(pair["rejected_ids"]))


def _without(found: Sequence[Pair], stage: Dpo, model: Any) -> TrainingError:
    if found:
        problem = f"every pair is longer than {stage.max_length} tokens"
        hint = room_for([*map(_length, found)], model, stage)
    else:
        problem = "no row has two answers of different worth, so there is nothing to prefer"
        hint = f"--set stages.{stage.name}.generations={2 * stage.generations}, or another stage"
    return TrainingError(f"stage {stage.name}: {problem}", hint=hint)


def _arguments(stage: Dpo, given: StageInput, pairs: int) -> DPOConfig:
    weighted = {"loss_type": [stage.loss, "sft"], "loss_weights": [1.0, stage.sft_weight]} if stage.sft_weight else {}
    return DPOConfig(
        **{**shared_arguments(given), "loss_type": [stage.loss], **weighted},
        max_steps=steps_of(stage, pairs),
        **passes(stage.batch_size * stage.accumulate, stage.batch_size),
        learning_rate=stage.learning_rate,
        lr_scheduler_type=stage.scheduler,
        beta=stage.beta,
        max_length=None,
        precompute_ref_log_probs=True,
    )
