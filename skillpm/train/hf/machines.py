"""The machines on which processes train: who has come, what they have, and what ended them.

The processes of all machines reach the store of torch's rendezvous, which is on the first machine. Each machine says
there what it is, that it is still there, and why it ended. A process waits for that beside its work: one that has died
or lost its network would otherwise be waited for in vain.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from torch.distributed import (  # type: ignore[attr-defined]
    DistError,
    DistStoreError,
    PrefixStore,
    TCPStore,
)

from skillpm import __version__
from skillpm.errors import SkillpmError, TrainingError, UsageError
from skillpm.settings.distribution import TRAINING
from skillpm.train.hf.together import gathered, leads_machine, machine, machines, place

_BEAT = timedelta(seconds=5)
_SILENCE = 60.0  # seconds without a sign of life, after which a machine counts as gone
_COMING = timedelta(minutes=10)
_CONNECTING = timedelta(minutes=5)
_LEAVING = timedelta(seconds=3)
_PLANNING = timedelta(days=30)
_PARTING = timedelta(seconds=10)
_ENDED, _PLANNED, _PARTED = "ended", "planned", "all parted"

Ended = Callable[[SkillpmError | None], None]
"""Takes what ended another machine; None if Ctrl-C did."""


class Machines:
    """The machines, as one process knows them.

    Attributes:
        names: what a person calls each, once the roll is called.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._store = _store()
        self._to_tell_end = _store()
        self._over = False

    def call_roll(self) -> None:
        """Wait for all machines, and compare what they have.

        Raises:
            TrainingError: one does not come.
            UsageError: two have the same number, or one has other versions or another number of processes.
        """
        if leads_machine() and self._store.add(f"came/{machine()}", 1) > 1:
            raise UsageError(
                f"two machines have the `machine_rank` {machine()}", hint="give each its own, from 0, in its file"
            )
        versions = {"skillpm": __version__, **{name: version(name) for name in TRAINING}}
        own = {"host": socket.gethostname(), "processes": os.environ["LOCAL_WORLD_SIZE"], "versions": versions}
        self._store.set(f"machine/{machine()}", json.dumps(own))
        found = [self._told(place) for place in range(machines())]
        self.names = [f"machine {place} ({one['host']})" for place, one in enumerate(found)]
        first, *others = found
        for name, other in zip(self.names[1:], others, strict=True):
            if other["processes"] != first["processes"]:
                raise UsageError(
                    f"{name} starts {other['processes']} processes, the first machine {first['processes']}",
                    hint="set `num_processes` to the same number in the file of each machine",
                )
            for package, wanted in first["versions"].items():
                if (has := other["versions"].get(package)) != wanted:
                    raise UsageError(
                        f"{name} has {package} {has}, the first machine {wanted}",
                        hint="install the same versions on all machines",
                    )

    def _told(self, other: int) -> dict[str, Any]:
        try:
            self._store.wait([f"machine/{other}"], _COMING)
        except DistStoreError:
            raise TrainingError(
                f"machine {other} of {machines()} has not come",
                hint="type the same command on each machine, with its own `machine_rank` in the file",
            ) from None
        told: dict[str, Any] = json.loads(self._store.get(f"machine/{other}"))
        return told

    def wait_for_plan(self) -> None:
        """Wait until the first process has the plan; a collective call would not wait for so long."""
        if place() == 0:
            self._store.set(_PLANNED, "")
        else:
            self._store.wait([_PLANNED], _PLANNING)

    def tell_end(self, error: Exception | None) -> None:
        """Tell the other machines what ended this one, if nothing has ended them before; None for Ctrl-C."""
        if machines() == 1:
            return
        _tell_end(self._to_tell_end, error)

    def watch(self, ended: Ended) -> None:
        """Call ``ended`` when another machine has ended, from a thread of its own."""
        if machines() > 1:
            threading.Thread(target=self._watch, args=(_store(), ended), daemon=True).start()

    def part(self) -> None:
        """Wait for all processes at the end of their work: one that left would break what others still receive."""
        self._over = True
        with suppress(DistError):
            if self._store.add("parted", 1) == int(os.environ["WORLD_SIZE"]):
                self._store.set(_PARTED, "")
            self._store.wait([_PARTED], _PARTING)

    def _watch(self, store: PrefixStore, ended: Ended) -> None:
        seen: dict[int, tuple[bytes, float]] = {}
        beats = 0
        while True:
            try:
                if leads_machine():
                    beats += 1
                    store.set(f"beat/{machine()}", str(beats))
                if place() == 0:
                    self._find_silent(store, seen)
                store.wait([_ENDED], _BEAT)
                found = json.loads(store.get(_ENDED))
            except DistStoreError:  # nothing has ended
                continue
            except RuntimeError:  # the store is gone
                found = {"machine": 0, "error": {"message": "it cannot be reached any more", "hint": None}}
            if not self._over and found["machine"] != machine():
                ended(self._error(found))
            return

    def _error(self, found: Mapping[str, Any]) -> SkillpmError | None:
        error = found["error"]
        if error is None:
            return None
        return TrainingError(f"{self._name(found['machine'])}: {error['message']}", hint=error["hint"])

    def _name(self, other: int) -> str:
        return self.names[other] if self.names else f"machine {other}"

    def _find_silent(self, store: PrefixStore, seen: dict[int, tuple[bytes, float]]) -> None:
        """End all where a machine has given no sign of life for too long."""
        now = time.monotonic()
        for other in (other for other in range(machines()) if store.check([f"beat/{other}"])):
            beat, (before, since) = store.get(f"beat/{other}"), seen.get(other, (b"", now))
            if beat != before:
                seen[other] = (beat, now)
            elif now - since > _SILENCE:
                told = {"message": f"no sign of life for {_SILENCE:.0f} seconds", "hint": _LOST}
                store.compare_set(_ENDED, "", json.dumps({"machine": other, "error": told}))

    def lost(self, error: Exception) -> ConnectionError:
        """Return what a person is told where a connection to another process broke and nothing more is known."""
        others = ", ".join(name for place, name in enumerate(self.names) if place != machine())
        return ConnectionError(f"the connection to {others or 'another one'} broke: {str(error).splitlines()[0][:200]}")


