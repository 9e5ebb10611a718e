"""``skillpm train`` and ``skillpm model``: what bad input gets; the work itself is tested elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from skillpm.cli.train import print_trained
from skillpm.errors import TrainingError
from skillpm.model.run import RunManifest, RunStage
from skillpm.ops.context import Context
from skillpm.ops.learning.train import Trained
from skillpm.settings import load_settings
from tests.conftest import SKILLS
from tests.shop import MakeProject, skill_files

BAD = [
    (("no-such-skill",), 2, "no skill `no-such-skill`"),
    (("--recipe", "missing-skill.yaml"), 2, "no skill `langgraph-cly`"),
    (("--recipe", "none.yaml"), 2, "none.yaml"),
    (("--recipe", "broken.yaml"), 2, "broken.yaml:2"),
    (("langgraph-cli", "--set", "data.rows=many"), 2, "data.rows"),
    (("langgraph-cli", "--set", "data.rowz=1"), 2, "rowz"),
    (("langgraph-cli", "--set", "stages.grpo.rewards.brevity=1"), 2, "brevity"),
    (("langgraph-cli", "--processes", "0"), 2, "`--processes` must be a whole number, 1 or more"),
    (("langgraph-cli", "--processes", "3"), 2, "stage sft: a step of 2 rows cannot be shared by 3 processes"),
    (("langgraph-cli", "--processes", "2", "--set", "stages=[{kind: distil}]"), 2, "distil trains with one process"),
    (("langgraph-cli", "--accelerate-config", "zero.yaml"), 2, "`zero_stage` is 9, not 1 or 2"),
    (("langgraph-cli", "--accelerate-config", "tpu.yaml"), 2, "is XLA, not MULTI_GPU, MULTI_CPU, FSDP or"),
    (("langgraph-cli", "--accelerate-config", "far.yaml"), 2, "`machine_rank` is missing, not 0 to 1"),
    (("langgraph-cli", "--each", "--accelerate-config", "two.yaml"), 2, "`--each` starts several runs, and other"),
    (("langgraph-cli", "--accelerate-config", "one.yaml"), 2, "`num_processes` is not 2 or more"),
    (("langgraph-cli", "--accelerate-config", "none.yaml"), 2, "none.yaml"),
    (("langgraph-cli", "--model", "smollm3"), 2, "did you mean `smollm2-135m`?"),
    (("langgraph-cli", "--model", "./nowhere"), 2, "nowhere"),
    (("langgraph-cli", "--set", "stages=[{kind: eval}]"), 2, "no stage of the recipe trains"),
    (("langgraph-cli", "--set", "stages=[{kind: sft}, {kind: eval}]", "--set", "data.evaluate=0"), 2, "stage eval: "),
    (("langgraph-cli", "--model", "./two-layers", "--set", "layers=[1, 2]"), 2, "layer 2 is not a layer of "),
    (("langgraph-cli", "--set", "stages.sft.max_length=1"), 2, "max_length`: must be at least 4"),
    (("langgraph-cli", "--set", "stages.sft.max_length=20"), 2, "stage sft: no row fits into 20 tokens: the shortest"),
    (("langgraph-cli", "--set", "stages=[{kind: dpo, max_length: 9}]"), 2, "--set stages.dpo.max_length=1024"),
    (("langgraph-cli", "--set", "stages=[{kind: distil, max_length: 9, teacher: self}]"), 2, "max_length=4096"),
    (
        ("langgraph-cli", "--model", "./two-layers", "--set", "stages.grpo.max_new_tokens=512"),
        2,
        "stage grpo: beside an answer of 512 tokens no request fits into the 512 tokens that",
    ),
    ((), 2, "no skill is installed here"),
]


@pytest.mark.parametrize(("arguments", "code", "text"), BAD)
@pytest.mark.parametrize("dry", [True, False])
def test_bad_input_says_what_is_wrong_and_leaves_nothing(
    project: MakeProject, arguments: tuple[str, ...], code: int, text: str, dry: bool
) -> None:
    """Before anything is trained or fetched, and without a run folder."""
    world = project(
        {
            "missing-skill.yaml": "skills: [langgraph-cly]",
            "broken.yaml": "recipe: 1\nstages: none\n",
            "zero.yaml": "distributed_type: DEEPSPEED\nnum_processes: 2\ndeepspeed_config: {zero_stage: 9}",
            "tpu.yaml": "distributed_type: XLA",
            "two-layers/config.json": '{"text_config": {"num_hidden_layers": 2, "max_position_embeddings": 512}}',
            "far.yaml": "distributed_type: MULTI_GPU\nnum_machines: 2\nnum_processes: 2",
            "two.yaml": "distributed_type: MULTI_CPU\nnum_machines: 2\nnum_processes: 2\nmachine_rank: 0\n"
            "main_process_ip: localhost\nmain_process_port: 29500\n",
            "one.yaml": "distributed_type: MULTI_GPU\nnum_processes: 1",
        }
    )

    world.call("train", *arguments, *(["--dry-run"] if dry else [])).fails(code, text, "hint:")

    assert not (world.root / "runs").exists()


def test_a_skill_with_code_needs_consent(project: MakeProject) -> None:
    """What would run is named, nothing is written, and `--yes` is the way."""
    world = project(
        {"mine": {**skill_files("mine"), "verifier.py": "def verify(attempts, contract):\n    return []\n"}}
    )

    world.call("train", "./mine").fails(6, "verifier.py", "--yes")

    assert not (world.root / "runs").exists()


def test_resume_takes_no_other_options_and_needs_a_run(project: MakeProject) -> None:
    world = project()
    world.call("train", "--resume", "latest", "--set", "seed=1").fails(
        2, "`--resume` takes no skills", "--resume latest"
    )
    world.call("train", "--resume", "latest").fails(2, "runs has no unfinished run")
    world.call("train", "--resume", "nowhere").fails(2, "no run folder `nowhere`", "skillpm runs list")


def test_each_skill_is_planned_alone(project: MakeProject) -> None:
    """A list of plans, of one too."""
    small = ("--set", "data.rows=4", "--set", "data.held_out=2", "--yes", "--dry-run")
    world = project()
    (plan,) = world.call("train", "shell-tools", "--each", *small, "--json").ok().document
    assert (list(plan["rows"]), plan["recipe"]["name"]) == (["shell-tools"], "shell-tools")
    assert "training rows" in world.call("train", "shell-tools", *small).ok().out
    assert not (world.root / "runs").exists(), "a dry run trains nothing"
    world.call("train", "--resume", "latest", "--each").fails(2, "`--resume` takes no skills")


def test_two_skills_of_one_name_are_refused(project: MakeProject) -> None:
    world = project({"a": {"mine": skill_files("mine")}, "b": {"mine": skill_files("mine", body="Another.\n")}})
    done = world.call("train", "./a/mine", "./b/mine", "--dry-run")
    done.fails(2, "two skills are named mine: a/mine and b/mine", "hint: name one of them")


@pytest.mark.parametrize("end", [TrainingError("no memory"), KeyboardInterrupt("go on")])
def test_what_was_trained_before_a_failure_is_in_the_one_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], end: BaseException
) -> None:
    """In the details of the error, or alone after Ctrl-C."""
    stage = RunStage(name="sft", kind="sft", trainer="t", adapter="a", steps=1, seconds=1, kept=True)
    manifest = RunManifest.model_validate(
        {"name": "run", "created": "now", "model": "m", "seed": 0, "sandbox": "none"}
        | {"skills": (), "stages": (stage,), "versions": {}, "rows": {}, "files": {}}
    )

    def runs() -> Iterator[Trained]:
        yield Trained(tmp_path / "first", manifest)
        raise end

    command = click.Context(click.Command("train"))
    command.meta["skillpm.json"] = True  # as --json was typed
    with command, pytest.raises(type(end)) as raised:
        print_trained(Context(load_settings(project=tmp_path)), runs(), each=True)
    printed = capsys.readouterr().out
    assert (printed == "") is isinstance(end, TrainingError)
    (run,) = json.loads(printed) if printed else raised.value.details["trained"]  # type: ignore[attr-defined]
    assert run["run"] == str(tmp_path / "first") and run["next"].startswith("skillpm eval --run")


def test_a_skill_with_nothing_to_train_on_is_said(project: MakeProject) -> None:
    """A folder with only a SKILL.md is a skill, but not one to train on."""
    world = project({"mine": skill_files("mine")})

    world.call("train", "./mine", "--dry-run").fails(2, "no training tasks: mine")


def test_a_skill_with_nothing_to_train_on_is_said_beside_others_too(project: MakeProject) -> None:
    """It would stand in the manifest as learned."""
    world, other = project({"mine": skill_files("mine")}), str(SKILLS / "langgraph-cli")

    world.call("train", other, "./mine", "--dry-run").fails(2, "no training tasks: mine", "or leave mine out")


@pytest.mark.parametrize("command", [("train", "--dry-run"), ("synth", "--rows", "8", "--held-out", "2")])
def test_where_no_skill_is_named_texts_alone_are_left_out(project: MakeProject, command: tuple[str, ...]) -> None:
    world = project({"mine": skill_files("mine")})
    world.call("install", str(SKILLS / "langgraph-cli"), "./mine").ok()

    assert "left out, because they are text alone: mine" in world.call(*command).ok().err


def test_models_are_listed_with_where_they_are(project: MakeProject) -> None:
    """The default model, its licence and digest, and that it is not prepared yet."""
    (model,) = project().call("model", "list", "--json").ok().document

    assert (model["name"], model["license"], model["folder"]) == ("smollm2-135m", "Apache-2.0", None)
    assert len(model["sha256"]) == 64


def test_exporting_what_is_neither_a_run_nor_a_model_is_refused(project: MakeProject) -> None:
    world = project()
    world.call("model", "export", "smolm2-135m", "-o", "m.gguf").fails(2, "did you mean `smollm2-135m`?")
    world.call("model", "export", "latest", "-o", "m.gguf").fails(2, "has no finished run")


def test_preparing_an_unknown_model_is_refused(project: MakeProject) -> None:
    """With a near name."""
    project().call("model", "prepare", "smolm2-135m").fails(2, "smollm2-135m")
