"""Training on an accelerator: our SFT, rollouts and GRPO beside TRL's trainers and ``generate()``, in one run.

Both sides start from the same model, use LoRA of the same shape on the same rows, batches and learning rate, and have
a reward that is computed in place, so the figures are those of the trainers alone. Everything else of a peer is its
default. Tokens of SFT are those of the rows, whether packed or padded; rollouts have no end token, so that both sides
decode exactly the same number; a step of GRPO is everything between two optimiser steps.

MFU is 6 N T / (seconds x peak): N parameters without the embedding, T tokens that really went through the model
(padding and attention scores are not counted; of the six, LoRA needs hardly more than four). The peak is the
datasheet's for dense bfloat16 where the device is known, else the rate of a large matrix product, which is measured in
any case.

    python benchmarks/gpu_trainer.py [--output FOLDER] [--model NAME] [--quick]

``--quick`` makes everything small, for a CPU. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bfloat16 by datasheet, of the SXM parts
RATE = 7e-4
SYSTEM = (
    "You turn a request into one call of a tool. Answer with a single JSON object that has the keys `tool` and `args` "
    "and nothing else. The tools are `dev`, which starts the development server (port: number, host: text, reload: "
    "true or false), `build`, which makes an image (tag: text, pull: true or false), and `up`, which starts everything "
    "in containers (port: number, wait: true or false, recreate: true or false). An argument that the request does "
    "not mention is left out. Ports are numbers, never text. "
) * 2


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run."""

    rows: int = 480
    batch: int = 16
    steps: int = 6
    prompts: int = 8
    generations: int = 8
    tokens: int = 96
    rounds: int = 3
    matrix: int = 8192


QUICK = Size(rows=24, batch=4, steps=2, prompts=2, generations=4, tokens=8, rounds=1, matrix=256)


