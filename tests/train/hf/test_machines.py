"""Two commands that are two machines, here on one: what they train together, and how they end together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from skillpm.errors import SkillpmError, TrainingError, UsageError
from skillpm.train.grpo import Grpo
from skillpm.train.launch import Launch, Machines
from skillpm.train.processes import Find, Job, Judging, follow, launched
from skillpm.train.run_folder import RunFolder
from skillpm.train.sft import Sft
from tests.random_models import TINY, save_random_model
from tests.train.hf.test_checkpoint import each_step
from tests.train.hf.test_rank import PAIRS, Watch, Watched, assert_same
from tests.train.hf.test_stages import plan_of, run, tell_nobody
from tests.train.hf.test_stages_kinds import pay_by_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Second(threading.Thread):
    """The command on the second machine, and how it ended."""

    def __init__(self, launch: Launch, find: Find, ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(daemon=True)
        self._launch, self._find, self._ready = launch, find, ready
        self.ended: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            follow(self._launch, self._find, self._ready)
        except (SkillpmError, KeyboardInterrupt) as error:
            self.ended = error


def launches(processes: int = 2) -> list[Launch]:
    port = free_port()
    return [Launch(processes, None, Machines(2, rank, "127.0.0.1", port), on_cpu=True) for rank in (0, 1)]


def run_on_two_machines(
    plan: Any, model: Path, target: Path, watch: Watch = lambda step: None, second_model: Path | None = None
) -> Second:
    target.mkdir(exist_ok=True)
    first, other = launches()
    second = Second(other, lambda document: (second_model or model, None, {}))
    try:
        with launched(first, Job(plan.recipe, model, None, {})) as (machine, learn):
            assert machine["processes"] == 2
            learn(plan, RunFolder(target), Judging(pay_by_text, tell_nobody), Watched(watch), lambda row: None)
    finally:
        second.join(120)
        assert not second.is_alive()
    return second


def losses(folder: Path, stage: str) -> list[float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if row["stage"] == stage and "loss" in row]


def test_two_machines_train_what_one_process_trains(tiny_model: Path, tmp_path: Path) -> None:
    """GRPO, SFT and DPO: the same curves, and one folder with the files that it has from one machine."""
    shape: dict[str, Any] = {"steps": 3, "prompts": 3, "generations": 6, "micro_batch": 3, "max_new_tokens": 16}
    grpo = Grpo(kind="grpo", learning_rate=1e-3, validate_on=0, **shape)
    sft = Sft(kind="sft", epochs=1, batch_size=4, learning_rate=1e-3)
    plan = each_step(grpo, sft, PAIRS)
    run(plan, tiny_model, tmp_path / "one", pay_by_text)
    second = run_on_two_machines(plan, tiny_model, tmp_path / "two")
    assert second.ended is None
    assert_same(tmp_path / "one", tmp_path / "two", "grpo", "loss", "reward", "groups/live", "grad_norm")
    assert losses(tmp_path / "one", "sft") == pytest.approx(losses(tmp_path / "two", "sft"), rel=1e-3)
    names = [{path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")} for name in ("one", "two")]
    assert names[0] == names[1]


def test_ctrl_c_on_the_second_machine_ends_both_and_the_run_goes_on_to_the_same_bytes(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Its first process saves with the others; the checkpoint is whole on the first machine alone."""
    plan = each_step(Sft(kind="sft", epochs=2, batch_size=6, learning_rate=1e-3))
    run_on_two_machines(plan, tiny_model, tmp_path / "straight")

    def interrupt(step: int) -> None:
        if step == 3:
            rank(1).send_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_on_two_machines(plan, tiny_model, tmp_path / "ended", interrupt)
    (checkpoint,) = (tmp_path / "ended/stages/sft/work").glob("checkpoint-*")
    assert {path.name for path in checkpoint.glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}
    assert run_on_two_machines(plan, tiny_model, tmp_path / "ended").ended is None
    one, other = ((tmp_path / name / "stages/sft/adapter/adapter_model.safetensors") for name in ("straight", "ended"))
    assert one.read_bytes() == other.read_bytes()


def test_ctrl_c_on_the_second_machine_while_the_first_plans_ends_both(tiny_model: Path, tmp_path: Path) -> None:
    def interrupt() -> None:
        time.sleep(2)  # its process waits for the plan by then
        raise KeyboardInterrupt

    first, other = launches()
    second = Second(other, lambda document: (tiny_model, None, {}), interrupt)
    plan = plan_of(Sft(kind="sft"))
    with pytest.raises(KeyboardInterrupt), launched(first, Job(plan.recipe, tiny_model, None, {})) as (_, learn):
        second.join(120)
        judging = Judging(pay_by_text, tell_nobody)
        learn(plan, RunFolder(tmp_path), judging, Watched(lambda step: None), lambda row: None)
    assert isinstance(second.ended, KeyboardInterrupt)


def rank(number: int) -> psutil.Process:
    """Return one of the processes that train, of both machines."""
    below = psutil.Process().children(recursive=True)
    started = [process for process in below if "torch.distributed.run" not in process.cmdline()]
    return next(process for process in started if process.environ().get("RANK") == str(number))


