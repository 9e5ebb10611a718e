"""Workers on the nodes of a Ray cluster: each is an actor that starts the same confined process on its own machine.

A node gets the files of a skill by value. It puts them into its own cache, by their digest, and starts a worker only of
a folder that has exactly the digest whose code a person agreed to here; it confines the worker at the level that was
chosen here, or does not start it. A node that is lost ends its workers as a crash would: the supervisor starts others,
which Ray puts on the nodes that are left, and sends them the same batch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from skillpm import __version__
from skillpm.errors import SkillpmError, UsageError, VerifierError
from skillpm.layout.source_tree import skill_tree
from skillpm.layout.tree import MappingTree
from skillpm.model.manifest import Permissions
from skillpm.model.skill import Skill
from skillpm.model.wheel import WheelSet
from skillpm.runtime.described import Described
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.sandbox import Sandbox, choose
from skillpm.settings.folders import user_folders
from skillpm.storage.store import Store
from skillpm.worker.environments import Environment, Environments
from skillpm.worker.process import WorkerProcess
from skillpm.worker.protocol import Fault, ReplyBudget

ADDRESS = "RAY_ADDRESS"  # Ray's own variable
_TICK = 0.2  # seconds between looks at whether a call was cancelled
_ON_TOP = 120.0  # seconds that a node may take to start an actor, or to notice that it is lost
_CLOSE_SECONDS = 5.0
_TRIES = 3  # to start an actor, on another node each
_KNOCK_SECONDS = 5.0


class Order(NamedTuple):
    """What a node has to know to start a worker.

    Attributes:
        executables: the paths of those that may be executed.
        level: of the sandbox.
        wheels: of the skill's own Python environment, which is built on the node; None for none.
    """

    version: str
    skill: Skill
    files: dict[str, bytes]
    executables: frozenset[str]
    permissions: Permissions
    limits: Limits
    level: str
    wheels: WheelSet | None
    offline: bool


class Failure(NamedTuple):
    """A VerifierError as it travels."""

    message: str
    hint: str | None
    details: dict[str, Any]


class NodeWorker:
    """The actor: one worker on a node. Failures are values here, because errors do not travel whole."""

    def __init__(self) -> None:
        self._process: WorkerProcess | None = None

    def start(self, order: Order) -> tuple[Described, bool, int] | Failure:
        """Start the worker; return its description, whether it runs code, and its process id."""
        try:
            if order.version != __version__:
                text = f"{socket.gethostname()} has skillpm {__version__}, this machine has {order.version}"
                raise VerifierError(text, hint="install one version on all nodes", kind=Fault.START)
            cache = user_folders(os.environ)[1]
            copies = Store(cache / "sealed")
            tree = MappingTree(order.files, order.executables)
            if tree.digest != order.skill.tree:
                raise VerifierError(f"{order.skill} changed on its way to a node", kind=Fault.START)
            skill = replace(order.skill, root=copies.add(tree), folder=None, is_source=False, bundled=False)
            environments = Environments(cache / "environments", offline=order.offline)
            environment = None if order.wheels is None else environments.of(skill, order.wheels)
            sandbox = choose(order.level)
            self._process = WorkerProcess(skill, order.permissions, order.limits, sandbox, environment)
        except SkillpmError as error:
            return Failure(error.message, error.hint, {"kind": Fault.START, **error.details})
        return self._process.described, self._process.runs_code, self._process.pid

    def call(self, payload: bytes, seconds: float, budget: ReplyBudget) -> bytes | Failure:
        """Send one request to the worker, and return its reply."""
        assert self._process is not None
        try:
            return self._process.call(payload, seconds, budget)
        except VerifierError as error:
            return Failure(error.message, error.hint, error.details)

    def close(self) -> None:
        """End the worker."""
        if self._process is not None:
            self._process.close()


class RayWorker:
    """The face of an actor on this machine. Raises VerifierError if it could not start."""

    def __init__(self, order: Order, cancelled: threading.Event | None = None) -> None:
        import ray

        self._ray = ray
        # No processor is reserved: if a node is lost, its workers have to find a place among those of the others.
        options = {"num_cpus": 0, "scheduling_strategy": "SPREAD", "max_concurrency": 2}
        actor_class: Any = ray.remote(NodeWorker).options(**options)
        sent = ray.put(order)
        for attempt in range(1, _TRIES + 1):
            self._actor = actor_class.remote()
            try:
                seconds = order.limits.start_seconds
                self.described, self.runs_code, self.pid = self._value(
                    self._actor.start.remote(sent), seconds, cancelled
                )
                break
            except VerifierError as error:
                self.kill()
                if attempt == _TRIES or error.details.get("kind") != Fault.CRASH:
                    raise
        self.payable = self.described.payable(has_code=self.runs_code)

    def call(
        self, payload: bytes, seconds: float, budget: ReplyBudget, cancelled: threading.Event | None = None
    ) -> bytes:
        """Send one request and return its reply, unchecked. Raises VerifierError."""
        try:
            reply: bytes = self._value(self._actor.call.remote(payload, seconds, budget), seconds, cancelled)
        except VerifierError:
            self.close()
            raise
        return reply

    def kill(self) -> None:
        """End the actor, and with it the worker and all that it started."""
        with contextlib.suppress(Exception):  # whatever Ray says of an actor that is gone
            self._ray.kill(self._actor)

    def close(self) -> None:
        """End the worker and the actor."""
        with contextlib.suppress(Exception):
            self._ray.get(self._actor.close.remote(), timeout=_CLOSE_SECONDS)
        self.kill()

    def _value(self, reference: Any, seconds: float, cancelled: threading.Event | None) -> Any:
        """Wait for what a method of the actor returns."""
        deadline = time.monotonic() + seconds + _ON_TOP
        while not self._ray.wait([reference], timeout=_TICK)[0]:
            if cancelled is not None and cancelled.is_set():
                raise VerifierError("the call was cancelled", kind=Fault.SPENT)
            if time.monotonic() > deadline:
                raise VerifierError(f"no answer of a node after {seconds + _ON_TOP:.0f} seconds", kind=Fault.TIMEOUT)
        try:
            value = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise VerifierError(f"the worker's node failed: {reason}", kind=Fault.CRASH) from None
        if isinstance(value, Failure):
            raise VerifierError(value.message, hint=value.hint, **value.details)
        return value


@dataclass(frozen=True)
class RayEngine:
    """Starts workers on the nodes of the cluster that this process is connected to.

    Attributes:
        wheels: returns the wheels of a skill that a person agreed to.
        offline: do nodes, too, use local folders of wheels only?
    """

    wheels: Callable[[Skill], WheelSet | None]
    offline: bool = False

    def __call__(
        self,
        skill: Skill,
        permissions: Permissions,
        limits: Limits,
        sandbox: Sandbox | None = None,
        environment: Environment | None = None,
        cancelled: threading.Event | None = None,
    ) -> RayWorker:
        """Return a worker that is ready. Raises VerifierError if it cannot be started."""
        tree = skill_tree(skill)
        order = Order(
            __version__,
            skill,
            {path: tree.read(path) for path in tree.paths()},
            frozenset(path for path in tree.paths() if tree.executable(path)),
            permissions,
            limits,
            (sandbox or choose()).level,
            None if environment is None else self.wheels(skill),
            self.offline,
        )
        return RayWorker(order, cancelled)


@contextmanager
def connected() -> Iterator[None]:
    """Connect to the cluster of ``RAY_ADDRESS``, or the one that runs here, or else start one of this machine.

    Raises:
        UsageError: Ray is not installed, or no cluster answers.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("`--engine ray` needs ray", hint="pip install 'skillpm-core[ray]'") from None
    if ray.is_initialized():  # by whoever runs us
        yield
        return
    address = os.environ.get(ADDRESS, "")
    _knock(address)
    handler, environment = signal.getsignal(signal.SIGTERM), dict(os.environ)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a warning about devices
    try:
        ray.init(log_to_driver=False, logging_level="error", include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UsageError(f"Ray cannot be reached: {reason}", hint=f"check {ADDRESS} and `ray status`") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # ray.init puts its own there
    try:
        yield
    finally:
        ray.shutdown()
        os.environ.clear()  # Ray leaves variables of its own
        os.environ.update(environment)


def _knock(address: str) -> None:
    """Refuse an address at which nothing listens; Ray itself would try for a minute and then end the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()
    except (OSError, ValueError) as error:
        hint = f"run `ray start --head` there, or set {ADDRESS} to the address of another cluster"
        raise UsageError(f"no Ray cluster answers at {address}: {error}", hint=hint) from None
