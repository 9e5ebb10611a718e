"""Recipes for other trainers: no field is lost on the way, and the real packages read what is written."""

from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import UsageError
from skillpm.formats.strict_yaml import read_yaml
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.runtime.catalogue import Catalogue, build_catalogue
from skillpm.runtime.host import Host
from skillpm.train.kinds import BUILT_IN
from skillpm.train.recipe import Recipe, load_recipe
from tests.conftest import ROOT, Project, write_tree
from tests.plugins.test_bridges import lines, world  # noqa: F401 - a fixture
from tests.plugins.test_changelog import run
from tests.random_models import TINY, save_random_model
from tests.serving import GOLD, skill

sys.path.append(str(ROOT / "plugins/skillpm-bridges"))
from skillpm_bridges import skillpm_exporters

TARGETS = ("nemo-automodel", "nemo-rl", "trl", "unsloth")
RECIPE = """
recipe: 1
model: acme/tiny
data: {refine: 2}
stages:
  - {kind: sft}
  - {kind: grpo, prompts: 2, generations: 2}
"""
Export = Callable[..., tuple[Path, list[str]]]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    root = write_tree(tmp_path_factory.mktemp("source"), skill())
    given = build_catalogue([Skill("serving", "1", "0" * 64, root)], Host())["serving"]
    kept: dict[str, Any] = {"skill": "serving", "system": given.prompt, "expected": GOLD, "origin": "seed"}
    requests = [f"serve on 8123, turn {turn}" for turn in range(12)]
    tasks = [Task.of(**kept, request=text, split=split) for text in requests for split in ("train", "held_out")]
    return Catalogue({given.skill.name: replace(given, tasks=tuple(tasks))})


@functools.cache
def recipe_with(*changes: str) -> Recipe:
    return load_recipe(None, RECIPE, changes, BUILT_IN)


@pytest.fixture
def export(catalogue: Catalogue, tmp_path: Path) -> Export:
    """Return ``export(target, *changes) -> (folder, what is left out)`` of RECIPE with changes."""

    def write(target: str, *changes: str) -> tuple[Path, list[str]]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        (record,) = [item for item in skillpm_exporters() if item.name == target]
        left = record.export(dict(catalogue), folder, recipe_with(*changes))
        return folder, list(left or ())

    return write


def written(folder: Path) -> dict[str, Any]:
    """Return the files at the top of a folder: texts, and of rows how many there are."""
    return {path.name: len(lines(path)) if path.suffix == ".jsonl" else path.read_text() for path in folder.glob("*.*")}


