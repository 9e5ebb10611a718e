"""Starts a server in a folder of its own, and ends it and removes the folder where the training is killed.

``python vllm_guard.py PID FOLDER PROGRAM ARGUMENT…``; PID is the process that trains, which otherwise does both.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

from skillpm.sandbox.parent import end_with_parent

_ENDING = 10.0  # seconds that the server gets to end


def main() -> int:
    """Run the program; return its exit code."""
    trainer, folder, *words = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    end_with_parent(number=signal.SIGTERM)
    server = None
    try:
        if os.getppid() == int(trainer):
            server = subprocess.Popen(words)
            return server.wait()
        return 1
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if server is not None and server.poll() is None:
            _end(server)
        if os.getppid() != int(trainer):
            shutil.rmtree(folder, ignore_errors=True)
            os.killpg(0, signal.SIGKILL)  # what the server has started


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(_ENDING)
    server.kill()


if __name__ == "__main__":
    sys.exit(main())
