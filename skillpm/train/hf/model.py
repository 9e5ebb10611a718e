"""Loading models and tokenizers, and the one-time de-quantisation of a GGUF file."""

from __future__ import annotations

import gc
import importlib.util
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftModel, get_peft_model_state_dict, load_peft_weights
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
)

from skillpm.errors import SkillpmError, TrainingError, UsageError
from skillpm.formats.document import Json
from skillpm.layout.rules.adapter import kernel_names
from skillpm.model.training import Stage
from skillpm.train.hf.conversation import Conversation
from skillpm.train.hf.memory import lacks_memory, no_memory
from skillpm.train.model_files import check_weight_files

_BFLOAT16_UNITS = frozenset({"amx_bf16", "avx512_bf16"})  # flags of x86 processors that multiply bfloat16
_CPUINFO = Path("/proc/cpuinfo")
_AMPERE = (8, 0)  # the first compute capability whose tensor cores multiply bfloat16


def quiet() -> None:
    """Keep the libraries' progress bars and advice off the terminal; errors still come through."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", module=r"(transformers|trl|peft|torch|accelerate)\b.*")


def dequantise(gguf: Path, target: Path) -> None:
    """Turn a GGUF file of a Llama model into float32 safetensors with its tokenizer and chat template.

    A model loaded from GGUF still believes that it is quantised and refuses to be saved, so its weights are put into a
    fresh model whose configuration has no ``quantization_config``.
    """
    quiet()
    folder, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    configuration = loaded.config.to_dict()
    configuration.pop("quantization_config", None)
    configuration.pop("_name_or_path", None)
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig.from_dict(configuration))
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.eos_token_id
    model.save_pretrained(target)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(target)
    del loaded, model
    gc.collect()


def load_conversation(source: Path | str, arguments: Mapping[str, Json] | None = None) -> Conversation:
    """Load a model's tokenizer and examine its chat template.

    Args:
        source: the model's folder or hub id.
        arguments: of the template; without them, thinking is switched off where the template can.

    Raises:
        UsageError: the tokenizer cannot be loaded, has no chat template, or has one that cannot write an answer.
    """
    with _loading(source):
        tokenizer = AutoTokenizer.from_pretrained(str(source))
    if tokenizer.chat_template is None:
        raise UsageError(f"the tokenizer of {source} has no chat template", hint="use an instruction-tuned model")
    conversation = Conversation(tokenizer, arguments)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(conversation.end[-1])
    return conversation


def load_model(source: Path | str, dtype: str = "auto", quantization: str = "none", device: str | None = None) -> Any:
    """Load a causal language model onto a device: by default the accelerator, or the CPU where there is none.

    With ``quantization`` nf4 its linear layers but the last have 4 bits a weight, and multiply in ``dtype``.

    Raises:
        UsageError: it cannot be loaded, has weights outside its folder, or its configuration names code on a hub.
        TrainingError: what quantises is not installed.
    """
    quiet()
    number = choose_dtype(dtype, device_name())
    device = device or device_name()
    placed: dict[str, Any] = {} if quantization == "none" else _four_bits(number, device)
    check_weight_files(Path(source))
    with _loading(source):
        configuration, _ = PreTrainedConfig.get_config_dict(str(source))
        if kernels := sorted(kernel_names(configuration)):
            raise UsageError(
                f"the configuration of {source} has a kernel fetched from a hub: `{kernels[0]}`",
                hint=f"remove `{kernels[0]}` from its config.json",
            )
        model, report = AutoModelForCausalLM.from_pretrained(
            str(source), dtype=number, output_loading_info=True, **placed
        )
        _check_weights(model, report["missing_keys"])
        return model if placed else model.to(device)


def _four_bits(dtype: torch.dtype, device: str) -> dict[str, Any]:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError("`quantization: nf4` needs bitsandbytes", hint="pip install 'skillpm-core[qlora]'")
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    place = torch.cuda.current_device() if device == "cuda" else device
    return {"quantization_config": config, "device_map": {"": place}}


def _check_weights(model: Any, missing: Collection[str]) -> None:
    """Raise ValueError where the files lack weights, which would be random then, or have some that are no numbers."""
    weights = dict(model.named_parameters())
    if lacking := sorted(missing & weights.keys()):
        raise ValueError(f"its files lack {len(lacking)} weights of a {type(model).__name__}, such as {lacking[0]}")
    for name, weight in weights.items():
        if not weight.sum(dtype=torch.float32).isfinite():  # which reads them once, and writes nothing
            raise ValueError(f"{name} has values that are not finite")


@contextmanager
def _loading(source: Path | str) -> Iterator[None]:
    """Raise UsageError for whatever the libraries think of files that somebody else has written.

    Raises:
        TrainingError: the memory is not enough, which says nothing about the files.
    """
    try:
        yield
    except SkillpmError:
        raise
    except Exception as error:  # noqa: BLE001  # they raise KeyError, TypeError and errors of their own
        if lacks_memory(error):
            raise no_memory(f"the model {source} cannot be loaded", error) from None
        raise UsageError(
            f"the model {source} cannot be loaded: {reason_of(error)}",
            hint="give the folder of a transformers model, a hub id that this machine can reach, or `smollm2-135m`",
        ) from None


_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def is_whole_model(trained: Path) -> bool:
    """Is what was trained a model, all of its weights, and not an adapter?"""
    return not (trained / "adapter_config.json").is_file()


def with_adapter(model: Any, folder: Path, name: str, *, trainable: bool = False) -> PeftModel:
    """Put an adapter that was saved in a folder onto a model, which a person calls ``name``.

    Raises:
        UsageError: it is damaged, or of another model.
    """
    try:
        for file in _ADAPTER_FILES:  # PEFT would ask the hub for a repository of the folder's name
            if not (folder / file).is_file():
                raise ValueError(f"it has no {file}")
        adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
        weights = load_peft_weights(str(folder), device="cpu")
        check_adapter(adapted)
        if trainable and getattr(adapted.active_peft_config, "bias", "none") != "none":  # PEFT takes one such adapter
            raise ValueError("it changes biases of the model, so there can be no second one to compare with")
        if lacking := sorted(get_peft_model_state_dict(adapted).keys() - weights.keys()):  # random ones would stay
            raise ValueError(f"its file lacks {len(lacking)} weights, such as {lacking[0]}")
        if not all(weight.isfinite().all() for weight in weights.values()):
            raise ValueError("it has values that are not finite")
    except Exception as error:  # noqa: BLE001  # as above
        if lacks_memory(error):
            raise no_memory(f"the adapter {folder} cannot be loaded", error) from None
        raise UsageError(
            f"the adapter {folder} does not fit {name}: {reason_of(error)}", hint="use an adapter of this model"
        ) from None
    return adapted


def check_adapter(adapted: PeftModel) -> None:
    """Raise ValueError for an adapter that cannot be put into the weights of its model."""
    configuration, base = adapted.active_peft_config, adapted.get_base_model()
    if configuration.is_prompt_learning:
        raise ValueError(f"it is of the kind {configuration.peft_type.value}, which changes no weights")
    first, last = base.get_input_embeddings(), base.get_output_embeddings()
    updated = any(isinstance(layer, BaseTunerLayer) for layer in (first, last))
    if updated and last is not None and first.weight is last.weight:
        raise ValueError("it has an update of one matrix that is both the embeddings and the last layer")


def reason_of(error: Exception) -> str:
    """Return in one line what a library says of files or settings that it cannot use."""
    words = " ".join(str(error).split())
    if "ignore_mismatched_sizes" in words:
        return "its weights have other shapes than its config.json says"
    return f"{type(error).__name__}: {words}"[:300] if isinstance(error, LookupError) or not words else words[:300]


def device_name() -> str:
    """Return the device that models are loaded onto: ``cuda`` where there is one, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_dtype(name: str, device: str) -> torch.dtype:
    """Return the data type of the base model; adapters are float32 in any case.

    ``auto`` is bfloat16 where the processor has units for it, else float32: without them bfloat16 is up to two hundred
    times slower. It is decided by what the processor says it has, never by a timing, so a machine always decides alike.
    """
    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    native = torch.cuda.get_device_capability() >= _AMPERE if device == "cuda" else bool(cpu_flags() & _BFLOAT16_UNITS)
    return torch.bfloat16 if native else torch.float32


