"""Asks `skillpm score` what answers are worth.

One process of skillpm judges for an environment. It runs the skill's verifier in a sandboxed worker, and a skill's code
only where a person has agreed to it. The variable SKILLPM names the command if it is not `skillpm`. This file needs
nothing but Python, because skillpm copies it into the environments that it exports.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, Any


class JudgeError(RuntimeError):
    """An answer could not be judged. That is an outage, and never a reward."""


class Judge:
    """Judges the answers to tasks of one skill; threads may share it.

    Args:
        skill: its folder.
    """

    def __init__(self, skill: Path) -> None:
        self._words = [*shlex.split(os.environ.get("SKILLPM", "skillpm")), "score", str(skill)]
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None
        self._owner = 0

    def judge(self, expected: Any, completion: str, request: str = "") -> dict[str, Any]:
        """Return the judgement: ``status``, ``score``, ``components``, ``reasons``, ``rewards``, ``argv``.

        Raises:
            JudgeError: it could not be judged, or skillpm does not run.
        """
        row = json.dumps({"expected": expected, "completion": completion, "request": request})
        with self._turn:
            line = self._ask(f"{row}\n\n")  # the blank line asks for the judgement now
            if not line:
                raise JudgeError(self._end())
        judgement: dict[str, Any] = json.loads(line)
        if judgement["score"] is None:
            raise JudgeError("; ".join(judgement["reasons"]) or judgement["status"])
        return judgement

    def close(self) -> None:
        """End the process; the next answer starts another."""
        with self._turn:
            self._end()

    def _ask(self, text: str) -> str:
        if self._process is None or self._owner != os.getpid():
            self._start()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(text)
            process.stdin.flush()
        except OSError:
            return ""
        return process.stdout.readline()

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - read when the process has ended
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(self._words, stdin=pipe, stdout=pipe, stderr=self._errors, text=True)
        except OSError as error:
            self._errors.close()
            raise JudgeError(f"`{self._words[0]}` cannot be started: {error.strerror}") from None
        self._owner = os.getpid()

    def _end(self) -> str:
        """End the process; return how it ended, and what it said last."""
        process, errors = self._process, self._errors
        self._process = None
        if process is None or errors is None or self._owner != os.getpid():
            return "skillpm does not run"
        process.communicate()
        errors.seek(0)
        lines = errors.read().strip().splitlines()[-4:]
        errors.close()
        return f"skillpm ended with exit code {process.returncode}: {' '.join(lines)}"
