"""Several processes that train one model: how they are started, what they ask of us, and how they end.

torchrun, or accelerate where it has a file of its own, starts a process for each GPU, or on the CPU. They are connected
to us by a socket. We plan, judge, show and talk to the person; they train, and the first of them writes the run folder.
Each process keeps a second connection, over which nothing is sent: when we are gone it ends, and the process with it.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from skillpm.errors import SkillpmError, TrainingError, UsageError
from skillpm.formats.strict_yaml import read_yaml
from skillpm.model.ports import Judge, Observe, Prefetch, Progress
from skillpm.model.run import RunStage
from skillpm.model.training import Stage
from skillpm.storage.files import read_text
from skillpm.train.grpo import Grpo, Sampled, prompts_of_step
from skillpm.train.kinds import SEVERAL
from skillpm.train.plan import TrainPlan
from skillpm.train.recipe import Recipe
from skillpm.train.run_folder import RunFolder

_RANK = "skillpm.train.hf.rank"
_POLL = 0.5  # seconds
_GRACE = 5.0  # seconds from the first failure to the last: the one that caused the others is reported
_ENDING = 10.0  # seconds that a launcher gets to end
_LOG = 4000  # characters of what the processes have printed, for a report of the failure
_EXIT = re.compile(r"rank\s*:\s*(\d+)[^\n]*\n\s*exitcode\s*:\s*(-?\d+)")  # of torchrun's report: which process, how


@dataclass(frozen=True, slots=True)
class Judging:
    """Whom stages ask about answers: see ``Training`` of ``train/hf/stages.py``."""

    judge: Judge
    prefetch: Prefetch
    observe: Observe | None = None


Track = Callable[[Mapping[str, Any]], None]
Learn = Callable[[TrainPlan, RunFolder, Judging, Progress, Track], Sequence[RunStage]]
"""Runs the stages of a plan on a model that stands ready, and returns what each did."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How many processes train, and accelerate's own file that says how; DDP without one."""

    processes: int
    config: Path | None = None

    def command(self, address: str) -> list[str]:
        """Return the command that starts them; ``address`` is that of our socket."""
        number, python = str(self.processes), [sys.executable, "-P", "-m"]
        if self.config is None:
            start = [*python, "torch.distributed.run", "--standalone", "--nproc-per-node", number]
        else:
            start = [*python, "accelerate.commands.launch", "--config_file", str(self.config)]
            start += ["--num_processes", number, "--main_process_port", "0"]
        return [*start, "-m", _RANK, address]


def read_launch(processes: int | None, config: Path | None) -> Launch | None:
    """Return how to launch what was asked for; None for this process alone.

    Raises:
        UsageError: accelerate's file asks for what is not supported.
        DocumentError: it is not YAML.
    """
    if config is None:
        return Launch(processes) if processes and processes > 1 else None
    root = read_yaml(read_text(config), path=str(config))
    settings = root if isinstance(root, dict) else {}
    kind, machines, number = (str(settings.get(name, ""))[:40] for name in _FIELDS)
    if kind in _SHARDED:
        raise UsageError(
            f"{config}: `distributed_type` is {kind}, which shards the model: each process samples from a whole one",
            hint="if it does not fit into one GPU: --set lora.quantization=nf4, or --set gradient_checkpointing=true",
        )
    if kind != "MULTI_GPU":
        raise UsageError(
            f"{config}: `distributed_type` is {kind or 'missing'}, not MULTI_GPU",
            hint="run `accelerate config --config_file FILE`; on the CPU `--processes N` needs no file",
        )
    if machines not in ("", "1"):
        raise UsageError(
            f"{config}: `num_machines` is {machines}, and processes talk to skillpm by a socket of its machine",
            hint="set it to 1; for a cluster, the exporter nemo-rl of skillpm-bridges writes the recipe for NeMo RL",
        )
    processes = processes or (int(number) if number.isdecimal() else 1)
    if processes < 2:
        raise UsageError(f"{config}: `num_processes` is not 2 or more", hint="set their number with `--processes`")
    return Launch(processes, config.resolve())


_FIELDS = ("distributed_type", "num_machines", "num_processes")
_SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM")
_FEW = "use fewer processes, or more rows: --set data.rows=400"