@dataclass(slots=True)
class Steps:
    """When each optimiser step ended; the first steps warm up and are not counted."""

    times: list[float] = field(default_factory=list)
    memory: float = 0.0

    def end(self) -> None:
        """Take down that a step has ended."""
        synchronise()
        self.times.append(time.perf_counter())
        self.memory = peak_memory()

    def seconds(self) -> float:
        """Return the median seconds of a step."""
        spans = [later - sooner for sooner, later in itertools.pairwise(self.times)]
        return statistics.median(spans[len(spans) // 4 :])


def synchronise() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory(*, reset: bool = False) -> float:
    """Return the most memory that tensors took since the last reset, in GB; 0 on a CPU."""
    import torch

    if not torch.cuda.is_available():
        return 0.0
    peak = torch.cuda.max_memory_allocated() / 1e9
    if reset:
        torch.cuda.reset_peak_memory_stats()
    return peak


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


def pay(text: str) -> float:
    """Pay for digits: groups differ, nothing is waited for."""
    return sum(character.isdigit() for character in text) / max(1, len(text))


class Bench:
    """One model, both sides.

    Args:
        source: its folder.
        size: how much is run.
        work: a new folder.
    """

    def __init__(self, source: Path, size: Size, work: Path) -> None:
        from skillpm.train.hf.model import load_conversation

        self.source, self.size, self.work = source, size, work
        work.mkdir()
        conversation = load_conversation(source)
        self.tokenizer = conversation.tokenizer
        self.rows = make_rows(size.rows)
        self.features = [("up", *conversation.finished(row.task.prompt, row.answer)) for row in self.rows]
        self.prompts = [prompt for _, prompt, _ in self.features]
        self.row_tokens = statistics.mean(len(prompt) + len(answer) for _, prompt, answer in self.features)

    def ours(self, *, refine: bool) -> dict[str, Steps]:
        """Run our stages as ``skillpm train`` does; the adapter of SFT is left in ``work``."""
        from skillpm.cli.output import PlainProgress
        from skillpm.model.verdict import Judgement, Verdict
        from skillpm.train.grpo import Grpo
        from skillpm.train.hf.stages import Training, open_model, run_stages
        from skillpm.train.kinds import BUILT_IN
        from skillpm.train.plan import make_plan
        from skillpm.train.processes import Job
        from skillpm.train.recipe import Data, Recipe
        from skillpm.train.run_folder import RunFolder
        from skillpm.train.sft import Sft

        size = self.size
        sizes = {"prompts": size.prompts, "generations": size.generations, "max_new_tokens": size.tokens}
        sft = Sft(kind="sft", batch_size=size.batch, learning_rate=RATE)
        grpo = Grpo(kind="grpo", steps=size.steps, **sizes, refill=0, validate_on=0)
        recipe = Recipe(stages=(sft, grpo) if refine else (sft,), data=Data(refine=0))
        plan = make_plan(recipe, BUILT_IN, self.rows, [], {"up": ["graded"]})
        found: dict[str, Steps] = {}

        class Timed(RunFolder):
            def log(self, row: Mapping[str, Any]) -> None:
                if "loss" in row:
                    if row["stage"] not in found:
                        peak_memory(reset=True)
                    found.setdefault(row["stage"], Steps()).end()

        def judge(episodes: Sequence[Any]) -> list[Any]:
            shares = [pay(episode.completion) for episode in episodes]
            return [Judgement(verdict=Verdict(status="failed", score=s), rewards={"graded": s}) for s in shares]

        opened = open_model(Job(recipe, self.source))
        training = Training(opened, judge, lambda episodes: None, Timed(self.work), PlainProgress())
        run_stages(plan, [stage.trainer.load() for stage in plan.stages], training)
        return found

    def stock_sft(self) -> Steps:
        """Run TRL's SFTTrainer on the same rows, as conversations of prompt and completion."""
        from datasets import Dataset
        from peft import LoraConfig
        from trl import SFTConfig, SFTTrainer

        from skillpm.train.hf.model import load_model

        lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
        arguments = SFTConfig(
            output_dir=str(self.work / "stock"),
            per_device_train_batch_size=self.size.batch,
            num_train_epochs=1,
            learning_rate=RATE,
            **common_arguments(),
        )
        data = [
            {"prompt": messages(row), "completion": [{"role": "assistant", "content": row.answer}]} for row in self.rows
        ]
        trainer = SFTTrainer(
            model=load_model(self.source),
            args=arguments,
            train_dataset=Dataset.from_list(data),
            processing_class=self.tokenizer,
            peft_config=lora,
        )
        return timed(trainer)

    def stock_grpo(self) -> Steps:
        """Run TRL's GRPOTrainer on the adapter that our SFT made."""
        from datasets import Dataset
        from peft import PeftModel
        from trl import GRPOConfig, GRPOTrainer

        from skillpm.train.hf.model import load_model

        size = self.size
        arguments = GRPOConfig(
            output_dir=str(self.work / "stock"),
            max_steps=size.steps,
            per_device_train_batch_size=8,
            gradient_accumulation_steps=size.prompts * size.generations // 8,
            num_generations=size.generations,
            max_completion_length=size.tokens,
            learning_rate=1e-4,
            beta=0.0,
            **common_arguments(),
        )

        def reward(completions: Sequence[Any], **_: Any) -> list[float]:
            return [pay(completion[-1]["content"]) for completion in completions]

        adapter = str(self.work / "stages/sft/adapter")
        trainer = GRPOTrainer(
            model=PeftModel.from_pretrained(load_model(self.source), adapter, is_trainable=True),
            args=arguments,
            reward_funcs=reward,
            train_dataset=Dataset.from_list([{"prompt": messages(row)} for row in self.rows]),
            processing_class=self.tokenizer,
        )
        return timed(trainer)

    def rollouts(self) -> tuple[float, float]:
        """Return the seconds of ``generate()`` and ours for the same groups of answers, none of which ends."""
        from skillpm.train.hf.model import load_model

        size = self.size
        model, prompts = load_model(self.source).eval(), self.prompts[: size.prompts]
        works = (partial(work, model, self.tokenizer, prompts, size.generations, size.tokens) for work in ROLLOUTS)
        generated, ours = (least(work, size.rounds) for work in works)
        return generated, ours

    def packed_tokens(self) -> float:
        """Return how many tokens of a packed batch go through the model for each row, on average."""
        from skillpm.train.hf.packing import PrefixPacking, encode_rows

        features = encode_rows(self.features, 1024)
        batches = [features[start : start + self.size.batch] for start in range(0, len(features), self.size.batch)]
        return sum(PrefixPacking()(batch)["input_ids"].shape[1] for batch in batches) / len(features)


def generate(model: Any, tokenizer: Any, prompts: Sequence[list[int]], samples: int, tokens: int) -> None:
    """Answer each prompt as often as it is to be, padded, as TRL's GRPOTrainer does by default; no answer ends."""
    asked = {"input_ids": [ids for ids in prompts for _ in range(samples)]}
    batch = tokenizer.pad(asked, padding_side="left", return_tensors="pt").to(model.device)
    ends = {"min_new_tokens": tokens, "max_new_tokens": tokens}
    model.generate(**batch, do_sample=True, temperature=1.0, top_k=0, **ends)


def decode(model: Any, tokenizer: Any, prompts: Sequence[list[int]], samples: int, tokens: int) -> None:
    """Answer the same with our loop."""
    from skillpm.train.hf import decode as loop

    rows = len(prompts) * samples
    how = loop.Sampling(tokens, frozenset(), tokenizer.pad_token_id, 1.0, samples=samples, batch_size=rows)
    for _ in loop.decode(model, prompts, how):
        pass


ROLLOUTS = (generate, decode)


def common_arguments() -> dict[str, Any]:
    """Return what keeps a stock trainer quiet; its data type is its default where there is an accelerator."""
    import torch

    quiet = {"disable_tqdm": True, "report_to": "none", "save_strategy": "no", "logging_steps": 1}
    return {**quiet, "bf16": torch.cuda.is_available(), "gradient_checkpointing": False, "seed": 0}


def messages(row: Any) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in row.task.prompt]


def timed(trainer: Any) -> Steps:
    """Train, and return when each step ended."""
    from transformers import TrainerCallback

    from skillpm.train.hf.loop import silence

    steps = Steps()

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
            if "loss" in (logs or {}):
                steps.end()

    silence(trainer)
    trainer.add_callback(Watch())
    peak_memory(reset=True)
    trainer.train()
    return steps


def least(work: Callable[[], Any], rounds: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the least seconds of a few rounds, after one that warms up."""
    spans = []
    for _ in range(rounds + 1):
        synchronise()
        start = clock()
        work()
        synchronise()
        spans.append(clock() - start)
    return min(spans[1:])


def product_rate(size: int) -> float:
    """Return the operations a second of a large bfloat16 matrix product on random data."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / least(lambda: left @ right, 10)


def body_parameters(source: Path) -> int:
    """Return the parameters of a model without its embedding and output layer."""
    import torch
    from transformers import AutoConfig, AutoModel

    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.from_pretrained(source))
    return sum(p.numel() for p in model.parameters()) - model.get_input_embeddings().weight.numel()


def save_qwen_shape(source: Path, folder: Path, *, quick: bool) -> Path:
    """Save a model of Qwen3-0.6B's shape with random weights, with the tokenizer of another."""
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(source)
    shape = {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "vocab_size": 151936}
    if quick:
        shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": len(tokenizer)}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    heads = {"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 16 if quick else 128}
    torch.manual_seed(0)
    config = Qwen3Config(**shape, **heads, **ends, bos_token_id=None, tie_word_embeddings=True)
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def measure(name: str, bench: Bench, peak: float, *, refine: bool) -> list[dict[str, Any]]:
    """Return the lines of the table for one model."""
    size = bench.size
    ours = bench.ours(refine=refine)
    stock = bench.stock_sft()
    flops, tokens = 6 * body_parameters(bench.source), bench.row_tokens * size.batch
    packed = bench.packed_tokens() * size.batch
    peer, mine = stock.seconds(), ours["sft"].seconds()
    lines = [
        line(f"{name}: SFT, tokens of rows a second", tokens / peer, tokens / mine),
        line(f"{name}: SFT, MFU, percent", 100 * flops * tokens / peer / peak, 100 * flops * packed / mine / peak),
        line(f"{name}: SFT, peak memory, GB", stock.memory, ours["sft"].memory, less=True),
    ]
    peer, mine = bench.rollouts()
    made = size.prompts * size.generations * size.tokens
    lines.append(line(f"{name}: rollouts, tokens a second", made / peer, made / mine))
    if refine:
        stock = bench.stock_grpo()
        lines.append(line(f"{name}: GRPO, seconds a step", stock.seconds(), ours["grpo"].seconds(), less=True))
        lines.append(line(f"{name}: GRPO, peak memory, GB", stock.memory, ours["grpo"].memory, less=True))
    return lines