def test_a_process_that_dies_on_one_machine_ends_both_and_each_says_where(tiny_model: Path, tmp_path: Path) -> None:
    def kill(step: int) -> None:
        if step == 2:
            rank(1).send_signal(signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"process 0 of 2 failed: the connection to machine 1 \(.*\) broke"):
        run_on_two_machines(plan_of(Sft(kind="sft", epochs=500)), tiny_model, tmp_path, kill)


def test_another_model_on_the_second_machine_is_refused_with_both_digests(tiny_model: Path, tmp_path: Path) -> None:
    other = save_random_model(tmp_path / "other", TINY, gain=3)
    with pytest.raises(
        UsageError, match=r"machine 1 \(.*\) has another model digest: \w{64}, the first machine has \w"
    ):
        run_on_two_machines(plan_of(Sft(kind="sft")), tiny_model, tmp_path / "run", second_model=other)


def test_what_the_second_machine_lacks_is_said_on_both(tiny_model: Path) -> None:
    first, other = launches()

    def find(document: Mapping[str, Any]) -> Any:
        raise UsageError("no model at /there")

    second = Second(other, find)
    with (
        pytest.raises(TrainingError, match=r"machine 1 \(.*\): no model at /there"),
        launched(first, Job(plan_of(Sft(kind="sft")).recipe, tiny_model, None, {})),
    ):
        raise AssertionError("nothing stands ready")
    second.join(60)
    assert str(second.ended) == "no model at /there"


def launcher_of(launch: Launch, folder: Path) -> subprocess.Popen[bytes]:
    """Start what starts the processes of a machine, which are no further than sleeping."""
    assert launch.machines is not None
    script = folder / "rank.py"
    script.write_text("import time\ntime.sleep(600)\n")
    python, isolated, run, *module = launch.command("")
    words = [python, isolated, run, "skillpm.train.hf.launcher", str(os.getpid()), *module[:-3], str(script)]
    return subprocess.Popen(words, env={**os.environ, **launch.machines.environment}, start_new_session=True)


@pytest.mark.parametrize(
    ("number", "ending"),
    [(signal.SIGINT, (KeyboardInterrupt, None)), (signal.SIGTERM, (TrainingError, r"machine 1.*: its .* has ended"))],
    ids=["Ctrl-C", "ended"],
)
def test_a_machine_that_ends_before_its_processes_have_come_is_not_waited_for(
    tiny_model: Path, tmp_path: Path, number: int, ending: tuple[type[BaseException], str | None]
) -> None:
    first, other = launches()
    launcher = launcher_of(other, tmp_path)

    def end() -> None:
        while not psutil.Process(launcher.pid).children():
            time.sleep(0.1)
        launcher.send_signal(number)

    ender = threading.Thread(target=end)
    ender.start()
    try:
        with (
            pytest.raises(ending[0], match=ending[1]),
            launched(first, Job(plan_of(Sft(kind="sft")).recipe, tiny_model, None, {})),
        ):
            raise AssertionError("nothing stands ready")
    finally:
        ender.join()
        launcher.kill()
        launcher.wait()


WAITING = """
import sys
from pathlib import Path
from skillpm.train.launch import Launch, Machines
from skillpm.train.processes import Job, launched
from skillpm.train.recipe import Recipe

machines = Machines(2, int(sys.argv[1]), "127.0.0.1", int(sys.argv[2]))
with launched(Launch(2, None, machines, on_cpu=True), Job(Recipe(), "")):
    pass
"""


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_waits_for_another_machine_ends_at_once_and_leaves_no_process(rank: int, number: int) -> None:
    port = free_port()
    command = subprocess.Popen([sys.executable, "-c", WAITING, str(rank), str(port)], stderr=subprocess.DEVNULL)
    children: list[psutil.Process] = []
    while not children or (rank == 0 and not listens(port)):
        children = psutil.Process(command.pid).children(recursive=True)
        time.sleep(0.1)
    time.sleep(0 if rank == 0 else 5)
    command.send_signal(number)
    command.wait(60)
    assert psutil.wait_procs(children, timeout=60)[1] == []


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_machines_that_do_not_come_and_ports_that_are_taken_are_said(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillpm.train.launch._COMING", 8)
    first, other = launches()
    job = Job(plan_of(Sft(kind="sft")).recipe, tiny_model, None, {})
    with pytest.raises(TrainingError, match=r"not all of 2 machines have come to 127.0.0.1:\d+"), launched(first, job):
        raise AssertionError("nothing stands ready")
    second = Second(other, lambda document: (tiny_model, None, {}))
    second.join(120)
    assert str(second.ended).startswith("machine 1 of 2 did not reach the first at 127.0.0.1:")
    with (
        socket.create_server(("", int(first.command("")[first.command("").index("--master-port") + 1]))),
        pytest.raises(UsageError, match="cannot listen on port"),
        launched(first, job),
    ):
        raise AssertionError("nothing stands ready")