def check_shares(recipe: Recipe, launch: Launch | None) -> None:
    """Refuse stages that processes cannot share evenly: then a step of theirs would not be the recipe's.

    Raises:
        UsageError: a kind trains with one process, or its step cannot be shared.
    """
    if launch is not None:
        for stage in recipe.stages:
            _check_share(stage, launch.processes)


def check_rows(plan: TrainPlan, launch: Launch | None) -> None:
    """Raise UsageError where a stage has too few rows for so many processes."""
    processes = 1 if launch is None else launch.processes
    for stage in plan.stages:
        settings, rows = stage.settings, len(stage.plan.rows)
        if stage.trainer.trains and 0 < rows < processes:
            raise UsageError(
                f"stage {settings.name}: its {rows} rows are fewer than {processes} processes",
                hint=_FEW,
            )
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
    if isinstance(stage, Grpo) and stage.rollouts == "vllm":
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


@dataclass(frozen=True, slots=True)
class Job:
    """What is opened to train.

    Attributes:
        recipe: what was asked.
        model: a folder or a hub id.
        adapter: to begin from.
        teachers: the folders or hub ids of the other models that the recipe names, by what it calls them.
    """

    recipe: Recipe
    model: Path | str
    adapter: Path | None = None
    teachers: Mapping[str, Path | str] = field(default_factory=dict)


@dataclass(slots=True)
class _Rank:
    """One of the processes, as we know it."""

    place: int
    pid: int
    waits: bool = False
    machine: Mapping[str, Any] = field(default_factory=dict)
    ended: bool = False
    records: list[RunStage] | None = None