CHANGES = [
    "seed=7", "dtype=float32", "tune=full", "layers=[1]", "adapter=x", "gradient_checkpointing=true", "model=a/other",
    "chat_template_kwargs={a: 1}", "report_to=[wandb]", "data.caps={serving: 9}", "data.weights={serving: 2}",
    "data.traces=true", "data.failures=x", "data.rephrase={model: x}", "data.refine=3", "lora.rank=3", "lora.alpha=3",
    "lora.dropout=0.5", "lora.target_modules=[q_proj]", "lora.dora=true", "lora.rslora=true", "stages.sft.epochs=3",
    "stages.sft.batch_size=3", "stages.sft.accumulate=3", "stages.sft.learning_rate=0.5", "stages.sft.lora_plus=9",
    "stages.sft.scheduler=linear", "stages.sft.warmup=0.5", "stages.sft.max_length=9", "stages.grpo.steps=3",
    "stages.grpo.prompts=1", "stages.grpo.generations=3", "stages.grpo.updates=3", "stages.grpo.micro_batch=1",
    "stages.grpo.refill=3", "stages.grpo.validate_on=3", "stages.grpo.learning_rate=0.5", "stages.grpo.loss=gspo",
    "stages.grpo.scheduler=linear", "stages.grpo.temperature=0.5", "stages.grpo.max_new_tokens=9", "stages.grpo.kl=0.5",
    "stages.grpo.rewards={exact: 1.0}", "stages.grpo.max_error_share=0.5", "stages.grpo.epsilon=0.1",
    "stages.grpo.epsilon_high=0.5", "stages=[{kind: sft}, {kind: dpo}]", "stages=[{kind: sft}, {kind: rloo}]",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_each_field_of_a_recipe_changes_what_is_written_or_is_named_as_left_out(target: str, export: Export) -> None:
    folder, left = export(target)
    plain = written(folder)
    head = plain.get("train.py") or plain["sft.yaml"]
    assert left and all(f"#   {field}\n" in head for field in left)
    for change in CHANGES:
        if target == "nemo-automodel" and ".grpo." in change:
            continue  # it runs no such stage, and says so
        other, without = export(target, change)
        assert written(other) != plain or without != left, change


def test_a_recipe_without_a_stage_for_the_trainer_is_refused(export: Export) -> None:
    with pytest.raises(UsageError, match=r"the recipe has no stage of the kinds sft$"):
        export("nemo-automodel", "stages=[{kind: grpo}]")


def test_rows_to_refine_on_are_kept_from_fine_tuning(export: Export) -> None:
    folder, _ = export("trl")
    rows = {name: lines(folder / f"{name}.jsonl") for name in ("train", "refine", "held_out")}
    assert {name: len(items) for name, items in rows.items()} == {"train": 10, "refine": 2, "held_out": 12}
    requests = {name: {row["request"] for row in items} for name, items in rows.items()}
    assert not requests["train"] & requests["refine"]
    (answer,) = rows["train"][0]["completion"]
    assert json.loads(answer["content"]) == GOLD and rows["train"][0]["skill"] == "skill_serving"


def test_a_text_of_a_recipe_cannot_become_code_of_a_script(export: Export) -> None:
    text = json.dumps("x'\"]\nimport os\n")
    folder, left = export("trl", f"model={text}", f"adapter={text}", f"data.failures={text}")
    tree = ast.parse((folder / "train.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import) and node.names[0].name == "os"]
    assert any("failures" in field for field in left)


def settings_of(document: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the section and the name of each setting."""
    for name, value in document.items() if isinstance(document, dict) else ():
        yield place, name
        yield from settings_of(value, f"{place}.{name}".lstrip("."))


# What an example leaves at its default, and what a class of data sets takes.
_MORE = {
    "data.train": {"data_path"},
    "data.validation": {"data_path"},
    "policy": {"scheduler"},
    "": {"env"},
    "data.default": {"dataset_name"},
}
_MORE |= {"policy.tokenizer": {"chat_template"}, "data.default": {"dataset_name"}}
_FREE = ("env", "env.nemo_gym", "policy.tokenizer.chat_template_kwargs")


def test_configurations_for_nemo_rl_have_its_settings_alone(export: Export) -> None:
    """nemo-rl is no package of an index, so the settings of its own example configurations stand for its schema."""
    folder, _ = export("nemo-rl", "chat_template_kwargs={a: 1}")
    known = read_yaml((ROOT / "tests/cases/nemo_rl.yaml").read_text())
    for name in ("sft", "grpo"):
        document = read_yaml((folder / f"{name}.yaml").read_text())
        assert document.pop("defaults").startswith("/opt/nemo-rl/examples/configs/")
        for place, setting in settings_of(document):
            its_own = {*known[name].get(place, ()), *_MORE.get(place, ()), "_override_"}
            assert place in _FREE or setting in its_own, (name, place, setting)
    (row, *_) = lines(folder / "refine.jsonl")
    assert set(row) == {"responses_create_params", "agent_ref", "expected_output", "verifier_metadata"}
    assert (folder / "gym/resources_servers/skillpm/configs/skillpm.yaml").is_file()
    assert lines(folder / "train.jsonl")[0]["messages"][-1]["role"] == "assistant"


def test_the_command_names_what_is_left_out(world: Project) -> None:  # noqa: F811
    (world.root / "recipe.yaml").write_text("recipe: 1\nstages: [{kind: sft}, {kind: dpo}]\n")
    done = run(world, "export", "trl", "./serving", "--recipe", "recipe.yaml", "-o", "out", "--yes").ok()
    assert "no equivalent for stages.dpo (dpo)" in done.err
    assert "'model': 'HuggingFaceTB/SmolLM2-135M-Instruct'" in (world.root / "out/train.py").read_text()
    run(world, "export", "nat", "./serving", "--recipe", "recipe.yaml", "-o", "o", "--yes").fails(2, "takes no recipe")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_script_for_trl_trains_every_stage(export: Export, project: Callable[..., Project], tmp_path: Path) -> None:
    """With the TRL of this environment: two steps of each stage, paid by the skill's verifier."""
    sampled = "prompts: 2, generations: 2, max_new_tokens: 8"
    stages = f"stages=[{{kind: sft}}, {{kind: grpo, {sampled}}}, {{kind: rloo, {sampled}}}]"
    folder, _ = export("trl", stages, "chat_template_kwargs={enable_thinking: false}")
    model = save_random_model(tmp_path / "tiny", {**TINY, "max_position_embeddings": 4096}, gain=4)
    environment = {**project({}).environment, "SKILLPM": f"{sys.executable} -m skillpm"}
    words = [sys.executable, "train.py", "--model", str(model), "--steps", "2", "--output", str(tmp_path / "trained")]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    adapters = (tmp_path / "trained").glob("*/adapter_model.safetensors")
    assert {path.parent.name for path in adapters} == {"sft", "grpo", "rloo"}
    assert "not judged" not in done.stderr and done.stdout.count("'reward':") == 4, done.stdout[-2000:]


def wheel_of(package: str) -> Path:
    """Return the unpacked wheel of a package, without what it requires."""
    place = Path(tempfile.gettempdir()) / "skillpm-peers" / package
    if not place.exists():
        fetched = Path(tempfile.mkdtemp())
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(fetched), package]
        subprocess.run(command, check=True)
        (wheel,) = fetched.glob("*.whl")
        zipfile.ZipFile(wheel).extractall(place)
    return place


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(900)
def test_the_script_for_unsloth_calls_what_its_source_has(export: Export) -> None:
    """The source in its wheel is read: importing it takes a GPU, and another TRL."""
    folder, _ = export("unsloth")
    models = wheel_of("unsloth==2026.10.9") / "unsloth/models"
    known: dict[str, set[str]] = {}
    for file, name in (("loader.py", "FastLanguageModel"), ("llama.py", "FastLlamaModel")):
        for node in ast.walk(ast.parse((models / file).read_text())):
            if isinstance(node, ast.ClassDef) and node.name == name:
                for function in (item for item in node.body if isinstance(item, ast.FunctionDef)):
                    known.setdefault(function.name, set()).update(item.arg for item in function.args.args)
    used = {
        node.func.attr: {item.arg for item in node.keywords if item.arg}
        for node in ast.walk(ast.parse((folder / "train.py").read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "FastLanguageModel"
    }
    lora = {"r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora", "layers_to_transform"}
    assert set(used) == {"from_pretrained", "get_peft_model"}
    assert used["from_pretrained"] <= known["from_pretrained"]
    assert used["get_peft_model"] | lora <= known["get_peft_model"]


AUTOMODEL = """
from nemo_automodel.components.config.loader import load_yaml_config
from nemo_automodel.components.datasets.llm.chat_dataset import _load_openai_messages
from nemo_automodel.components.datasets.loader import make_dataset_config
from nemo_automodel.recipes._dist_utils import parse_distributed_section
from nemo_automodel.recipes._typed_config import RecipeConfig

raw = load_yaml_config("sft.yaml")
cfg = RecipeConfig(raw)
schedule = cfg.step_scheduler
print(schedule.global_batch_size, schedule.max_steps, cfg.lr_scheduler.lr_decay_style, cfg.lr_scheduler.lr_warmup_steps)
print(type(cfg.optimizer).__name__, raw.peft.instantiate().dim, type(cfg.loss_fn).__name__)
for name in ("dataset", "validation_dataset"):
    section = raw.get(name).to_dict()
    target = "nemo_automodel.components.datasets.llm.chat_dataset.ChatDataset"
    data = make_dataset_config(target, {key: value for key, value in section.items() if key != "_target_"})
    print(type(data).__name__, len(_load_openai_messages(data.path_or_dataset_id)))
print(type(parse_distributed_section(raw.distributed.to_dict())["strategy_config"]).__name__)
"""


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(900)
def test_nemo_automodel_reads_its_configuration_and_rows(export: Export) -> None:
    """With the loader and the configuration classes of the real package, without a GPU; it imports two large ones."""
    for package in ("torchdata", "torchao", "PIL"):
        pytest.importorskip(package)
    folder, _ = export("nemo-automodel")
    path = os.pathsep.join([str(wheel_of("nemo-automodel==0.7.0")), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-c", AUTOMODEL]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-5:] == [
        "2 5 cosine 0", "OptimizerFromFactoryConfig 16 MaskedCrossEntropyConfig", "ChatDatasetConfig 10",
        "ChatDatasetConfig 12", "FSDP2Config",
    ], done.stdout + done.stderr[-3000:]  # fmt: skip