def cpu_flags() -> frozenset[str]:
    """Return the features that the first processor declares; empty where the system does not list them."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))


def machine_settings(dtype: str) -> dict[str, str | int]:
    """Return what else decides a model's answers here: data type, device and number of threads."""
    device = device_name()
    chosen = str(choose_dtype(dtype, device)).removeprefix("torch.")
    return {"dtype": chosen, "device": device, "threads": torch.get_num_threads()}


def window(model: Any) -> int:
    """Return how many tokens a model was made to read at once; without a number of its own, more than there can be."""
    return getattr(model.config, "max_position_embeddings", None) or sys.maxsize


def room_for(lengths: Sequence[int], model: Any, stage: Stage) -> str:
    """Return what makes room for rows of so many tokens, none of which fits: a longer row, or another model."""
    readable = [length for length in lengths if length <= window(model)]
    if readable:
        return f"--set stages.{stage.name}.max_length={max(readable)}"
    return f"use a model that reads {min(lengths)} tokens; this one reads {window(model)}"


def check_vocabulary(model: Any, rows: Iterable[Sequence[int]]) -> None:
    """Raise UsageError where a row has a token that the model has no embedding for."""
    known = model.get_input_embeddings().weight.shape[0]
    highest = max((token for row in rows for token in row), default=0)
    if highest >= known:
        raise UsageError(
            f"the tokenizer writes token {highest}, the model knows {known}", hint="use the tokenizer of this model"
        )
