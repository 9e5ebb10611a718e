"""How several processes are started to train one model, on one machine or several, and what they can share.

accelerate's own file says which machines there are. All of them type the same command. The first plans, has answers
judged and writes the run; the others start their share of the processes, and learn from its processes what to do.
"""

from __future__ import annotations

import math
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.errors import UsageError
from skillpm.model.training import Stage
from skillpm.train.accelerate_file import AccelerateFile
from skillpm.train.grpo import Sampled, prompts_of_step
from skillpm.train.kinds import SEVERAL
from skillpm.train.plan import TrainPlan
from skillpm.train.recipe import Recipe
from skillpm.train.refining import samples_with_vllm

_RANK = "skillpm.train.hf.rank"
_COMING = 600  # seconds in which all machines come
_CPU, _GPU = "MULTI_CPU", "MULTI_GPU"
_FSDP, _ZERO = "FSDP", "DEEPSPEED"
_MOST = 1_000_000
_FEW = "use fewer processes, or more rows: --set data.rows=400"


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines on which processes train.

    Attributes:
        count: 2 or more.
        rank: the number of this one, from 0.
        address: of the first, where the others reach it.
        port: of the first, on which its processes listen.
    """

    count: int
    rank: int
    address: str
    port: int

    @property
    def waiting(self) -> str:
        """What a person is told who has to type the command on the others, too."""
        others = f"{self.count - 1} other machines" if self.count > 2 else "the other machine"
        whom = "the first machine" if self.rank else others
        return f"waiting up to {_COMING // 60} minutes for {whom} at {self.address}:{self.port}; Ctrl-C ends it"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a process of torchrun knows them."""
        first = {"MASTER_ADDR": self.address, "MASTER_PORT": str(self.port)}
        return {**first, "GROUP_RANK": str(self.rank), "GROUP_WORLD_SIZE": str(self.count)}

    def check_port(self) -> None:
        """Raise UsageError where another program of the first machine has its port."""
        if self.rank > 0:
            return
        try:
            socket.create_server(("", self.port)).close()
        except OSError as error:
            raise UsageError(
                f"processes cannot listen on port {self.port} of this machine: {error.strerror}",
                hint="choose another `main_process_port` in the file of each machine",
            ) from None


@dataclass(frozen=True, slots=True)
class Launch:
    """How many processes train, of all machines together.

    Attributes:
        processes: their number.
        config: accelerate's own file that says how they train together; DDP without one.
        machines: on which they run; None for this one alone.
        on_cpu: are GPUs left alone?
        sharded: has each a share of the model, its gradients and its optimiser, and not the whole?
        zero: what DeepSpeed is told of its ZeRO, by which they share the optimiser alone; None without it.
        deepspeed: DeepSpeed's own file, where ``zero`` was read from one.
    """

    processes: int
    config: Path | None = None
    machines: Machines | None = None
    on_cpu: bool = False
    sharded: bool = False
    zero: Mapping[str, Any] | None = None
    deepspeed: Path | None = None

    @property
    def here(self) -> int:
        """How many of the processes run on this machine."""
        return self.processes // (1 if self.machines is None else self.machines.count)

    @property
    def follows(self) -> bool:
        """Does another machine plan what is trained, and write the run?"""
        return self.machines is not None and self.machines.rank > 0

    def command(self, address: str) -> list[str]:
        """Return the command that starts those of this machine; ``address`` is that of our socket."""
        python = [sys.executable, "-P", "-m"]
        if self.config is None or self.on_cpu or self.sharded or self.zero:
            start = [*python, "torch.distributed.run", *self._meeting(), "--nproc-per-node", str(self.here)]
        else:
            start = [*python, "accelerate.commands.launch", "--config_file", str(self.config)]
            start += ["--num_processes", str(self.processes)]
            start += ["--main_process_port", "0"] if self.machines is None else []
        return [*start, "-m", _RANK, address]

    def _meeting(self) -> list[str]:
        """Return how torchrun's processes find those of the other machines."""
        machines = self.machines
        if machines is None:
            return ["--standalone"]
        place = ["--nnodes", str(machines.count), "--node-rank", str(machines.rank)]
        first = ["--master-addr", machines.address, "--master-port", str(machines.port)]
        return [*place, *first, "--rdzv-conf", f"timeout={_COMING}"]