class Processes:
    """Processes that open their model, and then train."""

    def __init__(self, launch: Launch, job: Job, folder: Path, listening: socket.socket) -> None:
        self._launch, self._listening = launch, listening
        self._log = folder / "log"
        self._ranks: dict[Connection, _Rank | None] = {}
        self._failed: list[tuple[int, Exception | None]] = []  # in their order; None where nothing was said
        self._received: int | None = None
        threads = str(max(1, (os.cpu_count() or 1) // launch.processes))
        with self._log.open("wb") as log:
            self._launcher = subprocess.Popen(
                launch.command(listening.getsockname()),
                env={"OMP_NUM_THREADS": threads, **os.environ, "PYTHONSAFEPATH": "1"},  # no module of the project
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us
            )
        model = (job.recipe.model_dump(mode="json"), job.model, job.adapter, job.teachers)
        self._answers: dict[str, Callable[..., Any]] = {"job": lambda: model}

    def begin(self) -> dict[str, Any]:
        """Wait until all have opened the model, and return what the manifest records of it and of this machine.

        Raises:
            SkillpmError: what one of them could not do.
        """
        self._serve(lambda: sum(rank.waits for rank in self._known()) == self._launch.processes)
        first = next(rank for rank in self._known() if rank.place == 0)
        return {**first.machine, "processes": self._launch.processes}

    def learn(
        self, plan: TrainPlan, folder: RunFolder, judging: Judging, progress: Progress, track: Track
    ) -> list[RunStage]:
        """Train, and return what each stage did.

        Raises:
            SkillpmError: what ended a process.
            KeyboardInterrupt: the last step is saved.
        """
        shown = {name: getattr(progress, name) for name in ("start", "advance", "finish")}
        self._answers |= {**shown, "judge": judging.judge, "prefetch": judging.prefetch, "track": track}
        if judging.observe is not None:
            self._answers["observe"] = judging.observe
        asked = ([stage.plan for stage in plan.stages], folder.path, judging.observe is not None)
        for link in [link for link, rank in self._ranks.items() if rank is not None]:
            with suppress(OSError):  # that it has ended since is found below
                link.send((True, asked))
        with self._deferring():
            self._serve(lambda: all(rank.ended for rank in self._known()) or self._interrupted())
        if self._received is not None:
            signal.raise_signal(self._received)
        records = next((rank.records for rank in self._known() if rank.records is not None), None)
        if records is None:
            raise KeyboardInterrupt
        return records

    def _interrupted(self) -> bool:
        return self._received is not None and any(rank.ended and rank.place == 0 for rank in self._known())

    def end(self) -> None:
        """End all of them."""
        for link in self._ranks:
            link.close()
        if all(rank.records is not None for rank in self._known()) and self._known():
            with suppress(subprocess.TimeoutExpired):
                self._launcher.wait(_ENDING)
        self._launcher.terminate()
        try:
            self._launcher.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._launcher.kill()
            self._launcher.wait()

    def _known(self) -> list[_Rank]:
        return [rank for rank in self._ranks.values() if rank is not None]

    def _serve(self, until: Callable[[], bool]) -> None:
        """Answer until all is done. Raises what ended a process; processes that end with it are waited for."""
        failed: float | None = None
        while not until() or failed is not None:
            for ready in wait([self._listening, *(link for link in self._ranks if not link.closed)], _POLL):
                if isinstance(ready, Connection):
                    self._answer(ready)
                else:
                    connected, _ = self._listening.accept()
                    self._ranks[Connection(connected.detach())] = None
            exited = self._launcher.poll() is not None
            if failed is None and ((exited and not until()) or self._failed):
                failed = time.monotonic()
            over = exited and all(link.closed for link in self._ranks)
            if failed is not None and (over or time.monotonic() > failed + _GRACE):
                raise self._failure()

    def _answer(self, link: Connection) -> None:
        rank = self._ranks[link]
        try:
            name, arguments = link.recv()
            if rank is None:
                if name == "hello":
                    self._ranks[link] = _Rank(*arguments)
                return
            if name == "ready":
                rank.waits, rank.machine = True, arguments[0]
            elif name in ("done", "failed", "interrupted"):
                rank.ended = True
                rank.records = arguments[0] if name == "done" else None
                if name == "failed":
                    self._failed.append((rank.place, arguments[0]))
            else:
                link.send(self._reply(name, arguments))
        except (EOFError, OSError):
            link.close()
            if rank is not None and not rank.ended:
                rank.ended = True
                self._failed.append((rank.place, None))

    def _reply(self, name: str, arguments: Sequence[Any]) -> tuple[bool, Any]:
        try:
            return True, self._answers[name](*arguments)
        except SkillpmError as error:
            return False, error

    def _failure(self) -> SkillpmError:
        """Return the failure that caused the others: the first that is explained, else the first."""
        explained = [error for _, error in self._failed if isinstance(error, SkillpmError)]
        if explained:
            return explained[0]
        with suppress(subprocess.TimeoutExpired):
            self._launcher.wait(_GRACE)
        log = self._log.read_text(encoding="utf-8", errors="replace")
        if not self._failed:
            reason = next((line for line in reversed(log.splitlines()) if "Error" in line), "no reason given")
            return TrainingError(f"the processes could not be started: {reason.strip()[:300]}")
        place, error = self._failed[0]
        who = f"process {place} of {self._launch.processes}"
        if error is not None:
            reason = (str(error).splitlines() or ["no reason given"])[0][:300]
            return TrainingError(f"{who} failed: {reason}", log=log[-_LOG:])
        code = {int(number): int(code) for number, code in _EXIT.findall(log)}.get(place, 0)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else "ended without a word"
        return TrainingError(f"{who} {how}", hint="it may have needed more memory than there is", log=log[-_LOG:])

    @contextmanager
    def _deferring(self) -> Iterator[None]:
        """Hand the signals that end a command on to the first process, which ends its step; the second acts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def receive(number: int, frame: Any) -> None:
            if self._received is not None:
                restore()
                signal.raise_signal(number)
                return
            self._received = number
            for rank in self._known():
                if rank.place == 0 and not rank.ended:
                    os.kill(rank.pid, signal.SIGINT)

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            restore()


@contextmanager
def launched(launch: Launch, job: Job) -> Iterator[tuple[Mapping[str, Any], Learn]]:
    """Start processes, and end them afterwards; yields what the manifest records, and what runs a plan.

    Raises:
        TrainingError: torch or what it takes is not installed, or they could not be started.
        SkillpmError: what one of them could not do, such as open the model.
    """
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("trl") is None:
        raise TrainingError(
            "training needs packages that are not installed: torch, trl", hint="pip install 'skillpm-core[train]'"
        )
    folder = Path(tempfile.mkdtemp(prefix="skillpm-"))
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "socket"))
            listening.listen()
            processes = Processes(launch, job, folder, listening)
            try:
                yield processes.begin(), processes.learn
            finally:
                processes.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
