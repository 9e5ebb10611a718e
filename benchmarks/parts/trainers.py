"""What the benchmarks of training share: our stages and TRL's trainers on the same rows, and how each step went.

Both sides start from the same model in the data type that skillpm chooses for this machine, use LoRA of the same shape
on the same rows, batches and learning rates, and have a reward that is computed in place, so the figures are those of
the trainers alone. Everything else of a peer is its default, unless its arguments say otherwise here. Tokens of SFT are
those of the rows, whether packed or padded; rollouts have no end token, so that both sides decode exactly the same
number; a step of GRPO is everything between two optimiser steps.
"""

from __future__ import annotations

import gc
import itertools
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

SFT_RATE, GRPO_RATE = 7e-4, 1e-4
LAST = 5  # steps whose rewards are averaged
SYSTEM = (
    "You turn a request into one call of a tool. Answer with a single JSON object that has the keys `tool` and `args` "
    "and nothing else. The tools are `dev`, which starts the development server (port: number, host: text, reload: "
    "true or false), `build`, which makes an image (tag: text, pull: true or false), and `up`, which starts everything "
    "in containers (port: number, wait: true or false, recreate: true or false). An argument that the request does "
    "not mention is left out. Ports are numbers, never text. "
) * 2

Pay = Callable[[Mapping[str, Any], str], float]
"""Takes the expected call and an answer, and returns its reward."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run.

    Attributes:
        learned: rows of SFT, in one epoch.
        batch: rows of one of its steps.
        rows: that GRPO draws from; SFT has the first of them.
        steps: of GRPO.
        prompts: of one of its steps, and of rollouts.
        generations: answers to each prompt.
        tokens: of an answer, at most.
        rounds: of rollouts, after one that warms up.
    """

    learned: int = 480
    batch: int = 16
    rows: int = 480
    steps: int = 6
    prompts: int = 8
    generations: int = 8
    tokens: int = 96
    rounds: int = 3

    @property
    def answers(self) -> int:
        """Answers of one step of GRPO."""
        return self.prompts * self.generations


def synchronise() -> None:
    """Wait until an accelerator has done what it was asked."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _clocks() -> tuple[float, float]:
    synchronise()
    return time.perf_counter(), time.process_time()


@dataclass(slots=True)
class Steps:
    """How the optimiser steps of one training went; the first steps warm up, and are not counted in times.

    Attributes:
        times: seconds from the begin of the training to the end of each step.
        cpu: the same in CPU seconds.
        rewards: the mean of each step of GRPO.
        memory: GB that were taken at most: of the accelerator since this began, or of the process where there is none.
    """

    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    memory: float = 0.0
    _begin: tuple[float, float] = field(default_factory=_clocks)

    def end(self, figures: Mapping[str, Any]) -> None:
        """Take down that a step has ended, and the figures that its trainer logs."""
        from skillpm.train.hf.memory import peak_memory

        now = _clocks()
        self.times.append(now[0] - self._begin[0])
        self.cpu.append(now[1] - self._begin[1])
        self.rewards += [figures["reward"]] if "reward" in figures else []
        self.memory = peak_memory() / 1e9

    def seconds(self) -> float:
        """Return the median seconds of a step."""
        return _median_span(self.times)

    def cpu_seconds(self) -> float:
        """Return the median CPU seconds of a step."""
        return _median_span(self.cpu)

    def done(self, seconds: float) -> int:
        """Return how many steps had ended after so many seconds."""
        return sum(time <= seconds for time in self.times)

    def reward(self, steps: int) -> float:
        """Return the mean reward of the last of so many steps; the first one's where there is none."""
        return statistics.fmean(self.rewards[max(0, steps - LAST) : max(1, steps)])


