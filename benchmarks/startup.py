"""Start-up of the command, beside other command lines that are on this machine.

Each is started in a fresh process; the figure is the best of ten, in seconds of processor time (user and system), which
is steadier than the clock. Goal: under 0.10 s.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys

ROUNDS = 10
OURS = [sys.executable, "-m", "skillpm"]
PEERS = {
    "uv --help": ["uv", "--help"],
    "pip --help": [sys.executable, "-m", "pip", "--help"],
    "trl --help": ["trl", "--help"],
    "skills-ref --help": ["agentskills", "--help"],
}


def seconds(command: list[str]) -> float:
    """Return the least processor time of a few starts."""
    found = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def main() -> None:
    """Print the table."""
    python = seconds([sys.executable, "-c", "pass"])
    ours = {f"skillpm {words}": seconds([*OURS, *words.split()]) for words in ("--version", "--help", "install --help")}
    print(f"{'what':28} {'s':>7} {'ratio to skillpm --help':>24}")
    rows = {"python -c pass": python, **ours}
    for name, command in PEERS.items():
        if shutil.which(command[0]):
            rows[name] = seconds(command)
        else:
            print(f"{name:28} {'not here':>7}")
    for name, value in rows.items():
        print(f"{name:28} {value:7.3f} {value / ours['skillpm --help']:24.2f}")


if __name__ == "__main__":
    main()
