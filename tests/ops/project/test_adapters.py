"""A trained adapter is a package: published, signed, locked and checked like a skill, and read by no agent."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from skillpm.layout.tree import tree_digest
from skillpm.train.base_model import KNOWN_MODELS
from skillpm.train.model_files import model_digest
from tests.conftest import Project, write_tree
from tests.shop import MakeProject, adapter_files, locked, publish, skill_files, tree


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """A registry with a skill and its adapter of acme/tiny."""
    skill = skill_files("demo", "1.2.0")
    return publish(tmp_path / "market", skill, adapter_files(skill))


def entry(place: Project, name: str) -> dict[str, Any]:
    skills = json.loads((place.root / "skillpm.lock").read_text())["skills"]
    return next(item for item in skills if item["name"] == name)


def test_an_adapter_is_installed_with_its_skill_and_stands_in_no_folder_of_an_agent(
    project: MakeProject, market: Path
) -> None:
    place = project({})
    done = place.call("install", "demo", "--adapter", "acme/tiny", "--registry", market).ok()
    assert "demo-tiny: the recorded answers were not replayed: the adapter has none" in done.err
    assert locked(place) == {"demo": "1.2.0", "demo-tiny": "1.0"}
    assert entry(place, "demo-tiny")["adapter"] == "acme/tiny" and "adapter" not in entry(place, "demo")
    assert [path.name for path in (place.root / ".agents/skills").iterdir()] == ["demo"]
    assert "up to date" in place.call("install").ok().err
    place.call("verify").ok()
    states = {item["name"]: item["state"] for item in place.call("list", "--json").ok().document["skills"]}
    assert states == {"demo": "ok", "demo-tiny": "ok"}
    place.call("uninstall", "demo").fails(2, "demo is required by demo-tiny")
    place.call("uninstall", "demo", "demo-tiny").ok()


def test_a_skill_that_went_on_leaves_its_adapter_behind(project: MakeProject, market: Path) -> None:
    place = project({})
    place.call("install", "demo", "--adapter", "acme/tiny", "--registry", market).ok()
    place.call("outdated").ok()
    publish(market, skill_files("demo", "1.3.0"))
    place.call("update", "demo").ok()
    told = "trained on demo 1.2.0, the skill is 1.3.0"
    assert told in place.call("list").ok().out
    assert f"behind: {told}" in place.call("outdated").fails(1).out
    newer = skill_files("demo", "1.3.0")
    publish(market, adapter_files(newer, version="2.0"))
    place.call("update").ok()
    assert locked(place)["demo-tiny"] == "2.0"
    place.call("outdated").ok()


def test_an_adapter_is_published_and_signed_like_a_skill(project: MakeProject, market: Path) -> None:
    files = adapter_files(skill_files("demo", "1.2.0"), version="1.1")
    place = project({"demo-tiny": {path: text.encode("latin-1") for path, text in files.items()}})
    assert "signed by" in place.call("publish", "demo-tiny", "--registry", market, "--allow-signer-change").ok().err
    place.call("install", "demo-tiny", "--registry", market).ok()
    assert entry(place, "demo-tiny")["signer"]


KNOWN = KNOWN_MODELS["smollm2-135m"]
BASES: list[tuple[str, dict[str, str], bool]] = [  # the base model, what adapter.json says of it, is it right?
    (KNOWN.hub_id, {"base_digest": KNOWN.sha256}, True),
    (KNOWN.hub_id, {"base_digest": "0" * 64}, False),
    (KNOWN.hub_id, {}, False),
    (KNOWN.hub_id, {"base_revision": "main"}, True),  # of the model on the hub, which has no digest
]


@pytest.mark.parametrize(("base", "said", "right"), BASES)
def test_the_digest_of_a_known_base_model_is_compared_with_ours(
    project: MakeProject, base: str, said: dict[str, str], right: bool
) -> None:
    files = adapter_files(skill_files("demo", "1.2.0"), base)
    document = json.loads(files["adapter.json"])
    place = project({"packed": {**files, "adapter.json": json.dumps({**document, **said})}})
    result = place.call("adapter", "verify", "./packed")
    if right:
        assert "compares a model" not in result.ok().err
    else:
        result.fails(4, f"adapter.json says that the digest of {base} is", "fetch it again")


def test_the_digest_of_another_base_model_is_compared_with_the_model_that_is_named(project: MakeProject) -> None:
    files = adapter_files(skill_files("demo", "1.2.0"))
    document = json.loads(files["adapter.json"])
    place = project({"tiny": {"config.json": "{}"}})
    for digest in (model_digest(place.root / "tiny"), "0" * 64):
        said = {**document, "base_digest": digest}
        write_tree(place.root / "packed", {**files, "adapter.json": json.dumps(said)})
        hint = "`skillpm adapter verify ./packed --model FOLDER` compares a model"
        assert hint in place.call("adapter", "verify", "./packed").ok().err
        result = place.call("adapter", "verify", "./packed", "--model", "tiny")
        if digest != "0" * 64:
            assert hint not in result.ok().err
        else:
            result.fails(4, "was trained on a model with the digest 0000")


def adding(files: dict[str, Any], path: str, text: str) -> dict[str, Any]:
    """Return the files of an adapter with one more, which adapter.json names."""
    document = json.loads(files["adapter.json"])
    document["files"][path] = hashlib.sha256(text.encode()).hexdigest()
    return {**files, path: text, "adapter.json": json.dumps(document)}


def broken(demo: dict[str, Any], attack: str) -> dict[str, Any]:
    files = adapter_files(demo)
    weights = files["adapter_model.safetensors"]
    document = json.loads(files["adapter.json"])
    thresholds = json.dumps({"arm": "sft", "adapter": "0" * 64, "target": 0.95, "skills": {}})
    return {
        "another base": {**files, "skill.yaml": files["skill.yaml"].replace("acme/tiny", "evil/tiny")},
        "another base in its configuration": {
            **files, "adapter_config.json": json.dumps({"base_model_name_or_path": "evil/tiny"})
        },
        "changed weights": {**files, "adapter_model.safetensors": weights[:-1] + "x"},
        "a pickle": {**files, "adapter_model.bin": pickle.dumps([1]).decode("latin-1")},
        "a pickle as weights": {**files, "adapter_model.safetensors": pickle.dumps([1]).decode("latin-1")},
        "imported code": adapter_files(demo, megatron_config={"a": 1}, megatron_core="antigravity"),
        "a kernel of attention": adapter_files(demo, text_config={"attn_implementation": {"": "evil/kernel"}}),
        "a kernel of experts": adapter_files(demo, _experts_implementation="evil/kernel@main:x"),
        "a skill that it has not learned": {
            **files, "skill.yaml": files["skill.yaml"].replace("{demo: ''}", "{demo: '', other: ''}")
        },
        "a skill that it does not require": {
            **files, "skill.yaml": files["skill.yaml"].replace("{demo: ''}", "{}")
        },
        "another type": adapter_files(demo, peft_type="XLORA"),
        "code": {**files, "plugin.py": "print(1)\n"},
        "no adapter.json": {path: text for path, text in files.items() if path != "adapter.json"},
        "deep adapter.json": {**files, "adapter.json": "[" * 50_000},
        "a device": {
            **files, "adapter.json": json.dumps({**document, "files": {"../" * 20 + "dev/zero": "0" * 64}})
        },
        "an adapter as a whole model": {
            **files, "adapter.json": json.dumps({**document, "kind": "model"})
        },
        "a pattern of modules": adapter_files(demo, target_modules="(([a-z0-9_.])+)+!"),
        "patterns of ranks": adapter_files(demo, rank_pattern={"(a+)+": 8}),
        "a rank in words": adapter_files(demo, r="x"),
        "a huge rank": adapter_files(demo, r=10**9),
        "weights without data": {**files, "adapter_model.safetensors": weights[:-2]},
        "a thousand answers": {**files, "answers.jsonl": "{}\n" * 1000},
        "thresholds of other weights": adding(files, "calibration.json", thresholds),
        "thresholds in another form": adding(files, "calibration.json", "[" * 50_000),
        "the digest of another recipe": {**files, "adapter.json": json.dumps({**document, "recipe": "0" * 64})},
        "a path": {**files, "adapter.json": json.dumps({**document, "files": {"../x": "0" * 64}})},
    }[attack]  # fmt: skip


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("another base", "adapter.json of acme/tiny"),
        ("another base in its configuration", "has changed"),
        ("changed weights", "adapter_model.safetensors: has changed"),
        ("a pickle", "safetensors, their configuration and texts only"),
        ("a pickle as weights", "is not safetensors"),
        ("imported code", "`megatron_config` names code to be imported"),
        ("a kernel of attention", "`attn_implementation` names code to be imported"),
        ("a kernel of experts", "`_experts_implementation` names code to be imported"),
        ("a skill that it has not learned", "`requires` and the skills of adapter.json differ: other"),
        ("a skill that it does not require", "`requires` and the skills of adapter.json differ: demo"),
        ("another type", "is not of the type LORA"),
        ("the digest of another recipe", "`recipe` is not the digest that `files` has of recipe.yaml"),
        ("code", "safetensors, their configuration and texts only"),
        ("no adapter.json", "is missing"),
        ("deep adapter.json", "[SK430]"),
        ("a path", "[SK430]"),
        ("thresholds of other weights", "calibration.json: has the thresholds of other weights"),
        ("thresholds in another form", "[SK430]"),
        ("a device", "[SK430]"),
        ("an adapter as a whole model", "belongs to an adapter, and this is a whole model"),
        ("a pattern of modules", "`target_modules` is not a list of names"),
        ("patterns of ranks", "`rank_pattern` is not taken"),
        ("a rank in words", "`r` is not a whole number from 1 to 1024"),
        ("a huge rank", "`r` is not a whole number from 1 to 1024"),
        ("weights without data", "is not safetensors"),
        ("a thousand answers", "holds more than 20 answers"),
    ],
)
def test_a_broken_adapter_is_refused_whoever_published_it(
    project: MakeProject, tmp_path: Path, attack: str, words: str
) -> None:
    """And nothing lets it in."""
    skill = skill_files("demo", "1.2.0")
    files = broken(skill, attack)
    market = publish(tmp_path / "market", skill, skill_files("other"))
    write_tree(tmp_path / "demo-tiny", {path: text.encode("latin-1") for path, text in files.items()})
    place = project({})
    place.call("install", "../demo-tiny", "--registry", market, "--allow", "demo-tiny:SK419").fails(4, words)
    assert not (place.root / "skillpm.lock").exists()


def test_an_adapter_of_another_content_or_another_base_than_was_asked_for_is_refused(
    project: MakeProject, tmp_path: Path
) -> None:
    skill, other = skill_files("demo", "1.2.0"), skill_files("demo", "1.2.0", body="Other.\n")
    market = publish(tmp_path / "market", skill, adapter_files(other))
    place = project({})
    ask = ("install", "demo", "--registry", market, "--adapter")
    message = "demo-tiny was trained on other content of demo 1.2.0: tree"
    place.call(*ask, "acme/tiny").fails(4, message, tree_digest(tree(skill)))
    place.call(*ask, "evil/tiny").fails(4, "not of evil/tiny", "write `--adapter acme/tiny`")
    place.call(*ask, "acme/large").fails(
        2, "there is no adapter of acme/large: no registry knows `demo-large`", "check `--adapter`"
    )
    place.call("install", "--adapter", "acme/tiny").fails(2, "`--adapter` needs skills by name")
    assert not (place.root / "skillpm.lock").exists()


def test_a_page_that_hides_that_it_is_an_adapter_is_refused(project: MakeProject, market: Path) -> None:
    page = market / "skills/demo-tiny.json"
    document = json.loads(page.read_text())
    del document["releases"][0]["adapter"]
    page.write_text(json.dumps(document))
    project({}).call("install", "demo-tiny", "--registry", market).fails(4, "claims adapter none")
