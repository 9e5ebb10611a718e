"""Where workers run: the port behind which there are the processes of this machine, or those of a cluster's nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from skillpm.model.manifest import Permissions
from skillpm.model.skill import Skill
from skillpm.runtime.described import Described
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.sandbox import Sandbox
from skillpm.worker.environments import Environment
from skillpm.worker.protocol import ReplyBudget


class Worker(Protocol):
    """A confined process that runs one skill; ``WorkerProcess`` says what its methods promise."""

    @property
    def described(self) -> Described:
        """What the skill contributes."""

    @property
    def payable(self) -> dict[str, str]:
        """The rewards that it may pay, with the file that brought each."""

    @property
    def runs_code(self) -> bool:
        """Does it run code of the skill?"""

    @property
    def pid(self) -> int:
        """The process id, on its own machine."""

    def call(
        self, payload: bytes, seconds: float, budget: ReplyBudget, cancelled: threading.Event | None = None
    ) -> bytes:
        """Send one request and return its reply, unchecked. Raises VerifierError."""

    def kill(self) -> None:
        """End the worker and all that it started."""

    def close(self) -> None:
        """End the worker, and remove what it left."""


Engine = Callable[[Skill, Permissions, Limits, Sandbox | None, Environment | None, threading.Event | None], Worker]
"""Starts a worker and returns it when it is ready, as ``WorkerProcess`` does. Raises VerifierError if it cannot."""
