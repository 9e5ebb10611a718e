"""One worker as its host sees it: started in its sandbox, described, asked, ended.

A worker that failed in any way is not used again.
"""

from __future__ import annotations

import functools
import os
import secrets
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path

from skillpm.errors import SkillpmError, VerifierError
from skillpm.model.manifest import Permissions
from skillpm.model.ports import Enclosure
from skillpm.model.skill import Skill
from skillpm.runtime.collect import trace
from skillpm.runtime.described import Described
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.sandbox import INSTALLED, Confinement, Sandbox, choose, interpreter, readable, runnable, tasks
from skillpm.storage.unpack import remove_tree
from skillpm.worker.child import Child, Descriptors
from skillpm.worker.environments import Environment
from skillpm.worker.exchange import Exchange
from skillpm.worker.protocol import Fault, ReplyBudget, description_budget, encode, read_reply
from skillpm.worker.sealed import runnable_code

# -I -S: no PYTHON* variables, no working directory, no user site, no .pth files; the folders in which our own process
# finds packages are added by name. -B and the hash flag: bytecode beside a source is neither written nor believed.
_FLAGS = ("-I", "-S", "-B", "--check-hash-based-pycs", "always")
_BOOTSTRAP = "import sys; sys.path += sys.argv[5:]; from skillpm.worker.main import main; main(sys.argv[1:5])"


class WorkerProcess:
    """A running worker.

    Args:
        sandbox: how it is confined; the strongest level of this machine where None.
        environment: of its own Python packages, or None.
        cancelled: ends the start where it is set.

    Raises:
        VerifierError: it could not start; ``details['kind']`` is ``Fault.START``.
    """

    def __init__(
        self,
        skill: Skill,
        permissions: Permissions,
        limits: Limits,
        sandbox: Sandbox | None = None,
        environment: Environment | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.skill = skill
        self._code = _code(skill)
        self._limits = limits
        self._sandbox = sandbox or choose()
        self._scratch = Path(tempfile.mkdtemp(prefix="skillpm-worker-")).resolve()
        packages = _packages()
        own = () if environment is None else (environment.packages,)
        confinement = Confinement(
            skill=skill.root.resolve(),
            scratch=self._scratch,
            packages=(*own, *packages),
            network=permissions.network,
            programs=permissions.run,
            landlock=self._sandbox.landlock,
            tasks=tasks(),
        )
        self._closed = False
        try:
            self._child = Child(
                lambda inherited: self._command(inherited, packages, confinement),
                self._scratch,
                _environment(self._scratch),
                wrapped=self._sandbox.enclose is not None,
            )
        except (OSError, SkillpmError) as error:
            remove_tree(self._scratch)
            reason = error.message if isinstance(error, SkillpmError) else str(error)
            message = f"the worker cannot be started: {reason}"
            raise VerifierError(message, skill=skill.name, kind=Fault.START) from None
        self._exchange = Exchange(self._child, limits)
        self.described = self._start(confinement, environment, cancelled)
        self.payable = self.described.payable(has_code=self.runs_code)

    def _command(self, inherited: Descriptors, packages: tuple[Path, ...], confinement: Confinement) -> list[str]:
        host = os.getpid() if self._sandbox.enclose is None else 0
        words = [sys.executable, *_FLAGS, "-c", _BOOTSTRAP, *map(str, (*inherited, host, *packages))]
        if self._sandbox.enclose is None:
            return words
        enclosure = Enclosure(
            words=tuple(words),
            read=(*interpreter(Path(sys.executable)), *readable(confinement)),
            run=tuple(runnable(confinement)),
            scratch=confinement.scratch,
            network=confinement.network,
            descriptors=inherited,
        )
        return list(self._sandbox.enclose(enclosure))

    @property
    def runs_code(self) -> bool:
        """Does it run code of the skill?"""
        return bool(self._code)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def _start(
        self, confinement: Confinement, environment: Environment | None, cancelled: threading.Event | None
    ) -> Described:
        number = new_number()
        start = {
            "number": number,
            "skill": {**asdict(self.skill), "root": str(confinement.skill), "folder": None},
            "code": self._code,
            "scratch": str(confinement.scratch),
            "packages": [str(path) for path in confinement.packages],
            "own": None if environment is None else str(environment.packages),
            "network": confinement.network,
            "programs": confinement.programs,
            "landlock": confinement.landlock,
            "tasks": confinement.tasks,
            "limits": asdict(self._limits),
        }
        try:
            budget = description_budget(self._limits)
            reply = self.call(encode(start), self._limits.start_seconds, budget, cancelled)
            described = read_reply(Described, reply, number, budget)
            for call in described.calls:
                trace(call.hook, call.plugin, f"in the worker of {self.skill.name}", call.outcome, call.seconds)
            if described.error is not None:
                raise VerifierError(described.error, kind=Fault.START)
        except VerifierError as error:
            self.close()
            raise VerifierError(
                error.message, hint=f"run `skillpm selftest {self.skill.word}`", skill=self.skill.name, kind=Fault.START
            ) from None
        except BaseException:
            self.close()
            raise
        return described

    def call(
        self, payload: bytes, seconds: float, budget: ReplyBudget, cancelled: threading.Event | None = None
    ) -> bytes:
        """Send one request and return its reply, unchecked; it is not waited for where ``cancelled`` is set.

        Raises:
            VerifierError: ``details['kind']`` is a Fault; the worker is closed.
        """
        try:
            return self._exchange.ask(payload, seconds, budget.size, cancelled)
        except VerifierError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise VerifierError(f"the worker cannot be reached: {error.strerror}", kind=Fault.CRASH) from None

    def kill(self) -> None:
        """End the worker and all that it started."""
        self._child.kill()

    def close(self) -> None:
        """End the worker and all that it started, and remove its scratch folder."""
        if self._closed:
            return
        self._closed = True
        self._child.close()
        remove_tree(self._scratch)


def _code(skill: Skill) -> tuple[str, ...]:
    try:
        return runnable_code(skill)
    except SkillpmError as error:
        raise VerifierError(error.message, hint=error.hint, skill=skill.name, kind=Fault.START) from None


def new_number() -> int:
    """Return the number of a request; one that skill code cannot guess before it is asked."""
    return secrets.randbits(48)


@functools.cache
def _packages() -> tuple[Path, ...]:
    """Return the folders in which our own process finds packages, without the working directory and its like."""
    import pydantic

    import skillpm

    ours = [Path(module.__file__ or "").parents[1] for module in (skillpm, pydantic)]
    installed = [Path(entry) for entry in sys.path if Path(entry).name in INSTALLED]
    return tuple(dict.fromkeys(path.resolve() for path in (*ours, *installed)))


def _environment(scratch: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG") or name.startswith("LC_")}
    return {**ours, "HOME": str(scratch), "TMPDIR": str(scratch), "PYDANTIC_DISABLE_PLUGINS": "1"}
