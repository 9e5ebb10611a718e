"""The gate: before a release goes live, the server itself tries to fool its verifier.

A process of its own runs ``skillpm selftest``, whose worker is confined by the strongest sandbox of the machine. The
process gets no network, no programs, no secret of the server and a limited time, after which all of it is ended. One
self-test runs at a time, in a thread that no request waits for. Its outcome is kept by the digest of the content.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.errors import BusyError, CheckError, SkillpmError
from skillpm.layout.tree import Tree
from skillpm.sandbox.sandbox import choose
from skillpm.storage.unpack import unpack
from skillpm_registry.catalogue.facts import facts_of
from skillpm_registry.database import Database
from skillpm_registry.tables import GateReport

_WAITING = 50  # self-tests that wait at most
_MOST_BYTES = 4 << 20  # of a report
_NICE = 10  # the server comes first
_POLICY = "policy:\n  network: false\n  run: []\n  sandbox: require\n"
_KEPT = ("PATH", "PYTHONPATH", "LANG", "TMPDIR")  # variables of the server that the process gets
_log = logging.getLogger("skillpm_registry")


@dataclass(frozen=True, slots=True)
class _Job:
    """A skill that waits for its self-test."""

    name: str
    digest: str
    tree: Tree


class Gate:
    """Self-tests releases, one after the other.

    Args:
        database: keeps what became of each.
        seconds: that one self-test may take.

    Attributes:
        after: is called in the gate's thread when a self-test has ended.

    Raises:
        PolicyError: this machine has no strong sandbox.
    """

    def __init__(self, database: Database, seconds: int) -> None:
        choose("require")
        self._database = database
        self._seconds = seconds
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_WAITING)
        self._pending: set[str] = set()
        self._ended = False
        self.after: Callable[[], None] = lambda: None
        self._running: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._work, name="gate", daemon=True)
        self._thread.start()

    def is_pending(self, digest: str) -> bool:
        """Is a content waiting here, or being judged?"""
        return digest in self._pending

    def is_passed(self, digest: str) -> bool:
        """May a content go live, as far as its self-test has an outcome?

        Raises:
            CheckError: its verifier can be fooled, or could not be judged in time.
        """
        with self._database.reading() as session:
            row = session.get(GateReport, digest)
        if row is None or row.outcome in ("passed", "skipped"):
            return row is not None
        if row.outcome == "failed":
            first = row.report["findings"][0]["message"]
            raise CheckError(
                f"the verifier gate of this registry refuses it: {first}",
                hint="run `skillpm selftest` and fix what it lists, then publish a new version",
                **row.report,
            )
        raise CheckError(
            f"the verifier gate of this registry could not judge it: {row.report.get('reason', '')}",
            hint="run `skillpm selftest`, make the verifier faster, or publish it again if the server was busy",
        )

    def start(self, name: str, digest: str, tree: Tree) -> bool:
        """Begin to judge a content; return False if there is nothing to judge. Raises BusyError if too many wait."""
        facts = facts_of(tree)
        if not (facts.verified or facts.code):
            return False
        if facts.python and facts.code:
            self._keep(digest, "skipped", {"reason": "its code needs Python packages, which the gate does not install"})
            return False
        if digest not in self._pending:
            self._pending.add(digest)
            try:
                self._jobs.put_nowait(_Job(name.rpartition("/")[2], digest, tree))
            except queue.Full:
                self._pending.discard(digest)
                raise BusyError("many releases wait for the verifier gate", hint="try again") from None
        return True

    def forget_unjudged(self, digest: str) -> None:
        """Let a content that could not be judged be judged again."""
        with self._database.writing() as session:
            row = session.get(GateReport, digest)
            if row is not None and row.outcome == "unjudged":
                session.delete(row)

    def close(self) -> None:
        """End what runs, and the thread. What had no outcome is judged when its publisher asks again."""
        self._ended = True
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(None)
        if self._running is not None:
            _end(self._running)
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None and not self._ended:
            self._judge(job)
            self.after()

    def _judge(self, job: _Job) -> None:
        try:
            outcome, report = self._judged(job)
            if not self._ended:
                self._keep(job.digest, outcome, report)
        except Exception as error:  # noqa: BLE001  whatever it is, the next one is judged
            _log.error("the gate failed", exc_info=error)
            with contextlib.suppress(SkillpmError):
                self._keep(job.digest, "unjudged", {"reason": "the gate failed"})
        finally:
            self._pending.discard(job.digest)

    def _keep(self, digest: str, outcome: str, report: dict[str, Any]) -> None:
        with self._database.writing() as session:
            session.merge(GateReport(tree=digest, time=time.time(), outcome=outcome, report=report))

    def _judged(self, job: _Job) -> tuple[str, dict[str, Any]]:
        """Return the outcome of one self-test, and its report."""
        with tempfile.TemporaryDirectory(prefix="skillpm-gate-", ignore_cleanup_errors=True) as place:
            folder, home = Path(place) / job.name, Path(place) / ".home"
            unpack(job.tree, folder)
            home.mkdir()
            (home / "config.yaml").write_text(_POLICY, encoding="utf-8")
            # -P: a skill that is called as a package is not imported from here
            command = [sys.executable, "-P", "-m", "skillpm", "selftest", str(folder), "--yes", "--json", "-C", place]
            started = time.monotonic()
            code, said, errors = self._run(command, Path(place), home)
            if code is None:
                return "unjudged", {"reason": f"it took longer than {self._seconds} s"}
            try:
                report = json.loads(said)["skills"][0] if code in (0, 1) else {}
            except (ValueError, LookupError):
                report = {}
            if not report:
                reason = errors.replace(str(folder), job.name).replace(place, "").strip().splitlines()
                return "unjudged", {"reason": (reason or [f"it ended with {code}"])[0][:400]}
        kept = {key: report[key] for key in ("unproven", "tasks", "claims", "findings")}
        return "passed" if report["ok"] else "failed", kept | {"seconds": round(time.monotonic() - started, 1)}

    def _run(self, command: list[str], place: Path, home: Path) -> tuple[int | None, str, str]:
        """Run a command in a session of its own; return its exit code, None if it took too long, and its texts."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        variables = {**kept, "SKILLPM_HOME": str(home), "SKILLPM_OFFLINE": "1", "SKILLPM_SANDBOX": "require"}
        with (place / ".out").open("w+b") as out, (place / ".err").open("w+b") as err:
            process = subprocess.Popen(
                command, cwd=place, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True,
            )  # fmt: skip
            self._running = process
            try:
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PGRP, process.pid, _NICE)
                process.wait(self._seconds)
            except subprocess.TimeoutExpired:
                return None, "", ""
            finally:
                _end(process)
                self._running = None
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read(_MOST_BYTES).decode("utf-8", "replace"))
            return process.returncode, texts[0], texts[1]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group, and wait for it."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
