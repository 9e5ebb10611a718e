"""What an update of GRPO or RLOO asks of a model: log-probabilities of answers, of no more rows than it needs.

TRL pads rows on the left and runs all of them. Here the rows of an update are laid out as a tree, which runs a system
prompt and a group's prompt once, and a row that is paid like its whole group is left out: its gradient is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from trl import GRPOTrainer, RLOOTrainer
from trl.trainer import grpo_trainer, rloo_trainer, utils

from skillpm.model.task import Task
from skillpm.train.hf.capability import Collator, evaluating, first_that, layouts, most_learning_parts, same_scores
from skillpm.train.hf.checkpoint import Resumable
from skillpm.train.hf.packing import IGNORED, by_trees
from skillpm.train.hf.rollout import Rollouts
from skillpm.train.hf.together import count, gathered, place

Scores = tuple[torch.Tensor, torch.Tensor]
"""Log-probabilities and entropies of the last tokens of padded rows, nats, shape (rows, kept); 0 for padding."""

Way = Callable[[Any, torch.Tensor, torch.Tensor, int], Scores]
"""Takes a model, token ids and their mask, shape (rows, length), padded on both sides, and how many columns to keep."""

_PAID = 1e-6  # an advantage below is the rounding of a mean of equals
_PADDING = 3  # columns
_RATIO = "sampling/importance_sampling_ratio/mean"  # as GRPO's trainer calls it
_MEANS = frozenset({"grpo", "dr_grpo"})  # losses that divide by the rows of a batch


class ScoredRows(Resumable):
    """Stands before a trainer of TRL.

    The scores of the first batch, and of each that has a longer row than those before, are computed row by row as well.
    The fastest way that gives the same is taken; of several processes all take one, for they may share one model out.

    Attributes:
        alone: are rows scored one by one? None before the first batch.
    """

    alone: bool | None = None
    _way: Way | None = None
    _tried = 0  # tokens of the longest row

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **options: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        padded = super()._get_per_token_logps_and_entropies  # type: ignore[misc]
        if options.get("compute_aux_loss"):  # balances the experts of all tokens, shared ones too
            result: tuple[Any, Any, Any] = padded(
                model, input_ids, attention_mask, logits_to_keep, batch_size, **options
            )
            return result
        longest = max(gathered(int(attention_mask.sum(dim=1).max())))
        if longest > self._tried and any(gathered(bool(attention_mask[:, -logits_to_keep:].any()))):  # not all masked
            self._tried = longest
            self._way = self._fastest(model, input_ids, attention_mask, logits_to_keep)
        way, size = self._way or self._padded, batch_size or len(input_ids)
        parts = [
            way(model, input_ids[start : start + size], attention_mask[start : start + size], logits_to_keep)
            for start in range(0, len(input_ids), size)
        ]
        scores, entropies = (torch.cat(part) for part in zip(*parts, strict=True))
        return scores, entropies, None

    def _padded(self, model: Any, ids: torch.Tensor, mask: torch.Tensor, kept: int) -> Scores:
        scores, entropies, _ = super()._get_per_token_logps_and_entropies(  # type: ignore[misc]
            model, ids, mask, kept, compute_entropy=True
        )
        return scores, entropies

    def _one_by_one(self, model: Any, ids: torch.Tensor, mask: torch.Tensor, kept: int) -> Scores:
        return row_scores(model, ids, mask, kept, self.temperature)  # type: ignore[attr-defined]

    def _fastest(self, model: Any, ids: torch.Tensor, mask: torch.Tensor, kept: int) -> Way:
        # The batch may need no padding, so some is put before it.
        ids, mask = (torch.nn.functional.pad(part, (_PADDING, 0)) for part in (ids, mask))
        dtype = self.accelerator.unwrap_model(model).dtype  # type: ignore[attr-defined]
        with torch.no_grad(), evaluating(model):
            expected, _ = self._one_by_one(model, ids, mask, kept)

            def is_same(way: Way) -> bool:
                return same_scores(way(model, ids, mask, kept)[0], expected, mask[:, -kept:], dtype)

            most = most_learning_parts(self.accelerator.unwrap_model(model))  # type: ignore[attr-defined]
            ways: list[tuple[Way, list[Way]]] = [
                *((packed(layout), [packed(one) for one in layout.trials]) for layout in layouts(most)),
                (self._padded, [self._padded]),
            ]

            def are_same(trials: Sequence[Way]) -> bool:
                return all(gathered(all(first_that([trial], is_same) is not None for trial in trials)))

            fast = next((way for way, trials in ways if are_same(trials)), None)
        self.alone = fast is None
        return fast or self._one_by_one

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        whole = len(inputs["advantages"])
        live = (inputs["advantages"].abs() > _PAID) & inputs["completion_mask"].any(dim=1)
        # TRL divides by the rows that are there, and gathers figures of equally many from each process.
        kept = max(1, *gathered(int(live.sum())))
        if self.beta or kept == whole:  # type: ignore[attr-defined]  # a divergence holds in every row
            loss: torch.Tensor = super()._compute_loss(model, inputs)  # type: ignore[misc]
            return loss
        live[(~live).nonzero().flatten()[: kept - int(live.sum())]] = True
        inputs = {name: _chosen(value, live) for name, value in inputs.items()}
        share = len(inputs["advantages"]) / whole if getattr(self, "loss_type", "grpo") in _MEANS else 1.0
        part: torch.Tensor = super()._compute_loss(model, inputs)  # type: ignore[misc]
        return part * share


def _chosen(value: Any, rows: torch.Tensor) -> Any:
    """Return these rows of an input; what is no tensor of rows stays."""
    return value[rows] if isinstance(value, torch.Tensor) and value.ndim else value


class StepTrainer(ScoredRows):
    """A trainer of TRL whose steps are made of the groups that ``rollouts`` chooses, not of what TRL's sampler draws.

    Args:
        rollouts: chooses and answers; None where nothing is sampled.
        rest: as TRL's trainer takes it.
    """

    def __init__(self, rollouts: Rollouts | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        self._rollouts = rollouts
        if rollouts is not None:
            self.kept = rollouts.draws.record

    @property
    def sampled_elsewhere(self) -> bool:
        """Has another engine sampled the answers, whose probabilities are not quite those of this one?"""
        return self._rollouts is not None and self._rollouts.vllm is not None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        assert self._rollouts is not None
        model = self.accelerator.unwrap_model(self.model)  # type: ignore[attr-defined]
        wanted = len(inputs) * count() // self.num_generations  # type: ignore[attr-defined]
        groups, figures = self._rollouts.groups(model, self.state.global_step, wanted)  # type: ignore[attr-defined]
        for name, figure in figures.items():
            self._metrics["train"][name].append(figure)  # type: ignore[attr-defined]
        first = place() * len(inputs)  # of this process's rows; they may be a part of a group
        played = self._played = [played for group in groups for played in group.played][first : first + len(inputs)]
        rows = [{**example(item.episode.task), "episode": item.episode} for item in played]
        self._last_loaded_step = self.state.global_step  # type: ignore[attr-defined]  # vLLM has the weights of this step
        found: dict[str, Any] = super()._generate_and_score_completions(rows)  # type: ignore[misc]
        return found

    def _answers(self) -> dict[str, Any]:
        """Return the episodes of a step as TRL takes them; what no model wrote is masked where there is such."""
        played = self._played
        answers = {"prompt_ids": [item.prompt for item in played], "completion_ids": [item.tokens for item in played]}
        several = any(gathered(any(0 in item.own for item in played)))
        scores = [item.scores for item in played] if self.sampled_elsewhere else None
        return {**answers, "logprobs": scores, **({"env_mask": [item.own for item in played]} if several else {})}


class GroupTrainer(StepTrainer, GRPOTrainer):
    """TRL's GRPO."""

    def __init__(self, rollouts: Rollouts | None = None, **rest: Any) -> None:
        super().__init__(rollouts, rollout_func=lambda prompts, trainer: self._answers(), **rest)
        self.use_vllm = self.sampled_elsewhere  # TRL weighs each token by the ratio of its probabilities here and there