def leave(*, interrupted: bool) -> None:
    """Tell the other machines that this one ends, where none of its processes has come that could."""
    with suppress(DistError):  # the first machine is not there
        _tell_end(_store(_LEAVING), None if interrupted else TrainingError(GONE))


def _tell_end(store: PrefixStore, error: Exception | None) -> None:
    told = None if error is None else {"message": str(error), "hint": getattr(error, "hint", None)}
    store.compare_set(_ENDED, "", json.dumps({"machine": machine(), "error": told}))


GONE = "its `skillpm train` has ended"
_LOST = "look at what its `skillpm train` printed, and whether it and its network are up"


def _store(within: timedelta = _CONNECTING) -> PrefixStore:
    """Return a connection of its own to the store of the rendezvous: a thread that waits would hold up the others."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return PrefixStore("skillpm", TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=within))


def check_models(machines: Machines, record: Mapping[str, Any]) -> None:
    """Raise UsageError where a machine has another model, adapter or teacher; ``record`` names this process's."""
    own = {name: record.get(name) for name in ("model_digest", "adapter_digest", "teachers", "revision", "device")}
    first, *others = [found for found in gathered(own if leads_machine() else None) if found is not None]
    for name, other in zip(machines.names[1:], others, strict=True):
        for what, wanted in first.items():
            if other[what] != wanted:
                raise UsageError(
                    f"{name} has another {what.replace('_', ' ')}: {other[what] or 'none'}, the first machine has "
                    f"{wanted or 'none'}",
                    hint="copy the folder from the first machine",
                )