def line(what: str, peer: float, ours: float, *, less: bool = False) -> dict[str, Any]:
    """Return one line of the table; a ratio above 1 is in our favour, and MFU's says only who is busier."""
    above, below = (peer, ours) if less else (ours, peer)
    return {"what": what, "peer": peer, "ours": ours, "ratio": above / below if below else None}


def surroundings(rate: float, peak: float) -> dict[str, Any]:
    """Return what the figures depend on."""
    import torch

    from skillpm.ops.learning.train import library_versions

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return {
        "device": device,
        "date": datetime.now(UTC).date().isoformat(),
        "versions": library_versions(),
        "peak_flops": peak,
        "measured_product_flops": rate,
    }


def main() -> None:
    """Print the table, and leave the figures in a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="a name that skillpm knows, or a folder")
    parser.add_argument("--output", type=Path, help="folder of gpu_trainer.json")
    parser.add_argument("--quick", action="store_true", help="small, for a CPU")
    given = parser.parse_args()

    import datasets
    import torch

    from skillpm.ops.learning.models import ready_model
    from skillpm.settings import load_settings
    from skillpm.train.hf.model import quiet

    if not (given.quick or torch.cuda.is_available()):
        parser.error("no accelerator here: try it with --quick")
    quiet()
    datasets.disable_progress_bars()
    size = QUICK if given.quick else Size()
    source = Path(ready_model(given.model, load_settings()))
    rate = product_rate(size.matrix)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    peak = next((flops for name, flops in PEAKS.items() if name in device), rate)
    figures = {**surroundings(rate, peak), "size": {name: getattr(size, name) for name in Size.__slots__}, "lines": []}
    print(f"{device}, matrix product {rate / 1e12:.0f} TFLOP/s, peak {peak / 1e12:.0f} TFLOP/s", flush=True)
    print(f"{'what':52} {'peer':>9} {'ours':>9} {'ratio':>7}", flush=True)
    with tempfile.TemporaryDirectory(prefix="skillpm-") as work:
        other = save_qwen_shape(source, Path(work) / "qwen", quick=given.quick)
        for name, folder, refine in ((Path(given.model).name, source, True), ("Qwen3-0.6B's shape", other, False)):
            begin = time.perf_counter()
            lines = measure(name, Bench(folder, size, Path(work) / name), peak, refine=refine)
            for found in lines:
                ratio = f"{found['ratio']:7.2f}" if found["ratio"] else f"{'-':>7}"
                print(f"{found['what']:52} {found['peer']:9.2f} {found['ours']:9.2f} {ratio}", flush=True)
            figures["lines"] += lines
            figures[f"seconds of {name}"] = round(time.perf_counter() - begin, 1)
            if given.output:
                given.output.mkdir(parents=True, exist_ok=True)
                (given.output / "gpu_trainer.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