def read_launch(processes: int | None, config: Path | None, deepspeed: Path | None = None) -> Launch | None:
    """Return how to launch what was asked for; None for this process alone.

    ``deepspeed`` is read in place of DeepSpeed's file that ``config`` names.

    Raises:
        UsageError: accelerate's file asks for what is not supported, or lacks what several machines need.
        StorageError, DocumentError: it, or the file of DeepSpeed that it names, cannot be read.
    """
    if config is None:
        return Launch(processes) if processes and processes > 1 else None
    file = AccelerateFile.read(config)
    kind = file.text("distributed_type")
    if kind not in (_CPU, _GPU, _FSDP, _ZERO):
        raise UsageError(
            f"{config}: `distributed_type` is {kind or 'missing'}, not {_GPU}, {_CPU}, {_FSDP} or {_ZERO}",
            hint="run `accelerate config --config_file FILE`, or leave the file out: `--processes N`",
        )
    processes = processes or file.number("num_processes", 1, _MOST, "set it to the processes of all machines")
    if processes < 2:
        raise UsageError(f"{config}: `num_processes` is not 2 or more", hint="set their number with `--processes`")
    machines, on_cpu = _machines(file, processes), kind == _CPU or file.is_true("use_cpu")
    if kind == _FSDP:
        file.check_sharding()
    deepspeed = deepspeed or file.deepspeed if kind == _ZERO else None
    zero = file.zero(deepspeed) if kind == _ZERO else None
    if zero and machines:
        raise UsageError(
            f"{config}: DeepSpeed's checkpoints stay on each machine, and a run has one folder",
            hint="`distributed_type: FSDP` with `fsdp_version: 2` shares a model out over several machines",
        )
    return Launch(processes, config.resolve(), machines, on_cpu, sharded=kind == _FSDP, zero=zero, deepspeed=deepspeed)


def _machines(file: AccelerateFile, processes: int) -> Machines | None:
    """Return the machines that accelerate's file names; None for one. Raises UsageError where something is missing."""
    if file.text("num_machines") in ("", "1"):
        return None
    count = file.number("num_machines", 1, _MOST, "set it to the number of machines, the same on each")
    if processes % count:
        raise UsageError(
            f"{file.path}: {processes} processes cannot be shared by {count} machines",
            hint="set `num_processes` to a multiple of `num_machines`",
        )
    rank = file.number("machine_rank", 0, count - 1, "each machine has its own, and the one with 0 writes the run")
    port = file.number("main_process_port", 1, 65535, "set it to a free port of the machine with `machine_rank` 0")
    address = file.text("main_process_ip")
    if not address:
        raise UsageError(
            f"{file.path}: `main_process_ip` is missing", hint="set it to the address of the machine with rank 0"
        )
    return Machines(count, rank, address, port)


def check_shares(recipe: Recipe, launch: Launch | None) -> None:
    """Refuse stages that processes cannot share evenly: then a step of theirs would not be the recipe's.

    Raises:
        UsageError: a kind trains with one process or needs a whole model, or its step cannot be shared.
    """
    if launch is not None and launch.sharded:
        _check_sharded(recipe)
    if launch is not None:
        for stage in recipe.stages:
            _check_share(stage, launch.processes)


def _check_sharded(recipe: Recipe) -> None:
    """Raise UsageError where a sharded model cannot be trained as the recipe asks."""
    if recipe.tune != "full":
        raise UsageError(
            f"`tune` is {recipe.tune}, and FSDP shards models all of whose weights are trained",
            hint="--set tune=full, or `distributed_type: MULTI_GPU`",
        )
    for stage in recipe.stages:
        if isinstance(stage, Sampled) and stage.kl:
            raise UsageError(
                f"stage {stage.name}: `kl` asks a copy of the model as it was, and a sharded model has none",
                hint=f"--set stages.{stage.name}.kl=0",
            )


def check_rows(plan: TrainPlan, launch: Launch | None) -> None:
    """Raise UsageError where a stage has too few rows for so many processes."""
    if launch is None:
        return
    processes = launch.processes
    for stage in plan.stages:
        settings, rows = stage.settings, len(stage.plan.rows)
        if stage.trainer.trains and 0 < rows < processes:
            raise UsageError(f"stage {settings.name}: its {rows} rows are fewer than {processes} processes", hint=_FEW)
        if rows and isinstance(settings, Sampled):
            _check_share(
                settings.model_copy(update={"prompts": prompts_of_step(settings, rows)}), processes, has_all=True
            )


def _check_share(stage: Stage, processes: int, *, has_all: bool = False) -> None:
    """Raise UsageError where processes cannot share a step; ``has_all``: it has all rows, so it cannot grow."""
    if stage.kind not in SEVERAL:
        raise UsageError(
            f"stage {stage.name}: the kind {stage.kind} trains with one process",
            hint=f"leave `--processes` out; {', '.join(sorted(SEVERAL))} can have several",
        )
    if samples_with_vllm(stage):
        raise UsageError(
            f"stage {stage.name}: vLLM samples for one process that trains",
            hint="leave `--processes` or `rollouts` out",
        )
    size, times = ("prompts", "generations") if isinstance(stage, Sampled) else ("batch_size", "accumulate")
    settings = stage.model_dump()
    if times not in settings:  # it has no steps to share
        return
    rows = settings[size] * settings[times]
    if rows % processes:
        unit = processes // math.gcd(processes, settings[times])
        shared = (math.floor if has_all else math.ceil)(settings[size] / unit) * unit
        raise UsageError(
            f"stage {stage.name}: a step of {rows} rows cannot be shared by {processes} processes",
            hint=f"--set stages.{stage.name}.{size}={shared}" if shared else _FEW,
        )
