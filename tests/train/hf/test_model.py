"""Which data type a model is loaded with, what an arm records of it, and prompts that do not fit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file

from skillpm.agent.together import Together
from skillpm.cli.output import PlainProgress
from skillpm.errors import TrainingError, UsageError
from skillpm.formats.lazy_sequence import LazySequence
from skillpm.model.ports import Completion
from skillpm.model.task import Message
from skillpm.train.hf import model
from skillpm.train.hf.model import load_conversation, load_model, with_adapter
from skillpm.train.hf.policy import TransformersPolicy
from skillpm.train.hf.stages import Training, open_model, run_stages
from skillpm.train.model_files import model_digest
from skillpm.train.processes import Job, Judging
from skillpm.train.recipe import Lora
from skillpm.train.run_folder import RunFolder
from skillpm.train.sft import Sft
from tests.random_models import random_architecture
from tests.train.hf.test_stages import judge, plan_of, tell_nobody


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("flags\t\t: fpu sse2 avx2", torch.float32),
        ("flags\t\t: fpu avx512f avx512_bf16", torch.bfloat16),
        ("flags\t\t: fpu amx_bf16 amx_tile", torch.bfloat16),
        ("flags\t\t: fpu avx512f\nother: avx512_bf16", torch.float32),
        ("Features\t: fp asimd", torch.float32),
        (None, torch.float32),
    ],
)
def test_a_cpu_gets_bfloat16_only_where_its_flags_say_that_it_has_units_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str | None, dtype: torch.dtype
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"processor\t: 0\n{flags}\n")
    monkeypatch.setattr(model, "_CPUINFO", cpuinfo)
    assert model.choose_dtype("auto", "cpu") == dtype
    assert model.choose_dtype("bfloat16", "cpu") == torch.bfloat16
    assert model.choose_dtype("float32", "cpu") == torch.float32


@pytest.mark.parametrize("words", ["CUDA out of memory. Tried", "[enforce fail] can't allocate memory: you tried"])
def test_memory_that_is_not_enough_says_nothing_about_the_files(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError(words)

    with monkeypatch.context() as patched:
        patched.setattr("skillpm.train.hf.model.AutoModelForCausalLM.from_pretrained", fails)
        with pytest.raises(TrainingError, match="cannot be loaded: the memory is not enough"):
            load_model(tiny_model)
    policy = TransformersPolicy(tiny_model, dtype="float32")
    monkeypatch.setattr("skillpm.train.hf.policy.decode", fails)
    with pytest.raises(TrainingError, match="cannot write 1 answers side by side: the memory is not enough"):
        list(policy.complete([[Message(role="user", content="a")]], max_new_tokens=2))


def test_a_policy_says_what_else_decides_its_answers(tiny_model: Path) -> None:
    policy = TransformersPolicy(tiny_model, dtype="float32")
    assert policy.settings == {
        "dtype": "float32",
        "device": model.device_name(),
        "threads": torch.get_num_threads(),
        "template_arguments": {},
        "model_digest": model_digest(tiny_model),
    }


def test_a_token_that_the_model_alone_calls_an_end_ends_an_answer_and_is_not_in_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    asked = [[Message(role="user", content="a")]]
    ((_, first),) = TransformersPolicy(tiny_model, dtype="float32").complete(asked, max_new_tokens=1)
    prompt = torch.tensor([load_conversation(tiny_model).prompt(asked[0])])
    token = int(load_model(tiny_model, "float32")(prompt).logits[0, -1].argmax())
    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": [token]}))
    ((_, answer),) = TransformersPolicy(copy, dtype="float32").complete(asked, max_new_tokens=4)
    assert first.text and (answer.text, answer.completion_tokens, answer.finish_reason) == ("", 1, "stop")


def test_the_digest_of_a_model_is_that_of_its_weights_wherever_they_lie(tiny_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tiny_model.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert model_digest(copy) == model_digest(tiny_model)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert model_digest(copy) != model_digest(tiny_model)


def _with_config(**changes: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def _with_weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        (file,) = folder.glob("*.safetensors")
        save_file(change(load_file(file)), file, metadata={"format": "pt"})

    return write


def _not_finite(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value * float("nan") for name, value in weights.items()}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "config.json").write_text("[]"), "must be a mapping, not list"),
        (_with_config(num_attention_heads=7), "not a multiple of the number of attention heads"),
        (_with_config(num_hidden_layers="many"), "expected int, got str"),
        (_with_config(vocab_size=100), "its weights have other shapes than its config.json says"),
        (_with_config(model_type="gpt_neox"), "its files lack .* weights of a GPTNeoXForCausalLM, such as "),
        (_with_config(num_hidden_layers=3), "its files lack 9 weights of a LlamaForCausalLM"),
        (_with_weights(_not_finite), "has values that are not finite"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "header too small"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "KeyError: 'added_tokens'"),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(
    tiny_model: Path, tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    """Weights that are not in the files would be random, and nothing would say so."""
    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    damage(copy)
    with pytest.raises(UsageError, match=rf"^the model \S*copy cannot be loaded: .*{reason}"):
        load_conversation(copy)
        load_model(copy, "float32")


def test_a_model_with_weights_outside_its_folder_is_not_loaded(tiny_model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    weights = (copy / "model.safetensors").rename(tmp_path / "away.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(load_file(weights), "../away.safetensors")}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UsageError, match=r"index.json names the weights `../away.safetensors`"):
        load_model(copy, "float32")
    shutil.move(weights, copy)
    (copy / "model.safetensors.index.json").write_text(json.dumps(index).replace("../", ""))
    assert load_model(copy, "float32").state_dict().keys() == load_model(tiny_model, "float32").state_dict().keys()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_with_weights(lambda weights: {"x": torch.zeros(2)}), "its file lacks 28 weights, such as base_model"),
        (_with_weights(_not_finite), "it has values that are not finite"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"no"), "header too small"),
        (lambda folder: (folder / "adapter_config.json").write_text('{"peft_type": "NOPE"}'), "KeyError: 'NOPE'"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "it has no adapter_model.safetensors"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "it has no adapter_config.json"),
    ],
)
def test_a_damaged_adapter_is_refused_in_one_line(
    loaded: Any, tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    get_peft_model(loaded, LoraConfig(target_modules="all-linear", r=2)).save_pretrained(tmp_path)
    damage(tmp_path)
    with pytest.raises(UsageError, match=f"^the adapter .* does not fit m: .*{reason}"):
        with_adapter(loaded, tmp_path, "m")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("llama", PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM"), "which changes no weights"),
        ("llama, tied", LoraConfig(target_modules=["embed_tokens", "q_proj"]), "both the embeddings and the last"),
        ("llama, tied", LoraConfig(target_modules=["lm_head"]), "both the embeddings and the last"),
        ("llama", LoraConfig(target_modules=["q_proj"], bias="lora_only"), "it changes biases of the model"),
        ("llama", LoraConfig(target_modules=["embed_tokens", "lm_head"]), ""),
        ("llama, tied", LoraConfig(target_modules=["q_proj"], modules_to_save=["embed_tokens"]), ""),
    ],
)
def test_an_adapter_that_cannot_be_merged_or_compared_with_is_refused(
    tmp_path: Path, name: str, settings: Any, reason: str
) -> None:
    """Merged, an update of tied embeddings changes the last layer, which the adapter has left alone."""
    adapted = get_peft_model(random_architecture(name), settings).eval()
    for weight in (weight for weight in adapted.parameters() if weight.requires_grad):
        weight.data += 0.1 * torch.randn_like(weight)
    adapted.save_pretrained(tmp_path)
    if reason:
        with pytest.raises(UsageError, match=f"does not fit m: .*{reason}"):
            with_adapter(random_architecture(name), tmp_path, "m", trainable="biases" in reason)
        return
    ids = torch.arange(3, 20)[None]
    merged = with_adapter(random_architecture(name), tmp_path, "m").merge_and_unload().eval()
    torch.testing.assert_close(merged(ids).logits, adapted(ids).logits, rtol=1e-3, atol=1e-3)


def test_a_prompt_that_does_not_fit_the_window_is_not_asked_and_says_so(tiny_model: Path) -> None:
    policy = TransformersPolicy(tiny_model, dtype="float32")
    prompts = [(Message(role="user", content="word " * 600),), (Message(role="user", content="start it"),)]
    answers = dict(policy.complete(prompts, max_new_tokens=8))
    assert (answers[0].finish_reason, answers[0].text, answers[0].completion_tokens) == ("too_long", "", 0)
    assert answers[0].prompt_tokens > 512
    assert answers[1].finish_reason in {"stop", "length"}
    room = 512 - answers[1].prompt_tokens
    assert next(policy.complete(prompts[1:], max_new_tokens=room + 1))[1].finish_reason == "too_long"


def test_a_bounded_model_ends_in_the_middle_of_a_batch_without_its_unfinished_answers(tiny_model: Path) -> None:
    policy = TransformersPolicy(tiny_model, dtype="float32")
    prompts = [(Message(role="user", content=f"start {number}"),) for number in range(8)]
    whole = dict(policy.complete(prompts, max_new_tokens=60))
    given: dict[int, Completion] = {}
    asked = 0

    def ended() -> bool:
        nonlocal asked
        asked += bool(given)
        return bool(given)

    given.update(policy.bounded(ended, None).complete(prompts, max_new_tokens=60))
    assert 0 < len(given) < 8 and asked < 3 * 8  # it is asked for each answer at each token
    assert all(whole[place] == completion for place, completion in given.items())
    assert not [*policy.bounded(lambda: False, 0.0).complete(prompts, max_new_tokens=60)]


def test_the_first_answer_waits_for_some_prompts_and_not_for_all(tiny_model: Path) -> None:
    rendered: list[int] = []

    def prompt(place: int) -> tuple[Message, ...]:
        rendered.append(place)
        return (Message(role="user", content=f"start {place}"),)

    policy = TransformersPolicy(tiny_model, dtype="float32")
    next(policy.complete(LazySequence(range(10**6), prompt), max_new_tokens=1))
    assert len(rendered) < 2000


@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, "PASSIVE 0 0"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None None"), ({"KMP_BLOCKTIME": "9"}, "None None 9")],
)
def test_waiting_threads_sleep_unless_the_user_says_otherwise(own: dict[str, str], expected: str) -> None:
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    code = f"import os, sys, skillpm.train.hf; print(*map(os.environ.get, {names})); sys.exit('torch' in sys.modules)"
    clean = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run([sys.executable, "-c", code], env=clean | own, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_threads_that_ask_a_model_together_get_what_they_get_alone(tiny_model: Path) -> None:
    policy = TransformersPolicy(tiny_model, dtype="float32")
    wanted = [
        ([Message(role="user", content=f"request {number} " * (number + 1))], 6 if number % 3 else 3)
        for number in range(6)
    ]
    together, alone = Together(policy, 3), Together(policy, 1)
    with ThreadPoolExecutor(len(wanted)) as threads:
        answers = list(threads.map(lambda item: together.complete(*item), wanted))
    assert len({answer.text for answer in answers}) > 2
    for answer, item in zip(answers, wanted, strict=True):
        other = alone.complete(*item)
        assert replace(answer, confidence=None) == replace(other, confidence=None)
        assert answer.confidence == pytest.approx(other.confidence, rel=1e-4)


@pytest.mark.slow
def test_a_model_of_four_bits_learns_as_its_weights_do_in_full(tiny_model: Path, tmp_path: Path) -> None:
    """The reference is the model whose weights are what the four bits stand for."""
    functional = pytest.importorskip("bitsandbytes.functional", reason="the extra qlora is not installed")
    reference, stands_for = load_model(tiny_model, "float32"), load_model(tiny_model, "float32", "nf4")
    for name, module in stands_for.named_modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None:
            reference.get_parameter(f"{name}.weight").data = functional.dequantize_4bit(module.weight.data, state)
    assert not reference.model.layers[0].mlp.up_proj.weight.equal(
        load_model(tiny_model, "float32").model.layers[0].mlp.up_proj.weight
    )
    reference.save_pretrained(tmp_path / "model")
    load_conversation(tiny_model).tokenizer.save_pretrained(tmp_path / "model")

    plan = plan_of(Sft(kind="sft", epochs=2, batch_size=6, learning_rate=1e-3))
    four = replace(plan, recipe=plan.recipe.model_copy(update={"lora": Lora(rank=8, quantization="nf4")}))
    opened = [open_model(Job(plan.recipe, tmp_path / "model")), open_model(Job(four.recipe, tiny_model))]
    for folder, model_of_it in zip((tmp_path / "full", tmp_path / "four"), opened, strict=True):
        folder.mkdir()
        training = Training(model_of_it, Judging(judge, tell_nobody), RunFolder(folder), PlainProgress())
        run_stages(plan, [stage.trainer.load() for stage in plan.stages], training)

    logs = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("full", "four")]
    curves = [[row["loss"] for row in map(json.loads, log) if "loss" in row] for log in logs]
    assert curves[0] == pytest.approx(curves[1], abs=1e-4) and curves[0][-1] < curves[0][0]
    saved = load_model(tiny_model, "float32")
    assert PeftModel.from_pretrained(saved, tmp_path / "four/stages/sft/adapter").active_adapter == "default"


def test_an_unwanted_answer_is_decoded_no_further(tiny_model: Path) -> None:
    together = Together(TransformersPolicy(tiny_model, dtype="float32"), 2)
    asked, looks = [Message(role="user", content="start it")], iter([False] * 4)
    cut, whole = together.complete(asked, 30, lambda: next(looks, True)), together.complete(asked, 30)
    assert 0 < cut.completion_tokens < 5 < whole.completion_tokens and cut.finish_reason == "length"