class LeaveOneOutTrainer(StepTrainer, RLOOTrainer):
    """TRL's RLOO, which takes no rollout function.

    Its loss has the ratio of an answer's probabilities now and when it was sampled, so it is given those of the engine
    that has sampled it.
    """

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        found = super()._generate_and_score_completions(inputs)
        if self.sampled_elsewhere:
            here, learned = found["old_logps"], found["completion_mask"].any(dim=1)
            there = here.new_tensor([sum(item.scores) for item in self._played])
            found["old_logps"] = torch.where(learned, there, here)
            ratio = (here - there)[learned].exp().mean()
            self._metrics["train"][_RATIO].append(float(ratio))
        return found

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return self._answers()["prompt_ids"], None, {}

    def _generate_single_turn(self, *_: Any) -> list[list[int]]:
        answers: list[list[int]] = self._answers()["completion_ids"]
        return answers


def example(task: Task) -> dict[str, Any]:
    """Return a task as an example of TRL's."""
    return {"prompt": [{"role": message.role, "content": message.content} for message in task.prompt]}


@contextmanager
def rows_in_order() -> Iterator[None]:
    """Let TRL score labelled positions only, on the CPU as on Triton devices, and leave groups together.

    TRL shuffles the rows of a step before it cuts it into passes. The step is the same in any order, and rows of one
    group share their prompt.
    """
    triton, shuffles = utils._use_triton, [(module, module.shuffle_sequence_dict) for module in _TRAINERS]

    def compact(device: torch.device) -> Any:
        return device.type == "cpu" or triton(device)

    utils._use_triton = compact
    for module in _TRAINERS:
        module.shuffle_sequence_dict = dict
    try:
        yield
    finally:
        utils._use_triton = triton
        for module, shuffle in shuffles:
            module.shuffle_sequence_dict = shuffle


