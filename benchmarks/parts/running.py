"""A server in a process of its own, for as long as something asks it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STARTING = 180  # seconds


@dataclass(frozen=True)
class Running:
    """A server that accepts connections; ``seconds`` is how long it took to."""

    port: int
    pid: int
    seconds: float


@contextlib.contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[Running]:
    """Run a command, behind whose words a free port is put; what it prints goes into ``log``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    words, begin = [*command, str(port)], time.monotonic()
    with (
        tempfile.TemporaryFile("w+") if log is None else log.open("w+") as said,
        subprocess.Popen(words, env=environment, stdout=said, stderr=said) as server,
    ):
        try:
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if server.poll() is not None or time.monotonic() > begin + STARTING:
                    said.seek(0)
                    raise SystemExit(f"{' '.join(words)} does not start:\n{said.read()[-2000:]}")
                time.sleep(0.05)
            yield Running(port, server.pid, time.monotonic() - begin)
        finally:
            server.terminate()
