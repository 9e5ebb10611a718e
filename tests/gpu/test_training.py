"""The stages on an accelerator: they compute what the CPU computes, learn, and stay within memory."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from skillpm.model.episode import Episode
from skillpm.model.verdict import Judgement
from skillpm.train.grpo import Grpo
from skillpm.train.sft import Sft

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).parent.parent.parent
ON_CPU = "import json, sys; from tests.gpu.stages import sft_losses; print(json.dumps(sft_losses(sys.argv[1])))"
MEMORY = 6e9  # bytes; a step of 32 short completions, checked on 80 GB cards


def test_sft_learns_as_on_the_cpu(source: Path) -> None:
    """In float32, the losses of all steps are those of the same run in a process that sees no accelerator."""
    from tests.gpu.stages import sft_losses

    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    hidden.pop("OMP_NUM_THREADS", None)

    here = sft_losses(source)
    there = subprocess.run([sys.executable, "-c", ON_CPU, source], env=hidden, capture_output=True, text=True)

    assert there.returncode == 0, there.stderr
    assert here == pytest.approx(json.loads(there.stdout.splitlines()[-1]), rel=0.02, abs=2e-3)
    assert len(here) == 6
    assert here[-1] < 0.8 * here[0]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.1)])
def test_packed_gradients_are_those_of_separate_rows(source: Path, dtype: str, tolerance: float) -> None:
    """The relative distance of the whole gradient is the rounding of the data type."""
    import torch

    from skillpm.train.hf.model import load_conversation, load_model
    from skillpm.train.hf.packing import PrefixPacking, encode_rows
    from tests.gpu.stages import make_rows

    model, conversation = load_model(source, dtype), load_conversation(source)
    rows = [("x", *conversation.finished(row.task.prompt, row.answer)) for row in make_rows(4)]
    features = encode_rows(rows, 1024)

    def gradient(batches: Sequence[Sequence[dict[str, Any]]]) -> torch.Tensor:
        model.zero_grad()
        for batch in batches:
            inputs = {name: value.to(model.device) for name, value in PrefixPacking()(batch).items()}
            labels = inputs.pop("labels")[0, 1:]
            logits = model(**inputs, use_cache=False).logits[0, :-1].float()
            torch.nn.functional.cross_entropy(logits, labels, reduction="sum").backward()  # type: ignore[no-untyped-call]
        return torch.cat([p.grad.float().flatten().cpu() for p in model.parameters()])

    packed = gradient([features])
    separate = gradient([[feature] for feature in features])

    assert float((packed - separate).norm() / separate.norm()) < tolerance


def test_a_grpo_step_learns_from_rewards(source: Path, device: str, tmp_path: Path) -> None:
    """After a short SFT in bfloat16, rewards are judged, the adapter moves, and memory stays within its bound."""
    import torch
    from safetensors.torch import load_file

    from tests.gpu.stages import run
    from tests.train.hf.test_stages_kinds import pay_by_text

    judged: list[Episode] = []

    def judge(episodes: Sequence[Episode]) -> list[Judgement]:
        judged.extend(episodes)
        return pay_by_text(episodes)

    sft = Sft(kind="sft", batch_size=4, epochs=2)  # long enough that answers end, too short to make them all alike
    sizes = {"prompts": 4, "generations": 8, "max_new_tokens": 48}
    grpo = Grpo(kind="grpo", steps=1, **sizes, temperature=1.5, refill=0, validate_on=0)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    log = run([sft, grpo], source, tmp_path, dtype="auto" if device == "cuda" else "float32", judge=judge)

    step = next(row for row in log if row["stage"] == "grpo" and "loss" in row)
    assert math.isfinite(step["loss"]) and math.isfinite(step["grad_norm"])
    assert len(judged) >= 32
    saved = "stages/{}/adapter/adapter_model.safetensors"
    before, after = (load_file(tmp_path / saved.format(name)) for name in ("sft", "grpo"))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert {tensor.dtype for tensor in after.values()} == {torch.float32}
    if device == "cuda":
        assert torch.cuda.max_memory_allocated() < MEMORY


def test_the_base_is_bfloat16_on_an_accelerator(source: Path, device: str) -> None:
    """What ``dtype: auto``, the recipe's default, means there. A CPU decides by its flags."""
    import torch

    from skillpm.train.hf.model import choose_dtype, load_model

    model = load_model(source)

    assert model.device.type == device
    assert model.dtype == choose_dtype("auto", device)
    assert choose_dtype("auto", "cuda") == torch.bfloat16