_TRAINERS: tuple[Any, ...] = (grpo_trainer, rloo_trainer)


def packed(layout: Collator) -> Way:
    """Return the way that runs what rows share once, in such a layout."""

    def scores(model: Any, ids: torch.Tensor, mask: torch.Tensor, kept: int) -> Scores:
        seen = mask.bool()
        prompts = seen[:, :-kept].sum(dim=1).tolist()
        rows = [row[held].tolist() for row, held in zip(ids, seen, strict=True)]
        batch = layout([{"input_ids": row, "answer": prompt} for row, prompt in zip(rows, prompts, strict=True)])
        batch = {name: tensor.to(ids.device) for name, tensor in batch.items()}
        said = by_trees(model, batch, lambda tree: _said_of_answers(model, tree))
        # Answers stand in the order of their rows, so they fall into their places.
        wanted, empty = seen[:, -kept:], torch.zeros(len(ids), kept, device=ids.device)
        return empty.masked_scatter(wanted, said[:, 0]), empty.masked_scatter(wanted, said[:, 1])

    return scores


def _said_of_answers(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the log-probability and the entropy of each labelled token, shape (tokens, 2), float32."""
    said = model(**batch, fused_lm_head=True)
    learned = batch["labels"][:, 1:] != IGNORED
    return torch.stack([said.log_probs[learned].float(), said.entropy[learned].float()], dim=-1)


def row_scores(model: Any, ids: torch.Tensor, mask: torch.Tensor, kept: int, temperature: float) -> Scores:
    """Return the scores of rows that are run one by one: what all other ways are held to.

    Args:
        model: a causal language model.
        ids: token ids, shape (rows, length), padded on both sides.
        mask: 1 for a token, 0 for padding; the same shape.
        kept: columns at the end that are wanted.
        temperature: the logits are divided by it.
    """
    scores, entropies = [], []
    for row, seen in zip(ids, mask.bool(), strict=True):
        tokens = row[seen]
        logits = model(input_ids=tokens[None, :], use_cache=False).logits[0, :-1].float() / temperature
        logs = logits.log_softmax(dim=-1)
        wanted = seen[-kept:]
        count = int(wanted.sum())
        said = logs.gather(1, tokens[1:, None])[len(logs) - count :, 0]
        spread = -(logs.exp() * logs).sum(dim=-1)[len(logs) - count :]
        empty = torch.zeros(kept, device=ids.device)
        scores.append(empty.masked_scatter(wanted, said))
        entropies.append(empty.masked_scatter(wanted, spread))
    return torch.stack(scores), torch.stack(entropies)
