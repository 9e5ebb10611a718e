"""A command under a terminal of its own, at which a person types when a prompt stands there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

KEYS = {"^C": b"\x03", "^D": b"\x04"}
PATIENCE = 60.0  # seconds


def at_terminal(
    words: Sequence[str], typed: Sequence[str], *, cwd: Path, environment: Mapping[str, str], columns: int = 80
) -> tuple[int, str]:
    """Run skillpm, type a line at each prompt, and return the exit code and all that the terminal showed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _CONTROLLING, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**environment, "COLUMNS": str(columns)},  # xdist has one of its own
        start_new_session=True,
    )
    os.close(theirs)
    shown, answered, waiting, end = b"", 0, list(typed), time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end:
            ready, _, _ = select.select([ours], [], [], 0.2)
            if ready:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # Linux's way to say that the last process has closed the terminal
                    break
                if not piece:
                    break
                shown += piece
            elif waiting and shown[answered:].endswith((b": ", b"> ")):
                answered = len(shown)
                line = waiting.pop(0)
                os.write(ours, KEYS.get(line, f"{line}\n".encode()))
        else:
            process.kill()
    finally:
        os.close(ours)
    return process.wait(), shown.decode(errors="replace").replace("\r\n", "\n")


# the terminal must control the session, or Ctrl-C reaches nobody
_CONTROLLING = """\
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
import runpy
runpy.run_module("skillpm", run_name="__main__", alter_sys=True)
"""
