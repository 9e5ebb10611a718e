"""The stage distil: the model answers, and learns at each token of its answers what a teacher would have said there.

The loss is the reverse Kullback-Leibler divergence, of the student from the teacher, over the whole vocabulary, and the
mean over the tokens of answers that the student itself has sampled: GKD (arXiv 2306.13649) with all data on-policy.
"On-Policy Distillation" (10.64434/tml.20251026) estimates it from the sampled tokens alone; here both distributions are
at hand. Student and teacher may read different prompts: where the teacher alone has the skill's text before it, the
text moves into the weights (context distillation, arXiv 2209.15189).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from skillpm.errors import TrainingError, UsageError
from skillpm.model.task import before_prompt, skill_content
from skillpm.model.training import SELF, StageInput, StageOutput, TrainRow
from skillpm.train.distil import Distil
from skillpm.train.hf.capability import Collator, evaluating, packing_way, scoring_way
from skillpm.train.hf.checkpoint import Resumable
from skillpm.train.hf.conversation import Conversation
from skillpm.train.hf.loop import on_one_device, run_loop, shared_arguments
from skillpm.train.hf.model import check_vocabulary, load_conversation, load_model, room_for
from skillpm.train.hf.packing import GroupedOrder, answer_logits, encode_rows
from skillpm.train.hf.reference import Reference, forget_reference
from skillpm.train.hf.rollout import Drawing, sample_answers
from skillpm.train.hf.sft import check_loss
from skillpm.train.hf.together import passes
from skillpm.train.hf.validation import Validation
from skillpm.train.refining import samples_with_vllm

Asked = Callable[[], AbstractContextManager[Any]]  # yields the teacher's model


def divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the reverse Kullback-Leibler divergence, summed over tokens, in nats.

    Args:
        student: logits of shape (tokens, vocabulary).
        teacher: of the same tokens; of two vocabularies the longer one ends in padding, which is left out.
    """
    width = min(student.shape[1], teacher.shape[1])
    one, other = (logits[:, :width].log_softmax(dim=-1) for logits in (student, teacher))
    return (one.exp() * (one - other)).sum()


@dataclass(frozen=True, slots=True)
class Reader:
    """The student or the teacher: what it reads before the answers to each row, and how its rows are laid out."""

    prompts: Sequence[Sequence[int]]
    layout: Collator

    def batch(self, answers: Sequence[tuple[str, int, list[int]]]) -> dict[str, torch.Tensor]:
        """Lay out answers: the skill, the number of the row, and the tokens of each."""
        rows = [(skill, list(self.prompts[number]), answer) for skill, number, answer in answers]
        return self.layout(encode_rows(rows, sys.maxsize))


@dataclass(frozen=True, slots=True)
class Lesson:
    """Rows that are answered by the student and read by both.

    Attributes:
        rows: to learn from.
        asked: opens the teacher's model.
    """

    stage: Distil
    given: StageInput
    rows: Sequence[TrainRow]
    student: Reader
    teacher: Reader
    asked: Asked

    def answers(self, model: Any, numbers: Sequence[int], step: int) -> list[list[int]]:
        """Sample an answer to each row of these numbers."""
        stage, given, sampler = self.stage, self.given, sample_answers
        if samples_with_vllm(stage):
            given.vllm.follow(model)
            sampler = given.vllm.answers
        prompts = [self.student.prompts[number] for number in numbers]
        drawing = Drawing(1, stage.temperature, stage.max_new_tokens, stage.prompts, given.seed + step)
        return [answer.tokens for (answer,) in sampler(model, given.conversation, prompts, drawing)]

    def batches(self, numbers: Sequence[int], answers: Sequence[list[int]]) -> dict[str, dict[str, torch.Tensor]]:
        """Lay the answers to some rows out for both readers, in one order of tokens: rows of one skill together."""
        pairs = zip(numbers, answers, strict=True)
        named = sorted(((self.rows[n].task.skill, n, answer) for n, answer in pairs), key=lambda row: row[0])
        return {"student": self.student.batch(named), "teacher": self.teacher.batch(named)}

    def divergence(self, model: Any, batches: dict[str, dict[str, torch.Tensor]]) -> torch.Tensor:
        """Return the summed divergence of the student's answers; differentiable in the student's weights."""
        with torch.no_grad(), self.asked() as teacher, evaluating(teacher):
            wanted, _ = answer_logits(teacher, batches["teacher"])
        said, _ = answer_logits(model, batches["student"])
        return divergence(said, wanted)


class DistilTrainer(Resumable, Trainer):
    """The trainer of transformers, whose rows are answered when a step begins.

    Args:
        lesson: answers and compares.
        rest: as the trainer of transformers takes it.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, lesson: Lesson, **rest: Any) -> None:
        self._lesson = lesson
        self._figures: dict[str, list[float]] = defaultdict(list)
        super().__init__(**rest)

    def _order(self, *_: Any) -> GroupedOrder:
        skills = [row.task.skill for row in self._lesson.rows]
        return GroupedOrder(skills, self._lesson.stage.prompts, self.args.seed)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], int]:
        """Return the batches of one step with answers of the model as it is now, and how many tokens those have."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        numbers = [batch["row"].tolist() for batch in batches]
        flat = [number for batch in numbers for number in batch]
        answers = self._lesson.answers(self.model, flat, self.state.global_step)
        self._figures["completions/mean_length"] += [len(answer) for answer in answers]
        ends = self._lesson.given.conversation.stops
        self._figures["completions/clipped_ratio"] += [answer[-1] not in ends for answer in answers]
        waiting = iter(answers)
        laid_out = [self._lesson.batches(batch, [next(waiting) for _ in batch]) for batch in numbers]
        return laid_out, sum(map(len, answers))

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the divergence of a batch, as its part of the mean over the tokens of the step."""
        self.state.num_input_tokens_seen += sum(part["input_ids"].numel() for part in inputs.values())
        loss = self._lesson.divergence(model, inputs) / num_items_in_batch
        return (loss, None) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the loss of a step with the figures of its answers."""
        if "loss" in logs:
            logs |= {name: fmean(figures) for name, figures in self._figures.items()}
            self._figures.clear()
        super().log(logs, start_time)


