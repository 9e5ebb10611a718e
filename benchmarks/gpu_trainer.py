"""Training on an accelerator: our SFT, rollouts and GRPO beside TRL's trainers and ``generate()``, in one run.

``parts/trainers.py`` says what both sides share. Here TRL keeps its activations, as we do. Three models are trained:
one that answers, and two of random weights in the shapes of Qwen3-0.6B and Qwen3-4B, which learn nothing that GRPO
could refine. What does not fit into the memory is named and left out.

MFU is 6 N T / (seconds x peak): N parameters without the embedding, T tokens that really went through the model
(padding and attention scores are not counted; of the six, LoRA needs hardly more than four). The peak is the
datasheet's for dense bfloat16 where the device is known, else the rate of a large matrix product, which is measured in
any case.

    python benchmarks/gpu_trainer.py [--output FOLDER] [--model NAME] [--quick]

``--quick`` makes everything small, for a CPU, where memory is the whole process's. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from parts.trainers import Bench, Size, least, line, pay_digits, print_heading, print_line

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bfloat16 by datasheet, of the SXM parts
QUICK = Size(learned=24, batch=4, rows=24, steps=2, prompts=2, generations=4, tokens=8, rounds=1)
SIZES = {"Qwen3-4B's shape": Size(learned=160, batch=8, rows=160, rounds=2)}  # 16 rows would take the most of 80 GB
DIMENSIONS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim", "vocab_size")
SHAPES = {
    "Qwen3-0.6B's shape": (1024, 3072, 28, 16, 128, 151936),
    "Qwen3-4B's shape": (2560, 9728, 36, 32, 128, 151936),
}
SMALL = (64, 128, 2, 16, 16, 0)


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


def save_random_qwen(source: Path, folder: Path, shape: Sequence[int]) -> Path:
    """Save a Qwen3 of random weights, which are made on the device, with the tokenizer of another model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config

    tokenizer = AutoTokenizer.from_pretrained(source)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    dimensions = dict(zip(DIMENSIONS, shape, strict=True))
    dimensions["vocab_size"] = max(len(tokenizer), dimensions["vocab_size"])
    config = Qwen3Config(**dimensions, **ends, num_key_value_heads=8, bos_token_id=None, tie_word_embeddings=True)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def measure(name: str, bench: Bench, peak: float, *, refine: bool) -> Iterator[dict[str, Any]]:
    """Yield the lines of the table for one model."""
    size = bench.size
    ours, stock = bench.our_sft(), bench.stock_sft()
    peer, mine = stock.seconds(), ours.seconds()
    whole, packed = (tokens * size.batch for tokens in bench.tokens())
    flops = 6 * body_parameters(bench.source)
    yield line(f"{name}: SFT, tokens of rows a second", whole / peer, whole / mine)
    yield line(f"{name}: SFT, seconds a step", peer, mine, less=True)
    yield line(f"{name}: SFT, MFU, percent", 100 * flops * whole / peer / peak, 100 * flops * packed / mine / peak)
    yield line(f"{name}: SFT, peak memory, GB", stock.memory, ours.memory, less=True)
    peer, mine = bench.rollouts()
    made = size.answers * size.tokens
    yield line(f"{name}: rollouts, tokens a second", made / peer, made / mine)
    if refine:
        ours, stock = bench.our_grpo(), bench.stock_grpo()
        yield line(f"{name}: GRPO, seconds a step", stock.seconds(), ours.seconds(), less=True)
        yield line(f"{name}: GRPO, peak memory, GB", stock.memory, ours.memory, less=True)


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


def run(source: Path, size: Size, shape: Sequence[int] | None, name: str, peak: float) -> Iterator[dict[str, Any]]:
    """Yield the lines of a model, or of one of random weights with a shape."""
    with tempfile.TemporaryDirectory(prefix="skillpm-") as work:
        if shape is not None:
            source = save_random_qwen(source, Path(work) / "model", shape)
        bench = Bench(source, size, Path(work) / "run", pay_digits, checkpointing=False)
        yield from measure(name, bench, peak, refine=shape is None)


def main() -> None:
    """Print the table, and leave the figures in a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="a name that skillpm knows, or a folder")
    parser.add_argument("--output", type=Path, help="folder of gpu_trainer.json")
    parser.add_argument("--quick", action="store_true", help="small, for a CPU")
    given = parser.parse_args()

    import torch

    from skillpm.ops.learning.models import ready_model
    from skillpm.settings import load_settings
    from skillpm.train.hf.memory import lacks_memory

    if not (given.quick or torch.cuda.is_available()):
        parser.error("no accelerator here: try it with --quick")
    source = Path(ready_model(given.model, load_settings()))
    rate = product_rate(256 if given.quick else 8192)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    peak = next((flops for name, flops in PEAKS.items() if name in device), rate)
    figures = {**surroundings(rate, peak), "sizes": {}, "lines": [], "left out": {}, "seconds": {}}
    print(f"{device}, matrix product {rate / 1e12:.0f} TFLOP/s, peak {peak / 1e12:.0f} TFLOP/s", flush=True)
    print_heading()
    shapes = dict.fromkeys(SHAPES, SMALL) if given.quick else SHAPES
    for name, shape in {Path(given.model).name: None, **shapes}.items():
        size = QUICK if given.quick else SIZES.get(name, Size())
        begin = time.perf_counter()
        try:
            for found in run(source, size, shape, name, peak):
                print_line(found)
                figures["lines"].append(found)
        except Exception as error:
            if not lacks_memory(error):
                raise
            figures["left out"][name] = str(error)
            print(f"{name}: the memory is not enough, left out", flush=True)
        figures["sizes"][name] = asdict(size)
        figures["seconds"][name] = round(time.perf_counter() - begin, 1)
        if given.output:
            given.output.mkdir(parents=True, exist_ok=True)
            (given.output / "gpu_trainer.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
