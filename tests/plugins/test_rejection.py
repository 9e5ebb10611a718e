"""plugins/skillpm-rejection, installed from its folder: planned without torch, and run on a tiny model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from skillpm.model.episode import Episode
from skillpm.model.training import StageInput, StagePlan
from skillpm.model.verdict import Judgement, Verdict
from skillpm.train.columns import Rewarder
from skillpm.train.hf.conversation import Conversation
from tests.conftest import ROOT, Project, importing_from
from tests.plugins.test_changelog import install, run
from tests.random_models import random_tokenizer
from tests.shop import MakeProject, skill_files
from tests.train.hf.conftest import tiny_model  # noqa: F401 - a fixture
from tests.train.hf.test_stages import make_rows

RECIPE = """
skills: [./demo]
dtype: float32
lora: {rank: 4}
data: {rows: 6, refine: 0, held_out: 0}
stages: [{kind: rejection, rounds: 2, samples: 3, max_new_tokens: 6, batch_size: 3}]
"""
LENIENT = """
from skillpm.plugin import Verdict


def verify(attempts, contract):
    return [Verdict(status="passed", score=1.0) for _ in attempts]
"""


@pytest.fixture
def world(project: MakeProject) -> Project:
    """A project with a skill whose verifier passes every answer, and the plugin in its folder ``site``."""
    seeds = "".join(json.dumps({"request": f"do {n}", "expected": f"done {n}"}) + "\n" for n in range(6))
    demo = {**skill_files(), "verifier.py": LENIENT, "seeds/seeds.jsonl": seeds}
    made = project({"demo": demo, "recipe.yaml": RECIPE})
    install(ROOT / "plugins" / "skillpm-rejection", made.root / "site")
    return made


def test_the_stage_is_planned_without_torch_and_its_settings_are_in_the_schema(world: Project) -> None:
    world.write({"site/torch/__init__.py": "raise ImportError('no torch here')\n"})
    words = ("train", "-r", "recipe.yaml", "--set", "stages.rejection.rounds=3", "--dry-run", "--yes", "--json")
    (stage,) = run(world, *words).ok().document["stages"]
    assert (stage["kind"], stage["trainer"]) == ("rejection", "skillpm-rejection 0.1.0")
    assert stage["steps"] == 3 * 2 and stage["rows"] == 6
    schema = run(world, "schema", "recipe").ok().document
    assert "rounds" in schema["$defs"]["Rejection"]["properties"]
    world.call(*words).fails(2, "recipe.yaml:6", "no kind of stage `rejection`", "come with plugins")


@pytest.mark.slow
def test_a_tiny_model_is_trained_by_the_stage(world: Project, tiny_model: Path) -> None:  # noqa: F811
    """The adapter is made of accepted answers, and the manifest says who ran the stage."""
    done = run(world, "train", "-r", "recipe.yaml", "--model", str(tiny_model), "--yes", "--json", OMP_NUM_THREADS="1")
    document = done.ok().document
    (stage,) = document["manifest"]["stages"]
    assert (stage["kind"], stage["trainer"]) == ("rejection", "skillpm-rejection 0.1.0")
    assert stage["steps"] == 4 and stage["kept"]
    folder = world.root / document["run"]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert [row["accepted"] for row in rows if "accepted" in row] == [6, 6]
    assert (folder / "adapter/adapter_model.safetensors").is_file()


def test_an_answer_that_cannot_be_learned_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many templates trim an answer, and a verifier reads it with the blanks that the model has written around it."""
    with importing_from(str(ROOT / "plugins/skillpm-rejection")):  # the next test runs another copy
        from skillpm_rejection import rounds, settings

    tokenizer = random_tokenizer()
    tokenizer.chat_template = tokenizer.chat_template.replace("m['content'] }}", "m['content'] | trim }}")
    talk, rows = Conversation(tokenizer), make_rows(2)
    texts = {rows[0].task.key: (" a", "b ", "c", "d"), rows[1].task.key: ("a ", " b", "c ", " d")}
    monkeypatch.setattr(rounds, "sample_groups", lambda *_, **__: [map(encode, group) for group in texts.values()])

    def encode(text: str) -> list[int]:
        return list(tokenizer(text)["input_ids"])

    def judge(episodes: Sequence[Episode]) -> list[Judgement]:
        return [Judgement(verdict=Verdict(status="passed", score=1.0), rewards={}) for _ in episodes]

    given = StageInput(None, talk, StagePlan(1, tuple(rows)), judge, lambda episodes: None, 0, Path(), lambda *_: None)
    stage = settings.Rejection(kind="rejection")
    (accepted,) = rounds._accepted(stage, given, Rewarder({row.task.key: row.task for row in rows}, judge, 0), 0)
    assert (accepted.task, accepted.answer) == (rows[0].task, "c")


@pytest.mark.slow
def test_a_trainer_that_raises_leaves_no_manifest(world: Project, tiny_model: Path) -> None:  # noqa: F811
    world.write({"site/skillpm_rejection/rounds.py": "def run(stage, given):\n    return 1 / 0\n"})
    run(world, "train", "-r", "recipe.yaml", "--model", str(tiny_model), "--yes").fails(
        9, "rejection: trainer `rejection` failed in stage `rejection`: ZeroDivisionError"
    )
    assert list(world.root.glob("runs/*/recipe.yaml")) and not list(world.root.glob("runs/*/manifest.json"))
