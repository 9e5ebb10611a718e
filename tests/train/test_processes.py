"""How processes share the work of one recipe, and what cannot be shared."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from skillpm.errors import SkillpmError, TrainingError, UsageError
from skillpm.model.training import Stage, StagePlan
from skillpm.train.distil import Distil
from skillpm.train.dpo import Dpo
from skillpm.train.eval import Eval
from skillpm.train.grpo import Grpo
from skillpm.train.kinds import GRPO
from skillpm.train.launch import Launch, check_rows, check_shares, read_launch
from skillpm.train.plan import PlannedStage
from skillpm.train.processes import Job, launched
from skillpm.train.recipe import Recipe
from skillpm.train.sft import Sft
from tests.train.test_plan import plan

SHARED = [
    (Sft(kind="sft", batch_size=4), {1, 2, 4}),
    (Sft(kind="sft", batch_size=1, accumulate=6), {1, 2, 3, 6}),  # passes of one row are shared, too
    (Dpo(kind="dpo", batch_size=3), {1, 3}),
    (Grpo(kind="grpo", prompts=6, generations=4), {1, 2, 3, 4, 6, 8}),  # a group may be shared, too
    (Distil(kind="distil", prompts=4), {1}),
    (Eval(kind="eval"), set(range(1, 9))),  # rows need not be shared evenly
]


@pytest.mark.parametrize(("stage", "numbers"), SHARED, ids=lambda value: getattr(value, "kind", ""))
def test_processes_share_a_step_evenly_or_are_refused(stage: Stage, numbers: set[int]) -> None:
    recipe = Recipe(stages=(stage,))
    for number in range(1, 9):
        launch = read_launch(number, None)
        if number in numbers:
            check_shares(recipe, launch)
        else:
            with pytest.raises(UsageError, match=f"shared by {number}|trains with one process"):
                check_shares(recipe, launch)


def test_more_processes_than_rows_are_refused() -> None:
    check_rows(plan(), Launch(16))
    with pytest.raises(UsageError, match="its 16 rows are fewer than 17 processes"):
        check_rows(plan(), Launch(17))


def test_one_process_may_sample_with_vllm_and_several_may_not() -> None:
    stage, whole = Grpo(kind="grpo", rollouts="vllm"), plan()
    sampled = replace(whole, stages=(PlannedStage(stage, GRPO, StagePlan(stage.steps, whole.material.refine)),))
    check_rows(sampled, None)
    with pytest.raises(UsageError, match="vLLM samples for one process"):
        check_rows(sampled, Launch(2))


def test_a_step_that_has_fewer_prompts_than_asked_for_is_shared_or_refused() -> None:
    stage, whole = Grpo(kind="grpo", prompts=20, generations=3, validate_on=0), plan()
    planned = PlannedStage(stage, GRPO, StagePlan(stage.steps, whole.material.refine))
    check_shares(Recipe(stages=(stage,)), Launch(5))
    check_rows(replace(whole, stages=(planned,)), Launch(4))
    with pytest.raises(UsageError, match="a step of 48 rows cannot be shared by 5 processes") as refused:
        check_rows(replace(whole, stages=(planned,)), Launch(5))
    assert refused.value.hint == f"--set stages.{stage.name}.prompts=15", (
        "there are 16 rows, so more prompts are no help"
    )


def test_a_file_of_accelerate_is_handed_on_and_the_option_goes_before_its_number(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text("distributed_type: MULTI_GPU\nnum_machines: 1\nnum_processes: 2\n")
    for asked, number in ((None, "2"), (4, "4")):
        launch = read_launch(asked, file)
        assert launch is not None
        command = launch.command("there")
        assert command[3:8] == ["accelerate.commands.launch", "--config_file", str(file), "--num_processes", number]
        assert command[-1] == "there"


MACHINES = {"num_machines": 2, "machine_rank": 1, "main_process_ip": "10.0.0.1", "main_process_port": 29500}
FILES: list[tuple[dict[str, object], str]] = [
    ({"machine_rank": None}, "`machine_rank` is missing, not 0 to 1"),
    ({"machine_rank": 2}, "`machine_rank` is 2, not 0 to 1"),
    ({"machine_rank": -1}, "`machine_rank` is -1, not 0 to 1"),
    ({"num_machines": "many"}, "`num_machines` is many, not 1 to"),
    ({"num_machines": 3}, "4 processes cannot be shared by 3 machines"),
    ({"main_process_ip": None}, "`main_process_ip` is missing"),
    ({"main_process_port": None}, "`main_process_port` is missing, not 1 to 65535"),
    ({"main_process_port": 70000}, "`main_process_port` is 70000, not 1 to 65535"),
    ({"num_processes": "four"}, "`num_processes` is four, not 1 to"),
]


def machines_file(folder: Path, **changes: object) -> Path:
    settings = {"distributed_type": "MULTI_CPU", "num_processes": 4, **MACHINES, **changes}
    file = folder / "machines.yaml"
    file.write_text("".join(f"{name}: {value}\n" for name, value in settings.items() if value is not None))
    return file


@pytest.mark.parametrize(("changes", "message"), FILES)
def test_a_file_that_lacks_what_several_machines_need_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        read_launch(None, machines_file(tmp_path, **changes))
    assert message in refused.value.message and refused.value.hint


SHARDINGS: list[tuple[str, str]] = [
    ("distributed_type: FSDP", "`fsdp_version` is missing, not 2"),
    ("distributed_type: FSDP\nfsdp_config: {fsdp_version: 1}", "`fsdp_version` is 1, not 2"),
    ("distributed_type: FSDP\nfsdp_config: {fsdp_version: 2, fsdp_offload_params: true}", "keeps the shares on"),
    ("distributed_type: DEEPSPEED", "`zero_stage` is missing, not 1 or 2"),
    ("distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 9}", "`zero_stage` is 9, not 1 or 2"),
    ("distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 3}", "`zero_stage` is 3, not 1 or 2"),
    (
        "distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 2, offload_optimizer_device: cpu}",
        "`offload_optimizer_device` is cpu, and skillpm keeps the shares on",
    ),
    ("distributed_type: DEEPSPEED\ndeepspeed_config: {deepspeed_config_file: none.json}", "none.json"),
]


@pytest.mark.parametrize(("text", "message"), SHARDINGS)
def test_another_sharding_than_fsdp2_or_zero_of_the_optimiser_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "sharded.yaml").write_text(f"{text}\nnum_processes: 2\n")
    with pytest.raises(SkillpmError, match=message):
        read_launch(None, tmp_path / "sharded.yaml")


ZEROS: list[tuple[str, str]] = [
    ("{", "not JSON"),
    ("{}", "`stage` is missing, not 1 or 2"),
    ('{"zero_optimization": true}', "`stage` is missing, not 1 or 2"),
    ('{"zero_optimization": {"stage": "auto"}}', "`stage` is auto, not 1 or 2"),
    ('{"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "nvme"}}}', "`offload_optimizer` is nvme"),
    ('{"zero_optimization": {"stage": 2, "cpu_offload": true}}', "`cpu_offload` is True"),
    ('{"zero_optimization": {"stage": 2}, "fp16": {"enabled": true}}', "`fp16` is on, and the recipe sets the data"),
    ('{"zero_optimization": {"stage": 2}, "optimizer": {"type": "Adam"}}', "`optimizer` is set, and the recipe's"),
]


def zero_file(folder: Path, text: str, **changes: object) -> Path:
    (folder / "zero.json").write_text(text)
    own = f"{{deepspeed_config_file: {folder}/zero.json}}"
    return machines_file(folder, distributed_type="DEEPSPEED", deepspeed_config=own, **changes)


@pytest.mark.parametrize(("text", "message"), ZEROS)
def test_a_file_of_deepspeed_that_decides_more_than_zero_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SkillpmError, match=message):
        read_launch(None, zero_file(tmp_path, text, num_machines=None))


def test_zero_is_taken_from_the_file_of_accelerate_or_from_that_of_deepspeed(tmp_path: Path) -> None:
    own = '{"zero_optimization": {"stage": 1, "overlap_comm": true, "reduce_bucket_size": "auto"}, "bf16": "auto"}'
    launch = read_launch(None, zero_file(tmp_path, own, num_machines=None))
    assert launch is not None and launch.zero == {"stage": 1, "overlap_comm": True}
    assert "torch.distributed.run" in launch.command("there"), "what accelerate would start takes its own settings"
    inside = {"distributed_type": "DEEPSPEED", "deepspeed_config": "{zero_stage: 2, offload_param_device: none}"}
    launch = read_launch(8, machines_file(tmp_path, num_machines=None, **inside))
    assert launch is not None and launch.zero == {"stage": 2} and launch.processes == 8
    with pytest.raises(UsageError, match="checkpoints stay on each machine"):
        read_launch(None, zero_file(tmp_path, own))


def test_a_sharded_model_is_trained_whole_and_is_compared_with_no_copy(tmp_path: Path) -> None:
    file = tmp_path / "sharded.yaml"
    file.write_text("distributed_type: FSDP\nfsdp_config: {fsdp_version: 2}\nnum_processes: 2\nuse_cpu: true\n")
    launch = read_launch(None, file)
    assert launch is not None and launch.sharded and launch.on_cpu
    assert "torch.distributed.run" in launch.command("there"), "accelerate does not shard on a CPU"
    sft, dpo = Sft(kind="sft", batch_size=4), Dpo(kind="dpo", batch_size=4)
    check_shares(Recipe(tune="full", stages=(sft, dpo)), launch)
    with pytest.raises(UsageError, match="`tune` is lora"):
        check_shares(Recipe(stages=(sft,)), launch)
    with pytest.raises(UsageError, match="stage grpo: `kl` asks a copy of the model"):
        check_shares(Recipe(tune="full", stages=(sft, Grpo(kind="grpo", kl=0.1))), launch)


def test_the_first_machine_may_have_a_long_name(tmp_path: Path) -> None:
    name = "trainer-0.trainers.team-of-several-words.svc.cluster-in-some-region.example.internal.company.org"
    launch = read_launch(None, machines_file(tmp_path, main_process_ip=name))
    assert launch is not None and launch.machines is not None and launch.machines.address == name


@pytest.mark.parametrize("kind", ["MULTI_CPU", "MULTI_GPU"])
def test_each_machine_starts_its_share_of_the_processes(tmp_path: Path, kind: str) -> None:
    launch = read_launch(None, machines_file(tmp_path, distributed_type=kind))
    assert launch is not None and launch.here == 2 and launch.follows
    command = " ".join(launch.command("there"))
    if kind == "MULTI_CPU":
        assert "--nnodes 2 --node-rank 1 --master-addr 10.0.0.1 --master-port 29500" in command
        assert "--nproc-per-node 2" in command
    else:
        assert "--num_processes 4 -m" in command, "accelerate reads the rest from its file, the port too"


def test_processes_that_cannot_start_are_an_error_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(Launch, "command", lambda self, address: ["sh", "-c", "echo OSError: no room >&2; exit 1"])
    with (
        pytest.raises(TrainingError, match="could not be started: OSError: no room"),
        launched(Launch(2), Job(Recipe(), "a-model", None, {})),
    ):
        raise AssertionError("nothing stands ready")
    assert not list(tmp_path.iterdir())
