"""Several processes that train one model: what they ask of us, and how they end.

torchrun, or accelerate where it has a file of its own, starts a process for each GPU, or on the CPU. They are connected
to us by a socket. We plan, judge, show and talk to the person; they train, and the first of them writes the run folder.
Each process keeps a second connection, over which nothing is asked: when we are gone it ends, and the process with it.

On a machine that follows another one we start its processes, say what it has of the models, and wait for their end.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from skillpm.errors import SkillpmError, TrainingError
from skillpm.model.ports import Judge, Observe, Prefetch
from skillpm.model.progress import Progress
from skillpm.model.run import RunStage
from skillpm.train.launch import Launch
from skillpm.train.plan import TrainPlan
from skillpm.train.recipe import Recipe
from skillpm.train.run_folder import RunFolder

_LAUNCHER = "skillpm.train.hf.launcher"
_POLL = 0.5  # seconds
_GRACE = 5.0  # seconds from the first failure to the last: the one that caused the others is reported
_ENDING = 10.0  # seconds that a launcher gets to end
_TELLING = 3.0  # seconds that processes get to tell those of other machines that they end
_LOG = 4000  # characters of what the processes have printed, for a report of the failure
INTERRUPTED = "interrupted"  # said over the second connection of a process
_ELSEWHERE = "look at what `skillpm train` printed on the other machines, and whether they are up"
_EXIT = re.compile(r"rank\s*:\s*(\d+)[^\n]*\n\s*exitcode\s*:\s*(-?\d+)")  # of torchrun's report: which process, how


@dataclass(frozen=True, slots=True)
class Judging:
    """Whom stages ask about answers.

    Attributes:
        judge: judges episodes for the rewards.
        prefetch: has episodes judged before they are asked for.
        observe: says what the skills' environments show after an answer; None where no skill has one.
    """

    judge: Judge
    prefetch: Prefetch
    observe: Observe | None = None


Track = Callable[[Mapping[str, Any]], None]  # takes a row of metrics.jsonl
Learn = Callable[[TrainPlan, RunFolder, Judging, Progress, Track], Sequence[RunStage]]
"""Runs the stages of a plan on a model that stands ready, and returns what each did."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is opened to train.

    Attributes:
        recipe: what was asked.
        model: a folder or a hub id.
        adapter: to begin from.
        teachers: the folders or hub ids of the other models that the recipe names, by what it calls them.
        sharded: has each of several processes a share of the model?
        prompts: the system texts, one of which each row to be made begins with.
    """

    recipe: Recipe
    model: Path | str
    adapter: Path | None = None
    teachers: Mapping[str, Path | str] = field(default_factory=dict)
    sharded: bool = False
    prompts: Sequence[str] = ()


Sources = tuple[Path | str, Path | None, Mapping[str, Path | str]]
"""Model, adapter and teachers of a ``Job``, as they are called on one machine."""
Find = Callable[[Mapping[str, Any]], Sources]
"""Finds them on this machine, given the recipe as a document. Raises SkillpmError."""


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

    def __init__(
        self, launch: Launch, answers: Mapping[str, Callable[..., Any]], folder: Path, listening: socket.socket
    ) -> None:
        self._launch, self._answers, self._listening = launch, dict(answers), listening
        self._log = folder / "log"
        self._ranks: dict[Connection, _Rank | None] = {}
        self._failed: list[tuple[int, Exception | None]] = []  # in their order; None where nothing was said
        self._received: int | None = None
        threads = str(max(1, (os.cpu_count() or 1) // launch.here))
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if launch.on_cpu else {}
        machines = {} if launch.machines is None else launch.machines.environment
        python, isolated, run, *module = launch.command(listening.getsockname())
        with self._log.open("wb") as log:
            self._launcher = subprocess.Popen(
                [python, isolated, run, _LAUNCHER, str(os.getpid()), *module],
                env={
                    "OMP_NUM_THREADS": threads,
                    **os.environ,
                    "PYTHONSAFEPATH": "1",
                    **hidden,
                    **machines,
                },  # no module of the project
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us
            )

    def begin(self) -> dict[str, Any]:
        """Wait until all have opened the model, and return what the manifest records of it and of this machine.

        Raises:
            SkillpmError: what one of them could not do.
            KeyboardInterrupt: Ctrl-C came to another machine.
        """
        here = self._launch.here
        self._serve(lambda: sum(rank.waits for rank in self._known()) == here or self._all_ended())
        if self._all_ended():
            raise KeyboardInterrupt
        return {**self._first().machine, "processes": self._launch.processes}

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
        first = next(link for link, rank in self._ranks.items() if rank is self._first())
        with suppress(OSError):  # that it has ended since is found below
            first.send((True, asked))
        return self.train()

    def train(self) -> list[RunStage]:
        """Wait until they have trained, and return what each stage did.

        Raises:
            SkillpmError: what ended a process.
            KeyboardInterrupt: the last step is saved.
        """
        with self._deferring():
            self._serve(lambda: self._all_ended() or (self._received is not None and self._first().ended))
        if self._received is not None:
            signal.raise_signal(self._received)
        records = next((rank.records for rank in self._known() if rank.records is not None), None)
        if records is None:
            raise KeyboardInterrupt
        return records

    def _first(self) -> _Rank:
        """Return the first process of this machine."""
        return min(self._known(), key=lambda rank: rank.place)

    def _all_ended(self) -> bool:
        known = self._known()
        return bool(known) and all(rank.ended for rank in known)

    def end(self, *, interrupted: bool = False) -> None:
        """End all of them; they tell those of other machines whether Ctrl-C did."""
        for link, rank in self._ranks.items():
            if rank is None and interrupted:
                with suppress(OSError):
                    link.send(INTERRUPTED)
            link.close()
        if all(rank.records is not None for rank in self._known()) and self._known():
            with suppress(subprocess.TimeoutExpired):
                self._launcher.wait(_ENDING)
        elif self._launch.machines is not None and self._ranks:
            with suppress(subprocess.TimeoutExpired):
                self._launcher.wait(_TELLING)
        self._launcher.send_signal(signal.SIGINT if interrupted else signal.SIGTERM)
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
            return self._not_started(log)
        place, error = self._failed[0]
        who = f"process {place} of {self._launch.processes}"
        if error is not None:
            reason = (str(error).splitlines() or ["no reason given"])[0][:300]
            hint = _ELSEWHERE if isinstance(error, ConnectionError) and self._launch.machines else None
            return TrainingError(f"{who} failed: {reason}", hint=hint, log=log[-_LOG:])
        code = {int(number): int(code) for number, code in _EXIT.findall(log)}.get(place, 0)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else "ended without a word"
        return TrainingError(f"{who} {how}", hint="it may have needed more memory than there is", log=log[-_LOG:])

    def _not_started(self, log: str) -> SkillpmError:
        reason = next((line for line in reversed(log.splitlines()) if "Error" in line), "no reason given").strip()[:300]
        machines = self._launch.machines
        if machines is None:
            return TrainingError(f"the processes could not be started: {reason}", log=log[-_LOG:])
        place = f"{machines.address}:{machines.port}"
        if self._launch.follows:
            return TrainingError(
                f"machine {machines.rank} of {machines.count} did not reach the first at {place}: {reason}",
                hint="type the command on the first machine too, and check that this one reaches its address and port",
                log=log[-_LOG:],
            )
        return TrainingError(
            f"not all of {machines.count} machines have come to {place}: {reason}",
            hint="type the same command on each, with its own `machine_rank` in the file",
            log=log[-_LOG:],
        )

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
            if not (first := self._first()).ended:
                os.kill(first.pid, signal.SIGINT)

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
        UsageError: the port on which those of other machines would reach them is taken.
        TrainingError: torch or what it takes is not installed, or they could not be started.
        SkillpmError: what one of them could not do, such as open the model.
        KeyboardInterrupt: Ctrl-C came to another machine.
    """
    asked = (job.recipe.model_dump(mode="json"), launch.sharded, launch.zero, tuple(job.prompts))
    sources = (job.model, job.adapter, job.teachers)
    with _started(launch, {"recipe": lambda: asked, "sources": lambda document: sources}) as processes:
        yield processes.begin(), processes.learn


def follow(launch: Launch, find: Find, ready: Callable[[], None]) -> None:
    """Have the processes of this machine train with those of the first, which plans and writes the run.

    Args:
        launch: on several machines.
        find: finds the models here.
        ready: called when the processes have opened them.

    Raises:
        SkillpmError: as ``launched``, and what ended a process here or on another machine.
        KeyboardInterrupt: Ctrl-C came to one of the machines.
    """
    with _started(launch, {"sources": find}) as processes:
        processes.begin()
        ready()
        processes.train()


@contextmanager
def _started(launch: Launch, answers: Mapping[str, Callable[..., Any]]) -> Iterator[Processes]:
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("trl") is None:
        raise TrainingError(
            "training needs packages that are not installed: torch, trl", hint="pip install 'skillpm-core[train]'"
        )
    if launch.machines is not None:
        launch.machines.check_port()
    folder = Path(tempfile.mkdtemp(prefix="skillpm-"))
    interrupted = False
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "socket"))
            listening.listen()
            processes = Processes(launch, answers, folder, listening)
            try:
                yield processes
            except KeyboardInterrupt:
                interrupted = True
                raise
            finally:
                processes.end(interrupted=interrupted)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
