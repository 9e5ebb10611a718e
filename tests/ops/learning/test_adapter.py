"""What a run has trained, packed to be handed on, checked where it arrives, and merged into its base model."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import yaml
from gguf import GGUFReader

from skillpm.errors import IntegrityError, LockOutOfDateError, UsageError
from skillpm.index.folder_registry import FolderRegistry
from skillpm.layout.tree import FolderTree
from skillpm.model.adapter import TaughtSkill
from skillpm.ops.learning.adapter import check_adapter, pack_adapter, read_release, replay, trained_base
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.merge import export_model, merge_model
from skillpm.ops.learning.runs import find_adapter
from skillpm.settings import load_settings
from skillpm.train.base_model import locate_model
from skillpm.train.hf.model import load_model
from skillpm.train.hf.policy import TransformersPolicy
from skillpm.train.model_files import model_digest
from skillpm.train.recipe import Recipe
from tests.ops.learning.test_train import SMALL, Ending, Train, tiny_model, train_it  # noqa: F401 - fixtures
from tests.scripted_policy import Server
from tests.shop import MakeProject, write_registry


def test_an_adapter_is_packed_checked_and_merged(
    server: Server,
    train_it: Train,  # noqa: F811
    tiny_model: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """It names skills, data, recipe and figures, and no path of this machine."""
    run = train_it()
    recipe = yaml.safe_load((run.folder / "recipe.yaml").read_text())
    recipe["data"] |= {"failures": f"{server.root}/runs/x", "rephrase": {"model": f"{server.root}/m", "share": 0.5}}
    (run.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    packed = tmp_path / "packed"
    release = pack_adapter(run.folder, packed).release
    assert release.skills == (TaughtSkill(name="server", version="1.0.0", tree=server.skill.tree),)
    assert release.data["train"] == run.manifest.files["data/train.jsonl"]
    assert [(figure.arm, figure.low is not None) for figure in release.evaluation] == [("sft", True)]
    for path in packed.iterdir():
        assert str(tiny_model.parent).encode() not in path.read_bytes(), path
        assert str(server.root).encode() not in path.read_bytes(), path
    assert yaml.safe_load((packed / "recipe.yaml").read_text())["data"]["failures"] == "x"
    assert check_adapter(server.context(), packed).release == release
    with pytest.raises(UsageError, match="exists already"):
        pack_adapter(run.folder, packed)

    merged = tmp_path / "merged"
    context = server.context()
    merge_model(context, str(run.folder), merged, "float32")
    policy = TransformersPolicy(tiny_model, packed, dtype="float32")
    for name, weights in load_model(merged, "float32").named_parameters():
        layer, _, kind = name.rpartition(".")
        assert torch.allclose(weights, getattr(policy._model.get_submodule(layer), kind), atol=1e-5)
    export_model(context, run.folder.name, tmp_path / "run.gguf", "f32")
    assert GGUFReader(tmp_path / "run.gguf").fields["general.name"].contents() == "run a-model"
    with pytest.raises(UsageError, match=r"run.gguf exists already"):
        export_model(context, str(run.folder), tmp_path / "run.gguf", "f32")
    assert not list(tmp_path.glob(".*"))

    (packed / "more.txt").write_text("more")
    with pytest.raises(IntegrityError, match=r"more.txt an adapter has safetensors"):
        check_adapter(server.context(), packed)
    (packed / "more.txt").unlink()
    (packed / "README.md").unlink()
    with pytest.raises(IntegrityError, match=r"README.md has changed: its SHA-256 is missing"):
        check_adapter(server.context(), packed)
    (run.folder / "adapter/README.md").write_text("another")
    with pytest.raises(IntegrityError, match=r"README.md has changed"):
        pack_adapter(run.folder, tmp_path / "again")
    with pytest.raises(UsageError, match="is not a packed adapter"):
        check_adapter(server.context(), tmp_path)


def test_a_model_that_was_trained_whole_is_written_with_the_tokenizer_of_its_base(
    server: Server,
    train_it: Train,  # noqa: F811
    tmp_path: Path,
) -> None:
    stages = "stages=[{kind: sft, epochs: 1, batch_size: 4, learning_rate: 1e-4}]"
    run, context = train_it("tune=full", stages, "data.evaluate=0"), server.context()
    merge_model(context, str(run.folder), tmp_path / "merged", "float32")
    trained = load_model(run.folder / "adapter", "float32").state_dict()
    policy = TransformersPolicy(tmp_path / "merged", dtype="float32")
    assert all(
        torch.equal(weight, trained[name]) for name, weight in load_model(policy.name, "float32").state_dict().items()
    )
    export_model(context, run.folder.name, tmp_path / "run.gguf", "f32")
    assert (tmp_path / "run.gguf").is_file()
    assert Answerer.of_model(context, str(run.folder / "adapter")).model == run.manifest.model


def test_a_folder_that_only_peft_wrote_is_taken_where_a_model_is(
    server: Server,
    train_it: Train,  # noqa: F811
    tiny_model: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    run, context, bare = train_it("data.evaluate=0"), server.context(), tmp_path / "a@home"
    for trained in (run.folder / "adapter", run.folder / "stages/sft/adapter"):
        assert Answerer.of_model(context, str(trained)) == Answerer(run.manifest.model, trained)
    bare.mkdir()
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copyfile(run.folder / "adapter" / file, bare / file)
    with pytest.raises(UsageError, match="no model `a-model`") as error:  # the base model's name, without its path
        Answerer.of_model(context, str(bare))
    assert error.value.hint == f"say where its base model is: `--model {bare}@FOLDER`"
    with pytest.raises(UsageError, match="no model `a-model`") as error:
        merge_model(context, str(bare), tmp_path / "merged", "float32")
    assert error.value.hint == f"say where its base model is: `{bare}@FOLDER`"
    with pytest.raises(UsageError, match="an adapter, not a model"):
        locate_model(str(bare), tmp_path)

    config = bare / "adapter_config.json"
    config.write_text(config.read_text().replace('"a-model"', json.dumps(str(tiny_model))))
    for output, source in {"bare": str(bare), "run": str(run.folder)}.items():
        merge_model(context, source, tmp_path / output, "float32")
    assert model_digest(tmp_path / "bare") == model_digest(tmp_path / "run")
    link = tmp_path / "link"
    link.symlink_to(bare)
    config.write_text("{}")
    with pytest.raises(UsageError, match=r"adapter_config.json does not name the base model"):
        Answerer.of_model(context, str(link))
    assert Answerer.of_model(context, f"{link}@{tiny_model}") == Answerer(str(tiny_model), link)


def test_answers_in_another_form_than_ours_are_not_recorded(server: Server, train_it: Train, tmp_path: Path) -> None:  # noqa: F811
    """They were read into our form, so asking the model again would not give them."""
    run = train_it("data.evaluate=4")
    (file,) = run.folder.glob("evals/*/evaluation.json")
    file.write_text(file.read_text().replace('"batch_size"', '"answer_form": "hermes", "batch_size"'))
    packed = pack_adapter(run.folder, tmp_path / "packed", version="v1.0")
    assert (tmp_path / "packed/answers.jsonl").read_text() == "" and packed.version == "1.0"
    told = replay(server.context(), tmp_path / "packed", packed.release, run.manifest.model)
    assert told == "the recorded answers were not replayed: the adapter has none"


def test_an_adapter_goes_through_a_registry_to_whoever_asks_it(
    server: Server,
    train_it: Train,  # noqa: F811
    tiny_model: Path,  # noqa: F811
    project: MakeProject,
    tmp_path: Path,
) -> None:
    """Its recorded answers come again; an altered base model, and altered answers, do not."""
    run = train_it("data.evaluate=4")
    packed = tmp_path / "server-a-model"
    pack_adapter(run.folder, packed)
    market = tmp_path / "market"
    write_registry(market, [FolderTree(server.folder), FolderTree(packed)])
    place = project({})
    done = place.call("install", "server", "--adapter", tiny_model, "--registry", market).ok()
    assert "server-a-model: 4 of 4 recorded answers came again" in done.err
    rows = [json.loads(line) for line in (packed / "answers.jsonl").read_text().splitlines()]
    assert [row["template"] for row in rows] == [{}] * 4, "the evaluation called the chat template so"
    assert [row["dtype"] for row in rows] == ["float32"] * 4, "on each processor, because their answers may differ"
    asked = place.call("run", "server", "serve on 500", "--model", f"server-a-model@{tiny_model}", "--json", "--yes")
    assert len(asked.document["adapter"]) == 64
    place.call("adapter", "verify", "server-a-model").ok()
    place.call("adapter", "verify", "server").fails(2, "server 1.0.0 is a skill, not an adapter")
    place.call("adapter", "verify", "servr").fails(2, "no adapter `servr` is installed", "skillpm list")
    place.call("run", "server", "x").fails(2, "no model `a-model`", "`--model server-a-model@FOLDER`")
    begun = Recipe(model=str(tiny_model), adapter="server-a-model")
    stored = find_adapter(load_settings(project=place.root, environment=place.environment), begun)
    assert stored is not None and (stored / "adapter.json").is_file()
    weights = stored / "adapter_model.safetensors"
    locked = weights.read_bytes()
    weights.chmod(0o600)
    weights.write_bytes(locked + b"x")
    with pytest.raises(LockOutOfDateError, match=r"server-a-model .* is not in the store as it is locked"):
        find_adapter(load_settings(project=place.root, environment=place.environment), begun)
    weights.write_bytes(locked)

    other = tmp_path / "a-model"
    shutil.copytree(tiny_model, other)
    (other / "generation_config.json").write_text("{}")
    place.call("run", "server", "x", "--model", f"server-a-model@{other}", "--yes").fails(
        4, "was trained on a model with the digest"
    )
    elsewhere = project({})
    elsewhere.call("install", "server", "--adapter", other, "--registry", market).fails(
        4, "was trained on a model with the digest"
    )
    rows = [json.loads(line) for line in (packed / "answers.jsonl").read_text().splitlines()]
    (packed / "answers.jsonl").write_text("".join(json.dumps({**row, "answer": "other"}) + "\n" for row in rows))
    with pytest.raises(IntegrityError, match="only 0 of 4 recorded answers came again from the adapter"):
        replay(server.context(), packed, read_release(packed), str(tiny_model))


def test_a_recalled_adapter_is_told_where_it_is_used_and_a_quarantined_one_is_refused(
    server: Server,
    train_it: Train,  # noqa: F811
    tiny_model: Path,  # noqa: F811
    project: MakeProject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So is a run that has begun with it."""
    run = train_it()
    packed, market = tmp_path / "server-a-model", tmp_path / "market"
    pack_adapter(run.folder, packed)
    write_registry(market, [FolderTree(server.folder), FolderTree(packed)])
    place = project({"recipe.yaml": f"model: {tiny_model}\nadapter: server-a-model\nskills: [server]\n"})
    place.call("install", "server", "--adapter", tiny_model, "--registry", market).ok()
    train = ("train", "--recipe", "recipe.yaml", "--dry-run", "--yes")
    answer = ("run", "server", "serve on 500", "--model", f"server-a-model@{tiny_model}", "--yes")
    registry = FolderRegistry(market, "market")
    with monkeypatch.context() as patch:
        patch.setattr("skillpm.cli.train.training_progress", lambda: nullcontext(Ending()))
        place.call(*train[:3], "--yes", *(word for change in SMALL for word in ("--set", change))).fails(130)
    resume = ("train", "--resume", "latest", "--yes")

    registry.yank("server-a-model", "1.0.0", "learned nonsense")
    registry.set_status("server", "deprecated", "use another")
    yanked = "server-a-model 1.0.0, which is locked, was yanked: learned nonsense"
    assert yanked in place.call(*train).ok().err and yanked in place.call(*answer).err
    notes = place.call(*train, "--json").ok().document["notes"]
    assert notes[0].startswith(yanked) and notes[1] == "server is deprecated: use another"

    registry.quarantine("server-a-model", "1.0.0", "looked at")
    place.call(*resume).fails(6, "server-a-model 1.0.0 is in quarantine", "begin a new run: use another one")
    for words in (train, train[:3], answer):
        refused = place.call(*words).fails(6, "server-a-model 1.0.0 is in quarantine", "name its folder")
    folder = refused.err.rpartition(": ")[2].strip()
    place.call(*train, "--set", f"adapter={folder}").ok()

    registry.quarantine("server-a-model", "1.0.0", None)
    said = place.call(*resume).ok().err
    assert yanked in said and "server is deprecated: use another" in said


def test_a_manifest_of_another_program_says_nothing_about_an_adapter(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "an extension of a browser", "manifest_version": 3}')
    assert trained_base(tmp_path / "mine/adapter") is None