def check_teacher(conversation: Conversation, name: str, source: Path | str) -> None:
    """Refuse a teacher whose tokens mean something else.

    Raises:
        UsageError: it has another tokenizer, or cannot be loaded.
    """
    own, other = conversation.tokenizer.get_vocab(), load_conversation(source).tokenizer.get_vocab()
    if own != other:
        differing = len({*own.items()} ^ {*other.items()})
        raise UsageError(
            f"the teacher {name} has another tokenizer: {differing:,} entries of the vocabularies differ",
            hint="use a teacher of the same family as the model, or `teacher: self`",
        )


def run_distil(stage: Distil, given: StageInput) -> StageOutput:
    """Distil into the model's adapter in place; not kept where its answers to the validation rows get worse.

    Raises:
        UsageError: the teacher cannot be loaded.
        TrainingError: every row is longer than ``max_length``, the loss rose, or answers could not be judged.
    """
    validation = Validation(stage, given)
    try:
        lesson = _lesson(stage, given, validation.learned)
        trainer = DistilTrainer(
            lesson,
            model=given.model,
            args=on_one_device(_arguments(stage, given, len(lesson.rows))),
            train_dataset=[{"row": number} for number in range(len(lesson.rows))],
            data_collator=lambda items: {"row": torch.tensor([item["row"] for item in items])},
        )
        steps = run_loop(trainer, given)
    finally:
        forget_reference(given.model)
    check_loss(stage, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    left_out = len(validation.learned) - len(lesson.rows)
    return validation.output(
        steps, f"{left_out} rows left out, longer than {stage.max_length} tokens" if left_out else ""
    )


def _lesson(stage: Distil, given: StageInput, rows: Sequence[TrainRow]) -> Lesson:
    """Load the teacher, and choose how both lay out their rows.

    Raises:
        UsageError: the teacher cannot be loaded.
        TrainingError: every row is longer than ``max_length``.
    """
    model, conversation, asked = given.model, given.conversation, _asked(stage, given)
    reads = conversation if stage.teacher == SELF else load_conversation(given.teachers[stage.teacher])
    told = [_told(reads, row) if stage.context else reads.prompt(row.task.prompt) for row in rows]
    lengths = [len(prompt) + stage.max_new_tokens for prompt in told]
    fitting = [number for number, length in enumerate(lengths) if length <= stage.max_length]
    if not fitting:
        with asked() as teacher:
            hint = room_for(lengths, teacher, stage)
        raise TrainingError(f"no row fits into {stage.max_length} tokens with what its teacher reads", hint=hint)
    kept = [rows[number] for number in fitting]
    prompts = [conversation.prompt(row.task.prompt) for row in kept]
    told = [told[number] for number in fitting]
    check_vocabulary(model, prompts)
    pad = conversation.tokenizer.pad_token_id
    with asked() as teacher:
        check_vocabulary(teacher, told)
        teaching = scoring_way(teacher, _trial(stage, kept, told), pad)
    learning = packing_way(model, _trial(stage, kept, prompts), pad)
    return Lesson(stage, given, kept, Reader(prompts, learning), Reader(told, teaching), asked)


def _asked(stage: Distil, given: StageInput) -> Asked:
    if stage.teacher == SELF:
        return Reference(given.model).asked
    dtype = str(given.model.dtype).removeprefix("torch.")
    teacher = load_model(given.teachers[stage.teacher], dtype).requires_grad_(False)
    return lambda: nullcontext(teacher)


def _told(conversation: Conversation, row: TrainRow) -> list[int]:
    """Return the prompt of a row with its skill's text before it, as ``skillpm eval`` asks with the text."""
    return conversation.prompt(before_prompt(skill_content(row.task.skill, row.text), row.task.prompt))


def _trial(stage: Distil, rows: Sequence[TrainRow], prompts: Sequence[list[int]]) -> list[dict[str, Any]]:
    """Return rows that are as long as they can become: a window shows in nothing shorter.

    Words of the prompt stand for an answer: the expected one is not needed here, and may be none that can be learned.
    """
    features = []
    for row, prompt in zip(rows, prompts, strict=True):
        features.append((row.task.skill, prompt, [prompt[n % len(prompt)] for n in range(stage.max_new_tokens)]))
    return encode_rows(features, sys.maxsize)


def _arguments(stage: Distil, given: StageInput, rows: int) -> TrainingArguments:
    return TrainingArguments(
        **shared_arguments(given),
        **passes(min(stage.prompts, rows), stage.micro_batch),
        max_steps=stage.steps,
        learning_rate=stage.learning_rate,
        lr_scheduler_type=stage.scheduler,
    )