def _median_span(times: Sequence[float]) -> float:
    spans = [later - sooner for sooner, later in itertools.pairwise(times)]
    return statistics.median(spans[len(spans) // 4 :])


def make_rows(count: int) -> list[Any]:
    """Return rows of one skill, with answers of some twenty tokens."""
    from skillpm.model.task import Task
    from skillpm.model.training import TrainRow

    rows = []
    for number in range(count):
        arguments = {"port": 3000 + number, "wait": number % 2 == 0, "recreate": number % 3 == 0}
        expected = {"tool": "up", "args": arguments}
        wishes = [f"Start everything on port {arguments['port']}"]
        wishes += ["wait until it is healthy"] if arguments["wait"] else ["do not wait"]
        wishes += ["make the containers anew"] if arguments["recreate"] else ["keep the containers"]
        task = Task.of(
            skill="up", system=SYSTEM, request=", ".join(wishes), expected=expected, split="train", origin="rule"
        )
        rows.append(TrainRow(task, json.dumps(expected)))
    return rows


def pay_digits(expected: Mapping[str, Any], answer: str) -> float:
    """Pay for digits: groups always differ, however well the model has learned."""
    return sum(character.isdigit() for character in answer) / max(1, len(answer))


def pay_arguments(expected: Mapping[str, Any], answer: str) -> float:
    """Pay the share of right arguments to a call of the right tool that has no others."""
    try:
        call = json.loads(answer)
        given, wanted = call["args"], expected["args"]
        if call != {"tool": expected["tool"], "args": given} or not given.keys() <= wanted.keys():
            return 0.0
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return 0.0
    right = [type(given.get(name)) is type(value) and given[name] == value for name, value in wanted.items()]
    return sum(right) / len(right)


class _Enough(BaseException):
    """Ends our GRPO after its last step, before it would refuse a model that is never paid, whose times count too."""


class Bench:
    """One model, both sides.

    Args:
        source: its folder.
        size: how much is run.
        work: a folder, made where it is missing; our SFT leaves the adapter there that GRPO of both begins from.
        pay: the reward.
        checkpointing: does TRL compute activations twice and so hold fewer? That is its default. Ours does not.
    """

    def __init__(self, source: Path, size: Size, work: Path, pay: Pay, *, checkpointing: bool) -> None:
        import datasets

        from skillpm.train.hf.model import load_conversation, quiet

        quiet()
        datasets.disable_progress_bars()
        self.source, self.size, self.work = source, size, work
        self._pay, self._checkpointing = pay, checkpointing
        work.mkdir(exist_ok=True)
        self._conversation = load_conversation(source)
        self._rows = make_rows(size.rows)

    @property
    def adapter(self) -> Path:
        """Where our SFT leaves its adapter."""
        return self.work / "stages/sft/adapter"

    def our_sft(self) -> Steps:
        """Run our stage sft as ``skillpm train`` does."""
        from skillpm.train.recipe import Data, Recipe
        from skillpm.train.sft import Sft

        stage = Sft(kind="sft", batch_size=self.size.batch, learning_rate=SFT_RATE)
        return self._ours(Recipe(stages=(stage,), data=Data(refine=0)), self._rows[: self.size.learned])

    def our_grpo(self) -> Steps:
        """Run our stage grpo as ``skillpm train`` does, on the adapter that our SFT made."""
        from skillpm.train.grpo import Grpo
        from skillpm.train.recipe import Data, Recipe

        size = self.size
        stage = Grpo(
            kind="grpo",
            steps=size.steps,
            prompts=size.prompts,
            generations=size.generations,
            max_new_tokens=size.tokens,
            learning_rate=GRPO_RATE,
            refill=0,
            validate_on=0,
        )
        recipe = Recipe(stages=(stage,), data=Data(refine=0))
        return self._ours(recipe, self._rows, self.adapter, size.steps)

    def _ours(self, recipe: Any, rows: Sequence[Any], adapter: Path | None = None, most: int | None = None) -> Steps:
        from skillpm.model.progress import NoProgress
        from skillpm.model.verdict import Judgement, Verdict
        from skillpm.train.hf.stages import Training, open_model, run_stages
        from skillpm.train.kinds import BUILT_IN
        from skillpm.train.plan import make_plan
        from skillpm.train.processes import Job, Judging
        from skillpm.train.run_folder import RunFolder

        plan = make_plan(recipe, BUILT_IN, rows, [], {"up": ["graded"]})

        def judge(episodes: Sequence[Any]) -> list[Any]:
            shares = [self._pay(episode.task.expected, episode.completion) for episode in episodes]
            return [Judgement(verdict=Verdict(status="failed", score=s), rewards={"graded": s}) for s in shares]

        class Timed(RunFolder):
            def log(self, row: Mapping[str, Any]) -> None:
                if "loss" in row:
                    steps.end(row)
                    if len(steps.times) == most:
                        raise _Enough

        opened = open_model(Job(recipe, self.source, adapter))
        training = Training(opened, Judging(judge, lambda episodes: None), Timed(self.work), NoProgress())
        steps = _begin()
        with suppress(_Enough):
            run_stages(plan, [stage.trainer.load() for stage in plan.stages], training)
        return steps

    def stock_sft(self) -> Steps:
        """Run TRL's SFTTrainer on the same rows, as conversations of prompt and completion."""
        from datasets import Dataset
        from peft import LoraConfig
        from trl import SFTConfig, SFTTrainer

        from skillpm.train.hf.model import load_model

        lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
        arguments = SFTConfig(
            per_device_train_batch_size=self.size.batch,
            num_train_epochs=1,
            learning_rate=SFT_RATE,
            **self._stock_arguments(),
        )
        data = [
            {"prompt": _messages(row), "completion": [{"role": "assistant", "content": row.answer}]}
            for row in self._rows[: self.size.learned]
        ]
        trainer = SFTTrainer(
            model=load_model(self.source),
            args=arguments,
            train_dataset=Dataset.from_list(data),
            processing_class=self._conversation.tokenizer,
            peft_config=lora,
        )
        return _timed(trainer)

    def stock_grpo(self) -> Steps:
        """Run TRL's GRPOTrainer on the adapter that our SFT made; its rate stays what it is, as ours does."""
        from datasets import Dataset
        from peft import PeftModel
        from trl import GRPOConfig, GRPOTrainer

        from skillpm.train.hf.model import load_model

        size = self.size
        arguments = GRPOConfig(
            max_steps=size.steps,
            per_device_train_batch_size=8,
            gradient_accumulation_steps=size.answers // 8,
            num_generations=size.generations,
            max_completion_length=size.tokens,
            learning_rate=GRPO_RATE,
            lr_scheduler_type="constant",
            **self._stock_arguments(),
        )

        def reward(completions: Sequence[Any], expected: Sequence[str], **_: Any) -> list[float]:
            pairs = zip(expected, completions, strict=True)
            return [self._pay(json.loads(wanted), completion[-1]["content"]) for wanted, completion in pairs]

        data = [{"prompt": _messages(row), "expected": json.dumps(row.task.expected)} for row in self._rows]
        trainer = GRPOTrainer(
            model=PeftModel.from_pretrained(load_model(self.source), str(self.adapter), is_trainable=True),
            args=arguments,
            reward_funcs=reward,
            train_dataset=Dataset.from_list(data),
            processing_class=self._conversation.tokenizer,
        )
        return _timed(trainer)

    def _stock_arguments(self) -> dict[str, Any]:
        """Return what keeps a stock trainer quiet; it mixes precision where the model has bfloat16, as by default.

        On a processor TRL refuses its default without ``use_cpu``.
        """
        import torch

        from skillpm.train.hf.model import choose_dtype, device_name

        quiet = {"disable_tqdm": True, "report_to": "none", "save_strategy": "no", "logging_steps": 1, "seed": 0}
        device, folder = device_name(), str(self.work / "stock")
        mixed = choose_dtype("auto", device) is torch.bfloat16
        kept = {"gradient_checkpointing": self._checkpointing, "bf16": mixed, "use_cpu": device == "cpu"}
        return {**quiet, **kept, "output_dir": folder}

    def rollouts(self, adapted: bool = False) -> tuple[float, float]:
        """Return the seconds of ``generate()`` and ours for the same groups of answers, none of which ends.

        Args:
            adapted: does the model have the adapter of SFT, as in training?
        """
        from peft import PeftModel

        from skillpm.train.hf.model import load_model

        model = load_model(self.source)
        if adapted:
            model = PeftModel.from_pretrained(model, str(self.adapter), is_trainable=True)
        model.eval()
        prompts = [self._conversation.prompt(row.task.prompt) for row in self._rows[: self.size.prompts]]
        asked = (model, self._conversation.tokenizer, prompts, self.size)
        generated, ours = (least(partial(work, *asked), self.size.rounds) for work in (_generate, _decode))
        return generated, ours

    def tokens(self) -> tuple[float, float]:
        """Return the mean tokens of a row of SFT, and how many of them go through the model in a packed batch."""
        from skillpm.train.hf.packing import PrefixPacking, encode_rows

        rows = self._rows[: self.size.learned]
        features = encode_rows(
            [("up", *self._conversation.finished(row.task.prompt, row.answer)) for row in rows], 1024
        )
        batches = [features[start : start + self.size.batch] for start in range(0, len(features), self.size.batch)]
        whole = statistics.fmean(len(feature["input_ids"]) for feature in features)
        return whole, sum(PrefixPacking()(batch)["input_ids"].shape[1] for batch in batches) / len(features)


def _begin() -> Steps:
    """Forget what earlier pieces held on an accelerator, and start the clocks."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return Steps()


def _messages(row: Any) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in row.task.prompt]


def _timed(trainer: Any) -> Steps:
    """Train, and return how the steps went."""
    from transformers import TrainerCallback

    from skillpm.train.hf.loop import silence

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
            if logs and "loss" in logs:
                steps.end(logs)

    silence(trainer)
    trainer.add_callback(Watch())
    steps = _begin()
    trainer.train()
    return steps


def _generate(model: Any, tokenizer: Any, prompts: Sequence[list[int]], size: Size) -> None:
    """Answer each prompt as often as it is to be, padded, as TRL's GRPOTrainer does by default; no answer ends."""
    asked = {"input_ids": [ids for ids in prompts for _ in range(size.generations)]}
    batch = tokenizer.pad(asked, padding_side="left", return_tensors="pt").to(model.device)
    ends = {"min_new_tokens": size.tokens, "max_new_tokens": size.tokens}
    model.generate(**batch, do_sample=True, temperature=1.0, top_k=0, **ends)


def _decode(model: Any, tokenizer: Any, prompts: Sequence[list[int]], size: Size) -> None:
    """Answer the same with our loop, from packed layers with the adapter merged where our training does so."""
    from skillpm.train.hf.decode import Sampling, decode
    from skillpm.train.hf.packed import packed

    how = Sampling(
        size.tokens, frozenset(), tokenizer.pad_token_id, 1.0, samples=size.generations, batch_size=size.answers
    )
    with packed(model, prompts[0]):
        for _ in decode(model, prompts, how):
            pass


def least(work: Callable[[], Any], rounds: int) -> float:
    """Return the least seconds of a few rounds, after one that warms up."""
    spans = []
    for _ in range(rounds + 1):
        synchronise()
        start = time.perf_counter()
        work()
        synchronise()
        spans.append(time.perf_counter() - start)
    return min(spans[1:])


def line(what: str, peer: float, ours: float, *, less: bool = False) -> dict[str, Any]:
    """Return one line of a table; a ratio above 1 is in our favour, and MFU's says only who is busier."""
    above, below = (peer, ours) if less else (ours, peer)
    return {"what": what, "peer": peer, "ours": ours, "ratio": above / below if below else None}


def print_heading() -> None:
    """Print the first line of a table."""
    print(f"{'what':54} {'peer':>9} {'ours':>9} {'ratio':>7}", flush=True)


def print_line(found: Mapping[str, Any]) -> None:
    """Print a further line."""
    ratio = f"{found['ratio']:7.2f}" if found["ratio"] else f"{'-':>7}"
    print(f"{found['what']:54} {found['peer']:9.2f} {found['ours']:9.2f} {ratio}", flush=True)
